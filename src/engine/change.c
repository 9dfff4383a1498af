/* An execution that has ended goes on with another workflow or other inputs: the fold of
 * workflow_changed. Its state is carried over to the new plan, node by node, by name.
 *
 * What a node did is kept when the new plan has a node of that name and kind that can be left by
 * the exit that was taken; edges and loops follow from that as if it had just been done. Every
 * other node of the new plan is pending, under an id that no step ever had. What runs anew besides
 * is decided afterwards (retry.c). Invariant: nothing of the old plan is looked at again but by the
 * tracker, whose steps name their plan.
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

void engine_offer_plan(struct engine *g, const struct plan *p) { g->offered = p; }

struct change {
    struct engine *g;
    const struct plan *from, *to;
    struct node_state *nodes; /* of from */
    const uint8_t *raw;
    const struct loop_state *loops;
    struct var_state *vars;
    int64_t *was;   /* by node of to: its index in from, or -1 */
    uint8_t *moved; /* by node of from */
};

static enum err corrupt(const struct event *ev, const char *why, struct error *e) {
    return error_set(e, ERR_CORRUPT, "event %llu (workflow_changed): %s",
                     (unsigned long long)ev->seq, why);
}

/* ---- nothing is under way: a journal that was put into quarantine may say otherwise ---- */

static void stop_items(struct foreach_state *f) {
    f->running = f->due.count = 0;
    f->queued = false;
    for (uint32_t i = 0; i < f->count; i++) {
        struct item_state *item = &f->items[i];
        flight_unref(item->flight);
        item->flight = NULL;
        item->retry_due = false;
        item->suspended = 0;
        if (!step_status_final(item->status) && item->status != STEP_PENDING) {
            item->status = STEP_CANCELLED;
        }
    }
}

static void stop_all(struct engine *g) {
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        struct node_state *n = &g->nodes[i];
        flight_unref(n->flight);
        n->flight = NULL;
        n->ready = n->dirty = n->armed = n->retry_due = false;
        n->suspended = n->aided = 0;
        if (n->each) {
            stop_items(n->each);
        }
        if (!step_status_final(n->status) && n->status != STEP_PENDING) {
            n->status = STEP_CANCELLED;
        }
    }
    g->held_slots = g->active = g->waiting_steps = g->items_running = g->idle_running = 0;
    struct heap *all[] = {&g->now_dirty, &g->next_dirty, &g->limits,
                          &g->rearm,     &g->ready,      &g->slotted};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        all[i]->count = 0;
    }
}

/* ---- ids ---- */

static enum err note_gone(struct engine *g, struct str name, const struct node_state *n,
                          struct error *e) {
    if (g->gone_count == g->gone_cap) {
        uint32_t cap = g->gone_cap ? g->gone_cap * 2 : 8;
        struct gone_node *more = realloc(g->gone, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        g->gone = more;
        g->gone_cap = cap;
    }
    uint32_t next = n->generation + (n->status != STEP_PENDING);
    bool further = n->floor && n->floor_iteration > n->iteration; /* before a rollback */
    g->gone[g->gone_count++] =
        (struct gone_node){.name = name,
                           .undone = n->undone || (n->fresh & FRESH_UNDONE),
                           .iteration = further ? n->floor_iteration : n->iteration,
                           .generation = next > n->floor ? next : n->floor};
    return OK;
}

/* A node that is new, or comes back: in step with its loop, and never under an id of before. */
static void name_new(const struct change *c, uint32_t node) {
    struct engine *g = c->g;
    const struct plan_node *p = &c->to->nodes[node];
    struct node_state *n = &g->nodes[node];
    int64_t header = p->loop_count ? c->was[c->to->loops[p->loops[0]].header] : -1;
    n->iteration = header >= 0 ? g->nodes[c->to->loops[p->loops[0]].header].iteration : 0;
    for (uint32_t i = 0; i < g->gone_count; i++) {
        struct gone_node *x = &g->gone[i];
        if (!str_eq(x->name, p->name) || MUTANT(reuse_id_of_what_went)) {
            continue;
        }
        if (x->iteration >= n->iteration) {
            n->iteration = x->iteration;
            n->generation = x->generation;
        }
        n->called = p->role != ROLE_NONE; /* its next run has an id of its own */
        n->fresh = x->undone ? FRESH_UNDONE : 0;
        *x = g->gone[--g->gone_count];
        return;
    }
}

/* ---- nodes and edges ---- */

static bool was_handled(const struct change *c, uint32_t old) {
    const struct plan_node *p = &c->from->nodes[old];
    for (uint32_t i = 0; i < p->out_count; i++) {
        if (c->raw[p->out_edges[i]] == EDGE_TAKEN) {
            return true;
        }
    }
    return false;
}

/* By which exit of the new plan it was left; false: it has no such exit. */
static bool exit_of(const struct change *c, uint32_t node, uint16_t *out) {
    const struct engine *g = c->g;
    const struct node_state *n = &g->nodes[node];
    uint32_t old = (uint32_t)c->was[node];
    *out = n->status == STEP_FAILED && was_handled(c, old) ? HANDLE_ERROR : HANDLE_NONE;
    if (n->status != STEP_COMPLETED) {
        return true;
    }
    struct str taken = n->track ? g->track[n->track - 1].t.handle : STR("");
    taken = taken.len ? taken : plan_handle_name(&c->from->nodes[old], 0);
    *out = plan_handle_find(&c->to->nodes[node], taken);
    return *out != HANDLE_NONE;
}

/* What was undone is remembered: retry.c asks for it only afterwards. */
static void begin_anew(struct engine *g, uint32_t node) {
    struct node_state *n = &g->nodes[node];
    n->fresh |= n->undone ? FRESH_UNDONE : 0;
    engine_begin_generation(g, node);
    n->status = STEP_PENDING; /* all are counted at the end */
    foreach_free(n->each);
    n->each = NULL;
}

static bool same_edge(const struct change *c, const struct plan_edge *a,
                      const struct plan_edge *b) {
    const struct plan_node *source = &c->from->nodes[a->source], *now = &c->to->nodes[b->source];
    return str_eq(source->name, now->name) &&
           str_eq(c->from->nodes[a->target].name, c->to->nodes[b->target].name) &&
           str_eq(plan_handle_name(source, a->handle), plan_handle_name(now, b->handle));
}

/* A back edge that was refused at the limit of its loop stays refused. */
static bool was_refused(const struct change *c, const struct plan_edge *now) {
    const struct plan_node *p = &c->from->nodes[c->was[now->source]];
    for (uint32_t i = 0; now->back_of >= 0 && i < p->out_count; i++) {
        if (c->raw[p->out_edges[i]] == EDGE_REFUSED &&
            same_edge(c, &c->from->edges[p->out_edges[i]], now)) {
            return true;
        }
    }
    return false;
}

static void carry_edges(const struct change *c, uint32_t node, uint16_t handle) {
    const struct plan_node *p = &c->to->nodes[node];
    for (uint32_t i = 0; i < p->out_count; i++) {
        const struct plan_edge *edge = &c->to->edges[p->out_edges[i]];
        bool taken = handle != HANDLE_NONE && plan_edge_matches(edge, handle);
        c->g->raw[p->out_edges[i]] = !taken                 ? EDGE_DEAD
                                     : was_refused(c, edge) ? EDGE_REFUSED
                                                            : EDGE_TAKEN;
    }
}

static void carry_node(const struct change *c, uint32_t node) {
    uint32_t old = (uint32_t)c->was[node];
    const struct plan_node *from = &c->from->nodes[old], *to = &c->to->nodes[node];
    struct node_state *n = &c->g->nodes[node];
    uint16_t handle;
    *n = c->nodes[old];
    c->moved[old] = true;
    bool same = str_is(str_from(from->kind->name), to->kind->name) &&
                from->foreach.present == to->foreach.present;
    if (!same || !exit_of(c, node, &handle)) {
        begin_anew(c->g, node);
    } else if (step_status_final(n->status)) {
        carry_edges(c, node, handle);
    }
}

/* What the graph does not start is at an end until it is called; what it does now is pending. */
static void settle_role(const struct change *c, uint32_t node) {
    struct node_state *n = &c->g->nodes[node];
    bool role = c->to->nodes[node].role != ROLE_NONE;
    bool was = c->was[node] >= 0 && c->from->nodes[c->was[node]].role != ROLE_NONE;
    if (was && !role) {
        begin_anew(c->g, node);
    } else if (role && (!was || !step_status_final(n->status))) {
        n->called = n->called || c->was[node] >= 0;
        n->status = STEP_SKIPPED;
    }
    c->g->uncalled += role && !n->called;
}

static enum err carry_nodes(struct change *c, struct error *e) {
    enum err err = OK;
    for (uint32_t i = 0; i < c->to->node_count; i++) {
        c->was[i] = plan_node_find(c->from, c->to->nodes[i].name);
        if (c->was[i] >= 0) {
            carry_node(c, i);
        }
    }
    for (uint32_t i = 0; i < c->to->node_count; i++) {
        if (c->was[i] < 0) {
            name_new(c, i);
        }
        settle_role(c, i);
    }
    for (uint32_t i = 0; i < c->from->node_count; i++) {
        if (!c->moved[i]) {
            err = err ? err : note_gone(c->g, c->from->nodes[i].name, &c->nodes[i], e);
            node_state_clear(&c->nodes[i]);
        }
    }
    return err;
}

/* ---- the rest ---- */

static void carry_loops(const struct change *c) {
    for (uint32_t i = 0; i < c->to->loop_count; i++) {
        int64_t old = c->was[c->to->loops[i].header];
        int32_t heads = old >= 0 ? c->from->nodes[old].heads : -1;
        c->g->loops[i].count = heads >= 0 ? c->loops[heads].count : 1;
    }
}

static void carry_ends(const struct change *c) {
    struct engine *g = c->g;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->end_count; i++) {
        int64_t node = plan_node_find(c->to, c->from->nodes[g->ends[i]].name);
        bool ends = node >= 0 && (c->to->nodes[node].kind->flags & KIND_END) &&
                    g->nodes[node].status == STEP_COMPLETED;
        if (ends) {
            g->ends[kept++] = (uint32_t)node;
        }
    }
    g->end_count = kept;
}

/* What steps have set stays; a variable that none has set gets its first value anew. */
static enum err carry_vars(const struct change *c, struct error *e) {
    struct engine *g = c->g;
    for (uint32_t i = 0; i < c->to->var_count; i++) {
        for (uint32_t k = 0; k < c->from->var_count; k++) {
            if (str_eq(c->to->vars[i].name, c->from->vars[k].name) && c->vars[k].is_set) {
                g->vars[i] = c->vars[k];
                c->vars[k] = (struct var_state){0};
            }
        }
    }
    for (uint32_t k = 0; k < c->from->var_count; k++) {
        held_clear(&c->vars[k].held);
    }
    g->vars_error = (struct str){0};
    return vars_init(g, e);
}

static void count_again(struct engine *g) {
    memset(g->by_status, 0, sizeof g->by_status);
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        g->by_status[g->nodes[i].status]++;
    }
}

static enum err take_fields(struct engine *g, const struct plan *from, const struct event *ev,
                            struct error *e) {
    if (g->timeout_us == from->timeout_us) {
        g->timeout_us = g->plan->timeout_us; /* no other was asked for */
    }
    if (ev->folder.len) {
        g->folder = arena_str(&g->arena, ev->folder);
    }
    enum err err = g->folder.ptr ? OK : error_nomem(e);
    bool inputs = !value_is_null(ev->inputs), env = !value_is_null(ev->env);
    err = err || !inputs ? err : held_set(&g->inputs, ev->inputs, e);
    return err || !env ? err : held_set(&g->env, ev->env, e);
}

enum err change_apply(struct engine *g, const struct event *ev, struct error *e) {
    const struct plan *to = g->offered;
    if (!exec_status_final(g->status) || !to) {
        return corrupt(ev, to ? "it has not ended" : "its workflow is not known", e);
    }
    if (!str_is(ev->hash, to->hash) || !str_eq(ev->entry, to->entry)) {
        return corrupt(ev, "it is of another workflow than the one that was found", e);
    }
    struct change c = {.g = g,
                       .from = g->plan,
                       .to = to,
                       .nodes = g->nodes,
                       .raw = g->raw,
                       .loops = g->loops,
                       .vars = g->vars,
                       .was = ARENA_ARRAY(&g->arena, (size_t)to->node_count + 1, int64_t),
                       .moved = ARENA_ARRAY(&g->arena, (size_t)g->plan->node_count + 1, uint8_t)};
    stop_all(g);
    g->uncalled = 0;
    answer_end_all(g);
    enum err err = c.was && c.moved ? engine_take_plan(g, to, e) : error_nomem(e);
    if (err) {
        return err;
    }
    err = carry_nodes(&c, e);
    carry_loops(&c);
    carry_ends(&c);
    count_again(g);
    edges_restore(g);
    err = err ? err : take_fields(g, c.from, ev, e);
    enum err vars = carry_vars(&c, e);
    return err ? err : vars;
}
