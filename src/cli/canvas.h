/* A sheet of character cells to draw on; a later mark replaces an earlier one. What lies outside of
 * the sheet is not drawn.
 */
#ifndef CAIRN_CLI_CANVAS_H
#define CAIRN_CLI_CANVAS_H

#include "base/base.h"

struct canvas {
    struct str *cells; /* one character each; empty: nothing; NULL and 1: the rest of a wide one */
    uint32_t rows, columns;
};

enum err canvas_open(struct canvas *c, struct arena *a, uint32_t rows, uint32_t columns) MUST_USE;
/* One character of one column. */
void canvas_put(struct canvas *c, uint32_t row, uint32_t column, struct str mark);
/* The characters of a text, which must live as long as the canvas. */
void canvas_text(struct canvas *c, uint32_t row, uint32_t column, struct str text);
/* Lines of '-' and '|', both ends included; the ends may be given either way round. */
void canvas_across(struct canvas *c, uint32_t row, uint32_t from, uint32_t to);
void canvas_down(struct canvas *c, uint32_t column, uint32_t from, uint32_t to);
/* All rows, without the blanks at their ends. */
void canvas_print(const struct canvas *c, struct buf *out);

#endif
