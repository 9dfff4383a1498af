/* Sub-workflows: found by path, by name in the same folder, or written inline, and compiled like
 * the entry. A file is compiled once however many nodes refer to it; all plans of one compilation
 * live in the arena of the first.
 *
 * A workflow that contains itself is refused with the chain that leads back to it.
 */
#include "flow/flow_priv.h"

static bool is_path(struct str text) {
    return str_ends(text, STR(".yaml")) || str_ends(text, STR(".yml")) ||
           str_ends(text, STR(".json")) || str_find(text, STR("/"), 0) != SIZE_MAX;
}

static bool refuse_chain(struct unit *u, const struct yaml_node *n, struct str path) {
    const struct unit *units[FLOW_MAX_DEPTH + 1];
    size_t count = 0;
    for (const struct unit *up = u; up && count < ARRAY_LEN(units); up = up->parent) {
        units[count++] = up;
        if (!up->inline_name.len && str_eq(up->path, path)) {
            break;
        }
    }
    struct buf chain;
    buf_init(&chain, 0);
    while (count) {
        buf_append(&chain, units[--count]->plan->entry);
        buf_append_cstr(&chain, " -> ");
    }
    buf_append(&chain, path);
    u->s->nomem |= !buf_ok(&chain);
    struct diag_item *item =
        diag_error(u->s->diag, n->mark, "workflow_cycle", "a workflow cannot contain itself: %.*s",
                   STR_ARG(flow_text_clip(buf_str(&chain), 600)));
    diag_help(u->s->diag, item, "to repeat steps, write a loop: an edge back to an earlier node");
    flow_subject_set(u, item, RANK_NONE, 0, buf_str(&chain));
    buf_fini(&chain);
    return !u->s->nomem;
}

static bool too_deep(struct unit *u, const struct yaml_node *n) {
    if (u->depth < FLOW_MAX_DEPTH) {
        return false;
    }
    struct diag_item *item =
        diag_error(u->s->diag, n->mark, "workflow_depth",
                   "sub-workflows are nested more than %d deep", FLOW_MAX_DEPTH);
    diag_help(u->s->diag, item, "put some of them side by side");
    return true;
}

/* Compiles the unit below u and keeps the plan for the node when there was no error in it. */
static bool compile_below(struct unit *u, struct unit *below, const struct yaml_node *tree,
                          struct mark mark, struct plan **out) {
    struct diag *d = u->s->diag;
    uint32_t errors = d->errors;
    bool done = tree ? flow_unit_compile_tree(below, tree) : flow_unit_compile(below, mark);
    for (uint32_t i = 0; i < below->plan->file_count && !u->s->nomem; i++) {
        flow_file_note(u, &below->plan->files[i]);
    }
    *out = done && d->errors == errors ? below->plan : NULL;
    return !u->s->nomem;
}

static bool compile_inline(struct unit *u, struct draft *d, const struct yaml_node *n) {
    struct unit below;
    struct plan *plan = KEEP(u->s, 1, struct plan);
    struct str entry =
        arena_printf(&u->s->scratch, "%.*s#%.*s", STR_ARG(u->plan->entry), STR_ARG(d->node->name));
    struct str text;
    if (!plan || !entry.ptr || !flow_unit_init(&below, u->s, plan, entry)) {
        u->s->nomem = true;
        return false;
    }
    below.parent = u;
    below.depth = u->depth + 1;
    below.file = u->file;
    below.inline_name = d->node->name;
    return flow_file_read(&below, below.path, n->mark, &text) &&
           compile_below(u, &below, n, n->mark, &d->node->child);
}

static bool compile_file(struct unit *u, struct draft *d, const struct yaml_node *n,
                         struct str path) {
    struct unit below;
    bool is_new;
    struct map_entry *known = map_put(&u->s->children, path, &is_new);
    if (!known) {
        u->s->nomem = true;
        return false;
    }
    if (!is_new) {
        d->node->child = known->ptr;
        for (uint32_t i = 0; known->ptr && i < d->node->child->file_count; i++) {
            flow_file_note(u, &d->node->child->files[i]);
        }
        return !u->s->nomem;
    }
    struct plan *plan = KEEP(u->s, 1, struct plan);
    if (!plan || !flow_unit_init(&below, u->s, plan, path)) {
        return false;
    }
    below.parent = u;
    below.depth = u->depth + 1;
    below.file = flow_file_display(u->s, path);
    if (!compile_below(u, &below, NULL, n->mark, &d->node->child)) {
        return false;
    }
    map_find(&u->s->children, path)->ptr = d->node->child;
    return true;
}

bool flow_child_compile(struct unit *u, struct draft *d, const struct yaml_node *n) {
    struct str text, path;
    if (n->type == YAML_MAP) {
        return too_deep(u, n) || compile_inline(u, d, n);
    }
    if (!flow_text_get(u, n, "workflow", &text)) {
        return true;
    }
    if (!is_path(text) && str_find(text, STR("{{"), 0) == SIZE_MAX) {
        text = arena_printf(&u->s->scratch, "%.*s.yaml", STR_ARG(text));
        u->s->nomem |= !text.ptr;
    }
    if (u->s->nomem || !flow_file_resolve(u, text, n->mark, &path)) {
        return !u->s->nomem;
    }
    for (const struct unit *up = u; up; up = up->parent) {
        if (!up->inline_name.len && str_eq(up->path, path)) {
            return refuse_chain(u, n, path);
        }
    }
    return too_deep(u, n) || compile_file(u, d, n, path);
}

/* ---- what is handed to a sub-workflow ---- */

static void refuse_input(struct unit *u, const struct yaml_node *key, const struct plan *child) {
    struct str *names = SCRATCH(u->s, child->input_count, struct str);
    for (uint32_t i = 0; names && i < child->input_count; i++) {
        names[i] = child->inputs[i].name;
    }
    struct diag_item *item = diag_error(
        u->s->diag, key->mark, "unknown_input", "the workflow \"%.*s\" has no input \"%.*s\"",
        STR_ARG(child->name), STR_ARG(flow_text_clip(key->text, 60)));
    if (names) {
        flow_suggest(u, item, key->text, names, child->input_count);
    }
}

/* A constant is known now; how it fits is not left to the run. */
static void check_constant(struct unit *u, const struct plan *child, const struct yaml_node *key,
                           const struct yaml_node *at, struct value v) {
    const struct plan_input *input = NULL;
    struct schema_result result = {0};
    struct error e = {0};
    for (uint32_t k = 0; k < child->input_count && !input; k++) {
        input = str_eq(child->inputs[k].name, key->text) ? &child->inputs[k] : NULL;
    }
    if (!input) {
        return; /* reported */
    }
    enum err err = schema_fill(input->schema, v, &u->s->scratch, &v, &e);
    err = err ? err : schema_check(input->schema, v, &u->s->scratch, &result, &e);
    u->s->nomem |= err == ERR_NOMEM;
    for (uint32_t i = 0; !err && !result.valid && i < result.count; i++) {
        struct str where = result.errors[i].instance;
        diag_error(u->s->diag, at->mark, "bad_input",
                   "input \"%.*s\" of the workflow \"%.*s\"%s%.*s: %.*s", STR_ARG(input->name),
                   STR_ARG(child->name), where.len ? " at " : "", STR_ARG(where),
                   STR_ARG(result.errors[i].message));
    }
}

void flow_child_values_check(struct unit *u, struct draft *d, const struct yaml_node *given,
                             const struct pval *v) {
    const struct plan *child = d->node->child;
    bool known = v->type == PVAL_CONST;
    if (known && v->constant.type != VALUE_MAP && !value_is_null(v->constant)) {
        flow_type_refuse(u, given, "inputs", "a map of expressions");
        return;
    }
    for (uint32_t i = 0; child && given->type == YAML_MAP && i < given->count; i++) {
        const struct yaml_node *key = given->pairs[i].key;
        const struct value *one = known ? value_get(v->constant, key->text) : NULL;
        if (v->type == PVAL_MAP && v->items[i].type == PVAL_CONST) {
            one = &v->items[i].constant;
        }
        if (one) {
            check_constant(u, child, key, given->pairs[i].value, *one);
        }
    }
}

void flow_child_inputs_check(struct unit *u, struct draft *d, const struct yaml_node *given) {
    const struct plan *child = d->node->child;
    if (!child || (given && given->type != YAML_MAP)) {
        return;
    }
    for (uint32_t i = 0; given && i < given->count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < child->input_count && !known; k++) {
            known = str_eq(child->inputs[k].name, given->pairs[i].key->text);
        }
        if (!known) {
            refuse_input(u, given->pairs[i].key, child);
        }
    }
    for (uint32_t k = 0; k < child->input_count; k++) {
        const struct plan_input *input = &child->inputs[k];
        if (!input->has_default && !(given && yaml_get(given, input->name))) {
            struct diag_item *item =
                diag_error(u->s->diag, given ? given->mark : d->node->mark, "missing_input",
                           "node \"%.*s\" does not give the input \"%.*s\" of the workflow "
                           "\"%.*s\"",
                           STR_ARG(d->node->name), STR_ARG(input->name), STR_ARG(child->name));
            diag_help(u->s->diag, item, "add it under \"inputs:\"");
        }
    }
}
