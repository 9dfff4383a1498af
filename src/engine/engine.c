/* The state of one execution: making it, freeing it, looking at it.
 * Nothing here decides or changes what was decided; the digest covers all that decisions depend
 * on, so that live and folded states can be compared.
 */
#include "engine/engine.h"

#include <stdlib.h>

#include "engine/engine_priv.h"

const char *exec_status_name(enum exec_status s) {
    static const char *const names[] = {"pending",   "running", "waiting", "paused",
                                        "completed", "partial", "failed",  "cancelled"};
    return names[s];
}

const char *step_status_name(enum step_status s) {
    static const char *const names[] = {"pending",   "running", "waiting", "retrying",
                                        "completed", "failed",  "skipped", "cancelled"};
    return names[s];
}

/* Order of the same array by priority, then file: counting from a stable sort of indexes. */
static int by_priority(const void *a, const void *b, void *ctx) {
    const struct plan *p = ctx;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    int32_t px = p->nodes[x].priority, py = p->nodes[y].priority;
    if (px != py) {
        return px > py ? -1 : 1;
    }
    return x < y ? -1 : x > y;
}

static void rank_nodes(struct engine *g) {
    const struct plan *p = g->plan;
    bool plain = true;
    for (uint32_t i = 0; i < p->node_count; i++) {
        g->by_rank[i] = i;
        plain = plain && p->nodes[i].priority == p->nodes[0].priority;
    }
    if (!plain) {
        qsort_r(g->by_rank, p->node_count, sizeof *g->by_rank, by_priority, (void *)(uintptr_t)p);
    }
    for (uint32_t i = 0; i < p->node_count; i++) {
        g->order[g->by_rank[i]] = i;
    }
}

enum err engine_take_plan(struct engine *g, const struct plan *p, struct error *e) {
    struct arena *a = &g->arena;
    uint32_t n = p->node_count + 1;
    struct node_state *nodes = ARENA_ARRAY(a, n, struct node_state);
    struct loop_state *loops = ARENA_ARRAY(a, p->loop_count + 1, struct loop_state);
    struct var_state *vars = ARENA_ARRAY(a, p->var_count + 1, struct var_state);
    uint32_t *order = ARENA_ARRAY(a, n, uint32_t), *by_rank = ARENA_ARRAY(a, n, uint32_t);
    uint8_t *raw = ARENA_ARRAY(a, p->edge_count + 1, uint8_t);
    uint8_t *effective = ARENA_ARRAY(a, p->edge_count + 1, uint8_t);
    if (!nodes || !loops || !vars || !order || !by_rank || !raw || !effective) {
        return error_nomem(e);
    }
    g->plan = p;
    g->has_budget = budget_any(&p->budget) || budget_any(&g->budget_given);
    g->nodes = nodes;
    g->loops = loops;
    g->vars = vars;
    g->order = order;
    g->by_rank = by_rank;
    g->raw = raw;
    g->effective = effective;
    rank_nodes(g);
    return OK;
}

enum { FIRST_BYTES = 2048 }; /* a few nodes fit; there may be many thousands */

enum err engine_new(const struct plan *p, struct engine **out, struct error *e) {
    struct engine *g = calloc(1, sizeof *g);
    if (!g) {
        return error_nomem(e);
    }
    g->plan = p;
    arena_init_small(&g->arena, FIRST_BYTES);
    arena_init(&g->scratch, 0);
    enum err err = engine_take_plan(g, p, e);
    g->by_status[STEP_PENDING] = p->node_count;
    err = err ? err : edges_init(g, e);
    if (err) {
        engine_free(g);
        return err;
    }
    *out = g;
    return OK;
}

void node_state_clear(struct node_state *n) {
    held_clear(&n->body);
    held_clear(&n->previous);
    flight_unref(n->flight);
    foreach_free(n->each);
    node_more_clear(n);
    subject_free(node_more(n)->subject);
}

const struct node_more node_more_none;

struct node_more *node_more_make(struct engine *g, struct node_state *n) {
    n->more = n->more ? n->more : ARENA_NEW(&g->arena, struct node_more);
    return n->more;
}

void node_more_clear(struct node_state *n) {
    if (n->more) {
        held_clear(&n->more->error);
        held_clear(&n->more->meta);
        held_clear(&n->more->approval);
    }
}

void engine_free(struct engine *g) {
    if (!g) {
        return;
    }
    for (uint32_t i = 0; g->nodes && i < g->plan->node_count; i++) {
        node_state_clear(&g->nodes[i]);
    }
    held_clear(&g->inputs);
    held_clear(&g->env);
    held_clear(&g->result);
    held_clear(&g->prepared);
    vars_free(g);
    signals_free(g);
    undo_free(g);
    answers_free(g);
    heap_fini(&g->now_dirty);
    heap_fini(&g->next_dirty);
    heap_fini(&g->limits);
    heap_fini(&g->rearm);
    heap_fini(&g->ready);
    heap_fini(&g->slotted);
    free(g->gone);
    track_free(g);
    arena_fini(&g->scratch);
    arena_fini(&g->arena);
    free(g->marks);
    free(g->points);
    free(g->rollbacks);
    free(g->index);
    free(g);
}

void engine_fetch(const struct engine *g) { fetch_ahead(g, offsetof(struct engine, epoch)); }

/* The node after it in the file is often the next one. */
void engine_fetch_step(const struct engine *g, struct step_id step) {
    if (step.node < g->plan->node_count && g->track) {
        fetch_ahead(&g->nodes[step.node], 2 * sizeof *g->nodes);
        fetch_ahead(&g->track[g->track_count], sizeof *g->track);
    }
}

/* Waiting: nothing runs or retries, and at least one step waits for something outside. */
enum exec_status engine_status(const struct engine *g) {
    if (exec_status_final(g->status) || g->status == EXEC_PENDING) {
        return g->status;
    }
    uint32_t nodes = g->by_status[STEP_RUNNING] + g->by_status[STEP_RETRYING] - g->idle_running;
    bool waits = g->waiting_steps > 0 && nodes + g->items_running == 0;
    return g->paused ? EXEC_PAUSED : waits ? EXEC_WAITING : EXEC_RUNNING;
}

bool engine_runs(const struct engine *g, struct step_id step, uint32_t attempt) {
    if (step.node >= g->plan->node_count || !step_current(g, step)) {
        return false;
    }
    const struct node_state *n = &g->nodes[step.node];
    const struct item_state *item = engine_item_of(g, step);
    if (step.index >= 0 && !item) {
        return false;
    }
    uint8_t status = item ? item->status : n->status;
    bool itself = item || !n->aided;
    return status == STEP_RUNNING && itself && (item ? item->attempt : n->attempt) == attempt;
}

bool engine_cancel_asked(const struct engine *g) { return g->cancel_asked; }

const struct plan *engine_plan(const struct engine *g) { return g->plan; }

uint64_t engine_last_seq(const struct engine *g) { return g->seq; }

uint64_t engine_epoch(const struct engine *g) { return g->epoch; }

struct str engine_paused_why(const struct engine *g) {
    return g->paused ? g->paused_why : STR("");
}

struct str engine_folder(const struct engine *g) {
    return g->folder;
}

struct value engine_inputs(const struct engine *g) {
    return g->inputs.v;
}

struct value engine_env(const struct engine *g) {
    return g->env.v;
}

struct value engine_result(const struct engine *g) {
    return g->result.v;
}

const struct engine_error *engine_error(const struct engine *g) {
    return g->has_error ? &g->error : NULL;
}

struct engine_times engine_times(const struct engine *g) {
    return (struct engine_times){.created = g->created,
                                 .started = g->started,
                                 .last = g->now,
                                 .ended = g->ended,
                                 .deadline = engine_deadline(g)};
}

struct engine_counts engine_counts(const struct engine *g) {
    const uint32_t *n = g->by_status;
    return (struct engine_counts){.total = g->plan->node_count - g->uncalled,
                                  .completed = n[STEP_COMPLETED],
                                  .failed = n[STEP_FAILED],
                                  .skipped = n[STEP_SKIPPED] - g->uncalled,
                                  .cancelled = n[STEP_CANCELLED],
                                  .waiting = n[STEP_WAITING],
                                  .running = n[STEP_RUNNING] + n[STEP_RETRYING]};
}

struct engine_items engine_items(const struct engine *g, uint32_t node) {
    const struct node_state *n = &g->nodes[node];
    bool under_way = n->each && !n->aided && !step_status_final(n->status);
    return under_way ? (struct engine_items){n->each->count, n->each->unfinished, n->each->running}
                     : (struct engine_items){0};
}

enum step_status engine_node_status(const struct engine *g, uint32_t node) {
    return (enum step_status)g->nodes[node].status;
}

bool engine_is_called(const struct engine *g, uint32_t node) { return g->nodes[node].called; }

struct step_id engine_node_step(const struct engine *g, uint32_t node) {
    return (struct step_id){node, g->nodes[node].iteration, -1, g->nodes[node].generation};
}

struct value engine_node_body(const struct engine *g, uint32_t node) {
    return g->nodes[node].body.v;
}

/* ---- digest ---- */

static void digest_number(struct buf *b, uint64_t n) {
    buf_append(b, (struct str){(const char *)&n, sizeof n});
}

static void digest_item(struct buf *b, const struct item_state *item) {
    digest_number(b, item->status);
    digest_number(b, (uint64_t)item->entry << 8 | item->suspended);
    digest_number(b, item->attempt);
    digest_number(b, item->failures);
    digest_number(b, item->unanswered);
    digest_number(b, item->calls_from);
    digest_number(b, item->undone);
    digest_number(b, item->status == STEP_WAITING ? (uint64_t)item->due_us : 0);
    value_encode(item->body.v, b);
    value_encode(item->error.v, b);
}

static void digest_node(struct buf *b, const struct node_state *n) {
    const uint64_t numbers[] = {
        n->status,          n->why,        n->armed,
        n->ready,           n->guarded,    n->iteration,
        n->attempt,         n->generation, n->failures,
        n->open_in,         n->taken_in,   n->track,
        n->each != NULL,    n->calls_from, n->status == STEP_WAITING ? (uint64_t)n->due_us : 0,
        n->suspended,       n->entry,      n->aided,
        n->called,          n->undone,     n->floor,
        n->floor_iteration, n->fresh,      n->unanswered};
    buf_append(b, (struct str){(const char *)numbers, sizeof numbers});
    value_encode(n->body.v, b);
    value_encode(n->previous.v, b);
    value_encode(node_more(n)->error.v, b);
    value_encode(node_more(n)->approval.v, b);
    for (uint32_t i = 0; n->each && i < n->each->count; i++) {
        digest_item(b, &n->each->items[i]);
    }
    const struct subject *subject = node_more(n)->subject;
    if (subject) {
        digest_number(b, subject->step.node);
        digest_number(b, subject->step.iteration);
        value_encode(subject->body.v, b);
        value_encode(subject->error.v, b);
        value_encode(subject->inputs.v, b);
    }
    if (n->each) {
        digest_number(b, n->each->next);
        digest_number(b, n->each->running);
        digest_number(b, n->each->unfinished);
        digest_number(b, n->each->failed);
    }
}

static void digest_loop(struct buf *b, const struct loop_state *l) {
    const uint64_t numbers[] = {l->count,       l->live_backs, l->pending,
                                l->taken_backs, l->over,       l->hit};
    buf_append(b, (struct str){(const char *)numbers, sizeof numbers});
}

/* What another workflow or other inputs would have changed. */
static void digest_changes(struct buf *b, const struct engine *g) {
    buf_append_cstr(b, g->plan->hash);
    buf_append(b, g->folder);
    digest_number(b, (uint64_t)g->timeout_us);
    value_encode(g->inputs.v, b);
    value_encode(g->env.v, b);
    for (uint32_t i = 0; i < g->gone_count; i++) {
        buf_append(b, g->gone[i].name);
        digest_number(b, g->gone[i].undone);
        digest_number(b, g->gone[i].iteration);
        digest_number(b, g->gone[i].generation);
    }
}

/* What a rollback could go back to. */
static void digest_targets(struct buf *b, const struct engine *g) {
    for (uint32_t i = 0; i < g->point_count; i++) {
        digest_number(b, g->points[i].seq);
        digest_number(b, g->points[i].undone);
        buf_append(b, g->points[i].name);
    }
    for (uint32_t i = 0; i < g->track_count; i++) {
        digest_number(b, past_before(g, &g->track[i].t));
        digest_number(b, g->track[i].t.undone);
    }
}

enum err engine_digest(struct engine *g, uint64_t *out, struct error *e) {
    enum err err = engine_settle_quietly(g, e);
    if (err) {
        return err;
    }
    struct buf b;
    buf_init(&b, 0);
    const uint64_t numbers[] = {g->status,        g->mode,          g->cancelling,
                                g->has_error,     g->seq,           (uint64_t)g->now.us,
                                g->held_slots,    g->unfinished,    g->active,
                                g->end_count,     g->paused,        (uint64_t)g->paused_us,
                                g->waiting_steps, g->items_running, g->idle_running,
                                g->phase,         g->finally_begun, g->uncalled,
                                g->cancel_asked,  g->undo_asked,    g->undo_after,
                                g->undo_from,     g->back.resume,   g->back.recovery,
                                g->changed_seq,   g->ending,        g->unsettled};
    buf_append(&b, (struct str){(const char *)numbers, sizeof numbers});
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        digest_node(&b, &g->nodes[i]);
    }
    for (uint32_t i = 0; i < g->plan->loop_count; i++) {
        digest_loop(&b, &g->loops[i]);
    }
    buf_append(&b, (struct str){(const char *)g->raw, g->plan->edge_count});
    buf_append(&b, (struct str){(const char *)g->effective, g->plan->edge_count});
    for (uint32_t i = 0; i < g->plan->var_count; i++) {
        value_encode(g->vars[i].held.v, &b);
        digest_number(&b, g->vars[i].size_bytes);
        digest_number(&b, g->vars[i].is_set);
    }
    digest_changes(&b, g);
    for (uint32_t i = 0; i < g->signal_count; i++) {
        digest_number(&b, g->signals[i].taken);
        buf_append(&b, g->signals[i].name);
    }
    answer_digest_kept(g, &b);
    buf_append(&b, (struct str){(const char *)g->marks, g->seq});
    digest_targets(&b, g);
    rollback_digest_counts(g, &b);
    account_digest(g, &b);
    buf_append(&b, g->error.type);
    value_encode(g->result.v, &b);
    value_encode(g->prepared.v, &b);
    undo_digest(g, &b);
    err = buf_ok(&b) ? OK : error_nomem(e);
    *out = hash_bytes(buf_str(&b), 0);
    buf_fini(&b);
    return err;
}
