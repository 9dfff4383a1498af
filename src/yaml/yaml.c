/* The face of the module: parse a text, look at the tree, turn it into a plain value.
 *
 * The walkers recurse: the composer guarantees at most YAML_MAX_DEPTH levels, aliases included,
 * and YAML_MAX_NODES nodes in all.
 */
#include "yaml/yaml_priv.h"

enum err yaml_parse(struct arena *a, struct str text, const char *file, struct yaml_node **out,
                    struct diag *diag) {
    struct yaml_source source;
    enum err err = yaml_source_init(&source, text, file, diag);
    if (err == OK) {
        err = yaml_compose(a, &source, out, diag);
    }
    yaml_source_fini(&source);
    if (err == ERR_NOMEM) {
        diag_error(diag, (struct mark){file, 0, 0}, "yaml", "out of memory");
    }
    return err;
}

struct yaml_node *yaml_get(const struct yaml_node *map, struct str key) {
    if (!map || map->type != YAML_MAP) {
        return NULL;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        if (str_eq(map->pairs[i].key->text, key)) {
            return map->pairs[i].value;
        }
    }
    return NULL;
}

static bool list_to_value(struct arena *a, const struct yaml_node *n, struct value *out) {
    struct value *items = ARENA_ARRAY(a, n->count ? n->count : 1, struct value);
    for (uint32_t i = 0; items && i < n->count; i++) {
        if (!yaml_to_value(a, n->items[i], &items[i])) {
            return false;
        }
    }
    *out = items ? value_list(items, n->count) : value_null();
    return items != NULL;
}

static bool map_to_value(struct arena *a, const struct yaml_node *n, struct value *out) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint32_t i = 0; i < n->count; i++) {
        struct value v;
        if (!yaml_to_value(a, n->pairs[i].value, &v)) {
            return false;
        }
        value_map_add(&b, n->pairs[i].key->text, v);
    }
    *out = value_map_done(&b);
    return b.ok;
}

bool yaml_to_value(struct arena *a, const struct yaml_node *n, struct value *out) {
    *out = value_null();
    switch (n->type) {
    case YAML_SCALAR: *out = n->value; return true;
    case YAML_LIST: return list_to_value(a, n, out);
    case YAML_MAP: return map_to_value(a, n, out);
    }
    return false;
}

static const char *describe_scalar(const struct value *v) {
    switch ((enum value_type)v->type) {
    case VALUE_NULL: return "null";
    case VALUE_BOOL: return v->boolean ? "true" : "false";
    case VALUE_INT:
    case VALUE_UINT: return "an integer";
    case VALUE_DOUBLE: return "a number";
    case VALUE_TEXT: return "text";
    case VALUE_BYTES:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_TYPE:
    case VALUE_OPTIONAL: break;
    }
    return "a value";
}

const char *yaml_describe(const struct yaml_node *n) {
    switch (n->type) {
    case YAML_LIST: return "a list";
    case YAML_MAP: return "a map";
    case YAML_SCALAR: break;
    }
    return describe_scalar(&n->value);
}
