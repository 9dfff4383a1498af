/* What names in expressions stand for: nodes upstream, inputs, the execution, items, the node's own
 * names, environment and secrets. Every name becomes a slot of the plan's table of refs.
 *
 * A name that is unknown, or known but out of place, is refused with a message that says where it
 * would be known. Nothing is evaluated here.
 */
#include <stdio.h>

#include "flow/flow_priv.h"

/* The last two: only where it is known how the execution ends. */
static const char *const execution_fields[] = {"id",  "workflow", "startedAt",
                                               "now", "outcome",  "error"};
enum { ENDING_FIELDS = 2 };
static const char *const step_fields[] = {"id", "body", "error", "inputs"};

/* ---- slots ---- */

static enum err slot_of(struct scope *scope, struct plan_ref ref, uint32_t consumed,
                        struct expr_ref *out, struct error *e) {
    struct unit *u = scope->u;
    if (scope->flags & SCOPE_TRIAL) {
        *out = (struct expr_ref){.consumed = consumed};
        return OK;
    }
    char head[64];
    snprintf(head, sizeof head, "%d %u %d ", (int)ref.type, ref.node, (int)ref.part);
    struct str key = arena_printf(&u->s->scratch, "%s%.*s", head, STR_ARG(ref.name));
    struct map_entry *known = key.ptr ? map_find(&u->ref_slots, key) : NULL;
    if (!known) {
        bool is_new;
        bool room = u->plan->ref_count < u->ref_cap ||
                    flow_array_grow(u->s, u->s->keep, &u->refs, &u->ref_cap, sizeof *u->refs);
        known = key.ptr && room ? map_put(&u->ref_slots, key, &is_new) : NULL;
        if (!known) {
            u->s->nomem = true;
            return error_nomem(e);
        }
        known->num = u->plan->ref_count;
        ref.name = flow_keep_str(u->s, ref.name);
        u->refs[u->plan->ref_count++] = ref;
        u->plan->refs = u->refs;
    }
    *out = (struct expr_ref){.slot = (uint32_t)known->num, .consumed = consumed};
    return OK;
}

/* "did you mean" for a message; empty when nothing is near, or enough was reported. */
static struct str hint(struct scope *scope, struct str word, const struct str *known,
                       size_t count) {
    struct session *s = scope->u->s;
    struct str near = s->diag->count < DIAG_MAX_ITEMS ? str_nearest(word, known, count) : STR("");
    if (!near.len) {
        return STR("");
    }
    struct str text = arena_printf(&s->scratch, "; did you mean \"%.*s\"?", STR_ARG(near));
    return text.ptr ? text : STR("");
}

static struct str clip(struct str s) { return flow_text_clip(s, 60); }

/* ---- inputs, env, secrets, execution ---- */

static enum err find_input(struct scope *scope, const struct str *path, uint32_t count,
                           struct expr_ref *out, struct error *e) {
    const struct plan *p = scope->u->plan;
    if (count == 1) {
        return slot_of(scope, (struct plan_ref){.type = REF_INPUTS}, 1, out, e);
    }
    for (uint32_t i = 0; i < p->input_count; i++) {
        if (str_eq(p->inputs[i].name, path[1])) {
            struct plan_ref ref = {.type = REF_INPUT, .name = path[1]};
            return slot_of(scope, ref, 2, out, e);
        }
    }
    struct str *names = SCRATCH(scope->u->s, p->input_count, struct str);
    for (uint32_t i = 0; names && i < p->input_count; i++) {
        names[i] = p->inputs[i].name;
    }
    struct str near = hint(scope, path[1], names, names ? p->input_count : 0);
    return error_set(e, ERR_NOT_FOUND, "the workflow has no input \"%.*s\"%.*s",
                     STR_ARG(clip(path[1])), STR_ARG(near));
}

static enum err find_env(struct scope *scope, const struct str *path, uint32_t count,
                         struct expr_ref *out, struct error *e) {
    const struct plan *p = scope->u->plan;
    if (count == 1) {
        return error_set(e, ERR_NOT_FOUND, "\"env\" must be followed by a name: env.HOME");
    }
    for (uint32_t i = 0; i < p->env_count; i++) {
        if (str_eq(p->env[i], path[1])) {
            struct plan_ref ref = {.type = REF_ENV, .name = path[1]};
            return slot_of(scope, ref, 2, out, e);
        }
    }
    struct str near = hint(scope, path[1], p->env, p->env_count);
    return error_set(e, ERR_NOT_FOUND,
                     "\"%.*s\" is not listed under \"env:\" at the top of the workflow%.*s",
                     STR_ARG(clip(path[1])), STR_ARG(near));
}

static enum err find_var(struct scope *scope, const struct str *path, uint32_t count,
                         struct expr_ref *out, struct error *e) {
    const struct plan *p = scope->u->plan;
    int64_t var = count > 1 ? flow_var_find(p, path[1]) : 0;
    if (!p->var_count) {
        return error_set(e, ERR_NOT_FOUND, "the workflow has no \"vars:\" at its top");
    }
    if (count == 1) {
        return slot_of(scope, (struct plan_ref){.type = REF_VARS}, 1, out, e);
    }
    if (var >= 0) {
        struct plan_ref ref = {.type = REF_VAR, .node = (uint32_t)var, .name = path[1]};
        return slot_of(scope, ref, 2, out, e);
    }
    struct str *names = flow_var_names(scope->u);
    struct str near = hint(scope, path[1], names, names ? p->var_count : 0);
    return error_set(e, ERR_NOT_FOUND, "the workflow has no variable \"%.*s\"%.*s",
                     STR_ARG(clip(path[1])), STR_ARG(near));
}

/* Only says why not: where a secret may stand, allow_secret is asked. */
static enum err find_secret(struct scope *scope, const struct str *path, uint32_t count,
                            struct expr_ref *out, struct error *e) {
    (void)out;
    if (!(scope->flags & SCOPE_SECRET)) {
        return error_set(e, ERR_NOT_FOUND,
                         "secrets are known only in fields of an effect that may hold one");
    }
    if (count == 1) {
        return error_set(e, ERR_NOT_FOUND, "\"secrets\" must be followed by a name: secrets.TOKEN");
    }
    return error_set(e, ERR_NOT_FOUND,
                     "no expression sees a secret: it stands alone, as {{ secrets.%.*s }}, in a "
                     "template",
                     STR_ARG(clip(path[1])));
}

static enum err allow_secret(void *ctx, struct str name, struct error *e) {
    struct scope *scope = ctx;
    if (!(scope->flags & SCOPE_SECRET)) {
        return find_secret(scope, &name, 1, NULL, e);
    }
    if (name.len > FLOW_MAX_SECRET_NAME) {
        return error_set(e, ERR_INVALID, "the name of a secret has at most %d characters",
                         FLOW_MAX_SECRET_NAME);
    }
    return flow_secret_note(scope->u, name) ? OK : error_nomem(e);
}

static enum err find_execution(struct scope *scope, const struct str *path, uint32_t count,
                               struct expr_ref *out, struct error *e) {
    bool known = count == 1, ending = false;
    struct str names[ARRAY_LEN(execution_fields)];
    size_t some = ARRAY_LEN(names) - ENDING_FIELDS;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        names[i] = str_from(execution_fields[i]);
        bool same = count > 1 && str_eq(path[1], names[i]);
        known |= same && (i < some || scope->finally);
        ending |= same && i >= some;
    }
    if (!known && ending) {
        return error_set(e, ERR_NOT_FOUND,
                         "execution.%.*s is known only in nodes listed under \"finally\"",
                         STR_ARG(path[1]));
    }
    if (!known) {
        size_t all = scope->finally ? ARRAY_LEN(names) : some;
        struct str near = hint(scope, path[1], names, all);
        struct str words = flow_words_join(scope->u->s, names, all);
        return error_set(e, ERR_NOT_FOUND, "execution has no \"%.*s\": it has %.*s%.*s",
                         STR_ARG(clip(path[1])), STR_ARG(words), STR_ARG(near));
    }
    bool now = count == 1 || str_is(path[1], "now");
    struct plan_ref ref = {.type = REF_EXECUTION, .name = now ? STR("now") : STR("")};
    return slot_of(scope, ref, 1, out, e);
}

/* ---- nodes ---- */

static bool is_upstream(struct scope *scope, uint32_t node) {
    if ((scope->flags & SCOPE_ALL) || scope->finally) {
        return true;
    }
    if (scope->need_of[node] >> 2 == scope->stamp) {
        return true;
    }
    return flow_graph_reaches(scope->u, node, scope->root, scope->seen, ++scope->search);
}

static bool needed_as_error(const struct scope *scope, uint32_t node) {
    uint32_t flags = scope->need_of[node];
    return scope->node != NONE && flags >> 2 == scope->stamp && (flags & 3) == NEED_ERROR;
}

static enum err find_part(struct scope *scope, uint32_t node, const struct str *path,
                          struct expr_ref *out, struct error *e) {
    struct str names[PART_COUNT];
    for (int i = 0; i < PART_COUNT; i++) {
        names[i] = str_from(node_part_names[i]);
        if (str_eq(path[2], names[i])) {
            struct plan_ref ref = {.type = i == PART_BODY ? REF_BODY : REF_NODE_PART,
                                   .node = node,
                                   .part = (enum node_part)i};
            return slot_of(scope, ref, 3, out, e);
        }
    }
    struct str near = hint(scope, path[2], names, PART_COUNT);
    struct str all = flow_words_join(scope->u->s, names, PART_COUNT);
    return error_set(e, ERR_NOT_FOUND, "nodes.%.*s has no \"%.*s\": it has %.*s%.*s",
                     STR_ARG(path[1]), STR_ARG(clip(path[2])), STR_ARG(all), STR_ARG(near));
}

static enum err find_nodes(struct scope *scope, const struct str *path, uint32_t count,
                           struct expr_ref *out, struct error *e) {
    const struct plan *p = scope->u->plan;
    if (count == 1) {
        return error_set(e, ERR_NOT_FOUND,
                         "\"nodes\" must be followed by the name of a node: nodes.fetch.status");
    }
    int64_t node = plan_node_find(p, path[1]);
    if (node < 0) {
        struct str *names = flow_names_get(scope->u);
        struct str near = hint(scope, path[1], names, names ? p->node_count : 0);
        return error_set(e, ERR_NOT_FOUND, "there is no node \"%.*s\"%.*s", STR_ARG(clip(path[1])),
                         STR_ARG(near));
    }
    if (count > 2) {
        return find_part(scope, (uint32_t)node, path, out, e);
    }
    struct plan_ref ref = {.type = REF_NODE, .node = (uint32_t)node};
    return slot_of(scope, ref, 2, out, e);
}

/* A node that was called by an auxiliary one, or is one itself: where to read it instead. */
static enum err refuse_auxiliary(const struct scope *scope, uint32_t node, struct error *e) {
    const struct plan *p = scope->u->plan;
    const struct plan_node *n = &p->nodes[node];
    int32_t at = scope->node == NONE ? -1 : p->nodes[scope->node].owner;
    if (at >= 0 && (uint32_t)at == node) {
        return error_set(e, ERR_NOT_FOUND,
                         "\"%.*s\" runs for \"%.*s\", which is called \"step\" here: step.body, "
                         "step.error, step.inputs",
                         STR_ARG(p->nodes[scope->node].name), STR_ARG(n->name));
    }
    if (scope->node == NONE && n->role == ROLE_FINALLY) {
        return error_set(e, ERR_NOT_FOUND,
                         "outputs are evaluated before \"%.*s\" runs, which is listed under "
                         "\"finally\"",
                         STR_ARG(n->name));
    }
    bool apart = n->role && !scope->finally && scope->node != NONE;
    return !apart ? OK
                  : error_set(e, ERR_NOT_FOUND,
                              "the graph never starts \"%.*s\" (%s); what it came to is "
                              "nodes.%.*s, which may be null",
                              STR_ARG(n->name), plan_role_name(n->role), STR_ARG(n->name));
}

static enum err find_body(struct scope *scope, uint32_t node, uint32_t count, struct expr_ref *out,
                          struct error *e) {
    const struct unit *u = scope->u;
    struct str name = u->plan->nodes[node].name;
    if (node == scope->node && (scope->flags & SCOPE_SELF)) {
        return slot_of(scope, (struct plan_ref){.type = REF_SELF}, 1, out, e);
    }
    if (node == scope->node) {
        return error_set(e, ERR_NOT_FOUND,
                         "\"%.*s\" cannot read its own result; the one of the iteration before is "
                         "nodes.%.*s.previous",
                         STR_ARG(name), STR_ARG(name));
    }
    enum err apart = refuse_auxiliary(scope, node, e);
    if (apart) {
        return apart;
    }
    bool doubtful = u->drafts[node].broken ||
                    (scope->node == NONE ? u->graph.missing : u->graph.doubtful[scope->root]);
    if (!is_upstream(scope, node) && !doubtful) {
        return error_set(
            e, ERR_NOT_FOUND,
            "\"%.*s\" does not lead to \"%.*s\", so its result is not known there; add "
            "it to the needs, or read nodes.%.*s, which may be null",
            STR_ARG(name), STR_ARG(u->plan->nodes[scope->node].name), STR_ARG(name));
    }
    bool as_error = needed_as_error(scope, node);
    if (count > 1 && !as_error && !doubtful && !(scope->flags & SCOPE_TRIAL)) {
        flow_field_lint(scope, node);
    }
    struct plan_ref ref = {.type = as_error ? REF_ERROR : REF_BODY, .node = node};
    return slot_of(scope, ref, 1, out, e);
}

/* ---- names of the node itself ---- */

static const char *out_of_place(struct str name) {
    static const struct {
        const char *name, *text;
    } places[] = {
        {"item", "\"item\" is known only in the fields of a node with foreach"},
        {"index", "\"index\" is known only in the fields of a node with foreach"},
        {"it", "\"it\" is known only in a transform of \"in\""},
        {"iteration", "\"iteration\" is known only in nodes"},
        {"step", "\"step\" is known only in a node that another names as fallback, on_timeout or "
                 "compensate"},
    };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (str_is(name, places[i].name)) {
            return places[i].text;
        }
    }
    return NULL;
}

/* The step that an auxiliary node runs for. */
static enum err find_step(struct scope *scope, const struct str *path, uint32_t count,
                          struct expr_ref *out, struct error *e) {
    struct str names[ARRAY_LEN(step_fields)];
    bool known = count == 1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        names[i] = str_from(step_fields[i]);
        known |= count > 1 && str_eq(path[1], names[i]);
    }
    if (known) {
        return slot_of(scope, (struct plan_ref){.type = REF_STEP}, 1, out, e);
    }
    struct str near = hint(scope, path[1], names, ARRAY_LEN(names));
    return error_set(e, ERR_NOT_FOUND, "step has no \"%.*s\": it has id, body, error, inputs%.*s",
                     STR_ARG(clip(path[1])), STR_ARG(near));
}

static bool own_name(const struct scope *scope, struct str name, struct plan_ref *out) {
    const struct draft *d = scope->draft;
    if ((scope->flags & SCOPE_IT) && str_is(name, "it")) {
        *out = (struct plan_ref){.type = REF_IT};
        return true;
    }
    if (d && str_is(name, "iteration")) {
        *out = (struct plan_ref){.type = REF_ITERATION};
        return true;
    }
    if ((scope->flags & SCOPE_ITEM) && str_is(name, "index")) {
        *out = (struct plan_ref){.type = REF_INDEX};
        return true;
    }
    if ((scope->flags & SCOPE_ITEM) &&
        (str_is(name, "item") || str_eq(name, d->node->foreach.as))) {
        *out = (struct plan_ref){.type = REF_ITEM};
        return true;
    }
    for (uint32_t i = 0; (scope->flags & SCOPE_IN) && i < d->node->in_count; i++) {
        if (str_eq(name, d->node->ins[i].name)) {
            *out = (struct plan_ref){.type = REF_IN, .name = name};
            return true;
        }
    }
    return false;
}

/* A name of `in` or of an item, used where it is not known yet. */
static bool is_own_elsewhere(const struct scope *scope, struct str name) {
    const struct draft *d = scope->draft;
    const struct yaml_node *in = d ? d->common[COMMON_IN] : NULL;
    return (in && in->type == YAML_MAP && yaml_get(in, name)) ||
           (d && d->node->foreach.present && str_eq(name, d->node->foreach.as));
}

static enum err refuse_name(struct scope *scope, struct str name, struct error *e) {
    const char *place = out_of_place(name);
    if (place) {
        return error_set(e, ERR_NOT_FOUND, "%s", place);
    }
    if (is_own_elsewhere(scope, name)) {
        return error_set(e, ERR_NOT_FOUND,
                         "\"%.*s\" is known only in the fields of this node's kind",
                         STR_ARG(clip(name)));
    }
    struct str *names = flow_names_get(scope->u);
    size_t count = names ? scope->u->plan->node_count + FLOW_GENERAL_NAMES : 0;
    struct str near = hint(scope, name, names, count);
    if (!near.len) {
        near = STR("; a text inside an expression needs quotes of its own: 'text'");
    }
    return error_set(e, ERR_NOT_FOUND, "unknown name \"%.*s\"%.*s", STR_ARG(clip(name)),
                     STR_ARG(near));
}

/* In an expression that a kind evaluates by itself only the kind's names are known. */
static enum err find_kind_name(struct scope *scope, struct str name, struct expr_ref *out,
                               struct error *e) {
    struct str names[16];
    uint32_t count = 0;
    for (; scope->own[count] && count < ARRAY_LEN(names); count++) {
        names[count] = str_from(scope->own[count]);
        if (str_eq(name, names[count])) {
            *out = (struct expr_ref){.slot = count, .consumed = 1};
            return OK;
        }
    }
    struct str near = hint(scope, name, names, count);
    struct str all = flow_words_join(scope->u->s, names, count);
    return error_set(e, ERR_NOT_FOUND, "unknown name \"%.*s\": known here are %.*s%.*s",
                     STR_ARG(clip(name)), STR_ARG(all), STR_ARG(near));
}

static enum err find_name(void *ctx, const struct str *path, uint32_t count, struct expr_ref *out,
                          struct error *e) {
    static const struct {
        const char *name;
        enum err (*find)(struct scope *scope, const struct str *path, uint32_t count,
                         struct expr_ref *out, struct error *e);
    } heads[] = {{"inputs", find_input}, {"nodes", find_nodes}, {"execution", find_execution},
                 {"env", find_env},      {"vars", find_var},    {"secrets", find_secret}};
    struct scope *scope = ctx;
    struct plan_ref own;
    if (scope->own) {
        return find_kind_name(scope, path[0], out, e);
    }
    if ((scope->flags & SCOPE_GIVEN) && !str_is(path[0], "inputs") && !str_is(path[0], "env")) {
        return error_set(e, ERR_NOT_FOUND,
                         "\"%.*s\" is not known here: the first values of vars read inputs and env "
                         "only",
                         STR_ARG(clip(path[0])));
    }
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        if (str_is(path[0], heads[i].name)) {
            return heads[i].find(scope, path, count, out, e);
        }
    }
    if (str_is(path[0], "step") && scope->draft && scope->draft->node->owner >= 0) {
        return find_step(scope, path, count, out, e);
    }
    if (own_name(scope, path[0], &own)) {
        return slot_of(scope, own, 1, out, e);
    }
    int64_t node = plan_node_find(scope->u->plan, path[0]);
    if (node >= 0) {
        return find_body(scope, (uint32_t)node, count, out, e);
    }
    return refuse_name(scope, path[0], e);
}

struct expr_scope flow_scope_view(struct scope *scope) {
    return (struct expr_scope){.ctx = scope, .find = find_name, .secret = allow_secret};
}

/* ---- entering a node ---- */

bool flow_scope_open(struct unit *u, struct scope *scope) {
    *scope = (struct scope){.u = u, .node = NONE, .linted = NONE};
    scope->need_of = SCRATCH(u->s, u->graph.n, uint32_t);
    scope->seen = SCRATCH(u->s, u->graph.n * 2u, uint32_t);
    scope->sure = SCRATCH(u->s, u->graph.n, uint8_t);
    map_init(&u->ref_slots, &u->s->scratch);
    map_init(&u->secret_names, &u->s->scratch);
    return !u->s->nomem && flow_sure_lint(u, scope->sure);
}

void flow_scope_enter(struct scope *scope, uint32_t node) {
    struct unit *u = scope->u;
    scope->node = node;
    scope->draft = node == NONE ? NULL : &u->drafts[node];
    scope->flags = 0;
    scope->stamp++;
    scope->linted = NONE;
    scope->root = node == NONE ? NONE : plan_node_root(u->plan, node);
    scope->finally = node != NONE && u->plan->nodes[scope->root].role == ROLE_FINALLY;
    for (uint32_t e = node == NONE ? 0 : in_from(&u->graph, scope->root);
         node != NONE && e < in_to(&u->graph, scope->root); e++) {
        const struct plan_edge *edge = &u->plan->edges[e];
        uint32_t *need = &scope->need_of[edge->source];
        uint32_t flags = *need >> 2 == scope->stamp ? *need & 3 : 0;
        flags |= edge->handle == HANDLE_ERROR ? NEED_ERROR : NEED_NORMAL;
        *need = scope->stamp << 2 | flags;
    }
}
