/* A schema's source to nodes and rules, in two steps: first every subschema in a place that holds
 * one becomes a node, and $id and anchors are noted; then references are resolved, which may make
 * nodes of places that are no subschemas by themselves (#/some/where).
 *
 * A map of the source is compiled once, known by the address of its pairs; so references may run
 * in circles. The schema's own nesting is capped, so this recursion is bounded.
 */
#include <math.h>

#include "schema/schema_priv.h"

struct schema_pending {
    struct schema_pending *next;
    struct schema_node *node;
    struct schema_rule *rule;
    struct str at; /* where the reference stands */
};

/* --- messages --- */

static void print_at(const struct schema_at *at, struct buf *out) {
    if (!at) {
        return;
    }
    print_at(at->outer, out);
    buf_append_char(out, '/');
    for (size_t i = 0; i < at->key.len; i++) {
        char c = at->key.ptr[i];
        if (c == '~' || c == '/') {
            buf_append_cstr(out, c == '~' ? "~0" : "~1");
        } else {
            buf_append_char(out, c);
        }
    }
}

static struct str pointer(struct schema_compiler *c) {
    struct buf b;
    buf_init(&b, 4000);
    buf_append(&b, c->base);
    print_at(c->at, &b);
    struct str s = arena_str(&c->scratch, buf_str(&b));
    buf_fini(&b);
    return s.len ? s : STR("(root)");
}

enum err schema_invalid(struct schema_compiler *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct str at = pointer(c);
    enum err err = error_vset(c->error, ERR_INVALID, (struct mark){0}, fmt, ap);
    va_end(ap);
    return error_wrap(c->error, err, "schema %.*s", STR_ARG(at));
}

bool schema_size(struct value v, uint64_t *out) {
    if (v.type == VALUE_INT && v.num >= 0) {
        *out = (uint64_t)v.num;
        return true;
    }
    if (v.type == VALUE_UINT) {
        *out = v.unum;
        return true;
    }
    if (v.type == VALUE_DOUBLE && v.real >= 0 && trunc(v.real) == v.real) {
        *out = v.real < 18446744073709551616.0 ? (uint64_t)v.real : UINT64_MAX;
        return true;
    }
    return false;
}

enum err schema_regex(struct schema_compiler *c, struct str pattern, const struct regex **out) {
    struct error e = {0};
    enum err err = regex_compile(c->arena, pattern, out, &e);
    if (err == ERR_NOMEM) {
        return error_nomem(c->error);
    }
    return err == OK ? OK : schema_invalid(c, "%s", e.message);
}

/* --- nodes --- */

static struct str identity_key(const struct schema_node *n) {
    return (struct str){(const char *)&n->identity, sizeof n->identity};
}

static struct schema_node *find_node(const struct schema_compiler *c, struct value raw) {
    if (raw.type != VALUE_MAP || value_count(raw) == 0) {
        return NULL;
    }
    struct schema_node key = {.identity = raw.pairs};
    const struct map_entry *e = map_find(&c->nodes, identity_key(&key));
    return e ? e->ptr : NULL;
}

static struct schema_resource *new_resource(struct schema_compiler *c, struct str uri,
                                            struct value raw) {
    struct schema_resource *r = ARENA_NEW(c->arena, struct schema_resource);
    bool fresh;
    struct map_entry *e = r ? map_put(&c->resources, uri, &fresh) : NULL;
    if (!e) {
        return NULL;
    }
    r->uri = uri;
    r->raw = raw;
    map_init(&r->anchors, c->arena);
    map_init(&r->dynamic, c->arena);
    e->ptr = r;
    return r;
}

/* $id: the node starts a resource of its own. */
static enum err read_id(struct schema_compiler *c, struct schema_node *n) {
    const struct value *id = value_get(n->raw, STR("$id"));
    if (!id) {
        return OK;
    }
    if (id->type != VALUE_TEXT) {
        return schema_invalid(c, "$id must be text");
    }
    struct str fragment;
    struct str uri = schema_uri_resolve(c->arena, n->resource->uri, value_str(*id));
    if (!uri.ptr) {
        return error_nomem(c->error);
    }
    uri = schema_uri_split(uri, &fragment);
    if (fragment.len) {
        return schema_invalid(c, "$id must not have a fragment (use $anchor)");
    }
    const struct map_entry *e = map_find(&c->resources, uri);
    if (e) {
        struct schema_resource *known = e->ptr;
        if (known->raw.pairs == n->raw.pairs) {
            n->resource = known;
            return OK;
        }
        return schema_invalid(c, "$id \"%.*s\" is used twice", STR_ARG(uri));
    }
    n->resource = new_resource(c, uri, n->raw);
    return n->resource ? OK : error_nomem(c->error);
}

static enum err read_anchor(struct schema_compiler *c, struct schema_node *n, bool dynamic) {
    const char *name = dynamic ? "$dynamicAnchor" : "$anchor";
    const struct value *anchor = value_get(n->raw, str_from(name));
    if (!anchor) {
        return OK;
    }
    if (anchor->type != VALUE_TEXT || value_count(*anchor) == 0) {
        return schema_invalid(c, "%s must be text", name);
    }
    struct map *maps[] = {&n->resource->anchors, &n->resource->dynamic};
    for (int i = 0; i < 1 + dynamic; i++) {
        bool fresh;
        struct map_entry *e = map_put(maps[i], value_str(*anchor), &fresh);
        if (!e) {
            return error_nomem(c->error);
        }
        if (!fresh && e->ptr != n) {
            return schema_invalid(c, "anchor \"%.*s\" is used twice", STR_ARG(value_str(*anchor)));
        }
        e->ptr = n;
    }
    return OK;
}

static const struct schema_table *const tables[] = {
    &schema_value_table, &schema_logic_table,       &schema_list_table,
    &schema_map_table,   &schema_unevaluated_table,
};

static enum err parse_rule(struct schema_compiler *c, struct schema_node *n,
                           const struct schema_keyword *k, struct value v) {
    struct schema_rule *r = &n->rules[n->rule_count];
    *r = (struct schema_rule){.keyword = k, .value = v};
    struct schema_at at = {c->at, str_from(k->name)};
    c->at = &at;
    enum err err = k->parse(c, n, r);
    c->at = at.outer;
    if (err == OK && !r->skip) {
        n->rule_count++;
    }
    return err;
}

static enum err parse_rules(struct schema_compiler *c, struct schema_node *n) {
    n->rules = ARENA_ARRAY(c->arena, value_count(n->raw) + 1, struct schema_rule);
    if (!n->rules) {
        return error_nomem(c->error);
    }
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct schema_keyword *k = &tables[t]->keywords[i];
            const struct value *v = value_get(n->raw, str_from(k->name));
            enum err err = v ? parse_rule(c, n, k, *v) : OK;
            if (err != OK) {
                return err;
            }
        }
    }
    return OK;
}

static enum err fill_node(struct schema_compiler *c, struct schema_node *n) {
    if (n->raw.type == VALUE_BOOL) {
        n->never = !n->raw.boolean;
        return OK;
    }
    enum err err = read_id(c, n);
    err = err ? err : read_anchor(c, n, false);
    err = err ? err : read_anchor(c, n, true);
    return err ? err : parse_rules(c, n);
}

static enum err make_node(struct schema_compiler *c, struct schema_resource *resource,
                          struct value raw, struct schema_node **out) {
    if (raw.type != VALUE_BOOL && raw.type != VALUE_MAP) {
        return schema_invalid(c, "a schema is a map, true or false");
    }
    struct schema_node *n = find_node(c, raw);
    if (n) {
        *out = n;
        return OK;
    }
    if (c->depth == SCHEMA_MAX_NESTING) {
        return schema_invalid(c, "the schema is nested too deeply");
    }
    n = ARENA_NEW(c->arena, struct schema_node);
    if (!n) {
        return error_nomem(c->error);
    }
    n->raw = raw;
    n->resource = resource;
    map_init(&n->properties, c->arena);
    if (raw.type == VALUE_MAP && value_count(raw)) {
        bool fresh;
        n->identity = raw.pairs;
        struct map_entry *e = map_put(&c->nodes, identity_key(n), &fresh);
        if (!e) {
            return error_nomem(c->error);
        }
        e->ptr = n;
    }
    c->depth++;
    enum err err = fill_node(c, n);
    c->depth--;
    *out = n;
    return err;
}

enum err schema_subnode(struct schema_compiler *c, const struct schema_node *parent, struct str key,
                        struct value raw, struct schema_node **out) {
    if (key.ptr == NULL) {
        return make_node(c, parent->resource, raw, out);
    }
    struct schema_at at = {c->at, key};
    c->at = &at;
    enum err err = make_node(c, parent->resource, raw, out);
    c->at = at.outer;
    return err;
}

/* --- references --- */

enum err schema_defer_ref(struct schema_compiler *c, struct schema_node *n, struct schema_rule *r) {
    if (r->value.type != VALUE_TEXT) {
        return schema_invalid(c, "a reference must be text");
    }
    struct schema_pending *p = ARENA_NEW(&c->scratch, struct schema_pending);
    if (!p) {
        return error_nomem(c->error);
    }
    *p = (struct schema_pending){c->pending, n, r, pointer(c)};
    c->pending = p;
    return OK;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str percent_decoded(struct arena *a, struct str s) {
    char *out = arena_alloc(a, s.len + 1);
    size_t len = 0;
    for (size_t i = 0; out && i < s.len; i++) {
        int high = s.ptr[i] == '%' && i + 2 < s.len ? hex_value(s.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s.ptr[i + 2]) : -1;
        out[len++] = low >= 0 ? (char)(high * 16 + low) : s.ptr[i];
        i += low >= 0 ? 2 : 0;
    }
    return (struct str){out, len};
}

static struct str pointer_decoded(struct arena *a, struct str s) {
    char *out = arena_alloc(a, s.len + 1);
    size_t len = 0;
    for (size_t i = 0; out && i < s.len; i++) {
        char next = s.ptr[i] == '~' && i + 1 < s.len ? s.ptr[i + 1] : '\0';
        bool escape = next == '0' || next == '1';
        out[len++] = escape ? (next == '0' ? '~' : '/') : s.ptr[i];
        i += escape;
    }
    return (struct str){out, len};
}

static const struct value *child(struct value v, struct str key) {
    uint64_t index;
    if (v.type == VALUE_MAP) {
        return value_get(v, key);
    }
    if (v.type == VALUE_LIST && str_to_uint64(key, &index) && index < value_count(v)) {
        return &v.items[index];
    }
    return NULL;
}

/* Follows a JSON Pointer; the resource changes with every subschema that has an $id. */
static enum err follow_pointer(struct schema_compiler *c, struct schema_resource *resource,
                               struct str path, struct schema_node **out) {
    struct value v = resource->raw;
    path = str_sub(path, 1, path.len);
    for (bool more = true; more;) {
        more = str_find(path, STR("/"), 0) != SIZE_MAX;
        struct str key = pointer_decoded(&c->scratch, str_split(path, '/', &path));
        if (!key.ptr) {
            return error_nomem(c->error);
        }
        const struct value *next = child(v, key);
        if (!next) {
            return OK; /* *out stays NULL */
        }
        v = *next;
        const struct schema_node *known = find_node(c, v);
        resource = known ? known->resource : resource;
    }
    return make_node(c, resource, v, out);
}

static enum err find_target(struct schema_compiler *c, struct schema_resource *resource,
                            struct str fragment, struct schema_node **out) {
    if (fragment.len == 0) {
        return make_node(c, resource, resource->raw, out);
    }
    if (fragment.ptr[0] == '/') {
        return follow_pointer(c, resource, fragment, out);
    }
    const struct map_entry *e = map_find(&resource->anchors, fragment);
    *out = e ? e->ptr : NULL;
    return OK;
}

static enum err resolve(struct schema_compiler *c, const struct schema_pending *p) {
    struct str ref = value_str(p->rule->value), fragment;
    struct str uri = schema_uri_resolve(&c->scratch, p->node->resource->uri, ref);
    if (!uri.ptr) {
        return error_nomem(c->error);
    }
    uri = schema_uri_split(uri, &fragment);
    fragment = percent_decoded(&c->scratch, fragment);
    const struct map_entry *e = map_find(&c->resources, uri);
    if (!e || !fragment.ptr) {
        return schema_invalid(c, "\"%.*s\" is not within this schema, and nothing is fetched",
                              STR_ARG(ref));
    }
    struct schema_resource *resource = e->ptr;
    struct schema_node *target = NULL;
    enum err err = find_target(c, resource, fragment, &target);
    if (err != OK) {
        return err;
    }
    if (!target) {
        return schema_invalid(c, "\"%.*s\" leads nowhere", STR_ARG(ref));
    }
    p->rule->node = target;
    bool dynamic = str_is(str_from(p->rule->keyword->name), "$dynamicRef");
    if (dynamic && map_find(&target->resource->dynamic, fragment)) {
        p->rule->dynamic = arena_str(c->arena, fragment);
    }
    return OK;
}

static enum err resolve_all(struct schema_compiler *c) {
    while (c->pending) {
        const struct schema_pending *p = c->pending;
        c->pending = p->next;
        c->base = p->at;
        enum err err = resolve(c, p);
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

static enum err compile(struct schema_compiler *c, struct value source) {
    struct schema_resource *root = new_resource(c, STR(""), source);
    if (!root) {
        return error_nomem(c->error);
    }
    c->formats = !value_get(source, STR("$schema"));
    enum err err = make_node(c, root, source, &c->schema->root);
    return err ? err : resolve_all(c);
}

enum err schema_compile(struct arena *a, struct value source, const struct schema **out,
                        struct error *e) {
    struct schema_compiler c = {.arena = a, .error = e};
    c.schema = ARENA_NEW(a, struct schema);
    if (!c.schema) {
        return error_nomem(e);
    }
    arena_init(&c.scratch, 0);
    map_init(&c.nodes, &c.scratch);
    map_init(&c.resources, &c.scratch);
    enum err err = compile(&c, source);
    arena_fini(&c.scratch);
    if (err == OK) {
        *out = c.schema;
    }
    return err;
}
