/* Where the content of a scalar starts. libyaml says where the node starts, which is its tag or
 * anchor when it has one, and for block scalars the | or >. An expression inside a block needs
 * the line and column of its text: the first line below the header, column = indentation + 1.
 *
 * The cursor only moves forward over the source, so all marks of a document cost one pass.
 */
#include "yaml/yaml_priv.h"

/* Bytes up to the code point with the given index. */
static size_t seek(struct yaml_cursor *c, size_t index) {
    while (c->index < index && c->byte < c->text.len) {
        unsigned char b = (unsigned char)c->text.ptr[c->byte];
        c->byte += b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
        c->index++;
    }
    return c->byte;
}

static bool is_break(char c) { return c == '\n' || c == '\r'; }

/* Moves over one character and keeps the mark beside it. */
static size_t step(struct str text, size_t at, struct mark *m) {
    char c = text.ptr[at];
    if (is_break(c)) {
        m->line++;
        m->column = 1;
        return at + (c == '\r' && at + 1 < text.len && text.ptr[at + 1] == '\n' ? 2 : 1);
    }
    m->column++;
    str_utf8_next(text, &at);
    return at;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || is_break(c); }

/* Over tags, anchors, white space and comments to the content itself. */
static size_t skip_properties(struct str text, size_t at, struct mark *m) {
    while (at < text.len) {
        char c = text.ptr[at];
        if (is_space(c)) {
            at = step(text, at, m);
        } else if (c == '&' || c == '!') {
            while (at < text.len && !is_space(text.ptr[at])) {
                at = step(text, at, m);
            }
        } else if (c == '#') {
            while (at < text.len && !is_break(text.ptr[at])) {
                at = step(text, at, m);
            }
        } else {
            break;
        }
    }
    return at;
}

static size_t leading_spaces(struct str s, size_t at) {
    size_t n = 0;
    while (at + n < s.len && s.ptr[at + n] == ' ') {
        n++;
    }
    return n;
}

/* Spaces before the first character of the first line that has one; 0 when there is none. */
static size_t first_indent(struct str s, size_t at) {
    while (at < s.len) {
        size_t n = leading_spaces(s, at);
        if (at + n < s.len && !is_break(s.ptr[at + n])) {
            return n;
        }
        at += n + 1;
    }
    return 0;
}

/* What stands in the source beyond what stands in the text is the indentation of the block. */
static void enter_block(struct str source, size_t at, struct str text, struct mark *m) {
    uint32_t line = m->line;
    while (at < source.len && m->line == line) {
        at = step(source, at, m);
    }
    size_t in_source = first_indent(source, at);
    size_t in_text = first_indent(text, 0);
    bool has_text = str_trim(text).len > 0;
    m->line = line + 1;
    m->column = has_text && in_source >= in_text ? (uint32_t)(in_source - in_text) + 1 : 1;
}

struct mark yaml_place_content(struct yaml_cursor *c, const yaml_event_t *event, struct str text,
                               const char *file) {
    yaml_scalar_style_t style = event->data.scalar.style;
    bool block = style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
    bool properties = event->data.scalar.tag || event->data.scalar.anchor;
    struct mark m = yaml_mark(event->start_mark, file);
    if (style == YAML_PLAIN_SCALAR_STYLE && text.len == 0) {
        return yaml_mark(event->end_mark, file);
    }
    if (block || properties) {
        size_t at = seek(c, event->start_mark.index);
        if (properties) {
            at = skip_properties(c->text, at, &m);
        }
        if (block) {
            enter_block(c->text, at, text, &m);
            return m;
        }
    }
    if (style != YAML_PLAIN_SCALAR_STYLE) {
        m.column++;
    }
    return m;
}
