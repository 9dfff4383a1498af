/* Keywords about lists: sizes, uniqueItems, prefixItems, items, contains.
 *
 * uniqueItems must not compare every pair of a large list: items are sorted by a hash in which
 * equal values agree, and only those of one hash are compared.
 */
#include <stdlib.h>

#include "schema/schema_priv.h"

typedef struct schema_compiler compiler;
typedef struct schema_node node;
typedef struct schema_rule rule;
typedef struct schema_run run;
typedef struct schema_frame frame;

#define FEW 12u /* up to here items are compared pair by pair */

static bool is_list(const frame *f) { return f->v.type == VALUE_LIST; }

static struct schema_place item_place(const frame *f, size_t index) {
    return (struct schema_place){f->place, {0}, index};
}

/* --- sizes --- */

static enum err parse_size(compiler *c, node *n, rule *r) {
    (void)n;
    return schema_size(r->value, &r->limit) ? OK
                                            : schema_invalid(c, "expected an integer, at least 0");
}

static bool check_max_items(run *x, const frame *f, const rule *r) {
    return !is_list(f) || value_count(f->v) <= r->limit ||
           schema_fail(x, f, r, "expected at most %llu items, got %zu",
                       (unsigned long long)r->limit, value_count(f->v));
}

static bool check_min_items(run *x, const frame *f, const rule *r) {
    return !is_list(f) || value_count(f->v) >= r->limit ||
           schema_fail(x, f, r, "expected at least %llu items, got %zu",
                       (unsigned long long)r->limit, value_count(f->v));
}

/* --- uniqueItems --- */

static enum err parse_bool(compiler *c, node *n, rule *r) {
    (void)n;
    r->skip = r->value.type == VALUE_BOOL && !r->value.boolean;
    return r->value.type == VALUE_BOOL ? OK : schema_invalid(c, "expected true or false");
}

static uint64_t mix(uint64_t h, uint64_t more) {
    uint64_t words[2] = {h, more};
    return hash_bytes((struct str){(const char *)words, sizeof words}, 0);
}

/* Equal values have equal hashes: numbers by their double, maps without regard to order. */
static uint64_t hash_value(struct value v) {
    double d = v.type == VALUE_INT      ? (double)v.num
               : v.type == VALUE_UINT   ? (double)v.unum
               : v.type == VALUE_DOUBLE ? v.real
                                        : 0;
    uint64_t h = 0;
    switch ((enum value_type)v.type) {
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
        d = d == 0 ? 0 : d; /* -0 */
        return hash_bytes((struct str){(const char *)&d, sizeof d}, VALUE_DOUBLE);
    case VALUE_TEXT:
    case VALUE_BYTES: return hash_bytes(value_str(v), v.type);
    case VALUE_LIST:
        for (size_t i = 0; i < value_count(v); i++) {
            h = mix(h, hash_value(v.items[i]));
        }
        return mix(h, VALUE_LIST);
    case VALUE_MAP:
        for (size_t i = 0; i < value_count(v); i++) {
            h += mix(hash_value(v.pairs[i].key), hash_value(v.pairs[i].val));
        }
        return mix(h, VALUE_MAP);
    case VALUE_BOOL: return mix(v.boolean, VALUE_BOOL);
    case VALUE_NULL:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION:
    case VALUE_TYPE:
    case VALUE_OPTIONAL: break;
    }
    return v.type; /* rare: value_equal tells them apart */
}

struct hashed {
    uint64_t hash;
    uint32_t index;
};

static int by_hash(const void *a, const void *b) {
    const struct hashed *x = a, *y = b;
    if (x->hash != y->hash) {
        return x->hash < y->hash ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Two equal items within those of one hash: their indexes. */
static bool find_twins(run *x, struct value list, const struct hashed *h, size_t count,
                       size_t twins[2]) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = i + 1; k < count && h[k].hash == h[i].hash; k++) {
            if (!schema_step(x, 1)) {
                return false;
            }
            if (value_equal(list.items[h[i].index], list.items[h[k].index])) {
                twins[0] = h[i].index;
                twins[1] = h[k].index;
                return true;
            }
        }
    }
    return false;
}

static bool has_twins(run *x, struct value list, size_t twins[2]) {
    size_t count = value_count(list);
    struct hashed *h = ARENA_ARRAY(&x->scratch, count, struct hashed);
    if (!h) {
        schema_stop(x, schema_no_room(x));
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        /* few items: the same hash for all, so that every pair is compared */
        h[i] = (struct hashed){count > FEW ? hash_value(list.items[i]) : 0, (uint32_t)i};
    }
    if (count > FEW) {
        qsort(h, count, sizeof *h, by_hash);
    }
    return find_twins(x, list, h, count, twins);
}

static bool check_unique(run *x, const frame *f, const rule *r) {
    size_t twins[2];
    if (!is_list(f) || value_count(f->v) < 2 || !has_twins(x, f->v, twins)) {
        return x->err == OK;
    }
    return schema_fail(x, f, r, "expected different items: %zu and %zu (from 0) are equal",
                       twins[0], twins[1]);
}

/* --- items --- */

static enum err parse_prefix(compiler *c, node *n, rule *r) {
    size_t count = value_count(r->value);
    if (r->value.type != VALUE_LIST || count == 0) {
        return schema_invalid(c, "expected a list of at least one schema");
    }
    r->nodes = ARENA_ARRAY(c->arena, count, struct schema_node *);
    if (!r->nodes) {
        return error_nomem(c->error);
    }
    for (size_t i = 0; i < count; i++) {
        struct str index = arena_printf(&c->scratch, "%zu", i);
        enum err err = schema_subnode(c, n, index, r->value.items[i], &r->nodes[i]);
        if (err != OK) {
            return err;
        }
    }
    r->count = n->prefix_count = (uint32_t)count;
    return OK;
}

static bool check_prefix(run *x, const frame *f, const rule *r) {
    bool good = true;
    for (uint32_t i = 0; is_list(f) && i < r->count && i < value_count(f->v); i++) {
        good = schema_apply_child(x, f, r->nodes[i], f->v.items[i], item_place(f, i)) && good;
        schema_mark_seen(x, f, i);
    }
    return good;
}

static enum err parse_items(compiler *c, node *n, rule *r) {
    if (r->value.type == VALUE_LIST) {
        return schema_invalid(c, "expected a schema (a list of schemas is called prefixItems)");
    }
    return schema_subnode(c, n, (struct str){0}, r->value, &r->node);
}

static bool check_items(run *x, const frame *f, const rule *r) {
    if (!is_list(f)) {
        return true;
    }
    uint32_t first = f->node->prefix_count;
    if (r->node->never && value_count(f->v) > first) {
        return schema_fail(x, f, r, "expected at most %u items, got %zu", first, value_count(f->v));
    }
    bool good = true;
    for (size_t i = first; i < value_count(f->v) && x->err == OK; i++) {
        good = schema_apply_child(x, f, r->node, f->v.items[i], item_place(f, i)) && good;
    }
    schema_mark_all(f);
    return good;
}

/* --- contains --- */

static enum err read_size(compiler *c, const node *n, const char *name, uint64_t *out) {
    const struct value *v = value_get(n->raw, str_from(name));
    return !v || schema_size(*v, out)
               ? OK
               : schema_invalid(c, "%s: expected an integer, at least 0", name);
}

static enum err parse_contains(compiler *c, node *n, rule *r) {
    r->limit = 1;
    r->limit_max = UINT64_MAX;
    enum err err = read_size(c, n, "minContains", &r->limit);
    err = err ? err : read_size(c, n, "maxContains", &r->limit_max);
    return err ? err : schema_subnode(c, n, (struct str){0}, r->value, &r->node);
}

static bool check_contains(run *x, const frame *f, const rule *r) {
    uint64_t count = 0;
    for (size_t i = 0; is_list(f) && i < value_count(f->v) && x->err == OK; i++) {
        if (schema_test_child(x, f, r->node, f->v.items[i], item_place(f, i))) {
            schema_mark_seen(x, f, i);
            count++;
        }
    }
    if (!is_list(f) || (count >= r->limit && count <= r->limit_max)) {
        return x->err == OK;
    }
    return schema_fail(x, f, r, "expected %s %llu items that fit, got %llu",
                       count < r->limit ? "at least" : "at most",
                       (unsigned long long)(count < r->limit ? r->limit : r->limit_max),
                       (unsigned long long)count);
}

static const struct schema_keyword keywords[] = {
    {"maxItems", parse_size, check_max_items}, {"minItems", parse_size, check_min_items},
    {"uniqueItems", parse_bool, check_unique}, {"prefixItems", parse_prefix, check_prefix},
    {"items", parse_items, check_items},       {"contains", parse_contains, check_contains},
};

const struct schema_table schema_list_table = {keywords, ARRAY_LEN(keywords)};
