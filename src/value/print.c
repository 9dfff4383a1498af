/* Values as text: JSON on one line or indented, as part of a template, and short for messages.
 *
 * Whatever the value holds, the output is valid JSON: types that JSON lacks become strings.
 * A value nested deeper than VALUE_MAX_DEPTH fails the buffer instead of the stack. Output is
 * for people and other programs; the journal never stores it.
 */
#include "value/value.h"

#include <math.h>

#include "value/value_priv.h"

struct printer {
    struct buf *out;
    size_t indent;
    size_t stop; /* more than this many bytes in out are not needed */
};

static bool enough(const struct printer *p) { return p->out->failed || p->out->len > p->stop; }

static void new_line(const struct printer *p, size_t depth) {
    if (p->indent == 0) {
        return;
    }
    buf_append_char(p->out, '\n');
    char *spaces = buf_reserve(p->out, depth * p->indent);
    if (!spaces) {
        return;
    }
    memset(spaces, ' ', depth * p->indent);
    p->out->len += depth * p->indent;
}

/* Text without quotes of what JSON can only show as a string. */
static void append_bare(struct value v, struct buf *out) {
    if (v.type == VALUE_BYTES) {
        value_print_base64(value_str(v), out);
    } else if (v.type == VALUE_TIMESTAMP) {
        value_print_timestamp(v, out);
    } else if (v.type == VALUE_DURATION) {
        value_print_duration(v, out);
    } else if (v.type == VALUE_DOUBLE) {
        value_print_real(v.real, out);
    } else {
        buf_append(out, value_str(v));
    }
}

static void append_bare_quoted(struct value v, struct buf *out) {
    buf_append_char(out, '"');
    append_bare(v, out);
    buf_append_char(out, '"');
}

static void print(const struct printer *p, struct value v, size_t depth);

/* Keys that are not text exist only inside expressions; they are shown as text. */
static void print_key(const struct printer *p, struct value key) {
    if (key.type == VALUE_TEXT) {
        value_print_quoted(value_str(key), p->out);
    } else {
        buf_append_char(p->out, '"');
        value_print_text(key, p->out);
        buf_append_char(p->out, '"');
    }
    buf_append(p->out, p->indent ? STR(": ") : STR(":"));
}

static void print_children(const struct printer *p, struct value v, size_t depth) {
    bool list = v.type == VALUE_LIST;
    if (depth >= VALUE_MAX_DEPTH) {
        p->out->failed = true;
        return;
    }
    buf_append_char(p->out, list ? '[' : '{');
    for (uint32_t i = 0; i < v.extra && !enough(p); i++) {
        if (i > 0) {
            buf_append_char(p->out, ',');
        }
        new_line(p, depth + 1);
        if (!list) {
            print_key(p, v.pairs[i].key);
        }
        print(p, list ? v.items[i] : v.pairs[i].val, depth + 1);
    }
    if (v.extra > 0) {
        new_line(p, depth);
    }
    buf_append_char(p->out, list ? ']' : '}');
}

static void print_optional(const struct printer *p, struct value v, size_t depth) {
    if (depth >= VALUE_MAX_DEPTH) {
        p->out->failed = true;
    } else {
        print(p, v.items ? *v.items : value_null(), depth + 1);
    }
}

static void print(const struct printer *p, struct value v, size_t depth) {
    switch ((enum value_type)v.type) {
    case VALUE_NULL: buf_append(p->out, STR("null")); return;
    case VALUE_BOOL: buf_append(p->out, v.boolean ? STR("true") : STR("false")); return;
    case VALUE_INT: value_print_int64(v.num, p->out); return;
    case VALUE_UINT: value_print_uint64(v.unum, p->out); return;
    case VALUE_DOUBLE:
        if (isfinite(v.real)) {
            value_print_real(v.real, p->out);
        } else {
            append_bare_quoted(v, p->out);
        }
        return;
    case VALUE_TEXT:
    case VALUE_TYPE: value_print_quoted(value_str(v), p->out); return;
    case VALUE_BYTES:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: append_bare_quoted(v, p->out); return;
    case VALUE_LIST:
    case VALUE_MAP: print_children(p, v, depth); return;
    case VALUE_OPTIONAL: print_optional(p, v, depth); return;
    }
}

void value_print_json(struct value v, int indent, struct buf *out) {
    struct printer p = {.out = out, .indent = indent > 0 ? (size_t)indent : 0, .stop = SIZE_MAX};
    print(&p, v, 0);
}

/* A scalar that JSON shows as a string stands without its quotes, as text does. */
void value_print_text(struct value v, struct buf *out) {
    switch ((enum value_type)v.type) {
    case VALUE_NULL: return;
    case VALUE_TEXT:
    case VALUE_TYPE:
    case VALUE_BYTES:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION:
    case VALUE_DOUBLE: append_bare(v, out); return;
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_OPTIONAL: value_print_json(v, 0, out); return;
    }
}

/* The last position up to len (less than s.len) where a character of s begins. */
static size_t border(struct str s, size_t len) {
    while (len > 0 && ((unsigned char)s.ptr[len] & 0xC0) == 0x80) {
        len--;
    }
    return len;
}

void value_print_short(struct value v, size_t max_bytes, struct buf *out) {
    size_t start = out->len;
    size_t limit = max_bytes < SIZE_MAX - start ? start + max_bytes : SIZE_MAX;
    struct printer p = {.out = out, .stop = limit};
    bool text = v.type == VALUE_TEXT;
    if (text && v.extra > max_bytes) { /* no more than can be shown; the quotes make it too long */
        v.extra = (uint32_t)border(value_str(v), max_bytes);
    }
    print(&p, v, 0);
    if (out->failed || out->len <= limit) {
        return;
    }
    struct str end = text ? STR("...\"") : STR("...");
    out->len = border(buf_str(out), max_bytes > end.len ? limit - end.len : limit);
    if (max_bytes > end.len) {
        buf_append(out, end);
    }
}
