/* Undoing: every step that completed and has a compensate node is undone by a run of that node, the
 * last completed first, one at a time. Begun when all nodes are final, by `recover: compensate` or
 * by who goes back to an earlier event.
 *
 * Invariant: a step is undone at most once: what a run of its compensate node completed (or was
 * allowed to fail) is never called for it again. A run that failed for good pauses the execution;
 * when it goes on, the same step is tried again by the next run. One that was stopped after it had
 * begun, or failed in doubt or in part, may have undone its step: that is still to be undone, and
 * yet no retry relies on it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

/* Step and inputs as text and bytes: they are kept for long, and rarely looked at. */
struct undo_slot {
    char *step, *inputs;
    size_t step_len, inputs_len;
    uint64_t seq;              /* of its completion */
    uint64_t done_seq;         /* UNDO_DONE: of the end of the run that undid it */
    struct step_id run;        /* the last that was called for it, of ... */
    const struct plan *run_of; /* ... this plan; NULL: none was */
    enum undo_state state;
    struct held body;
};

static struct str step_of(const struct undo_slot *s) { return (struct str){s->step, s->step_len}; }

static bool parsed(const struct engine *g, const struct undo_slot *s, struct step_id *out) {
    return step_id_parse(g->plan, step_of(s), out) &&
           g->plan->nodes[out->node].aux[ROLE_COMPENSATE] >= 0;
}

/* From the one that was called last: steps are undone from the end. */
static struct undo_slot *find(const struct engine *g, struct str step) {
    for (uint32_t i = g->undo_from; i > 0; i--) {
        if (str_eq(step_of(&g->undo[i - 1]), step)) {
            return &g->undo[i - 1];
        }
    }
    return NULL;
}

/* The next to be undone, or NULL. */
static const struct undo_slot *next_slot(const struct engine *g, uint64_t after, uint32_t from) {
    struct step_id step;
    for (uint32_t i = from; i > 0; i--) {
        const struct undo_slot *s = &g->undo[i - 1];
        if (s->state == UNDO_OPEN && s->seq > after && parsed(g, s, &step)) {
            return s;
        }
    }
    return NULL;
}

bool undo_is_left(const struct engine *g, uint64_t after) {
    return next_slot(g, after, g->undo_count) != NULL;
}

/* ---- deciding ---- */

/* Everything is stopped, what completed after the target is undone, then the rollback follows. */
enum err undo_before_rollback(struct engine *g, const struct event *back, struct error *e) {
    struct event ev = {.kind = EVENT_UNDO_BEGUN,
                       .after = back->to,
                       .reason = back->reason,
                       .resume = back->resume,
                       .node = back->node,
                       .recovery = back->recovery};
    struct event owned = {
        .kind = EVENT_EXECUTION_STARTED, .host = back->host, .epoch = back->epoch};
    enum err err = exec_status_final(g->status) ? OK : engine_wind_down(g, true, e);
    err = err ? err : engine_emit(g, &ev, e);
    return err || !back->epoch ? err : engine_emit(g, &owned, e);
}

static enum err go_back(struct engine *g, struct error *e) {
    struct event ev = {.kind = EVENT_EXECUTION_ROLLED_BACK,
                       .to = g->undo_after,
                       .reason = g->back.by,
                       .resume = g->back.resume,
                       .node = g->back.node,
                       .recovery = g->back.recovery};
    return engine_emit(g, &ev, e);
}

static enum err call(struct engine *g, const struct undo_slot *s, struct error *e) {
    struct step_id step = {0};
    char text[STEP_ID_BYTES];
    bool known = parsed(g, s, &step);
    ASSERT(known);
    struct event ev = event_of_step(EVENT_STEP_AIDED, step);
    struct step_id run = aux_next_run(g, (uint32_t)g->plan->nodes[step.node].aux[ROLE_COMPENSATE]);
    ev.aux = step_id_print(g->plan, run, text);
    ev.role = ROLE_COMPENSATE;
    return engine_emit(g, &ev, e);
}

enum err undo_next(struct engine *g, enum ending *out, struct error *e) {
    bool begins = g->phase == PHASE_MAIN && g->undo_asked;
    uint64_t after = begins ? 0 : g->undo_after;
    uint32_t from = begins ? g->undo_count : g->phase == PHASE_UNDO ? g->undo_from : 0;
    const struct undo_slot *s = next_slot(g, after, from);
    bool stopped = g->phase == PHASE_UNDO && g->mode == MODE_STOPPED; /* somebody cancelled */
    *out = ENDING_NONE;
    if (!s && !stopped && g->phase == PHASE_UNDO && g->undo_after) {
        *out = ENDING_CALLED;
        return go_back(g, e);
    }
    if (!s || stopped) {
        return OK;
    }
    *out = g->paused ? ENDING_HELD : ENDING_CALLED;
    if (g->paused) {
        return OK;
    }
    struct event begun = {.kind = EVENT_UNDO_BEGUN, .reason = STR("recover")};
    enum err err = begins ? engine_emit(g, &begun, e) : OK;
    return err ? err : call(g, s, e);
}

/* It failed for good: somebody must look at it, and say when to try again. */
enum err undo_failed(struct engine *g, uint32_t node, struct error *e) {
    const struct node_state *n = &g->nodes[node];
    const struct value *message = value_get(node_more(n)->error.v, STR("message"));
    struct str why = message ? value_str(*message) : STR("");
    char text[ERROR_MESSAGE_BYTES];
    if (n->status != STEP_FAILED || n->why == WHY_CONTINUED || g->paused || g->mode != MODE_RUN) {
        return OK;
    }
    int len =
        snprintf(text, sizeof text, "%.*s cannot be undone: %.*s failed: %.*s",
                 STR_ARG(node_more(n)->subject->id),
                 STR_ARG(str_sub(g->plan->nodes[node].name, 0, 60)), STR_ARG(str_sub(why, 0, 600)));
    struct event ev = {
        .kind = EVENT_EXECUTION_PAUSED, .reason = STR("cairn"), .message = {text, (size_t)len}};
    return engine_emit(g, &ev, e);
}

/* ---- the fold ---- */

static struct undo_slot *new_slot(struct engine *g) {
    if (g->undo_count == g->undo_cap) {
        uint32_t cap = g->undo_cap ? g->undo_cap * 2 : 16;
        struct undo_slot *more = realloc(g->undo, cap * sizeof *more);
        if (!more) {
            return NULL;
        }
        g->undo = more;
        g->undo_cap = cap;
    }
    g->undo[g->undo_count] = (struct undo_slot){0};
    return &g->undo[g->undo_count++];
}

static bool keep_bytes(struct str from, char **out, size_t *out_len) {
    *out = malloc(from.len ? from.len : 1);
    if (*out && from.len) {
        memcpy(*out, from.ptr, from.len);
    }
    *out_len = from.len;
    return *out != NULL;
}

static enum err keep_inputs(struct undo_slot *s, const struct flight *f, struct error *e) {
    struct held given = {0};
    struct buf bytes;
    buf_init(&bytes, 0);
    enum err err = f ? flight_given(f, &given, e) : OK;
    if (!err) {
        value_encode(given.v, &bytes);
        bool ok = buf_ok(&bytes) && keep_bytes(buf_str(&bytes), &s->inputs, &s->inputs_len);
        err = ok ? OK : error_nomem(e);
    }
    held_clear(&given);
    buf_fini(&bytes);
    return err;
}

enum err undo_note(struct engine *g, const struct event *ev, const struct held *body,
                   struct error *e) {
    const struct node_state *n = &g->nodes[ev->step.node];
    const struct item_state *item = engine_item_of(g, ev->step);
    bool used_again = value_get(ev->meta, STR("cached")) != NULL; /* it did nothing this time */
    bool itself = !ev->error_type.len && !n->aided && (item || !n->each) && !used_again;
    char text[STEP_ID_BYTES];
    if (g->plan->nodes[ev->step.node].aux[ROLE_COMPENSATE] < 0 || !itself) {
        return OK;
    }
    struct undo_slot *s = new_slot(g);
    if (!s || !keep_bytes(step_id_print(g->plan, ev->step, text), &s->step, &s->step_len)) {
        return error_nomem(e);
    }
    s->seq = ev->seq;
    s->body = held_share(body);
    return keep_inputs(s, item ? item->flight : n->flight, e);
}

/* A rollback is what was asked for last: a pause of before ends with it. */
static enum err keep_how(struct engine *g, const struct event *ev, struct error *e) {
    g->back = (struct going_back){.by = arena_str(&g->arena, ev->reason),
                                  .node = arena_str(&g->arena, ev->node),
                                  .recovery = ev->recovery,
                                  .resume = ev->resume};
    g->finally_begun = 0;
    if (g->paused) {
        g->paused = false;
        bool begun = g->paused_at.us > g->started.us;
        g->paused_us += ev->at.us - (begun ? g->paused_at.us : g->started.us);
    }
    return g->arena.starved ? error_nomem(e) : OK;
}

enum err undo_apply(struct engine *g, const struct event *ev, struct error *e) {
    if (g->unfinished || g->status == EXEC_PENDING) {
        return error_set(e, ERR_CORRUPT, "event %llu undoes while something is under way",
                         (unsigned long long)ev->seq);
    }
    if (exec_status_final(g->status)) {
        g->status = EXEC_RUNNING;
        g->ended = (wall_us){0};
    }
    g->phase = PHASE_UNDO;
    g->mode = MODE_RUN;
    g->undo_asked = false;
    g->undo_after = ev->after;
    g->undo_seq = ev->seq;
    g->undo_from = g->undo_count;
    edges_forget_work(g);
    return ev->after ? keep_how(g, ev, e) : OK;
}

static enum err make_subject(struct engine *g, const struct undo_slot *s, struct step_id step,
                             struct subject *out, struct error *e) {
    struct arena a;
    struct value given;
    arena_init(&a, 0);
    out->step = step;
    out->id = arena_str(&g->arena, step_of(s));
    out->body = held_share(&s->body);
    struct str bytes = {s->inputs, s->inputs_len};
    enum err err = value_decode(&a, bytes, &given, e);
    err = err ? err : held_set(&out->inputs, given, e);
    arena_fini(&a);
    return err || out->id.ptr ? err : error_nomem(e);
}

/* The compensate node is called for a step. */
enum err undo_call_apply(struct engine *g, const struct event *ev, struct step_id run,
                         struct error *e) {
    char text[STEP_ID_BYTES];
    struct undo_slot *s = find(g, step_id_print(g->plan, ev->step, text));
    struct subject *about = calloc(1, sizeof *about);
    if (!about) {
        return error_nomem(e);
    }
    enum err err = s && s->state == UNDO_OPEN && g->phase == PHASE_UNDO
                       ? make_subject(g, s, ev->step, about, e)
                       : error_set(e, ERR_CORRUPT, "event %llu undoes what is not to be undone",
                                   (unsigned long long)ev->seq);
    if (err) {
        subject_free(about);
        return err;
    }
    s->state = UNDO_RUNS;
    s->run = run;
    s->run_of = g->plan;
    g->undo_from = (uint32_t)(s - g->undo) + 1;
    return aux_begin(g, run, about, e);
}

/* Whether a run has done anything is not known when it was stopped after it had begun, or lost; nor
 * how much, when some of its items are done. */
static bool is_in_doubt(const struct node_state *n) {
    bool lost = str_is(engine_text_in(node_more(n)->error.v, "type"), "in_doubt");
    bool doubt = n->status == STEP_CANCELLED ? n->attempt > 0 : lost;
    for (uint32_t i = 0; n->each && i < n->each->count && !doubt; i++) {
        const struct item_state *item = &n->each->items[i];
        doubt = item->attempt > 0 && item->status != STEP_FAILED;
    }
    return doubt;
}

/* A run of a compensate node has ended. */
void undo_ended(struct engine *g, uint32_t node) {
    const struct node_state *n = &g->nodes[node];
    const struct subject *subject = node_more(n)->subject;
    struct undo_slot *s = subject ? find(g, subject->id) : NULL;
    if (!s || s->state != UNDO_RUNS) {
        return;
    }
    bool done = n->status == STEP_COMPLETED || n->status == STEP_SKIPPED ||
                (n->status == STEP_FAILED && n->why == WHY_CONTINUED);
    done = done && !(MUTANT(undo_again) && !g->out); /* of a fold */
    bool maybe = done || is_in_doubt(n);
    struct step_id step = subject->step;
    struct item_state *item = engine_item_of(g, step);
    s->state = done ? UNDO_DONE : UNDO_OPEN;
    s->done_seq = done ? g->seq : 0;
    g->nodes[step.node].undone = g->nodes[step.node].undone || maybe;
    if (item && step_current(g, step)) {
        item->undone = item->undone || maybe;
    }
}

/* ---- looking ---- */

uint32_t engine_undoable_count(const struct engine *g) { return g->undo_count; }

static bool may_be_undone(const struct engine *g, const struct undo_slot *s) {
    struct step_id step;
    if (s->state != UNDO_OPEN || !parsed(g, s, &step)) {
        return false;
    }
    const struct item_state *item = step_current(g, step) ? engine_item_of(g, step) : NULL;
    return item ? item->undone : g->nodes[step.node].undone;
}

struct undoable engine_undoable(const struct engine *g, uint32_t i) {
    ASSERT(i < g->undo_count);
    const struct undo_slot *s = &g->undo[i];
    return (struct undoable){.step = step_of(s),
                             .completed = s->seq,
                             .undone = s->done_seq,
                             .state = s->state,
                             .in_doubt = may_be_undone(g, s),
                             .run = s->run,
                             .run_of = s->run_of};
}

struct undoing engine_undoing(const struct engine *g) {
    bool back = g->undo_seq && g->undo_after;
    return (struct undoing){.begun = g->undo_seq,
                            .after = g->undo_seq ? g->undo_after : 0,
                            .by = back ? g->back.by : STR("")};
}

void undo_digest(const struct engine *g, struct buf *b) {
    buf_append(b, g->back.by);
    buf_append(b, g->back.node);
    for (uint32_t i = 0; i < g->undo_count; i++) {
        const struct undo_slot *s = &g->undo[i];
        const uint64_t numbers[] = {s->seq, s->state, s->inputs_len};
        buf_append(b, (struct str){(const char *)numbers, sizeof numbers});
        buf_append(b, step_of(s));
        buf_append(b, (struct str){s->inputs, s->inputs_len});
        value_encode(s->body.v, b);
    }
}

void undo_free(struct engine *g) {
    for (uint32_t i = 0; i < g->undo_count; i++) {
        free(g->undo[i].step);
        free(g->undo[i].inputs);
        held_clear(&g->undo[i].body);
    }
    free(g->undo);
}
