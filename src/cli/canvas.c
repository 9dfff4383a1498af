/* Cells are slices of the texts drawn, so that a character of any size is one cell, or two of them
 * when it is wide.
 */
#include "cli/canvas.h"

#include "cli/text.h"

enum err canvas_open(struct canvas *c, struct arena *a, uint32_t rows, uint32_t columns) {
    *c = (struct canvas){.rows = rows, .columns = columns};
    c->cells = ARENA_ARRAY(a, (size_t)rows * columns + 1, struct str);
    return c->cells ? OK : ERR_NOMEM;
}

void canvas_put(struct canvas *c, uint32_t row, uint32_t column, struct str mark) {
    if (row < c->rows && column < c->columns) {
        c->cells[(size_t)row * c->columns + column] = mark;
    }
}

void canvas_text(struct canvas *c, uint32_t row, uint32_t column, struct str text) {
    size_t at = 0;
    while (at < text.len) {
        size_t from = at;
        (void)str_utf8_next(text, &at);
        struct str one = str_sub(text, from, at);
        uint32_t width = text_width(one);
        if (width) {
            canvas_put(c, row, column, one);
        }
        if (width == 2) {
            canvas_put(c, row, column + 1, (struct str){NULL, 1});
        }
        column += width;
    }
}

void canvas_across(struct canvas *c, uint32_t row, uint32_t from, uint32_t to) {
    for (uint32_t x = from < to ? from : to; x <= (from < to ? to : from); x++) {
        canvas_put(c, row, x, STR("-"));
    }
}

void canvas_down(struct canvas *c, uint32_t column, uint32_t from, uint32_t to) {
    for (uint32_t y = from < to ? from : to; y <= (from < to ? to : from); y++) {
        canvas_put(c, y, column, STR("|"));
    }
}

void canvas_print(const struct canvas *c, struct buf *out) {
    for (uint32_t row = 0; row < c->rows; row++) {
        const struct str *cells = &c->cells[(size_t)row * c->columns];
        uint32_t end = c->columns;
        while (end > 0 && !cells[end - 1].len) {
            end--;
        }
        for (uint32_t x = 0; x < end; x++) {
            if (!cells[x].len) {
                buf_append_char(out, ' ');
            } else if (cells[x].ptr) {
                buf_append(out, cells[x]);
            }
        }
        buf_append_char(out, '\n');
    }
}
