/* Budgets of the random world: handlers make calls that reserve their maximum, people allow more.
 *
 * What must hold: the calls that were really made, in all lives, are no more and have used no more
 * than each budget above them allows by then; steps that began neither.
 */
#include <stdio.h>

#include "sim.h"

enum { MOST_TOKENS = 50 }; /* of one call */

static bool is_below(const struct seen_execution *x, const struct seen_execution *top) {
    while (x && x != top) {
        x = x->parent;
    }
    return x != NULL;
}

static int64_t used_below(const struct world *w, const struct seen_execution *top,
                          enum budget_kind kind) {
    int64_t sum = 0;
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        sum += is_below(x, top) ? x->made[kind] : 0;
    }
    return sum;
}

static void check(struct world *w, const struct seen_execution *x, enum budget_kind kind) {
    for (; x; x = x->parent) {
        const struct budget *b = &x->plan->budget;
        int64_t used = b->has[kind] ? used_below(w, x, kind) : 0;
        if (used > b->limit[kind] + x->more[kind] && b->has[kind]) {
            world_fail(w, "%lld %s are used, the budget of %s allows %lld", (long long)used,
                       budget_key(kind), x->id, (long long)(b->limit[kind] + x->more[kind]));
        }
    }
}

bool budgets_kept(const struct seen_execution *x) {
    while (x && !budget_any(&x->plan->budget)) {
        x = x->parent;
    }
    return x != NULL;
}

/* Or stands in for what does. */
static bool cleans_up(const struct plan *p, struct str name) {
    const struct plan_node *n = &p->nodes[plan_node_find(p, name)];
    while (n->role != ROLE_FINALLY && n->role != ROLE_COMPENSATE && n->owner >= 0) {
        n = &p->nodes[n->owner];
    }
    return n->role == ROLE_FINALLY || n->role == ROLE_COMPENSATE;
}

void budgets_started(struct world *w, struct seen_execution *x, const struct seen_step *s) {
    /* What cleans up counts, and begins all the same: perhaps after a step that was counted, and
     * before that begins, so it is left out here. */
    if (s->starts == 1 && !cleans_up(x->plan, s->node->name)) {
        x->made[BUDGET_STEPS]++;
        check(w, x, BUDGET_STEPS);
    }
}

/* ---- calls ---- */

static struct open_port *port_of(struct world *w, const struct step_port *port) {
    for (uint32_t i = 0; i < w->process_count; i++) {
        struct process *p = &w->processes[i];
        for (uint32_t k = 0; k < p->port_count; k++) {
            if (p->ports[k].port == port) {
                return &p->ports[k];
            }
        }
    }
    return NULL;
}

static void made(struct step_port *port, uint32_t call) {
    struct world *w = world_now();
    struct open_port *o = port_of(w, port);
    if (!o || !o->asking) {
        world_fail(w, "a call of %.*s may be made that nobody asked for", STR_ARG(port->in->step));
        return;
    }
    mirror_sync(w);
    o->asking = false;
    o->call = call;
    o->tokens = rng_below(&w->rng, (uint32_t)o->most + 1);
    world_say(w, "  call %u of %.*s is made, %d of %d tokens", call, STR_ARG(o->step->id),
              (int)o->tokens, (int)o->most);
    world_tally(w, TALLY_CALL, true);
    if (o->execution) {
        o->execution->made[BUDGET_LLM_CALLS]++;
        o->execution->made[BUDGET_TOKENS] += o->tokens;
        check(w, o->execution, BUDGET_LLM_CALLS);
        check(w, o->execution, BUDGET_TOKENS);
    }
}

void budgets_ask(struct world *w, struct open_port *o, struct value said) {
    struct step_port *port = o->port;
    struct value known;
    o->most = 1 + rng_below(&w->rng, MOST_TOKENS);
    o->asking = true;
    struct step_charge c = {.tokens = o->most, .go = made};
    (void)port->ops->call_reserve(port, said, &c, &known);
    if (!value_is_null(known)) {
        o->asking = false;
    }
}

/* What the call used is told, or that it was in vain; at the end of its attempt, perhaps not. */
void budgets_settle(struct world *w, struct open_port *o, bool ends, bool fails) {
    struct value_builder b, usage;
    struct arena a;
    if (!o->call || (ends && rng_chance(&w->rng, 200))) {
        return;
    }
    if (fails && rng_chance(&w->rng, 500)) {
        o->port->ops->call_failed(o->port, o->call, value_null());
        if (o->execution && !o->cancelled) {
            o->execution->made[BUDGET_TOKENS] -= o->tokens;
        }
        o->call = 0;
        return;
    }
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    value_builder_init(&usage, &a);
    value_map_add(&usage, STR("inputTokens"), value_int(o->tokens));
    value_map_add(&usage, STR("outputTokens"), value_int(0));
    value_map_add(&b, STR("role"), value_text(STR("assistant")));
    if (rng_chance(&w->rng, 800)) {
        value_map_add(&b, STR("usage"), value_map_done(&usage));
    }
    o->port->ops->call_done(o->port, o->call, value_map_done(&b));
    o->call = 0;
    arena_fini(&a);
}

/* ---- what is recorded ---- */

void budgets_event(struct world *w, struct seen_execution *x, const struct event *ev) {
    struct budget more;
    world_tally(w, TALLY_BUDGET_EXCEEDED, ev->kind == EVENT_BUDGET_EXCEEDED);
    if (ev->kind != EVENT_BUDGET_RAISED) {
        return;
    }
    bool answered = str_starts(ev->key, str_from(x->id)); /* here, and perhaps handed on */
    w->answers_taken += answered;
    world_tally(w, TALLY_RAISE, answered);
    budget_from_value(ev->budget, &more);
    for (int i = 0; i < BUDGET_KINDS && !ev->of.len; i++) {
        x->more[i] += more.has[i] ? more.limit[i] : 0;
    }
}
