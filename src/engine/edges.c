/* The algebra of edges, joins and loops that events imply: part of the fold, no decisions here.
 *
 * An edge has two states: raw, what its source did in its current iteration, and effective, what
 * counts. They differ for edges that leave a loop: those stay open while the loop lives. All is
 * kept up to date by counters, so that one event costs in proportion to the edges it touches.
 * Implements model.md "Loops".
 */
#include "base/mutant.h"
#include "engine/engine_priv.h"

static enum err resolve(struct engine *g, uint32_t edge, struct error *e);

enum err engine_mark_dirty(struct engine *g, uint32_t node, struct error *e) {
    struct node_state *n = &g->nodes[node];
    if (n->dirty) {
        return OK;
    }
    n->dirty = true;
    struct heap *h = g->in_pass && node <= g->pass_at ? &g->next_dirty : &g->now_dirty;
    return heap_push(h, node) ? OK : error_nomem(e);
}

bool engine_loop_may_repeat(const struct engine *g, uint32_t loop) {
    return g->loops[loop].taken_backs > 0 && g->loops[loop].pending == 0;
}

static enum err queue_repeat(struct engine *g, uint32_t loop, struct error *e) {
    if (!engine_loop_may_repeat(g, loop) || g->loops[loop].queued) {
        return OK;
    }
    g->loops[loop].queued = true;
    return heap_push(&g->rearm, loop) ? OK : error_nomem(e);
}

/* No cycle node can take a back edge any more: what left the body becomes what it is. */
static enum err loop_over(struct engine *g, uint32_t loop, struct error *e) {
    const struct plan_loop *l = &g->plan->loops[loop];
    g->loops[loop].over = true;
    for (uint32_t i = 0; i < l->leaving_count; i++) {
        enum err err = resolve(g, l->leaving[i], e);
        if (err) {
            return err;
        }
    }
    return OK;
}

static enum err back_died(struct engine *g, uint32_t loop, struct error *e) {
    ASSERT(g->loops[loop].live_backs > 0);
    return --g->loops[loop].live_backs == 0 ? loop_over(g, loop, e) : OK;
}

static enum err back_taken(struct engine *g, uint32_t loop, struct error *e) {
    g->loops[loop].taken_backs++;
    if (!heap_push(&g->limits, loop)) {
        return error_nomem(e);
    }
    return queue_repeat(g, loop, e);
}

/* A limit edge is taken when the loop that its source heads, and that it leaves, hit its limit. */
static bool limit_taken(const struct engine *g, const struct plan_edge *edge) {
    int32_t heads = g->plan->nodes[edge->source].heads;
    for (uint32_t i = 0; i < edge->leaves_count; i++) {
        if ((int32_t)edge->leaves[i] == heads) {
            return g->loops[heads].hit;
        }
    }
    return false;
}

static enum err resolve(struct engine *g, uint32_t index, struct error *e) {
    const struct plan_edge *edge = &g->plan->edges[index];
    if (g->raw[index] == EDGE_OPEN || g->effective[index] != EDGE_OPEN) {
        return OK;
    }
    for (uint32_t i = 0; i < edge->leaves_count; i++) {
        if (!g->loops[edge->leaves[i]].over && !MUTANT(resolve_exit_early)) {
            return OK;
        }
    }
    bool taken = edge->handle == HANDLE_LIMIT && g->raw[index] != EDGE_REFUSED
                     ? limit_taken(g, edge)
                     : g->raw[index] == EDGE_TAKEN;
    g->effective[index] = taken ? EDGE_TAKEN : EDGE_DEAD;
    if (edge->back_of >= 0) {
        uint32_t loop = (uint32_t)edge->back_of;
        return taken ? back_taken(g, loop, e) : back_died(g, loop, e);
    }
    struct node_state *target = &g->nodes[edge->target];
    ASSERT(target->open_in > 0);
    target->open_in--;
    target->taken_in += taken;
    return engine_mark_dirty(g, edge->target, e);
}

enum err edges_leave(struct engine *g, uint32_t node, uint16_t handle, struct error *e) {
    const struct plan_node *n = &g->plan->nodes[node];
    ASSERT(g->unfinished > 0);
    g->unfinished--;
    for (uint32_t i = 0; i < n->loop_count; i++) {
        g->loops[n->loops[i]].pending--;
    }
    for (uint32_t i = 0; i < n->out_count; i++) {
        uint32_t index = n->out_edges[i];
        bool taken = handle != HANDLE_NONE && plan_edge_matches(&g->plan->edges[index], handle);
        g->raw[index] = taken ? EDGE_TAKEN : MUTANT(lose_dead_edge) ? EDGE_OPEN : EDGE_DEAD;
        enum err err = resolve(g, index, e);
        if (err) {
            return err;
        }
    }
    for (uint32_t i = 0; i < n->loop_count; i++) {
        enum err err = queue_repeat(g, n->loops[i], e);
        if (err) {
            return err;
        }
    }
    return OK;
}

enum err edges_refuse(struct engine *g, uint32_t edge, struct error *e) {
    uint32_t loop = (uint32_t)g->plan->edges[edge].back_of;
    g->raw[edge] = EDGE_REFUSED;
    g->effective[edge] = EDGE_DEAD;
    g->loops[loop].taken_backs--;
    g->loops[loop].hit = true;
    return back_died(g, loop, e);
}

static void enter_loop(struct engine *g, uint32_t loop) {
    struct loop_state *l = &g->loops[loop];
    l->over = false;
    l->live_backs = g->plan->loops[loop].back_count;
    l->taken_backs = 0;
}

void edges_rearm_node(struct engine *g, uint32_t node) {
    const struct plan_node *p = &g->plan->nodes[node];
    struct node_state *n = &g->nodes[node];
    held_clear(&n->previous);
    n->previous = n->body;
    n->body = (struct held){0};
    node_more_clear(n);
    foreach_free(n->each);
    n->each = NULL;
    n->iteration += !MUTANT(reuse_step_id);
    n->generation = generation_floor(n, n->iteration);
    n->attempt = n->failures = n->track = n->calls_from = n->unanswered = 0;
    engine_set_status(g, node, STEP_PENDING);
    n->why = WHY_NONE;
    n->armed = n->ready = n->guarded = n->retry_due = false;
    for (uint32_t i = 0; i < p->loop_count; i++) {
        g->loops[p->loops[i]].pending++;
    }
    for (uint32_t i = 0; i < p->out_count; i++) {
        g->raw[p->out_edges[i]] = g->effective[p->out_edges[i]] = EDGE_OPEN;
    }
    g->unfinished++;
}

static enum err recount(struct engine *g, uint32_t node, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[node];
    struct node_state *n = &g->nodes[node];
    n->open_in = n->taken_in = 0;
    for (uint32_t i = 0; i < p->in_count_edges; i++) {
        uint8_t state = g->effective[p->in_edges[i]];
        n->open_in += state == EDGE_OPEN;
        n->taken_in += state == EDGE_TAKEN;
    }
    bool may_start = n->open_in == 0 || n->taken_in > 0;
    return may_start && n->status == STEP_PENDING ? engine_mark_dirty(g, node, e) : OK;
}

/* End nodes of the body no longer are the end of anything. */
static void forget_ends(struct engine *g) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->end_count; i++) {
        if (g->nodes[g->ends[i]].status == STEP_COMPLETED) {
            g->ends[kept++] = g->ends[i];
        }
    }
    g->end_count = kept;
}

enum err edges_rearm(struct engine *g, uint32_t loop, struct error *e) {
    const struct plan_loop *l = &g->plan->loops[loop];
    g->loops[loop].count++;
    enter_loop(g, loop);
    for (uint32_t i = 0; i < l->inner_count; i++) {
        enter_loop(g, l->inner[i]);
        g->loops[l->inner[i]].count = 1;
        g->loops[l->inner[i]].hit = false;
    }
    for (uint32_t i = 0; i < l->body_count; i++) {
        edges_rearm_node(g, l->body[i]);
    }
    g->nodes[l->header].armed = true;
    enum err err = engine_mark_dirty(g, l->header, e);
    for (uint32_t i = 0; i < l->body_count && !err; i++) {
        err = recount(g, l->body[i], e);
    }
    forget_ends(g);
    return err;
}

/* What an edge is when its loops are what they are. */
static uint8_t effect_of(const struct engine *g, uint32_t index) {
    const struct plan_edge *edge = &g->plan->edges[index];
    bool open = g->raw[index] == EDGE_OPEN;
    for (uint32_t i = 0; i < edge->leaves_count; i++) {
        open |= !g->loops[edge->leaves[i]].over;
    }
    bool taken = edge->handle == HANDLE_LIMIT ? limit_taken(g, edge) : g->raw[index] == EDGE_TAKEN;
    return open ? EDGE_OPEN : taken && g->raw[index] != EDGE_REFUSED ? EDGE_TAKEN : EDGE_DEAD;
}

/* Loops stand inner first, and their back edges leave none but inner ones. */
void edges_restore(struct engine *g) {
    const struct plan *p = g->plan;
    for (uint32_t i = 0; i < p->loop_count; i++) {
        struct loop_state *s = &g->loops[i];
        *s = (struct loop_state){.count = s->count};
        for (uint32_t k = 0; k < p->loops[i].back_count; k++) {
            uint32_t edge = p->loops[i].backs[k];
            g->effective[edge] = effect_of(g, edge);
            s->live_backs += g->effective[edge] != EDGE_DEAD;
            s->hit |= g->raw[edge] == EDGE_REFUSED;
        }
        s->over = s->live_backs == 0;
    }
    for (uint32_t i = 0; i < p->node_count; i++) {
        struct node_state *n = &g->nodes[i];
        n->open_in = n->taken_in = 0;
        for (uint32_t k = 0; k < p->nodes[i].in_count_edges; k++) {
            uint32_t edge = p->nodes[i].in_edges[k];
            g->effective[edge] = effect_of(g, edge);
            n->open_in += g->effective[edge] == EDGE_OPEN;
            n->taken_in += g->effective[edge] == EDGE_TAKEN;
        }
    }
}

/* A loop as its back edges are now. One whose header runs anew is entered anew. */
static enum err reopen_loop(struct engine *g, uint32_t loop, bool anew, struct error *e) {
    const struct plan_loop *l = &g->plan->loops[loop];
    struct loop_state *s = &g->loops[loop];
    *s = (struct loop_state){.count = anew ? 1 : s->count};
    for (uint32_t i = 0; i < l->back_count; i++) {
        s->live_backs += g->effective[l->backs[i]] != EDGE_DEAD;
        s->taken_backs += g->effective[l->backs[i]] == EDGE_TAKEN;
        s->hit |= g->raw[l->backs[i]] == EDGE_REFUSED;
    }
    s->over = s->live_backs == 0;
    for (uint32_t i = 0; i < l->body_count; i++) {
        s->pending += !step_status_final(g->nodes[l->body[i]].status);
    }
    for (uint32_t i = 0; i < l->leaving_count && !s->over; i++) {
        g->effective[l->leaving[i]] = EDGE_OPEN;
    }
    if (s->taken_backs && !heap_push(&g->limits, loop)) {
        return error_nomem(e);
    }
    return queue_repeat(g, loop, e);
}

/* fates: not 0 for nodes that run anew. What they did is undone; all is counted again. */
enum err edges_reopen(struct engine *g, const uint8_t *fates, struct error *e) {
    const struct plan *p = g->plan;
    enum err err = OK;
    for (uint32_t i = 0; i < p->edge_count; i++) {
        if (fates[p->edges[i].source]) {
            g->raw[i] = g->effective[i] = EDGE_OPEN;
        }
    }
    for (uint32_t i = 0; i < p->loop_count && !err; i++) {
        err = reopen_loop(g, i, fates[p->loops[i].header] != 0, e);
    }
    g->unfinished = 0;
    for (uint32_t i = 0; i < p->node_count && !err; i++) {
        g->unfinished += !step_status_final(g->nodes[i].status);
        err = recount(g, i, e);
    }
    forget_ends(g);
    return err;
}

void edges_forget_work(struct engine *g) {
    struct heap *all[] = {&g->now_dirty, &g->next_dirty, &g->limits,
                          &g->rearm,     &g->ready,      &g->slotted};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        all[i]->count = 0;
    }
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        g->nodes[i].dirty = g->nodes[i].ready = false;
    }
}

/* The join table (model.md "Scheduling"):
 *   a header that repeats, or no forward in-edge  -> ready, whatever its join
 *   every in-edge dead                            -> skip
 *   any: at least one taken                       -> ready
 *   all: none open (and one taken)                -> ready
 *   otherwise                                     -> wait */
enum join_result engine_node_join(const struct engine *g, uint32_t node) {
    const struct plan_node *p = &g->plan->nodes[node];
    const struct node_state *n = &g->nodes[node];
    if (n->armed || p->in_count_edges == 0) {
        return JOIN_IS_READY;
    }
    if (n->open_in == 0 && n->taken_in == 0) {
        return JOIN_IS_SKIP;
    }
    if (p->join == JOIN_ANY) {
        return n->taken_in > 0 ? JOIN_IS_READY : JOIN_IS_WAIT;
    }
    return n->open_in == 0 ? JOIN_IS_READY : JOIN_IS_WAIT;
}

enum err edges_init(struct engine *g, struct error *e) {
    const struct plan *p = g->plan;
    for (uint32_t i = 0; i < p->loop_count; i++) {
        enter_loop(g, i);
        g->loops[i].count = 1;
        g->loops[i].pending = p->loops[i].body_count;
    }
    for (uint32_t i = 0; i < p->node_count; i++) {
        if (p->nodes[i].role) { /* the graph never starts it */
            engine_set_status(g, i, STEP_SKIPPED);
            g->uncalled++;
            continue;
        }
        g->unfinished++;
        g->nodes[i].open_in = p->nodes[i].in_count_edges;
        enum err err = p->nodes[i].in_count_edges == 0 ? engine_mark_dirty(g, i, e) : OK;
        if (err) {
            return err;
        }
    }
    return OK;
}
