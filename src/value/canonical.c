/* Canonical text: JSON that is the same for equal values, and different for different ones.
 *
 * Keys stand in byte order, nothing is spaced, -0.0 is 0.0, and types that JSON lacks are marked:
 * {"$uint":"1"}, {"$bytes":"AA=="}, {"$timestamp":".."}, {"$duration":".."}, {"$double":"NaN"}.
 * A map whose only key begins with '$' could be taken for a mark, so it is wrapped in
 * {"$map":..}. int and double of the same amount stay apart (3 and 3.0). Used for hashes and
 * golden files: what is written here must never change for a value that exists.
 */
#include "value/value.h"

#include <math.h>
#include <stdlib.h>

#include "value/value_priv.h"

#define FEW 16u /* maps up to this size are sorted without asking for memory */

typedef const struct value_pair *pair_ref;

static void print(struct value v, int depth, struct buf *out);

static void open_mark(const char *name, struct buf *out) {
    buf_append_cstr(out, "{\"$");
    buf_append_cstr(out, name);
    buf_append_cstr(out, "\":\"");
}

static void close_mark(struct buf *out) { buf_append_cstr(out, "\"}"); }

/* Other keys than text exist only inside expressions; among them only a stable order matters. */
static int compare_keys(const void *a, const void *b) {
    struct value x = (*(const pair_ref *)a)->key;
    struct value y = (*(const pair_ref *)b)->key;
    if (x.type != y.type) {
        return x.type < y.type ? -1 : 1;
    }
    if (x.type == VALUE_TEXT) {
        return str_cmp(value_str(x), value_str(y));
    }
    return x.type == VALUE_INT ? (x.num > y.num) - (x.num < y.num)
                               : (x.unum > y.unum) - (x.unum < y.unum);
}

static void print_key(struct value key, struct buf *out) {
    if (key.type == VALUE_TEXT) {
        value_print_quoted(value_str(key), out);
        return;
    }
    buf_append_char(out, '"');
    value_print_text(key, out);
    buf_append_char(out, '"');
}

static void print_sorted(struct value v, pair_ref *order, int depth, struct buf *out) {
    for (uint32_t i = 0; i < v.extra; i++) {
        order[i] = &v.pairs[i];
    }
    qsort(order, v.extra, sizeof *order, compare_keys);
    for (uint32_t i = 0; i < v.extra && !out->failed; i++) {
        if (i > 0) {
            buf_append_char(out, ',');
        }
        print_key(order[i]->key, out);
        buf_append_char(out, ':');
        print(order[i]->val, depth, out);
    }
}

static bool looks_like_mark(struct value v) {
    return v.extra == 1 && v.pairs[0].key.type == VALUE_TEXT &&
           str_starts(value_str(v.pairs[0].key), STR("$"));
}

static void print_map(struct value v, int depth, struct buf *out) {
    pair_ref few[FEW];
    pair_ref *order = v.extra <= FEW ? few : calloc(v.extra, sizeof *order);
    bool wrap = looks_like_mark(v);
    if (!order) {
        out->failed = true;
        return;
    }
    if (wrap) {
        buf_append_cstr(out, "{\"$map\":");
    }
    buf_append_char(out, '{');
    print_sorted(v, order, depth + 1, out);
    buf_append_char(out, '}');
    if (wrap) {
        buf_append_char(out, '}');
    }
    if (order != few) {
        free(order);
    }
}

static void print_list(struct value v, int depth, struct buf *out) {
    buf_append_char(out, '[');
    for (uint32_t i = 0; i < v.extra && !out->failed; i++) {
        if (i > 0) {
            buf_append_char(out, ',');
        }
        print(v.items[i], depth + 1, out);
    }
    buf_append_char(out, ']');
}

static void print_double(double d, struct buf *out) {
    if (isfinite(d)) {
        value_print_real(d == 0 ? 0.0 : d, out);
        return;
    }
    open_mark("double", out);
    value_print_real(d, out);
    close_mark(out);
}

static void print_marked(struct value v, const char *name, struct buf *out) {
    open_mark(name, out);
    if (v.type == VALUE_UINT) {
        value_print_uint64(v.unum, out);
    } else {
        value_print_text(v, out);
    }
    close_mark(out);
}

static void print_nested(struct value v, int depth, struct buf *out) {
    if (depth >= VALUE_MAX_DEPTH) {
        out->failed = true;
    } else if (v.type == VALUE_LIST) {
        print_list(v, depth, out);
    } else if (v.type == VALUE_MAP) {
        print_map(v, depth, out);
    } else {
        buf_append_cstr(out, "{\"$optional\":[");
        if (v.items) {
            print(*v.items, depth + 1, out);
        }
        buf_append_cstr(out, "]}");
    }
}

static void print(struct value v, int depth, struct buf *out) {
    switch ((enum value_type)v.type) {
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_TEXT: value_print_json(v, 0, out); return;
    case VALUE_UINT: print_marked(v, "uint", out); return;
    case VALUE_DOUBLE: print_double(v.real, out); return;
    case VALUE_BYTES: print_marked(v, "bytes", out); return;
    case VALUE_TIMESTAMP: print_marked(v, "timestamp", out); return;
    case VALUE_DURATION: print_marked(v, "duration", out); return;
    case VALUE_TYPE: print_marked(v, "type", out); return;
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_OPTIONAL: print_nested(v, depth, out); return;
    }
}

void value_print_canonical(struct value v, struct buf *out) { print(v, 0, out); }
