/* One workflow through all steps: text to tree, tree to definition, definition to plan. The entry
 * and every sub-workflow go this way. Each step reports what it finds and leaves the rest to the
 * next; only a tree that cannot be read, or a lack of memory, ends it early.
 */
#include <stdio.h>

#include "flow/flow_priv.h"

static const struct flow_format *const formats[] = {
#define FORMAT(name, doc) &format_##name,
#include "flow/formats.def"
#undef FORMAT
};

/* The map of the inline sub-workflow that stands in node `name` of root, or NULL. */
static const struct yaml_node *find_inline(const struct yaml_node *root, struct str name) {
    const struct yaml_node *nodes = yaml_get(root, STR("nodes"));
    const struct yaml_node *node = NULL;
    if (nodes && nodes->type == YAML_MAP) {
        node = yaml_get(nodes, name);
    }
    for (uint32_t i = 0; nodes && nodes->type == YAML_LIST && i < nodes->count; i++) {
        const struct yaml_node *key = yaml_get(nodes->items[i], STR("name"));
        if (key && key->type == YAML_SCALAR && str_eq(key->text, name)) {
            node = nodes->items[i];
        }
    }
    for (uint32_t i = 0; node && node->type == YAML_MAP && i < node->count; i++) {
        const struct yaml_node *value = node->pairs[i].value;
        if (value->type == YAML_MAP && yaml_get(value, STR("nodes"))) {
            return value;
        }
    }
    return NULL;
}

/* Reads the file of u and, for an entry "file#node#node", goes down to the inline workflow. */
static bool read_tree(struct unit *u, struct mark mark, const struct yaml_node **out) {
    struct session *s = u->s;
    struct str text;
    struct yaml_node *root = NULL;
    if (!flow_file_read(u, u->path, mark, &text)) {
        return false;
    }
    enum err err = yaml_parse(&s->scratch, text, u->file, &root, s->diag);
    if (err && !root) { /* after duplicate keys alone there is a tree, and more to be found */
        s->nomem |= err == ERR_NOMEM;
        if (err != ERR_INVALID && !s->nomem) {
            diag_error(s->diag, (struct mark){u->file, 1, 1}, "too_large",
                       "the file is larger than a workflow may be");
        }
        return false;
    }
    struct str rest = str_sub(u->plan->entry, u->path.len + 1, u->plan->entry.len);
    const struct yaml_node *tree = root;
    while (rest.len) {
        u->inline_name = str_split(rest, '#', &rest);
        tree = find_inline(tree, u->inline_name);
        if (!tree) {
            diag_error(s->diag, root->mark, "file", "there is no workflow inside node \"%.*s\"",
                       STR_ARG(u->inline_name));
            return false;
        }
    }
    *out = tree;
    return true;
}

static bool compile_expressions(struct unit *u) {
    struct scope scope;
    if (!flow_scope_open(u, &scope) || !flow_vars_compile(&scope)) {
        return false;
    }
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        flow_scope_enter(&scope, i);
        if (!flow_common_compile(&scope, &u->drafts[i]) ||
            !flow_fields_compile(&scope, &u->drafts[i])) {
            return false;
        }
    }
    return flow_outputs_compile(&scope) && flow_secrets_collect(u);
}

static bool each_draft(struct unit *u, bool (*step)(struct unit *u, struct draft *d)) {
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        if (!step(u, &u->drafts[i])) {
            return false;
        }
    }
    return true;
}

/* SHA-256 over format version, entry, and path, length and text of every file. */
static void hash_plan(struct plan *p) {
    struct sha256 h;
    char line[64];
    uint8_t digest[SHA256_BYTES];
    sha256_init(&h);
    sha256_update(&h, STR("cairn 1\n"));
    sha256_update(&h, p->entry);
    for (uint32_t i = 0; i < p->file_count; i++) {
        int len =
            snprintf(line, sizeof line, "\n%zu %zu\n", p->files[i].path.len, p->files[i].text.len);
        sha256_update(&h, (struct str){line, (size_t)len});
        sha256_update(&h, p->files[i].path);
        sha256_update(&h, p->files[i].text);
    }
    sha256_final(&h, digest);
    hex_encode(digest, sizeof digest, p->hash);
    p->hash[SHA256_HEX_BYTES - 1] = 0;
}

bool flow_definition_read(struct unit *u, const struct yaml_node *tree) {
    const struct flow_format *format = formats[ARRAY_LEN(formats) - 1];
    for (size_t i = ARRAY_LEN(formats); i-- > 0;) {
        format = formats[i]->detect(tree) ? formats[i] : format;
    }
    return format->read(u, tree);
}

bool flow_unit_compile_tree(struct unit *u, const struct yaml_node *tree) {
    u->plan->kinds = u->s->source->kinds;
    if (!flow_definition_read(u, tree)) {
        return false;
    }
    bool done = flow_top_read(u) && flow_agents_read(u) && flow_nodes_open(u) &&
                each_draft(u, flow_common_read) && each_draft(u, flow_fields_read) &&
                each_draft(u, flow_draft_check) && each_draft(u, flow_cache_check) &&
                flow_roles_read(u) && flow_graph_build(u) && flow_roles_check(u) &&
                flow_graph_order(u) && flow_loops_find(u) && compile_expressions(u) &&
                flow_approvals_check(u) && flow_unit_lint(u);
    if (done) {
        hash_plan(u->plan);
    }
    return done;
}

bool flow_unit_compile(struct unit *u, struct mark mark) {
    const struct yaml_node *tree;
    return read_tree(u, mark, &tree) && flow_unit_compile_tree(u, tree);
}

/* Where "#node#node" begins: a file name may have a # of its own. */
static size_t find_inline_part(struct str entry) {
    for (size_t at = str_find(entry, STR("#"), 0); at != SIZE_MAX;
         at = str_find(entry, STR("#"), at + 1)) {
        struct str rest = str_sub(entry, at + 1, entry.len);
        bool names = rest.len > 0;
        while (names && rest.len) {
            names = str_is_name(str_split(rest, '#', &rest));
        }
        if (names) {
            return at;
        }
    }
    return entry.len;
}

/* The folder of the file is what relative paths start from. */
bool flow_unit_init(struct unit *u, struct session *s, struct plan *plan, struct str entry) {
    *u = (struct unit){.s = s, .plan = plan};
    plan->entry = flow_keep_str(s, entry);
    if (s->nomem) {
        return false;
    }
    u->path = str_sub(plan->entry, 0, find_inline_part(plan->entry));
    map_init(&u->noted, &s->scratch);
    size_t folder = u->path.len;
    while (folder > 0 && u->path.ptr[folder - 1] != '/') {
        folder--;
    }
    u->folder = str_sub(u->path, 0, folder);
    return true;
}
