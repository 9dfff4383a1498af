/* What people ask of a whole execution: cancel, pause, resume. One table says which of them its
 * status allows; what is refused is told with what is allowed.
 */
#include <stdio.h>

#include "engine/engine_priv.h"

/* status           | pause | resume | cancel, answer, signal | checkpoint | rollback | retry
 * pending          |  yes  |   -    |  yes                   |  -         |  -       |  -
 * running, waiting |  yes  |   -    |  yes                   |  yes       |  yes     |  -
 * paused           |   -   |  yes   |  yes                   |  yes       |  yes     |  -
 * completed        |   -   |   -    |  -                     |  -         |  yes     | --from
 * all other        |   -   |   -    |  -                     |  -         |  yes     |  yes
 *
 * What nobody runs, interrupted or left waiting, is resumed and not paused: the host's to know. */
static const struct {
    const char *status, *allows, *left;
} allowances[] = {
    {"pending", "pause, cancel, answer, signal", "resume, cancel, answer, signal"},
    {"running", "pause, cancel, answer, signal, checkpoint, rollback",
     "resume, cancel, answer, signal, checkpoint, rollback"},
    {"waiting", "pause, cancel, answer, signal, checkpoint, rollback",
     "resume, cancel, answer, signal, checkpoint, rollback"},
    {"paused", "resume, cancel, answer, signal, checkpoint, rollback",
     "resume, cancel, answer, signal, checkpoint, rollback"},
    {"completed", "retry --from NODE, rollback", NULL},
    {"partial", "retry, rollback", NULL},
    {"failed", "retry, rollback", NULL},
    {"cancelled", "retry, rollback", NULL},
};

const char *exec_status_allows(struct str status, bool left) {
    size_t i = 0;
    while (i < ARRAY_LEN(allowances) - 1 && !str_is(status, allowances[i].status)) {
        i++;
    }
    return left && allowances[i].left ? allowances[i].left : allowances[i].allows;
}

enum { MAY_CANCEL = 1, MAY_PAUSE = 2, MAY_RESUME = 4 };

static unsigned allowed(enum exec_status s) {
    if (exec_status_final(s)) {
        return 0;
    }
    return s == EXEC_PAUSED ? MAY_CANCEL | MAY_RESUME : MAY_CANCEL | MAY_PAUSE;
}

/* Tells the verdict, with a note or NULL; true when the request is allowed. */
static bool permit(struct engine *g, const struct engine_input *in, unsigned what, const char *note,
                   enum err *err, struct error *e) {
    enum exec_status status = engine_status(g);
    unsigned may = allowed(status);
    char text[200];
    if (may & what) {
        *err = engine_verdict_accept(g, in, note, e);
        return *err == OK;
    }
    snprintf(text, sizeof text, "the execution is %s; allowed now: %s", exec_status_name(status),
             exec_status_allows(str_from(exec_status_name(status)), false));
    *err = engine_verdict(g, in, text, e);
    return false;
}

enum err engine_on_cancel(struct engine *g, const struct engine_input *in, struct error *e) {
    const char *note = g->has_error ? "stopped, it had failed before and ends as failed" : NULL;
    enum err err;
    if (!permit(g, in, MAY_CANCEL, note, &err, e) || g->mode == MODE_STOPPED) {
        return err;
    }
    if (g->paused && g->plan->finally_count) { /* nothing starts in a pause, nor would they */
        struct event resumed = {.kind = EVENT_EXECUTION_RESUMED, .reason = in->by};
        err = engine_emit(g, &resumed, e);
    }
    struct event ev = {.kind = EVENT_CANCEL_REQUESTED, .reason = in->by};
    err = err ? err : engine_emit(g, &ev, e);
    return err ? err : engine_wind_down(g, true, e);
}

enum err engine_on_pause(struct engine *g, const struct engine_input *in, struct error *e) {
    enum err err;
    if (!permit(g, in, MAY_PAUSE, NULL, &err, e)) {
        return err;
    }
    struct event ev = {.kind = EVENT_EXECUTION_PAUSED, .reason = in->by};
    return engine_emit(g, &ev, e);
}

static enum err tell_step_due(struct engine *g, struct step_id step, uint8_t status,
                              uint32_t attempt, int64_t due_us, struct error *e) {
    struct engine_effect retry = {.type = OUT_TIMER,
                                  .step = step,
                                  .attempt = attempt,
                                  .timer = INPUT_RETRY_DUE,
                                  .due = {due_us}};
    return status == STEP_WAITING    ? engine_tell_wait(g, step, attempt, due_us, e)
           : status == STEP_RETRYING ? engine_emit_effect(g, &retry, e)
                                     : OK;
}

/* What came due meanwhile is told again; the execution's time goes on. */
static enum err tell_due(struct engine *g, struct error *e) {
    enum err err = OK;
    for (uint32_t i = 0; i < g->plan->node_count && !err; i++) {
        struct node_state *n = &g->nodes[i];
        struct step_id step = {i, n->iteration, -1, n->generation};
        err = n->each ? OK : tell_step_due(g, step, n->status, n->attempt, n->due_us, e);
        for (uint32_t k = 0; n->each && k < n->each->next && !err; k++) {
            const struct item_state *item = &n->each->items[k];
            step.index = k;
            err = tell_step_due(g, step, item->status, item->attempt, item->due_us, e);
        }
    }
    wall_us due = engine_deadline(g);
    struct engine_effect fx = {.type = OUT_TIMER, .timer = INPUT_EXEC_TIMEOUT, .due = due};
    return err || !due.us ? err : engine_emit_effect(g, &fx, e);
}

enum err engine_on_resume(struct engine *g, const struct engine_input *in, struct error *e) {
    enum err err;
    if (!permit(g, in, MAY_RESUME, NULL, &err, e)) {
        return err;
    }
    struct event ev = {.kind = EVENT_EXECUTION_RESUMED, .reason = in->by};
    err = engine_emit(g, &ev, e);
    return err ? err : tell_due(g, e);
}

wall_us engine_deadline(const struct engine *g) {
    bool counts = g->timeout_us && g->started.us && !g->paused && g->phase == PHASE_MAIN;
    int64_t paused_us = g->paused_us - g->timed_paused_us;
    return (wall_us){counts ? g->timed_from.us + g->timeout_us + paused_us : 0};
}

int64_t engine_unpaused_us(const struct engine *g) {
    wall_us now = g->paused ? g->paused_at : g->now;
    return now.us - g->paused_us;
}

wall_us engine_paused_at(const struct engine *g) { return g->paused ? g->paused_at : (wall_us){0}; }

struct str engine_paused_by(const struct engine *g) {
    return g->paused ? g->paused_by : STR("");
}
