/* What runs when every node is final, before the execution ends: first what undoes (undo.c), then
 * the nodes of `finally`, one after another, whatever the outcome.
 *
 * Invariant: each is called once for every end of the execution (a retry comes to another end), and
 * the execution's own timeout counts no longer. The result is evaluated before the first one.
 */
#include "engine/engine_priv.h"

/* Outputs that cannot be had are the failure of what would have completed. */
static enum err fail_outputs(struct engine *g, const struct error *why, struct error *e) {
    struct event ev = {.kind = EVENT_EXECUTION_FAILING,
                       .error_type = str_from(err_name(why->code)),
                       .message = str_from(why->message)};
    return engine_emit(g, &ev, e);
}

static enum err call_finally(struct engine *g, struct error *e) {
    struct event ev =
        event_of_step(EVENT_FINALLY_BEGUN, aux_next_run(g, g->plan->finally[g->finally_begun]));
    if (g->phase != PHASE_FINALLY && !g->has_error && !g->cancelling) {
        struct error why;
        enum err err = engine_eval_result(g, &ev.body, &why);
        if (err == ERR_NOMEM) {
            return error_nomem(e);
        }
        if (err) {
            err = fail_outputs(g, &why, e);
            ev.body = value_null();
        }
        if (err) {
            return err;
        }
    }
    return engine_emit(g, &ev, e);
}

enum err ending_next(struct engine *g, enum ending *out, struct error *e) {
    bool stopped = g->phase == PHASE_FINALLY && g->mode == MODE_STOPPED; /* somebody cancelled */
    enum err err = undo_next(g, out, e);
    if (err || *out != ENDING_NONE || g->finally_begun == g->plan->finally_count || stopped) {
        return err;
    }
    *out = g->paused ? ENDING_HELD : ENDING_CALLED;
    return g->paused ? OK : call_finally(g, e);
}

/* ---- the fold ---- */

enum err finally_apply(struct engine *g, const struct event *ev, struct error *e) {
    if (g->unfinished || g->finally_begun == g->plan->finally_count ||
        g->plan->finally[g->finally_begun] != ev->step.node) {
        return error_set(e, ERR_CORRUPT, "event %llu begins what does not run then",
                         (unsigned long long)ev->seq);
    }
    if (g->phase != PHASE_FINALLY) {
        enum err err = held_set(&g->prepared, ev->body, e);
        if (err) {
            return err;
        }
        edges_forget_work(g); /* of a graph that drained */
    }
    g->phase = PHASE_FINALLY;
    g->mode = MODE_RUN;
    g->finally_begun++;
    return aux_begin(g, ev->step, NULL, e);
}
