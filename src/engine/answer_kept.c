/* Answers that come before their step waits: kept, and taken when that very step begins to wait.
 * Only then is known what it asks: an answer that does not fit is dropped with the reason, and the
 * step waits as if it had never come. So are all when the workflow changes, before it does.
 *
 * Invariant: a kept answer belongs to one step id and is taken by it or by none, so it never
 * answers a later iteration or generation.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

enum { KEPT_MOST = 10000 };

static struct kept_slot *find_kept(const struct engine *g, struct step_id step) {
    for (uint32_t i = 0; i < g->kept_count; i++) {
        bool same = step_id_same(g->kept[i].k.step, step) ||
                    (MUTANT(answer_a_later_step) && g->kept[i].k.step.node == step.node);
        if (g->kept[i].k.state == KEPT_OPEN && same) {
            return &g->kept[i];
        }
    }
    return NULL;
}

/* ---- which steps are yet to wait ---- */

static bool loop_goes_on(const struct engine *g, const struct plan_node *p) {
    for (uint32_t i = 0; i < p->loop_count; i++) {
        if (!g->loops[p->loops[i]].over) {
            return true;
        }
    }
    return false;
}

static bool item_is_to_come(const struct engine *g, struct step_id s) {
    const struct plan_foreach *f = &g->plan->nodes[s.node].foreach;
    const struct node_state *n = &g->nodes[s.node];
    if (f->present != (s.index >= 0)) {
        return false;
    }
    if (s.iteration > n->iteration || !n->each) {
        return s.index < (int64_t)f->max_items || s.index < 0;
    }
    const struct item_state *item = engine_item_of(g, s);
    return item && item->status == STEP_PENDING;
}

/* Of the node's steps in an iteration that is or comes. */
static uint32_t generation_to_come(const struct node_state *n, uint32_t iteration) {
    return iteration == n->iteration ? n->generation : generation_floor(n, iteration);
}

bool answer_may_be_kept(const struct engine *g, struct step_id s) {
    const struct plan_node *p = &g->plan->nodes[s.node];
    const struct node_state *n = &g->nodes[s.node];
    bool known = (p->kind->flags & KIND_ASKS) &&
                 s.generation == generation_to_come(n, s.iteration) &&
                 s.iteration >= n->iteration && g->mode == MODE_RUN;
    if (!known || !item_is_to_come(g, s)) {
        return false;
    }
    return s.iteration > n->iteration ? loop_goes_on(g, p)
                                      : n->status == STEP_PENDING || s.index >= 0;
}

/* ---- keeping and taking ---- */

enum err answer_keep(struct engine *g, const struct engine_input *in, struct step_id step,
                     struct error *e) {
    char id[STEP_ID_BYTES], text[STEP_ID_BYTES + 400];
    struct str name = step_id_print(g->plan, step, id);
    const struct kept_slot *known = find_kept(g, step);
    uint32_t open = 0;
    if (g->plan->nodes[step.node].approves >= 0) {
        snprintf(text, sizeof text,
                 "step %.*s does not wait yet; what it approves it shows when it does, and an "
                 "answer before that approves nothing",
                 STR_ARG(name));
        return engine_verdict(g, in, text, e);
    }
    for (uint32_t i = 0; i < g->kept_count; i++) {
        open += g->kept[i].k.state == KEPT_OPEN;
    }
    if (known) {
        snprintf(text, sizeof text,
                 "an answer to step %.*s, which does not wait yet, is kept already, from %.*s",
                 STR_ARG(name), STR_ARG(str_sub(known->k.by, 0, 200)));
        return engine_verdict(g, in, text, e);
    }
    if (open >= KEPT_MOST) {
        return engine_verdict(g, in, "10000 answers are kept for steps that do not wait yet", e);
    }
    struct event ev = event_of_step(EVENT_ANSWER_KEPT, step);
    ev.reason = in->by;
    ev.body = in->value;
    snprintf(text, sizeof text, "kept, taken when step %.*s begins to wait", STR_ARG(name));
    enum err err = engine_verdict_accept(g, in, text, e);
    return err ? err : engine_emit(g, &ev, e);
}

enum err answer_take_kept(struct engine *g, struct step_id step, uint32_t attempt, struct flight *f,
                          bool *out_taken, struct error *e) {
    const struct kept_slot *s = find_kept(g, step);
    struct step_result result = {.arena = flight_arena(f)};
    struct error why;
    *out_taken = false;
    if (!s) {
        return OK;
    }
    struct step_wake wake = {
        .answered = true, .answer = s->payload.v, .by = s->k.by, .kept = (int64_t)s->k.seq};
    enum err err =
        flight_made(f, g->plan->nodes[step.node].kind->woken(flight_in(f), &wake, &result, &why));
    if (err == ERR_NOMEM) {
        return error_nomem(e);
    }
    if (err) {
        struct event ev = event_of_step(EVENT_ANSWER_DROPPED, step);
        ev.reason = s->k.by;
        ev.message = str_from(why.message);
        return engine_emit(g, &ev, e);
    }
    *out_taken = true;
    struct flight *held = flight_ref(f);
    err = engine_complete_step(g, step, attempt, &result, (wall_us){0}, e);
    flight_unref(held);
    return err;
}

enum err answer_drop_all(struct engine *g, struct error *e) {
    enum err err = OK;
    for (uint32_t i = 0; i < g->kept_count && !err; i++) {
        struct event ev = event_of_step(EVENT_ANSWER_DROPPED, g->kept[i].k.step);
        ev.reason = g->kept[i].k.by;
        ev.message = STR("the workflow or its inputs were changed before the step began to wait");
        err = g->kept[i].k.state == KEPT_OPEN ? engine_emit(g, &ev, e) : OK;
    }
    return err;
}

/* ---- the fold ---- */

enum err answer_apply_kept(struct engine *g, const struct event *ev, struct error *e) {
    if (g->kept_count == g->kept_cap) {
        uint32_t cap = g->kept_cap ? g->kept_cap * 2 : 8;
        struct kept_slot *more = realloc(g->kept, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        g->kept = more;
        g->kept_cap = cap;
    }
    struct kept_slot *s = &g->kept[g->kept_count];
    *s = (struct kept_slot){.k = {.step = ev->step,
                                  .plan = g->plan,
                                  .by = STR(""),
                                  .why = STR(""),
                                  .at = ev->at,
                                  .seq = ev->seq}};
    if (ev->reason.len) {
        s->k.by = arena_str(&g->arena, ev->reason);
    }
    if (!s->k.by.ptr || held_set(&s->payload, ev->body, e)) {
        return error_nomem(e);
    }
    g->kept_count++;
    return OK;
}

static void close_kept(struct kept_slot *s, enum kept_state state) {
    s->k.state = state;
    held_clear(&s->payload);
    s->payload.v = value_null();
}

enum err answer_apply_dropped(struct engine *g, const struct event *ev, struct error *e) {
    struct kept_slot *s = find_kept(g, ev->step);
    if (!s) {
        return error_set(e, ERR_CORRUPT, "event %llu drops an answer that was not kept",
                         (unsigned long long)ev->seq);
    }
    close_kept(s, KEPT_DROPPED);
    s->k.why = ev->message.len ? arena_str(&g->arena, ev->message) : STR("");
    return s->k.why.ptr ? OK : error_nomem(e);
}

void answer_note_end(struct engine *g, struct step_id step, bool asked) {
    struct kept_slot *s = g->kept_count ? find_kept(g, step) : NULL;
    if (s) {
        close_kept(s, asked ? KEPT_TAKEN : KEPT_DROPPED);
    }
}

void answer_end_generation(struct engine *g, uint32_t node) {
    const struct node_state *n = &g->nodes[node];
    for (uint32_t i = 0; i < g->kept_count; i++) {
        struct kept_slot *s = &g->kept[i];
        bool gone = s->k.step.iteration >= n->iteration &&
                    s->k.step.generation < generation_to_come(n, s->k.step.iteration);
        if (s->k.step.node == node && s->k.state == KEPT_OPEN && gone) {
            close_kept(s, KEPT_DROPPED);
        }
    }
}

void answer_end_all(struct engine *g) {
    for (uint32_t i = 0; i < g->kept_count; i++) {
        if (g->kept[i].k.state == KEPT_OPEN) {
            close_kept(&g->kept[i], KEPT_DROPPED);
        }
    }
}

uint32_t engine_kept_count(const struct engine *g) { return g->kept_count; }

const struct kept_answer *engine_kept_answer(const struct engine *g, uint32_t i) {
    ASSERT(i < g->kept_count);
    return &g->kept[i].k;
}

void answer_digest_kept(const struct engine *g, struct buf *b) {
    for (uint32_t i = 0; i < g->kept_count; i++) {
        const uint64_t numbers[] = {g->kept[i].k.state, g->kept[i].k.seq};
        buf_append(b, (struct str){(const char *)numbers, sizeof numbers});
        value_encode(g->kept[i].payload.v, b);
    }
}

void answers_free(struct engine *g) {
    for (uint32_t i = 0; i < g->kept_count; i++) {
        held_clear(&g->kept[i].payload);
    }
    free(g->kept);
}
