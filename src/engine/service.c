/* Steps that are held back while the service that they call is left alone (a breaker of the host).
 * An attempt that was scheduled and is not performed counts as none; the step waits until the host
 * says that it may go on, and asks by itself when its time has come. What the host knows of the
 * service is not of this state: another host may well say otherwise.
 */
#include "engine/engine_priv.h"

static bool is_held_back(const struct engine *g, const struct engine_input *in) {
    return engine_step_status(g, in->step) == STEP_WAITING &&
           engine_suspended(g, in->step) == SUSPENDED_BREAKER &&
           engine_step_attempt(g, in->step) == in->attempt;
}

enum err service_on_down(struct engine *g, const struct engine_input *in, struct error *e) {
    bool runs = engine_runs(g, in->step, in->attempt);
    struct suspension s = {.reason = SUSPENDED_BREAKER, .request = in->value, .due_us = in->due_us};
    if (!runs && !is_held_back(g, in)) {
        return OK;
    }
    if (g->mode != MODE_RUN) { /* what has not been performed when the rest winds down is not */
        struct event ev = event_of_step(EVENT_STEP_CANCELLED, in->step);
        enum err err = engine_emit_end(g, &ev, e);
        return err || in->step.index < 0 ? err : foreach_settle(g, in->step.node, e);
    }
    return engine_suspend(g, in->step, in->attempt - runs, &s, e);
}

enum err service_on_up(struct engine *g, const struct engine_input *in, struct error *e) {
    return is_held_back(g, in) ? engine_release(g, in->step, STR(""), 0, e) : OK;
}

enum err service_on_due(struct engine *g, struct step_id step, struct error *e) {
    struct engine_effect fx = {
        .type = OUT_SERVICE, .step = step, .attempt = engine_step_attempt(g, step)};
    return engine_emit_effect(g, &fx, e);
}
