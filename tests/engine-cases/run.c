/* One case on the real engine. Time is counted in ticks: what is under way stands in a heap by the
 * tick of its end, then by the order of first starts. Completions of a tick come before a cancel.
 *
 * After every decision (of long runs: at random ones) the journal is folded into a new engine whose
 * digest must be the same; at random the run goes on with that one instead, so a fold that only
 * looks the same is found too.
 */
#include "cases.h"

#include <stdlib.h>

#define FIRST_US 1000000000000000 /* tick 0 */
#define ALWAYS_FOLDED 60          /* decisions of a case after which every fold is checked */
#define LOG_LIMIT 2000000

struct pending {
    int64_t tick;
    uint32_t order; /* of the first start of the step */
    bool pure;
    struct step_id step;
    uint32_t attempt;
};

void case_run_init(struct case_run *r, const struct plan *p, struct value script, uint64_t seed) {
    *r = (struct case_run){.plan = p, .script = script, .random = seed};
    engine_out_init(&r->out);
    journal_init(&r->journal);
}

void case_run_fini(struct case_run *r) {
    engine_free(r->engine);
    engine_out_fini(&r->out);
    journal_fini(&r->journal);
    free(r->heap);
    free(r->log);
}

static uint32_t draw(struct case_run *r, uint32_t below) {
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->random >> 33) % below;
}

/* ---- the heap of what is under way ---- */

static bool earlier(const struct pending *a, const struct pending *b) {
    return a->tick != b->tick ? a->tick < b->tick : a->order < b->order;
}

static enum err push(struct case_run *r, struct pending x, struct error *e) {
    if (r->heap_count == r->heap_cap) {
        uint32_t cap = r->heap_cap ? r->heap_cap * 2 : 32;
        struct pending *more = realloc(r->heap, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        r->heap = more;
        r->heap_cap = cap;
    }
    uint32_t at = r->heap_count++;
    while (at > 0 && earlier(&x, &r->heap[(at - 1) / 2])) {
        r->heap[at] = r->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    r->heap[at] = x;
    return OK;
}

static struct pending pop(struct case_run *r) {
    struct pending top = r->heap[0];
    struct pending last = r->heap[--r->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child + 1 < r->heap_count && earlier(&r->heap[child + 1], &r->heap[child])) {
            child++;
        }
        if (child >= r->heap_count || !earlier(&r->heap[child], &last)) {
            break;
        }
        r->heap[at] = r->heap[child];
        at = child;
    }
    r->heap[at] = last;
    return top;
}

/* ---- the log, from the tracker ---- */

static enum err log_add(struct case_run *r, struct log_line line, struct error *e) {
    if (r->log_count == r->log_cap) {
        uint32_t cap = r->log_cap ? r->log_cap * 2 : 64;
        struct log_line *more = cap > LOG_LIMIT ? NULL : realloc(r->log, cap * sizeof *more);
        if (!more) {
            return error_set(e, ERR_LIMIT, "more than %d starts and ends", LOG_LIMIT);
        }
        r->log = more;
        r->log_cap = cap;
    }
    r->log[r->log_count++] = line;
    return OK;
}

struct seen {
    uint32_t tick;
    struct log_line line;
};

static int by_tick(const void *a, const void *b) {
    const struct seen *x = a, *y = b;
    return x->tick < y->tick ? -1 : x->tick > y->tick;
}

/* Begins and ends that the tracker has and the log has not, in the order in which they happened. */
static enum err log_collect(struct case_run *r, struct error *e) {
    uint32_t count = engine_track_count(r->engine), found = 0;
    struct seen *seen = malloc((2 * (size_t)count + 1) * sizeof *seen);
    enum err err = seen ? OK : error_nomem(e);
    for (uint32_t i = 0; i < count && !err; i++) {
        const struct track *t = engine_track(r->engine, i);
        struct log_line line = {.tick = r->tick, .step = t->step, .status = t->status};
        if (t->begun_tick > r->ticks_seen) {
            line.begins = true;
            seen[found++] = (struct seen){t->begun_tick, line};
        }
        if (t->ended_tick > r->ticks_seen && t->begun_tick) {
            line.begins = false;
            seen[found++] = (struct seen){t->ended_tick, line};
        }
    }
    if (!err) {
        qsort(seen, found, sizeof *seen, by_tick);
    }
    for (uint32_t i = 0; i < found && !err; i++) {
        err = log_add(r, seen[i].line, e);
        r->ticks_seen = seen[i].tick;
    }
    free(seen);
    return err;
}

/* ---- deciding ---- */

static enum err check_fold(struct case_run *r, struct error *e) {
    bool final = exec_status_final(engine_status(r->engine));
    if (r->decisions > ALWAYS_FOLDED && !final && draw(r, r->decisions) > 2) {
        return OK;
    }
    struct engine *folded;
    uint64_t live = 0, again = 0;
    enum err err = journal_fold(&r->journal, r->plan, &folded, e);
    if (err) {
        return error_wrap(e, err, "fold");
    }
    err = engine_digest(r->engine, &live, e);
    err = err ? err : engine_digest(folded, &again, e);
    if (!err && live != again) {
        err = error_set(e, ERR_CORRUPT, "the fold of %u events is another state than the live one",
                        r->journal.count);
    }
    if (!err && draw(r, 4) == 0) {
        struct engine *t = r->engine;
        r->engine = folded;
        folded = t;
    }
    engine_free(folded);
    return err;
}

/* What is to be performed or evaluated goes into the heap; a retry keeps its step's place. */
static enum err take_effects(struct case_run *r, const struct pending *cause, struct error *e) {
    for (uint32_t i = 0; i < r->out.effect_count; i++) {
        const struct engine_effect *fx = &r->out.effects[i];
        if (fx->type == OUT_TIMER) {
            return error_set(e, ERR_CORRUPT, "a timer, though nothing has a time limit");
        }
        if (fx->type != OUT_PERFORM && fx->type != OUT_EVAL) {
            continue;
        }
        const struct plan_node *node = &r->plan->nodes[fx->step.node];
        char text[STEP_ID_BYTES];
        struct outcome o =
            outcome_of(r->script, node, step_id_print(r->plan, fx->step, text), fx->attempt);
        struct pending x = {.tick = r->tick + o.ticks,
                            .order = cause && fx->attempt > 1 ? cause->order : r->starts++,
                            .pure = fx->type == OUT_EVAL,
                            .step = fx->step,
                            .attempt = fx->attempt};
        enum err err = push(r, x, e);
        if (err) {
            return err;
        }
    }
    return OK;
}

static enum err decide(struct case_run *r, struct engine_input *in, const struct pending *cause,
                       struct error *e) {
    in->now.us = FIRST_US + r->tick * 1000000;
    r->decisions++;
    engine_out_reset(&r->out);
    enum err err = engine_decide(r->engine, in, &r->out, e);
    err = err ? err : journal_add(&r->journal, r->plan, &r->out, e);
    err = err ? err : take_effects(r, cause, e);
    err = err ? err : log_collect(r, e);
    return err ? err : check_fold(r, e);
}

static enum err begin(struct case_run *r, struct error *e) {
    enum err err = engine_new(r->plan, &r->engine, e);
    if (err) {
        return err;
    }
    struct event created = {.id = STR("exec_case"),
                            .workflow = r->plan->name,
                            .hash = str_from(r->plan->hash),
                            .inputs = r->script};
    struct engine_input create = {.type = INPUT_CREATE, .created = &created};
    struct engine_input start = {.type = INPUT_START, .host = 1, .epoch = 1};
    err = decide(r, &create, NULL, e);
    return err ? err : decide(r, &start, NULL, e);
}

static enum err complete(struct case_run *r, const struct pending *x, struct error *e) {
    char text[STEP_ID_BYTES];
    struct outcome o = outcome_of(r->script, &r->plan->nodes[x->step.node],
                                  step_id_print(r->plan, x->step, text), x->attempt);
    struct step_result result = {.body = o.body};
    struct step_failure failure = {.type = STR("failed"), .message = STR("the script says so")};
    struct engine_input in = {.type = x->pure   ? INPUT_EVAL
                                      : o.fails ? INPUT_FAIL
                                                : INPUT_DONE,
                              .step = x->step,
                              .attempt = x->attempt,
                              .result = &result,
                              .failure = &failure};
    return decide(r, &in, x, e);
}

enum err case_run_play(struct case_run *r, struct error *e) {
    const struct value *v = value_get(r->script, STR("cancel_at"));
    bool cancels = v && v->type == VALUE_INT;
    enum err err = begin(r, e);
    while (!err && r->heap_count && !exec_status_final(engine_status(r->engine))) {
        if (cancels && r->heap[0].tick > v->num) {
            struct engine_input cancel = {.type = INPUT_CANCEL, .by = STR("the script")};
            r->tick = v->num;
            err = decide(r, &cancel, NULL, e);
            cancels = false;
            continue;
        }
        struct pending x = pop(r);
        r->tick = x.tick;
        err = complete(r, &x, e);
    }
    return err;
}
