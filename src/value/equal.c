/* Comparing values deeply, and copying them into another arena.
 *
 * Numbers compare by their exact mathematical value whatever their types; no comparison may
 * round. Walkers stop at VALUE_MAX_DEPTH: deeper values are unequal to everything and cannot be
 * copied, so hostile nesting never exhausts the stack.
 */
#include "value/value.h"

#include "value/value_priv.h"

static bool int_is_double(int64_t i, double d) {
    return d >= -0x1p63 && d < 0x1p63 && (int64_t)d == i && (double)(int64_t)d == d;
}

static bool uint_is_double(uint64_t u, double d) {
    return d >= 0 && d < 0x1p64 && (uint64_t)d == u && (double)(uint64_t)d == d;
}

static bool number_is_double(struct value v, double d) {
    return v.type == VALUE_INT ? int_is_double(v.num, d) : uint_is_double(v.unum, d);
}

static bool numbers_equal(struct value a, struct value b) {
    if (a.type == VALUE_DOUBLE && b.type == VALUE_DOUBLE) {
        return a.real == b.real;
    }
    if (a.type == VALUE_DOUBLE) {
        return number_is_double(b, a.real);
    }
    if (b.type == VALUE_DOUBLE) {
        return number_is_double(a, b.real);
    }
    if (a.type == b.type) {
        return a.unum == b.unum;
    }
    return a.unum == b.unum && a.num >= 0; /* int and uint: the same bits, none negative */
}

static bool is_number(struct value v) {
    return v.type == VALUE_INT || v.type == VALUE_UINT || v.type == VALUE_DOUBLE;
}

static bool same_double_bits(struct value a, struct value b) {
    return a.unum == b.unum && a.flags == b.flags;
}

static bool equal(struct value a, struct value b, int depth);

static bool equal_lists(struct value a, struct value b, int depth) {
    if (a.extra != b.extra) {
        return false;
    }
    for (uint32_t i = 0; i < a.extra; i++) {
        if (!equal(a.items[i], b.items[i], depth + 1)) {
            return false;
        }
    }
    return true;
}

static bool equal_maps(struct value a, struct value b, int depth) {
    if (a.extra != b.extra) {
        return false;
    }
    for (uint32_t i = 0; i < a.extra; i++) {
        const struct value *other = value_get_key(b, a.pairs[i].key);
        if (!other || !equal(a.pairs[i].val, *other, depth + 1)) {
            return false;
        }
    }
    return true;
}

static bool equal(struct value a, struct value b, int depth) {
    if (is_number(a) && is_number(b)) {
        return numbers_equal(a, b);
    }
    if (a.type != b.type) {
        return false;
    }
    switch ((enum value_type)a.type) {
    case VALUE_NULL: return true;
    case VALUE_BOOL: return a.boolean == b.boolean;
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE: return false; /* not reached: numbers were compared above */
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_TYPE: return str_eq(value_str(a), value_str(b));
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: return a.num == b.num && a.extra == b.extra;
    case VALUE_LIST: return depth < VALUE_MAX_DEPTH && equal_lists(a, b, depth);
    case VALUE_MAP: return depth < VALUE_MAX_DEPTH && equal_maps(a, b, depth);
    case VALUE_OPTIONAL:
        if (!a.items || !b.items) {
            return a.items == b.items;
        }
        return depth < VALUE_MAX_DEPTH && equal(*a.items, *b.items, depth + 1);
    }
    return false;
}

bool value_equal(struct value a, struct value b) { return equal(a, b, 0); }

static bool identical(struct value a, struct value b, int depth);

static bool identical_children(struct value a, struct value b, int depth) {
    if (a.extra != b.extra || depth >= VALUE_MAX_DEPTH) {
        return false;
    }
    for (uint32_t i = 0; i < a.extra; i++) {
        if (a.type == VALUE_LIST) {
            if (!identical(a.items[i], b.items[i], depth + 1)) {
                return false;
            }
        } else if (!identical(a.pairs[i].key, b.pairs[i].key, depth + 1) ||
                   !identical(a.pairs[i].val, b.pairs[i].val, depth + 1)) {
            return false;
        }
    }
    return true;
}

static bool identical(struct value a, struct value b, int depth) {
    if (a.type != b.type) {
        return false;
    }
    switch ((enum value_type)a.type) {
    case VALUE_DOUBLE: return same_double_bits(a, b);
    case VALUE_LIST:
    case VALUE_MAP: return identical_children(a, b, depth);
    case VALUE_OPTIONAL:
        if (!a.items || !b.items) {
            return a.items == b.items;
        }
        return depth < VALUE_MAX_DEPTH && identical(*a.items, *b.items, depth + 1);
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION:
    case VALUE_TYPE: return equal(a, b, depth);
    }
    return false;
}

bool value_identical(struct value a, struct value b) { return identical(a, b, 0); }

static bool copy(struct arena *a, struct value v, int depth, struct value *out);

static bool copy_text(struct arena *a, struct value v, struct value *out) {
    struct str s = arena_str(a, value_str(v));
    *out = v;
    out->ptr = s.ptr;
    return s.ptr != NULL;
}

static bool copy_items(struct arena *a, struct value v, size_t count, int depth,
                       struct value *out) {
    struct value *items = ARENA_ARRAY(a, count, struct value);
    if (!items) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!copy(a, v.items[i], depth + 1, &items[i])) {
            return false;
        }
    }
    *out = v;
    out->items = items;
    return true;
}

static bool copy_map(struct arena *a, struct value v, int depth, struct value *out) {
    struct value_pair *pairs = value_pairs_alloc(a, v.extra);
    if (!pairs) {
        return false;
    }
    for (uint32_t i = 0; i < v.extra; i++) {
        if (!copy(a, v.pairs[i].key, depth + 1, &pairs[i].key) ||
            !copy(a, v.pairs[i].val, depth + 1, &pairs[i].val)) {
            return false;
        }
    }
    bool unique = value_pairs_index(pairs, v.extra);
    ASSERT(unique);
    *out = value_map_of(pairs, v.extra);
    return true;
}

static bool copy(struct arena *a, struct value v, int depth, struct value *out) {
    bool nested = v.type == VALUE_LIST || v.type == VALUE_MAP || v.type == VALUE_OPTIONAL;
    if (nested && depth >= VALUE_MAX_DEPTH) {
        return false;
    }
    if (v.type == VALUE_TEXT || v.type == VALUE_BYTES || v.type == VALUE_TYPE) {
        return copy_text(a, v, out);
    }
    if (v.type == VALUE_LIST) {
        return copy_items(a, v, v.extra, depth, out);
    }
    if (v.type == VALUE_MAP) {
        return copy_map(a, v, depth, out);
    }
    if (v.type == VALUE_OPTIONAL && v.items) {
        return copy_items(a, v, 1, depth, out);
    }
    *out = v;
    return true;
}

static bool is_lossy(struct value v, int depth) {
    bool nested = v.type == VALUE_LIST || v.type == VALUE_MAP;
    for (size_t i = 0; nested && depth < VALUE_MAX_DEPTH && i < value_count(v); i++) {
        if (is_lossy(v.type == VALUE_LIST ? v.items[i] : v.pairs[i].val, depth + 1)) {
            return true;
        }
    }
    return v.type == VALUE_DOUBLE && (v.flags & VALUE_LOSSY);
}

bool value_is_lossy(struct value v) { return is_lossy(v, 0); }

bool value_copy(struct arena *a, struct value v, struct value *out) {
    if (copy(a, v, 0, out)) {
        return true;
    }
    *out = value_null();
    return false;
}
