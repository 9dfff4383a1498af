/* Names in expressions: what each plan_ref is in the present state. Reads the state, never changes
 * it. Implements workflow-format.md "Expressions and templates" (scope).
 */
#include "engine/engine_priv.h"

/* Null when there is no memory, which a tells. */
struct value engine_error_value(struct arena *a, const struct track *t, struct str node) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("type"), value_text(t->more->error_type));
    value_map_add(&b, STR("message"), value_text(t->more->error_message));
    value_map_add(&b, STR("node"), value_text(node));
    value_map_add(&b, STR("attempt"), value_int(t->attempt));
    return value_map_done(&b);
}

static struct value keep(struct names *n, const struct held *h) {
    if (n->keeper && h->mem) {
        flight_keep(n->keeper, h->mem);
    }
    return h->v;
}

static struct value node_part(struct names *n, uint32_t node, enum node_part part) {
    const struct node_state *s = &n->g->nodes[node];
    switch (part) {
    case PART_BODY: return keep(n, &s->body);
    case PART_STATUS: return value_text(str_from(step_status_name((enum step_status)s->status)));
    case PART_ERROR: return keep(n, &node_more(s)->error);
    case PART_META: return keep(n, &node_more(s)->meta);
    case PART_ITERATION: return value_int(s->iteration);
    case PART_ATTEMPTS: return value_int(s->attempt);
    case PART_PREVIOUS: return keep(n, &s->previous);
    case PART_COUNT: break;
    }
    return value_null();
}

static enum err whole_node(struct names *n, uint32_t node, struct value *out, struct error *e) {
    struct value_builder b;
    value_builder_init(&b, n->env.arena);
    for (int i = 0; i < PART_COUNT; i++) {
        value_map_add(&b, str_from(node_part_names[i]), node_part(n, node, (enum node_part)i));
    }
    *out = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

static struct value error_value(const struct engine *g, struct arena *a) {
    struct track_more what = {.error_type = g->error.type, .error_message = g->error.message};
    struct track t = {.more = &what, .attempt = g->error.attempt};
    return g->has_error ? engine_error_value(a, &t, g->error.node) : value_null();
}

/* How it ends unless a node of finally fails. */
static const char *outcome(const struct engine *g) {
    return exec_status_name(g->has_error                    ? EXEC_FAILED
                            : g->cancelling                 ? EXEC_CANCELLED
                            : engine_any_allowed_failure(g) ? EXEC_PARTIAL
                                                            : EXEC_COMPLETED);
}

struct value names_step(const struct engine *g, uint32_t node, struct arena *a) {
    const struct subject *s = node_more(&g->nodes[node])->subject;
    struct value_builder b;
    struct value part;
    if (!s) {
        return value_null();
    }
    const struct held *parts[] = {&s->body, &s->error, &s->inputs};
    const char *const keys[] = {"body", "error", "inputs"};
    value_builder_init(&b, a);
    value_map_add(&b, STR("id"), value_text(arena_str(a, s->id)));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (value_copy(a, parts[i]->v, &part)) {
            value_map_add(&b, str_from(keys[i]), part);
        }
    }
    return value_map_done(&b); /* without memory the arena tells */
}

static enum err execution(struct names *n, struct value *out, struct error *e) {
    struct value_builder b;
    value_builder_init(&b, n->env.arena);
    value_map_add(&b, STR("id"), value_text(n->g->id));
    value_map_add(&b, STR("workflow"), value_text(n->g->plan->name));
    value_map_add(&b, STR("startedAt"), value_timestamp_us(n->g->started));
    value_map_add(&b, STR("now"), value_timestamp_us(n->g->now));
    if (n->g->phase == PHASE_FINALLY) {
        value_map_add(&b, STR("outcome"), value_text(str_from(outcome(n->g))));
        value_map_add(&b, STR("error"), error_value(n->g, n->env.arena));
    }
    *out = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

static struct value field_of(struct value map, struct str name) {
    const struct value *v = value_get(map, name);
    return v ? *v : value_null();
}

static struct value own_in(const struct names *n, struct str name) {
    const struct plan_node *p = &n->g->plan->nodes[n->node];
    for (uint32_t i = 0; i < p->in_count; i++) {
        if (n->ins && str_eq(p->ins[i].name, name)) {
            return n->ins[i];
        }
    }
    return value_null();
}

static struct value item(struct names *n) {
    const struct foreach_state *f = n->node == UINT32_MAX ? NULL : n->g->nodes[n->node].each;
    if (!f || n->index < 0) {
        return value_null();
    }
    return keep(n, &f->list).items[n->index];
}

static enum err whole_vars(struct names *n, struct value *out, struct error *e) {
    struct value_builder b;
    value_builder_init(&b, n->env.arena);
    for (uint32_t i = 0; i < n->g->plan->var_count; i++) {
        value_map_add(&b, n->g->plan->vars[i].name, keep(n, &n->g->vars[i].held));
    }
    *out = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

static enum err get(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    struct names *n = ctx;
    struct engine *g = n->g;
    const struct plan_ref *r = &g->plan->refs[slot];
    switch (r->type) {
    case REF_BODY: *out = keep(n, &g->nodes[r->node].body); return OK;
    case REF_ERROR: *out = keep(n, &node_more(&g->nodes[r->node])->error); return OK;
    case REF_NODE: return whole_node(n, r->node, out, e);
    case REF_NODE_PART: *out = node_part(n, r->node, r->part); return OK;
    case REF_INPUTS: *out = keep(n, &g->inputs); return OK;
    case REF_INPUT: *out = field_of(keep(n, &g->inputs), r->name); return OK;
    case REF_EXECUTION: return execution(n, out, e);
    case REF_ITEM: *out = item(n); return OK;
    case REF_INDEX: *out = value_int(n->index); return OK;
    case REF_ITERATION:
        *out = value_int(n->node == UINT32_MAX ? 0 : g->nodes[n->node].iteration);
        return OK;
    case REF_IN: *out = own_in(n, r->name); return OK;
    case REF_ENV: *out = field_of(keep(n, &g->env), r->name); return OK;
    case REF_IT: *out = n->it; return OK;
    case REF_VARS: return whole_vars(n, out, e);
    case REF_VAR: *out = keep(n, &g->vars[r->node].held); return OK;
    case REF_SELF: *out = n->self; return OK;
    case REF_STEP:
        *out = names_step(g, n->node, n->env.arena);
        return n->env.arena->starved ? error_nomem(e) : OK;
    }
    return OK;
}

void names_init(struct names *n, struct engine *g, uint32_t node, struct arena *arena) {
    *n = (struct names){.g = g, .node = node, .index = -1};
    n->env.ctx = n;
    n->env.get = get;
    n->env.arena = arena;
    n->env.max_bytes = ENGINE_EVAL_BYTES;
}
