/* The native format, YAML or JSON, to the definition: the keys at the top and the list of nodes.
 *
 * Knows what the file looks like and nothing of kinds, graphs or expressions. Readers of other
 * formats stand beside it, each a row of formats.def, and produce the same definition.
 */
#include "flow/flow_priv.h"

static const char *const top_keys[] = {
    "cairn",      "name",    "description", "inputs", "agents",  "defaults", "timeout",
    "on_failure", "nodes",   "concurrency", "env",    "outputs", "vars",     "recover",
    "preload",    "breaker", "finally",     "budget", NULL};

static bool native_detect(const struct yaml_node *root) {
    (void)root;
    return true;
}

static void read_version(struct unit *u, const struct yaml_node *root) {
    const struct yaml_node *n = yaml_get(root, STR("cairn"));
    struct diag *d = u->s->diag;
    if (!n) {
        if (!u->inline_name.len) {
            struct diag_item *item = diag_error(d, root->mark, "format_version",
                                                "the key \"cairn\" is missing: it names the "
                                                "version of the format");
            diag_help(d, item, "write \"cairn: 1\" as the first line");
        }
        return;
    }
    if (n->type != YAML_SCALAR || n->value.type != VALUE_INT || n->value.num != 1) {
        struct str got = n->type == YAML_SCALAR ? flow_text_clip(n->text, 40) : STR("");
        struct diag_item *item =
            diag_error(d, n->mark, "format_version", "\"cairn\": expected 1, got %.*s",
                       STR_ARG(got.len ? got : str_from(flow_node_describe(n))));
        diag_help(d, item,
                  str_is(got, "1") ? "write it without quotes"
                                   : "this version of cairn reads format version 1 only");
    }
}

static void refuse_twice(struct unit *u, const struct def_node *node, const struct def_node *first,
                         uint32_t order) {
    struct diag *d = u->s->diag;
    struct diag_item *item = diag_error(d, node->mark, "duplicate_node",
                                        "there are two nodes called \"%.*s\"", STR_ARG(node->name));
    flow_subject_set(u, item, RANK_DUPLICATE, order, node->name);
    diag_help(d, item, "the first is in line %u; give this one another name", first->mark.line);
}

/* Adds a node to the definition unless its name is taken. */
static bool add_node(struct unit *u, struct map *seen, struct def_node node) {
    struct def *def = &u->def;
    if (node.body->type != YAML_MAP) {
        struct diag_item *item = diag_error(u->s->diag, node.body->mark, "wrong_type",
                                            "node \"%.*s\": expected a map, got %s",
                                            STR_ARG(node.name), flow_node_describe(node.body));
        diag_help(u->s->diag, item, "a node is a map with at least a type: {type: ...}");
        return true;
    }
    /* A node with a wrong name stays in the graph: what needs it is no second error. */
    flow_name_get(u, node.name, node.mark, "a node");
    bool is_new;
    struct map_entry *entry = map_put(seen, node.name, &is_new);
    if (!entry) {
        u->s->nomem = true;
        return false;
    }
    if (!is_new) {
        refuse_twice(u, &node, &def->nodes[entry->num], def->node_count);
        return true;
    }
    entry->num = def->node_count;
    def->nodes[def->node_count++] = node;
    return true;
}

static bool name_of_item(struct unit *u, const struct yaml_node *item, struct def_node *node) {
    const struct yaml_node *name = item->type == YAML_MAP ? yaml_get(item, STR("name")) : NULL;
    if (!name) {
        struct diag_item *finding =
            item->type == YAML_MAP
                ? diag_error(u->s->diag, item->mark, "missing_key", "a node in a list needs a name")
                : flow_type_refuse(u, item, "nodes", "maps with a name and a type");
        diag_help(u->s->diag, finding, "for example {name: fetch, type: ...}");
        return false;
    }
    node->mark = name->mark;
    node->named = true;
    return flow_text_get(u, name, "name", &node->name);
}

static bool read_nodes(struct unit *u, const struct yaml_node *n) {
    if (n->type == YAML_SCALAR || n->count == 0) {
        struct diag_item *item = flow_type_refuse(u, n, "nodes", "at least one node");
        diag_help(u->s->diag, item, "for example {hello: {type: ...}}");
        return false;
    }
    if (n->count > FLOW_MAX_NODES) {
        struct diag_item *item =
            diag_error(u->s->diag, n->mark, "too_large",
                       "the workflow has %u nodes: at most %u may be", n->count, FLOW_MAX_NODES);
        diag_help(u->s->diag, item, "use foreach to run one node for many items");
        return false;
    }
    struct map seen;
    map_init(&seen, &u->s->scratch);
    u->def.nodes = SCRATCH(u->s, n->count, struct def_node);
    if (!u->def.nodes) {
        return false;
    }
    for (uint32_t i = 0; i < n->count; i++) {
        struct def_node node = {0};
        if (n->type == YAML_MAP) {
            node = (struct def_node){.name = n->pairs[i].key->text,
                                     .mark = n->pairs[i].key->mark,
                                     .body = n->pairs[i].value};
        } else {
            node.body = n->items[i];
            if (!name_of_item(u, n->items[i], &node)) {
                continue;
            }
        }
        if (!add_node(u, &seen, node)) {
            return false;
        }
    }
    return true;
}

static bool native_read(struct unit *u, const struct yaml_node *root) {
    struct diag *d = u->s->diag;
    if (root->type != YAML_MAP) {
        struct diag_item *item =
            diag_error(d, root->mark, "wrong_type", "expected a workflow (a map), got %s",
                       flow_node_describe(root));
        diag_help(d, item, "a workflow begins with \"cairn: 1\" and has \"nodes:\"");
        return false;
    }
    read_version(u, root);
    flow_keys_check(u, root, "the workflow", top_keys, NULL);
    u->def = (struct def){.name = yaml_get(root, STR("name")),
                          .description = yaml_get(root, STR("description")),
                          .inputs = yaml_get(root, STR("inputs")),
                          .agents = yaml_get(root, STR("agents")),
                          .defaults = yaml_get(root, STR("defaults")),
                          .timeout = yaml_get(root, STR("timeout")),
                          .on_failure = yaml_get(root, STR("on_failure")),
                          .concurrency = yaml_get(root, STR("concurrency")),
                          .env = yaml_get(root, STR("env")),
                          .vars = yaml_get(root, STR("vars")),
                          .recover = yaml_get(root, STR("recover")),
                          .preload = yaml_get(root, STR("preload")),
                          .breaker = yaml_get(root, STR("breaker")),
                          .finally = yaml_get(root, STR("finally")),
                          .budget = yaml_get(root, STR("budget")),
                          .outputs = yaml_get(root, STR("outputs"))};
    const struct yaml_node *nodes = yaml_get(root, STR("nodes"));
    if (!nodes) {
        struct diag_item *item =
            diag_error(d, root->mark, "missing_key", "the workflow has no key \"nodes\"");
        diag_help(d, item, "write \"nodes:\" with at least one node below");
        return true;
    }
    read_nodes(u, nodes);
    return !u->s->nomem;
}

const struct flow_format format_native = {
    .name = "native",
    .doc = "cairn's own format: YAML or JSON with `cairn: 1` at the top",
    .detect = native_detect,
    .read = native_read,
};
