/* Values as YAML: block maps and lists, scalars plain where nobody could take them for something
 * else, in double quotes otherwise. What is printed reads back identical; types that YAML has not
 * (bytes, times) are written as value_print_json writes them.
 */
#include <math.h>

#include "yaml/yaml.h"

static bool is_word(struct str s) {
    static const char *const taken[] = {"null", "true", "false", "yes", "no", "on",
                                        "off",  "y",    "n",     "nan", "inf"};
    if (!s.len || s.len > 64) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool more = (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!letter && !(i > 0 && more)) {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        size_t len = strlen(taken[i]), same = 0;
        while (s.len == len && same < len && (s.ptr[same] | 0x20) == taken[i][same]) {
            same++;
        }
        if (same == len) {
            return false;
        }
    }
    return true;
}

/* Characters that a reader may take for a line end, leave out or refuse are written as escapes. */
static void print_quoted(struct str s, struct buf *out) {
    buf_append_char(out, '"');
    for (size_t at = 0; at < s.len;) {
        size_t from = at;
        uint32_t c = str_utf8_next(s, &at);
        if (c == '"' || c == '\\') {
            buf_append_char(out, '\\');
            buf_append_char(out, (char)c);
        } else if (c == '\n') {
            buf_append_cstr(out, "\\n");
        } else if (c == '\t') {
            buf_append_cstr(out, "\\t");
        } else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 ||
                   c == 0xFEFF || c == 0xFFFE || c == 0xFFFF) {
            buf_printf(out, "\\u%04X", c);
        } else {
            buf_append(out, str_sub(s, from, at));
        }
    }
    buf_append_char(out, '"');
}

static void print_text(struct str s, struct buf *out) {
    if (is_word(s)) {
        buf_append(out, s);
    } else {
        print_quoted(s, out);
    }
}

static void print_scalar(struct value v, struct buf *out) {
    if (v.type == VALUE_TEXT) {
        print_text(value_str(v), out);
    } else if (v.type == VALUE_DOUBLE && !isfinite(v.real)) {
        buf_append_cstr(out, isnan(v.real) ? ".nan" : v.real > 0 ? ".inf" : "-.inf");
    } else if (v.type == VALUE_DOUBLE) {
        char number[32];
        size_t len = value_print_double(v.real, number);
        buf_append(out, (struct str){number, len});
        if (!memchr(number, '.', len) && !memchr(number, 'e', len)) {
            buf_append_cstr(out, ".0");
        }
    } else {
        value_print_json(v, 0, out);
    }
}

static bool is_branch(struct value v) {
    return (v.type == VALUE_LIST || v.type == VALUE_MAP) && value_count(v) > 0;
}

static void indent(uint32_t depth, struct buf *out) {
    for (uint32_t i = 0; i < depth; i++) {
        buf_append_cstr(out, "  ");
    }
}

/* Keys beyond some length (1024 characters) are only read when they are marked as keys. */
static void print_key(struct str key, uint32_t depth, struct buf *out) {
    bool marked = key.len > 128;
    if (marked) {
        buf_append_cstr(out, "? ");
    }
    print_text(key, out);
    if (marked) {
        buf_append_char(out, '\n');
        indent(depth, out);
    }
    buf_append_char(out, ':');
}

/* The items of a branch, one a line; the first stands where the line is now when inlined. */
static void print_branch(struct value v, uint32_t depth, bool inlined, struct buf *out) {
    for (size_t i = 0; i < value_count(v); i++) {
        struct value item = v.type == VALUE_MAP ? v.pairs[i].val : v.items[i];
        if (i || !inlined) {
            indent(depth, out);
        }
        if (v.type == VALUE_LIST) {
            buf_append_char(out, '-');
        } else {
            print_key(value_str(v.pairs[i].key), depth, out);
        }
        if (!is_branch(item)) {
            buf_append_char(out, ' ');
            print_scalar(item, out);
            buf_append_char(out, '\n');
        } else if (v.type == VALUE_LIST) {
            buf_append_char(out, ' ');
            print_branch(item, depth + 1, true, out);
        } else {
            buf_append_char(out, '\n');
            print_branch(item, depth + 1, false, out);
        }
    }
}

void yaml_print(struct value v, struct buf *out) {
    if (is_branch(v)) {
        print_branch(v, 0, false, out);
    } else {
        print_scalar(v, out);
        buf_append_char(out, '\n');
    }
}
