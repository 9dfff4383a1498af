/* Keywords that apply schemas to the same value: references, allOf, anyOf, oneOf, not, if; and
 * those that only hold schemas ($defs). What alternatives evaluated counts when they pass, so all
 * alternatives are looked at while evaluation is tracked.
 */
#include "schema/schema_priv.h"

typedef struct schema_compiler compiler;
typedef struct schema_node node;
typedef struct schema_rule rule;
typedef struct schema_run run;
typedef struct schema_frame frame;

/* --- parsing --- */

static enum err parse_node(compiler *c, node *n, rule *r) {
    return schema_subnode(c, n, (struct str){0}, r->value, &r->node);
}

static enum err parse_held(compiler *c, node *n, rule *r) {
    r->skip = true;
    return parse_node(c, n, r);
}

/* A map of schemas that are only referred to. */
static enum err parse_held_map(compiler *c, node *n, rule *r) {
    r->skip = true;
    if (r->value.type != VALUE_MAP) {
        return schema_invalid(c, "expected a map of schemas");
    }
    for (size_t i = 0; i < value_count(r->value); i++) {
        const struct value_pair *p = &r->value.pairs[i];
        struct schema_node *unused;
        enum err err = schema_subnode(c, n, value_str(p->key), p->val, &unused);
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

static enum err parse_nodes(compiler *c, node *n, rule *r) {
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
    r->count = (uint32_t)count;
    return OK;
}

static enum err parse_branch(compiler *c, const node *n, const char *name, node **out) {
    const struct value *v = value_get(n->raw, str_from(name));
    return v ? schema_subnode(c, n, (struct str){0}, *v, out) : OK;
}

static enum err parse_if(compiler *c, node *n, rule *r) {
    r->nodes = ARENA_ARRAY(c->arena, 2, struct schema_node *);
    if (!r->nodes) {
        return error_nomem(c->error);
    }
    enum err err = parse_node(c, n, r);
    err = err ? err : parse_branch(c, n, "then", &r->nodes[0]);
    return err ? err : parse_branch(c, n, "else", &r->nodes[1]);
}

/* --- references --- */

static bool check_ref(run *x, const frame *f, const rule *r) {
    return schema_apply_same(x, f, r->node);
}

/* The outermost resource entered that has the dynamic anchor decides. */
static bool check_dynamic_ref(run *x, const frame *f, const rule *r) {
    const struct schema_node *target = r->node;
    for (const struct schema_scope *s = f->scope; r->dynamic.len && s; s = s->outer) {
        const struct map_entry *e = map_find(&s->resource->dynamic, r->dynamic);
        target = e ? e->ptr : target;
    }
    return schema_apply_same(x, f, target);
}

/* --- alternatives --- */

static bool check_all_of(run *x, const frame *f, const rule *r) {
    bool good = true;
    for (uint32_t i = 0; i < r->count; i++) {
        good = schema_apply_same(x, f, r->nodes[i]) && good;
    }
    return good;
}

/* Says for each alternative why it does not fit. */
static bool fail_alternatives(run *x, const frame *f, const rule *r) {
    if (x->explaining || !schema_keeps_errors(x)) {
        return schema_fail(x, f, r, "fits none of %u alternatives", r->count);
    }
    struct str why = STR("");
    for (uint32_t i = 0; i < r->count && i < 5; i++) {
        struct str one = schema_explain(x, f, r->nodes[i]);
        why = arena_printf(&x->scratch, "%.*s%s(%u) %.*s", STR_ARG(why), i ? "; " : "", i + 1,
                           STR_ARG(one));
    }
    return schema_fail(x, f, r, "fits none of %u alternatives: %.*s%s", r->count, STR_ARG(why),
                       r->count > 5 ? "; ..." : "");
}

static bool check_any_of(run *x, const frame *f, const rule *r) {
    bool any = false;
    for (uint32_t i = 0; i < r->count && (!any || f->seen); i++) {
        any = schema_test_same(x, f, r->nodes[i]) || any;
    }
    return any || fail_alternatives(x, f, r);
}

static bool check_one_of(run *x, const frame *f, const rule *r) {
    uint32_t fits[2] = {0, 0}, count = 0;
    for (uint32_t i = 0; i < r->count && count < 2; i++) {
        if (schema_test_same(x, f, r->nodes[i])) {
            fits[count++] = i + 1;
        }
    }
    if (count == 0) {
        return fail_alternatives(x, f, r);
    }
    return count == 1 || schema_fail(x, f, r, "fits more than one alternative: %u and %u of %u",
                                     fits[0], fits[1], r->count);
}

static bool check_not(run *x, const frame *f, const rule *r) {
    struct schema_frame alone = *f; /* what it evaluates never counts */
    struct schema_seen seen = {.count = f->seen ? f->seen->count : 0};
    alone.seen = f->seen ? &seen : NULL;
    return !schema_test_same(x, &alone, r->node) ||
           schema_fail(x, f, r, "%s is what must not be", schema_describe(x, f->v));
}

static bool check_if(run *x, const frame *f, const rule *r) {
    const struct schema_node *branch = schema_test_same(x, f, r->node) ? r->nodes[0] : r->nodes[1];
    return !branch || schema_apply_same(x, f, branch);
}

static const struct schema_keyword keywords[] = {
    {"$defs", parse_held_map, NULL},
    {"definitions", parse_held_map, NULL},
    {"contentSchema", parse_held, NULL},
    {"then", parse_held, NULL},
    {"else", parse_held, NULL},
    {"$ref", schema_defer_ref, check_ref},
    {"$dynamicRef", schema_defer_ref, check_dynamic_ref},
    {"allOf", parse_nodes, check_all_of},
    {"anyOf", parse_nodes, check_any_of},
    {"oneOf", parse_nodes, check_one_of},
    {"not", parse_node, check_not},
    {"if", parse_if, check_if},
};

const struct schema_table schema_logic_table = {keywords, ARRAY_LEN(keywords)};
