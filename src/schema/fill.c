/* Defaults and texts: what forms and the command line need beside checking.
 *
 * schema_fill follows what surely applies: properties, patternProperties and additionalProperties,
 * items, $ref and allOf. It never takes sides in anyOf, oneOf or if. A default that is put in is
 * filled itself. Nothing is checked here.
 */
#include "schema/schema_priv.h"

struct filler {
    struct arena *arena;
    struct arena search; /* of one search with a regular expression */
    uint32_t depth;
    uint64_t steps;
    struct error *error;
};

static enum err fill(struct filler *x, const struct schema_node *n, struct value *v);

static const struct schema_rule *find_rule(const struct schema_node *n, const char *keyword) {
    for (uint32_t i = 0; i < n->rule_count; i++) {
        if (str_is(str_from(n->rules[i].keyword->name), keyword)) {
            return &n->rules[i];
        }
    }
    return NULL;
}

/* The default of a property's schema, looked for through references. */
static const struct value *find_default(const struct schema_node *n) {
    for (int hops = 0; n && hops < 20; hops++) {
        const struct value *v = n->raw.type == VALUE_MAP ? value_get(n->raw, STR("default")) : NULL;
        if (v) {
            return v;
        }
        const struct schema_rule *ref = find_rule(n, "$ref");
        n = ref ? ref->node : NULL;
    }
    return NULL;
}

/* The schemas that surely apply to a property: by name, by pattern, or else the additional one. */
static enum err fill_property(struct filler *x, const struct schema_node *n, struct str key,
                              struct value *v) {
    const struct map_entry *named = map_find(&n->properties, key);
    enum err err = named ? fill(x, named->ptr, v) : OK;
    bool known = named != NULL;
    for (uint32_t i = 0; err == OK && i < n->pattern_count; i++) {
        bool matches = false;
        arena_reset(&x->search);
        err = regex_search(n->patterns[i].regex, key, &x->search, &matches, x->error);
        known = known || matches;
        if (err == OK && matches) {
            err = fill(x, n->patterns[i].node, v);
        }
    }
    const struct schema_rule *others = find_rule(n, "additionalProperties");
    return err == OK && !known && others ? fill(x, others->node, v) : err;
}

static enum err add_defaults(struct filler *x, const struct schema_node *n, struct value old,
                             struct value_builder *b) {
    for (uint32_t i = 0; i < n->properties.count; i++) {
        const struct map_entry *e = &n->properties.entries[i];
        const struct value *given = value_get(old, e->key) ? NULL : find_default(e->ptr);
        if (given) {
            struct value v = *given;
            enum err err = fill(x, e->ptr, &v);
            if (err != OK) {
                return err;
            }
            value_map_add(b, e->key, v);
        }
    }
    return OK;
}

static enum err fill_map(struct filler *x, const struct schema_node *n, struct value *v) {
    struct value_builder b;
    value_builder_init(&b, x->arena);
    for (size_t i = 0; i < value_count(*v); i++) {
        struct value key = v->pairs[i].key, val = v->pairs[i].val;
        enum err err = key.type == VALUE_TEXT ? fill_property(x, n, value_str(key), &val) : OK;
        if (err != OK) {
            return err;
        }
        value_map_add_value(&b, key, val);
    }
    enum err err = add_defaults(x, n, *v, &b);
    if (err != OK) {
        return err;
    }
    *v = value_map_done(&b);
    return b.ok ? OK : error_nomem(x->error);
}

static enum err fill_list(struct filler *x, const struct schema_node *n, struct value *v) {
    const struct schema_rule *prefix = find_rule(n, "prefixItems");
    const struct schema_rule *items = find_rule(n, "items");
    if (!prefix && !items) {
        return OK;
    }
    struct value *copy = ARENA_ARRAY(x->arena, value_count(*v) + 1, struct value);
    if (!copy) {
        return error_nomem(x->error);
    }
    for (size_t i = 0; i < value_count(*v); i++) {
        const struct schema_node *one = prefix && i < prefix->count ? prefix->nodes[i]
                                        : items                     ? items->node
                                                                    : NULL;
        copy[i] = v->items[i];
        enum err err = one ? fill(x, one, &copy[i]) : OK;
        if (err != OK) {
            return err;
        }
    }
    *v = value_list(copy, value_count(*v));
    return OK;
}

static bool has_members(const struct schema_node *n) {
    return n->properties.count || n->pattern_count || find_rule(n, "additionalProperties");
}

static enum err fill_node(struct filler *x, const struct schema_node *n, struct value *v) {
    enum err err = OK;
    if (v->type == VALUE_MAP && has_members(n)) {
        err = fill_map(x, n, v);
    } else if (v->type == VALUE_LIST) {
        err = fill_list(x, n, v);
    }
    const struct schema_rule *ref = find_rule(n, "$ref");
    if (err == OK && ref) {
        err = fill(x, ref->node, v);
    }
    const struct schema_rule *all = find_rule(n, "allOf");
    for (uint32_t i = 0; err == OK && all && i < all->count; i++) {
        err = fill(x, all->nodes[i], v);
    }
    return err;
}

static enum err fill(struct filler *x, const struct schema_node *n, struct value *v) {
    if (v->type != VALUE_MAP && v->type != VALUE_LIST) {
        return OK;
    }
    if (x->depth == SCHEMA_MAX_NESTING || ++x->steps > SCHEMA_MAX_STEPS) {
        return error_set(x->error, ERR_LIMIT,
                         "filling in defaults does not end: the schema refers to itself");
    }
    x->depth++;
    enum err err = fill_node(x, n, v);
    x->depth--;
    return err;
}

enum err schema_fill(const struct schema *s, struct value v, struct arena *a, struct value *out,
                     struct error *e) {
    struct filler x = {.arena = a, .error = e};
    arena_init(&x.search, 0);
    enum err err = fill(&x, s->root, &v);
    arena_fini(&x.search);
    if (err == OK) {
        *out = v;
    }
    return err;
}
