/* unevaluatedItems and unevaluatedProperties: what no other keyword, in this schema or in those
 * applied to the same value, has looked at. They come last in every schema; with them evaluation
 * is tracked, without them it costs nothing.
 */
#include "schema/schema_priv.h"

typedef struct schema_compiler compiler;
typedef struct schema_node node;
typedef struct schema_rule rule;
typedef struct schema_run run;
typedef struct schema_frame frame;

static enum err parse_unevaluated(compiler *c, node *n, rule *r) {
    c->schema->tracks = true;
    return schema_subnode(c, n, (struct str){0}, r->value, &r->node);
}

static bool check_items(run *x, const frame *f, const rule *r) {
    bool good = true;
    for (size_t i = 0; f->v.type == VALUE_LIST && i < value_count(f->v) && schema_step(x, 1); i++) {
        if (schema_is_seen(f, i)) {
            continue;
        }
        if (r->node->never) {
            good = schema_fail(x, f, r, "unexpected item %zu (from 0)", i);
        } else {
            struct schema_place place = {f->place, {0}, i};
            good = schema_apply_child(x, f, r->node, f->v.items[i], place) && good;
        }
    }
    if (f->v.type == VALUE_LIST) {
        schema_mark_all(f);
    }
    return good;
}

static bool check_properties(run *x, const frame *f, const rule *r) {
    bool good = true;
    for (size_t i = 0; f->v.type == VALUE_MAP && i < value_count(f->v) && schema_step(x, 1); i++) {
        struct value key = f->v.pairs[i].key;
        if (schema_is_seen(f, i) || key.type != VALUE_TEXT) {
            continue;
        }
        if (r->node->never) {
            good = schema_fail(x, f, r, "unknown property \"%.*s\"", STR_ARG(value_str(key)));
        } else {
            struct schema_place place = {f->place, value_str(key), 0};
            good = schema_apply_child(x, f, r->node, f->v.pairs[i].val, place) && good;
        }
    }
    if (f->v.type == VALUE_MAP) {
        schema_mark_all(f);
    }
    return good;
}

static const struct schema_keyword keywords[] = {
    {"unevaluatedItems", parse_unevaluated, check_items},
    {"unevaluatedProperties", parse_unevaluated, check_properties},
};

const struct schema_table schema_unevaluated_table = {keywords, ARRAY_LEN(keywords)};
