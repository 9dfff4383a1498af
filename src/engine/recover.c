/* Recovery: what is done about a step that has failed for good when nothing else handles it. The
 * entries of `recover` are gone through in order; the table below has what each does.
 *
 * ask: the step waits for a person, who says retry (another attempt, which may fail as often as
 * the first), fail, or gives the value that it completes with. Nobody in time: on_timeout says fail
 * or retry, a number of times, else the next entry has its turn.
 * rollback: the execution goes back to a checkpoint or a node and on from there, a number of times.
 */
#include <stdio.h>

#include "engine/engine_priv.h"

enum recovery {
    RECOVERY_NEXT,  /* it does not apply: the next entry */
    RECOVERY_DONE,  /* the step has not failed */
    RECOVERY_FAILS, /* the step fails, whatever comes after */
};

typedef enum err (*entry_fn)(struct engine *g, const struct failed_step *f, enum recovery *out,
                             struct error *e);

/* ---- ask ---- */

static const char *const words[] = {"retry", "fail"};

static struct value choices_of(struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        value_list_add(&b, value_text(str_from(words[i])));
    }
    return value_list_done(&b);
}

static struct str prompt_of(const struct engine *g, const struct failed_step *f,
                            const struct plan_recover *r, struct arena *a) {
    char id[STEP_ID_BYTES];
    struct str step = step_id_print(g->plan, f->step, id);
    struct str type = str_sub(f->failure->type, 0, 60);
    struct str message = f->failure->message;
    return r->prompt.len ? arena_printf(a, "%.*s (%.*s failed: %.*s: %.*s)", STR_ARG(r->prompt),
                                        STR_ARG(step), STR_ARG(type), STR_ARG(message))
                         : arena_printf(a, "%.*s failed: %.*s: %.*s", STR_ARG(step), STR_ARG(type),
                                        STR_ARG(message));
}

static enum err request_of(const struct engine *g, const struct failed_step *f,
                           const struct plan_recover *r, struct arena *a, struct value *out,
                           struct error *e) {
    struct value_builder b;
    struct track_more what = {.error_type = f->failure->type, .error_message = f->failure->message};
    struct track t = {.more = &what, .attempt = f->attempt};
    value_builder_init(&b, a);
    value_map_add(&b, STR("for"), value_text(STR("answer")));
    value_map_add(&b, STR("reason"), value_text(STR("failed")));
    value_map_add(&b, STR("prompt"), value_text(prompt_of(g, f, r, a)));
    value_map_add(&b, STR("choices"), choices_of(a));
    value_map_add(&b, STR("orValue"), value_bool(true));
    value_map_add(&b, STR("error"), engine_error_value(a, &t, g->plan->nodes[f->step.node].name));
    if (r->assignee.len) {
        value_map_add(&b, STR("assignee"), value_text(r->assignee));
    }
    *out = value_map_done(&b);
    return b.ok && !a->starved ? OK : error_nomem(e);
}

static enum err ask(struct engine *g, const struct failed_step *f, enum recovery *out,
                    struct error *e) {
    const struct plan_recover *r = &g->plan->nodes[f->step.node].recover[f->entry];
    struct suspension s = {.reason = SUSPENDED_FAILED,
                           .failure = f->failure,
                           .due_us = r->timeout_us ? g->now.us + r->timeout_us : 0,
                           .entry = f->entry};
    struct arena a;
    if (g->nodes[f->step.node].each && f->step.index < 0) {
        *out = RECOVERY_NEXT; /* a foreach as a whole cannot be tried again */
        return OK;
    }
    arena_init(&a, 0);
    *out = RECOVERY_DONE;
    enum err err = request_of(g, f, r, &a, &s.request, e);
    err = err ? err : engine_suspend(g, f->step, f->attempt, &s, e);
    arena_fini(&a);
    return err;
}

/* ---- rollback ---- */

/* Back to the target, as often as it says; then, or when there is no such moment, the next entry
 * has its turn. That the step failed is recorded with it, for who reads the past. */
static enum err roll_back(struct engine *g, const struct failed_step *f, enum recovery *out,
                          struct error *e) {
    const struct plan_node *p = &g->plan->nodes[f->step.node];
    const struct plan_recover *r = &p->recover[f->entry];
    struct event ev = {.kind = EVENT_EXECUTION_ROLLED_BACK,
                       .reason = STR("recover"),
                       .resume = 1,
                       .node = p->name,
                       .recovery = f->entry};
    struct event failed = event_of_step(EVENT_STEP_FAILED, f->step);
    struct error why;
    *out = RECOVERY_NEXT;
    if (rollback_count_of(g, p->name, f->entry) >= r->times ||
        engine_may_rollback(g, r->target, &ev.to, &why)) {
        return OK;
    }
    *out = RECOVERY_DONE;
    failed.attempt = f->attempt;
    failed.effect = EFFECT_FAIL;
    failed.error_type = f->failure->type;
    failed.message = f->failure->message;
    failed.meta = f->failure->meta;
    enum err err = engine_emit(g, &failed, e);
    return err ? err : engine_roll_back(g, &ev, e);
}

/* ---- the table ---- */

static enum err fail(struct engine *g, const struct failed_step *f, enum recovery *out,
                     struct error *e) {
    (void)g;
    (void)f;
    (void)e;
    *out = RECOVERY_FAILS;
    return OK;
}

/* The step fails, and with it the execution; what completed is undone when all else is final. */
static enum err compensate(struct engine *g, const struct failed_step *f, enum recovery *out,
                           struct error *e) {
    (void)f;
    (void)e;
    g->want_undo = true;
    *out = RECOVERY_FAILS;
    return OK;
}

static const entry_fn entries[] = {
    [RECOVER_COMPENSATE] = compensate,
    [RECOVER_ASK] = ask,
    [RECOVER_FAIL] = fail,
    [RECOVER_ROLLBACK] = roll_back,
};

enum err engine_recover(struct engine *g, const struct failed_step *f, bool *out_done,
                        struct error *e) {
    const struct plan_node *p = &g->plan->nodes[f->step.node];
    struct failed_step at = *f;
    enum recovery what = RECOVERY_NEXT;
    *out_done = false;
    bool whole = g->nodes[f->step.node].each && f->step.index < 0;
    if (whole && p->aux[ROLE_FALLBACK] < 0) {
        return OK; /* its items were asked about */
    }
    for (; at.entry < p->recover_count && what == RECOVERY_NEXT; at.entry++) {
        enum err err = entries[p->recover[at.entry].what](g, &at, &what, e);
        if (err) {
            return err;
        }
    }
    *out_done = what == RECOVERY_DONE;
    return OK;
}

/* ---- what a person says, or nobody ---- */

/* The failure that the step was suspended with; its texts in a, since they are kept elsewhere. */
static struct step_failure failure_of(const struct engine *g, struct step_id step,
                                      struct arena *a) {
    const struct item_state *item = engine_item_of(g, step);
    struct value kept = item ? item->error.v : node_more(&g->nodes[step.node])->error.v;
    const struct value *type = value_get(kept, STR("type"));
    const struct value *message = value_get(kept, STR("message"));
    return (struct step_failure){.class = FAILURE_PERMANENT,
                                 .type = type ? arena_str(a, value_str(*type)) : STR("failed"),
                                 .message = message ? arena_str(a, value_str(*message)) : STR("")};
}

static enum err fail_step(struct engine *g, struct step_id step, int64_t next, struct error *e) {
    struct arena a;
    arena_init(&a, 0);
    struct step_failure f = failure_of(g, step, &a);
    uint32_t attempt = engine_step_attempt(g, step);
    struct failed_step failed = {step, attempt, &f, (uint32_t)next};
    bool done = false;
    enum err err = a.starved ? error_nomem(e) : OK;
    if (!err && next > 0) {
        err = engine_recover(g, &failed, &done, e);
    }
    err = err || done ? err : engine_fail_for_good(g, step, attempt, &f, e);
    arena_fini(&a);
    return err;
}

/* {"value": X}, as a map or as its JSON; false when it is something else. */
static bool given_value(struct value answer, struct arena *a, struct value *out) {
    struct error ignored;
    struct value v = answer;
    if (answer.type == VALUE_TEXT && value_parse_json(a, value_str(answer), &v, &ignored)) {
        return false;
    }
    const struct value *value = value_get(v, STR("value"));
    if (v.type != VALUE_MAP || value_count(v) != 1 || !value) {
        return false;
    }
    *out = *value;
    return true;
}

static enum err complete(struct engine *g, const struct engine_input *in, struct step_id step,
                         struct value body, struct arena *a, struct error *e) {
    const struct item_state *item = engine_item_of(g, step);
    const struct plan_node *p = &g->plan->nodes[step.node];
    struct step_result r = {.arena = a, .body = body};
    struct value_builder meta;
    char text[ERROR_MESSAGE_BYTES];
    const char *type;
    value_builder_init(&meta, a);
    value_map_add(&meta, STR("recoveredBy"),
                  value_text(in->by.len ? arena_str(a, in->by) : STR("somebody")));
    value_map_add_value(&meta, value_text(STR("error")),
                        item ? item->error.v : node_more(&g->nodes[step.node])->error.v);
    struct value made = value_map_done(&meta);
    if (!meta.ok || !value_copy(a, made, &r.meta)) {
        return error_nomem(e);
    }
    if (p->handle_count > 1 && step.index < 0) {
        if (body.type != VALUE_TEXT) {
            return engine_refuse(g, in, e, "the value of \"%.*s\" must be the text of a handle",
                                 STR_ARG(p->name));
        }
        r.handle = value_str(body);
    }
    enum err err = engine_check_result(g, step, &r, &type, text, e);
    if (err || text[0]) {
        return err ? err : engine_refuse(g, in, e, "%s", text);
    }
    err = engine_verdict(g, in, NULL, e);
    uint32_t attempt = engine_step_attempt(g, step);
    return err ? err : engine_complete_step(g, step, attempt, &r, (wall_us){0}, e);
}

enum err recover_on_answer(struct engine *g, const struct engine_input *in, struct step_id step,
                           struct error *e) {
    struct str word = in->value.type == VALUE_TEXT ? str_trim(value_str(in->value)) : STR("");
    bool retry = str_is(word, "retry");
    struct value body;
    struct arena a;
    if (retry || str_is(word, "fail")) {
        enum err err = engine_verdict(g, in, NULL, e);
        return err ? err : retry ? engine_release(g, step, in->by, 0, e) : fail_step(g, step, 0, e);
    }
    arena_init(&a, 0);
    enum err err = given_value(in->value, &a, &body)
                       ? complete(g, in, step, body, &a, e)
                       : engine_refuse(g, in, e,
                                       "the answer must be one of: retry, fail, or the step's "
                                       "value as {\"value\": ...}");
    err = a.starved ? error_nomem(e) : err;
    arena_fini(&a);
    return err;
}

/* How often in all it may be tried again since nobody answered, by the entries up to this one: they
 * are gone through in order each time, so each has its own share of the count. */
static uint32_t most_unanswered(const struct plan_node *p, uint32_t entry) {
    uint32_t most = 0;
    for (uint32_t i = 0; i <= entry; i++) {
        bool retries =
            p->recover[i].what == RECOVER_ASK && p->recover[i].on_timeout == RECOVER_TIMEOUT_RETRY;
        most += retries ? p->recover[i].times : 0;
    }
    return most < UINT16_MAX ? most : UINT16_MAX;
}

enum err recover_on_due(struct engine *g, struct step_id step, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    const struct item_state *item = engine_item_of(g, step);
    uint32_t entry = item ? item->entry : g->nodes[step.node].entry;
    uint32_t unanswered = item ? item->unanswered : g->nodes[step.node].unanswered;
    enum recover_timeout what =
        entry < p->recover_count ? p->recover[entry].on_timeout : RECOVER_TIMEOUT_FAIL;
    if (what == RECOVER_TIMEOUT_RETRY && unanswered < most_unanswered(p, entry)) {
        return engine_release(g, step, STR("timeout"), unanswered + 1, e);
    }
    return fail_step(g, step, what == RECOVER_TIMEOUT_FAIL ? 0 : (int64_t)entry + 1, e);
}
