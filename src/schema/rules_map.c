/* Keywords about maps ("objects"): sizes, required, dependencies, properties and the like. Keys
 * that are not text (they never cross the journal) are no properties.
 */
#include "schema/schema_priv.h"

typedef struct schema_compiler compiler;
typedef struct schema_node node;
typedef struct schema_rule rule;
typedef struct schema_run run;
typedef struct schema_frame frame;

static bool is_map(const frame *f) { return f->v.type == VALUE_MAP; }

static struct str key_at(const frame *f, size_t i) {
    struct value k = f->v.pairs[i].key;
    return k.type == VALUE_TEXT ? value_str(k) : STR("");
}

static struct schema_place property_place(const frame *f, struct str key) {
    return (struct schema_place){f->place, {key.ptr ? key.ptr : "", key.len}, 0};
}

/* --- sizes --- */

static enum err parse_size(compiler *c, node *n, rule *r) {
    (void)n;
    return schema_size(r->value, &r->limit) ? OK
                                            : schema_invalid(c, "expected an integer, at least 0");
}

static bool check_max_properties(run *x, const frame *f, const rule *r) {
    return !is_map(f) || value_count(f->v) <= r->limit ||
           schema_fail(x, f, r, "expected at most %llu properties, got %zu",
                       (unsigned long long)r->limit, value_count(f->v));
}

static bool check_min_properties(run *x, const frame *f, const rule *r) {
    return !is_map(f) || value_count(f->v) >= r->limit ||
           schema_fail(x, f, r, "expected at least %llu properties, got %zu",
                       (unsigned long long)r->limit, value_count(f->v));
}

/* --- required --- */

static enum err check_names(compiler *c, struct value v) {
    bool good = v.type == VALUE_LIST;
    for (size_t i = 0; good && i < value_count(v); i++) {
        good = v.items[i].type == VALUE_TEXT;
    }
    return good ? OK : schema_invalid(c, "expected a list of names");
}

static enum err parse_required(compiler *c, node *n, rule *r) {
    (void)n;
    return check_names(c, r->value);
}

static bool check_required(run *x, const frame *f, const rule *r) {
    bool good = true;
    for (size_t i = 0; is_map(f) && i < value_count(r->value) && schema_step(x, 1); i++) {
        struct str name = value_str(r->value.items[i]);
        if (!value_get(f->v, name)) {
            good = schema_fail(x, f, r, "\"%.*s\" is missing", STR_ARG(name));
        }
    }
    return good && x->err == OK;
}

static enum err parse_dependent_required(compiler *c, node *n, rule *r) {
    (void)n;
    if (r->value.type != VALUE_MAP) {
        return schema_invalid(c, "expected a map of lists of names");
    }
    enum err err = OK;
    for (size_t i = 0; err == OK && i < value_count(r->value); i++) {
        err = check_names(c, r->value.pairs[i].val);
    }
    return err;
}

static bool check_dependent(run *x, const frame *f, const rule *r, struct str key,
                            struct value names) {
    bool good = true;
    for (size_t i = 0; i < value_count(names) && schema_step(x, 1); i++) {
        struct str name = value_str(names.items[i]);
        if (!value_get(f->v, name)) {
            good = schema_fail(x, f, r, "\"%.*s\" is missing (\"%.*s\" needs it)", STR_ARG(name),
                               STR_ARG(key));
        }
    }
    return good;
}

static bool check_dependent_required(run *x, const frame *f, const rule *r) {
    bool good = true;
    for (size_t i = 0; is_map(f) && i < value_count(r->value); i++) {
        struct str key = value_str(r->value.pairs[i].key);
        if (value_get(f->v, key)) {
            good = check_dependent(x, f, r, key, r->value.pairs[i].val) && good;
        }
    }
    return good;
}

/* --- maps of schemas --- */

static enum err parse_node(compiler *c, node *n, rule *r) {
    return schema_subnode(c, n, (struct str){0}, r->value, &r->node);
}

/* Compiles the schemas of a map into r->nodes, in its order. */
static enum err parse_map(compiler *c, node *n, rule *r) {
    size_t count = value_count(r->value);
    if (r->value.type != VALUE_MAP) {
        return schema_invalid(c, "expected a map of schemas");
    }
    r->nodes = ARENA_ARRAY(c->arena, count + 1, struct schema_node *);
    if (!r->nodes) {
        return error_nomem(c->error);
    }
    for (size_t i = 0; i < count; i++) {
        const struct value_pair *p = &r->value.pairs[i];
        enum err err = schema_subnode(c, n, value_str(p->key), p->val, &r->nodes[i]);
        if (err != OK) {
            return err;
        }
    }
    r->count = (uint32_t)count;
    return OK;
}

static bool check_dependent_schemas(run *x, const frame *f, const rule *r) {
    bool good = true;
    for (uint32_t i = 0; is_map(f) && i < r->count; i++) {
        if (value_get(f->v, value_str(r->value.pairs[i].key))) {
            good = schema_apply_same(x, f, r->nodes[i]) && good;
        }
    }
    return good;
}

static enum err parse_properties(compiler *c, node *n, rule *r) {
    enum err err = parse_map(c, n, r);
    for (uint32_t i = 0; err == OK && i < r->count; i++) {
        bool fresh;
        struct map_entry *e = map_put(&n->properties, value_str(r->value.pairs[i].key), &fresh);
        if (!e) {
            return error_nomem(c->error);
        }
        e->ptr = r->nodes[i];
    }
    return err;
}

static bool check_properties(run *x, const frame *f, const rule *r) {
    (void)r;
    bool good = true;
    for (size_t i = 0; is_map(f) && i < value_count(f->v) && schema_step(x, 1); i++) {
        struct str key = key_at(f, i);
        const struct map_entry *e = map_find(&f->node->properties, key);
        if (e) {
            good =
                schema_apply_child(x, f, e->ptr, f->v.pairs[i].val, property_place(f, key)) && good;
            schema_mark_seen(x, f, i);
        }
    }
    return good;
}

static enum err parse_pattern_properties(compiler *c, node *n, rule *r) {
    enum err err = parse_map(c, n, r);
    n->patterns = err == OK ? ARENA_ARRAY(c->arena, r->count + 1u, struct schema_pattern) : NULL;
    if (!n->patterns) {
        return err ? err : error_nomem(c->error);
    }
    for (uint32_t i = 0; err == OK && i < r->count; i++) {
        n->patterns[i].node = r->nodes[i];
        err = schema_regex(c, value_str(r->value.pairs[i].key), &n->patterns[i].regex);
    }
    n->pattern_count = r->count;
    return err;
}

static bool check_pattern_properties(run *x, const frame *f, const rule *r) {
    (void)r;
    bool good = true;
    for (size_t i = 0; is_map(f) && i < value_count(f->v) && x->err == OK; i++) {
        struct str key = key_at(f, i);
        for (uint32_t k = 0; k < f->node->pattern_count; k++) {
            const struct schema_pattern *p = &f->node->patterns[k];
            if (schema_search(x, p->regex, key)) {
                good =
                    schema_apply_child(x, f, p->node, f->v.pairs[i].val, property_place(f, key)) &&
                    good;
                schema_mark_seen(x, f, i);
            }
        }
    }
    return good;
}

static bool is_additional(run *x, const frame *f, struct str key) {
    if (map_find(&f->node->properties, key)) {
        return false;
    }
    for (uint32_t k = 0; k < f->node->pattern_count; k++) {
        if (schema_search(x, f->node->patterns[k].regex, key)) {
            return false;
        }
    }
    return true;
}

static bool fail_unknown(run *x, const frame *f, const rule *r, struct str key) {
    size_t count = f->node->properties.count;
    bool kept = schema_keeps_errors(x);
    struct str *names = kept ? ARENA_ARRAY(&x->scratch, count + 1, struct str) : NULL;
    for (size_t i = 0; names && i < count; i++) {
        names[i] = f->node->properties.entries[i].key;
    }
    struct str near = names ? str_nearest(key, names, count) : (struct str){0};
    if (near.len) {
        return schema_fail(x, f, r, "unknown property \"%.*s\": did you mean \"%.*s\"?",
                           STR_ARG(key), STR_ARG(near));
    }
    return schema_fail(x, f, r, "unknown property \"%.*s\"", STR_ARG(key));
}

static bool check_additional(run *x, const frame *f, const rule *r) {
    bool good = true;
    for (size_t i = 0; is_map(f) && i < value_count(f->v) && schema_step(x, 1); i++) {
        struct str key = key_at(f, i);
        if (!is_additional(x, f, key)) {
            continue;
        }
        if (r->node->never) {
            good = fail_unknown(x, f, r, key);
        } else {
            good = schema_apply_child(x, f, r->node, f->v.pairs[i].val, property_place(f, key)) &&
                   good;
        }
        schema_mark_seen(x, f, i);
    }
    return good;
}

static bool check_names_fit(run *x, const frame *f, const rule *r) {
    bool good = true;
    for (size_t i = 0; is_map(f) && i < value_count(f->v) && x->err == OK; i++) {
        struct str key = key_at(f, i);
        struct schema_place place = property_place(f, key);
        if (!schema_test_child(x, f, r->node, value_text(key), place)) {
            struct schema_frame at = *f;
            at.v = value_text(key);
            at.seen = NULL;
            struct str why =
                x->explaining ? STR("it does not fit") : schema_explain(x, &at, r->node);
            good = schema_fail(x, f, r, "the name \"%.*s\" is not allowed: %.*s", STR_ARG(key),
                               STR_ARG(why));
        }
    }
    return good;
}

static const struct schema_keyword keywords[] = {
    {"maxProperties", parse_size, check_max_properties},
    {"minProperties", parse_size, check_min_properties},
    {"required", parse_required, check_required},
    {"dependentRequired", parse_dependent_required, check_dependent_required},
    {"dependentSchemas", parse_map, check_dependent_schemas},
    {"propertyNames", parse_node, check_names_fit},
    {"properties", parse_properties, check_properties},
    {"patternProperties", parse_pattern_properties, check_pattern_properties},
    {"additionalProperties", parse_node, check_additional},
};

const struct schema_table schema_map_table = {keywords, ARRAY_LEN(keywords)};
