/* Reading a provider's manifest and compiling the one operation that a node asks for.
 *
 * Expressions in a manifest know one name, config; those of paginate know the page. Never here: a
 * secret. A manifest names them, they are read when a request is made.
 */
#include "node/provider.h"

#include "flow/manifest.h"

static const char *const provider_keys[] = {"name", "description", "config",     "base_url",
                                            "auth", "headers",     "operations", NULL};
static const char *const operation_keys[] = {"description", "config",  "method", "path",
                                             "params",      "headers", "body",   "response",
                                             "paginate",    NULL};
static const char *const paginate_keys[] = {"items", "next", "max_pages", NULL};
static const char *const auth_keys[] = {"type", "token", "username", "password",
                                        "key",  "name",  "in",       NULL};
static const char *const methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                      "PATCH", "DELETE", "OPTIONS", NULL};
static const char *const responses[] = {"json", "text", "bytes", NULL};
static const char *const names[] = {"config", NULL};
static const char *const page_names[] = {"page", "headers", "status", "number", NULL};

/* ---- parts ---- */

static const struct yaml_node *get(const struct yaml_node *map, const char *key) {
    return yaml_get(map, str_from(key));
}

/* One of words, kept; null when not given. */
static struct value read_word(struct node_check *c, const struct yaml_node *n,
                              const char *const *words) {
    for (size_t i = 0; n && words[i]; i++) {
        if (n->type == YAML_SCALAR && str_is(n->text, words[i])) {
            return value_text(str_from(words[i]));
        }
    }
    if (n) {
        check_yaml_error(c, n, "bad_value", "this must be one of %s to %s, as in the http kind",
                         words[0], words[2]);
    }
    return value_null();
}

static const struct schema *read_schema(struct node_check *c, const struct yaml_node *n) {
    const struct schema *schema = NULL;
    struct value read, source;
    struct error e = {0};
    if (!n) {
        return NULL;
    }
    /* A schema borrows from its source, and the tree does not live as long. */
    if (!yaml_to_value(check_arena(c), n, &read) || !value_copy(check_arena(c), read, &source)) {
        check_yaml_error(c, n, "too_large", "this schema is too large");
        return NULL;
    }
    enum err err = schema_compile(check_arena(c), source, &schema, &e);
    if (err == ERR_NOMEM) {
        check_no_memory(c);
    } else if (err) {
        check_yaml_error(c, n, "schema", "this is no JSON Schema: %s", e.message);
    }
    return err ? NULL : schema;
}

/* {secret: NAME}: the name is the manifest's, so that no config can ask for another one. */
static bool read_secret(struct node_check *c, const struct yaml_node *part,
                        struct value_builder *secrets, struct str key) {
    const struct yaml_node *name = part->type == YAML_MAP ? get(part, "secret") : NULL;
    if (!name || part->count != 1 || name->type != YAML_SCALAR) {
        return false;
    }
    if (str_find(name->text, STR("{{"), 0) != SIZE_MAX) {
        check_yaml_error(c, name, "bad_value", "the name of a secret must be written out");
    }
    struct str kept = arena_str(check_arena(c), name->text);
    value_map_add_value(secrets, value_text(arena_str(check_arena(c), key)), value_text(kept));
    return true;
}

/* The shape as it is written, a secret standing for some text. */
static struct pval read_auth(struct node_check *c, const struct yaml_node *n,
                             struct value *out_secrets) {
    struct value_builder b, secrets;
    struct error e;
    value_builder_init(&b, check_arena(c));
    value_builder_init(&secrets, check_arena(c));
    if (!n || !check_yaml_keys(c, n, "auth", auth_keys)) {
        return (struct pval){.type = PVAL_NONE};
    }
    for (uint32_t i = 0; i < n->count; i++) {
        const struct yaml_node *part = n->pairs[i].value;
        struct str key = n->pairs[i].key->text;
        if (part->type != YAML_SCALAR && !read_secret(c, part, &secrets, key)) {
            check_yaml_error(c, part, "bad_value", "this must be a text or {secret: NAME}");
        }
        value_map_add(&b, key, part->type == YAML_SCALAR ? part->value : value_text(STR("x")));
    }
    *out_secrets = value_map_done(&secrets);
    if (http_auth_check(value_map_done(&b), &e)) {
        check_yaml_error(c, n, "bad_value", "%s", e.message);
    }
    return check_yaml_structure(c, n, names);
}

static void read_paginate(struct node_check *c, const struct yaml_node *n, struct http_data *d) {
    if (!n || !check_yaml_keys(c, n, "paginate", paginate_keys)) {
        return;
    }
    const struct yaml_node *items = get(n, "items"), *next = get(n, "next"),
                           *max = get(n, "max_pages");
    if (!items || !next) {
        check_yaml_error(c, n, "missing_key",
                         "paginate needs items and next, two expressions over "
                         "page, headers, status and number");
        return;
    }
    if (max && (max->type != YAML_SCALAR || max->value.type != VALUE_INT || max->value.num < 1)) {
        check_yaml_error(c, max, "bad_value", "max_pages must be a number above 0");
    }
    d->paginate = true;
    d->max_pages = max && max->value.type == VALUE_INT ? max->value.num : 0;
    d->items = check_yaml_expression(c, items, page_names);
    d->next = check_yaml_expression(c, next, page_names);
}

static struct pval read_map(struct node_check *c, const struct yaml_node *n, const char *what) {
    if (n && n->type != YAML_MAP) {
        check_yaml_error(c, n, "type", "%s must be a map of names and values", what);
    }
    return check_yaml_structure(c, n, names);
}

/* ---- the whole ---- */

static void read_operation(struct node_check *c, const struct yaml_node *n,
                           struct provider_call *call) {
    const struct yaml_node *path = get(n, "path");
    if (!path || path->type != YAML_SCALAR || !str_starts(path->text, STR("/"))) {
        check_yaml_error(c, path ? path : n, "missing_key",
                         "an operation needs a path that begins with /");
    }
    call->method = read_word(c, get(n, "method"), methods);
    call->response = read_word(c, get(n, "response"), responses);
    call->path = check_yaml_structure(c, path, names);
    call->params = read_map(c, get(n, "params"), "params");
    call->headers[1] = read_map(c, get(n, "headers"), "headers");
    call->body = check_yaml_structure(c, get(n, "body"), names);
    call->configs[1] = read_schema(c, get(n, "config"));
    read_paginate(c, get(n, "paginate"), &call->http);
    for (int status = 200; status <= 299; status++) {
        call->http.expected[status] = true;
    }
}

static void read_provider(struct node_check *c, const struct yaml_node *n, struct str name,
                          struct provider_call *call) {
    const struct yaml_node *url = get(n, "base_url"), *own = get(n, "name");
    if (!url || url->type != YAML_SCALAR) {
        check_yaml_error(c, url ? url : n, "missing_key",
                         "a provider needs base_url: where its operations are");
    }
    if (own && (own->type != YAML_SCALAR || !str_eq(own->text, name))) {
        check_yaml_error(c, own, "bad_value", "the name must be that of the file, %.*s",
                         STR_ARG(name));
    }
    call->base_url = check_yaml_structure(c, url, names);
    call->headers[0] = read_map(c, get(n, "headers"), "headers");
    call->auth = read_auth(c, get(n, "auth"), &call->secrets);
    call->configs[0] = read_schema(c, get(n, "config"));
}

static const struct yaml_node *find_operation(struct node_check *c, const struct yaml_node *root) {
    struct str name = value_str(check_literal(c, "operation"));
    const struct yaml_node *all = get(root, "operations");
    if (!all || all->type != YAML_MAP || !all->count) {
        check_yaml_error(c, all ? all : root, "missing_key",
                         "a provider needs operations: a map by name");
        return NULL;
    }
    const struct yaml_node *found = yaml_get(all, name);
    if (!found) {
        check_error(c, "operation", "unknown_operation",
                    "the provider has no operation \"%.*s\"; it has %.*s",
                    STR_ARG(str_sub(name, 0, 100)), STR_ARG(check_yaml_words(c, all)));
        return NULL;
    }
    return check_yaml_keys(c, found, "an operation", operation_keys) ? found : NULL;
}

static bool is_file_name(struct str s) {
    bool ok = s.len > 0 && s.len <= 100;
    for (size_t i = 0; i < s.len; i++) {
        char x = s.ptr[i];
        ok &= (x >= 'a' && x <= 'z') || (x >= '0' && x <= '9') || x == '_' || x == '-';
    }
    return ok;
}

const struct provider_call *provider_check(struct node_check *c) {
    struct value provider = check_literal(c, "provider"), operation = check_literal(c, "operation");
    if (provider.type != VALUE_TEXT || operation.type != VALUE_TEXT) {
        return NULL;
    }
    struct str name = value_str(provider);
    struct provider_call *call = ARENA_NEW(check_arena(c), struct provider_call);
    struct str path =
        arena_printf(check_arena(c), "providers/%.*s.yaml", STR_ARG(str_sub(name, 0, 100)));
    if (!is_file_name(name)) {
        check_error(c, "provider", "bad_value",
                    "a provider's name has small letters, digits, _ and -: it is the file "
                    "providers/NAME.yaml beside the workflow");
        return NULL;
    }
    const struct yaml_node *root = call && path.ptr ? check_yaml_read(c, "provider", path) : NULL;
    if (!root || !check_yaml_keys(c, root, "a provider", provider_keys)) {
        return NULL;
    }
    const struct yaml_node *found = find_operation(c, root);
    if (!found) {
        return NULL;
    }
    read_provider(c, root, name, call);
    read_operation(c, found, call);
    return call;
}

/* ---- config ---- */

static bool has_template(struct value v) {
    bool found = v.type == VALUE_TEXT && str_find(value_str(v), STR("{{"), 0) != SIZE_MAX;
    for (size_t i = 0; !found && v.type == VALUE_LIST && i < value_count(v); i++) {
        found = has_template(v.items[i]);
    }
    for (size_t i = 0; !found && v.type == VALUE_MAP && i < value_count(v); i++) {
        found = has_template(v.pairs[i].val);
    }
    return found;
}

/* Whether a finding about the config as it is written holds whatever its templates give: they make
 * neither keys nor items. Only places without escapes are looked up. */
static bool surely(struct value v, const struct schema_error *x) {
    struct str rest = str_sub(x->instance, 1, x->instance.len);
    if (str_is(x->keyword, "required") || str_is(x->keyword, "additionalProperties")) {
        return true;
    }
    while (rest.len) {
        struct str key = str_split(rest, '/', &rest);
        uint64_t i;
        const struct value *found = value_get(v, key);
        if (found) {
            v = *found;
        } else if (v.type == VALUE_LIST && str_to_uint64(key, &i) && i < value_count(v)) {
            v = v.items[i];
        } else {
            return false;
        }
    }
    return !has_template(v);
}

void provider_config_check(struct node_check *c, const struct provider_call *call) {
    struct value v = check_written(c, "config");
    struct value_builder none;
    value_builder_init(&none, check_arena(c));
    if (v.type == VALUE_TEXT && has_template(v)) {
        return; /* a template of the whole of it */
    }
    v = check_has(c, "config") ? v : value_map_done(&none);
    for (size_t i = 0; i < ARRAY_LEN(call->configs); i++) {
        struct schema_result *r = ARENA_NEW(check_arena(c), struct schema_result);
        struct error e;
        struct value full;
        if (!r || !call->configs[i] ||
            schema_fill(call->configs[i], v, check_arena(c), &full, &e) ||
            schema_check(call->configs[i], full, check_arena(c), r, &e)) {
            continue;
        }
        for (uint32_t k = 0; k < r->count; k++) {
            if (surely(full, &r->errors[k])) {
                check_error(c, "config", "schema", "config%.*s: %.*s",
                            STR_ARG(r->errors[k].instance), STR_ARG(r->errors[k].message));
            }
        }
    }
}
