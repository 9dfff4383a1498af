/* Decisions about budgets: a step is not begun, a call is not made when it would exceed one. By
 * on_exceed the step fails (type `budget`, never tried again: nothing would be different) or asks a
 * person, who allows more or lets it fail; nothing new starts as long as one asks.
 *
 * A budget may be that of an execution above. The answer is recorded where it was given; the host
 * hands it on to the budget's own execution and tells all of its tree, in the same commit.
 */
#include <stdio.h>

#include "engine/engine_priv.h"

/* "over the budget of $0.50 usd: $0.42 used, up to $0.10 more for the next call" */
static void print_why(const struct engine *g, enum budget_kind kind, int64_t asked,
                      const struct allowed *a, struct buf *b) {
    buf_append_cstr(b, "over the budget of ");
    budget_print(kind, a->limit, b);
    buf_printf(b, " %s", budget_key(kind));
    if (!str_eq(a->of, g->id)) {
        buf_printf(b, " of execution %.*s", STR_ARG(a->of));
    }
    buf_append_cstr(b, ": ");
    budget_print(kind, a->used, b);
    buf_append_cstr(b, " used");
    if (a->reserved) {
        buf_append_cstr(b, ", ");
        budget_print(kind, a->reserved, b);
        buf_append_cstr(b, " reserved by calls under way");
    }
    if (kind == BUDGET_TOKENS || kind == BUDGET_USD) {
        buf_append_cstr(b, ", up to ");
        budget_print(kind, asked, b);
        buf_append_cstr(b, " more for the next call");
    }
}

static struct value numbers(int64_t asked, const struct allowed *a, struct arena *arena) {
    struct value_builder b;
    value_builder_init(&b, arena);
    value_map_add(&b, STR("limit"), value_int(a->limit));
    value_map_add(&b, STR("used"), value_int(a->used));
    value_map_add(&b, STR("reserved"), value_int(a->reserved));
    value_map_add(&b, STR("asked"), value_int(asked));
    return value_map_done(&b);
}

static enum err fail(struct engine *g, struct step_id step, uint32_t attempt, struct str message,
                     struct error *e) {
    struct step_failure f = {.class = FAILURE_PERMANENT, .type = STR("budget"), .message = message};
    return engine_attempt_failed(g, step, attempt, &f, e);
}

static enum err ask(struct engine *g, struct step_id step, uint32_t attempt, struct value request,
                    struct error *e) {
    struct suspension s = {.reason = SUSPENDED_BUDGET, .request = request};
    return engine_suspend(g, step, attempt, &s, e);
}

/* What is asked: the request of a step that waits. */
static struct value question(const struct event *exceeded, struct str why, struct arena *a) {
    struct value_builder b;
    char hint[100];
    int len = snprintf(hint, sizeof hint, "how much more of %.*s, such as %s, or fail",
                       STR_ARG(exceeded->what),
                       str_is(exceeded->what, "usd")      ? "0.50"
                       : str_is(exceeded->what, "time")   ? "10m"
                       : str_is(exceeded->what, "tokens") ? "10000"
                                                          : "10");
    value_builder_init(&b, a);
    value_map_add(&b, STR("for"), value_text(STR("answer")));
    value_map_add(&b, STR("reason"), value_text(STR("budget")));
    value_map_add(&b, STR("prompt"),
                  value_text(arena_printf(a, "%.*s: %.*s", STR_ARG(why), len, hint)));
    value_map_add(&b, STR("what"), value_text(exceeded->what));
    if (exceeded->of.len) {
        value_map_add(&b, STR("of"), value_text(exceeded->of));
    }
    value_map_add(&b, STR("account"), exceeded->account);
    return value_map_done(&b);
}

/* What was begun since the input came is not in what the host knows. */
static int64_t steps_begun(const struct engine *g) {
    return g->account.used[BUDGET_STEPS] - g->steps_before;
}

/* What is done at most once is not done again when there is more. As long as its attempt has made
 * no call it has done nothing. */
static bool may_have_acted(const struct engine *g, struct step_id step, uint32_t attempt) {
    bool once = attempt > 0 && g->plan->nodes[step.node].delivery == DELIVERY_AT_MOST_ONCE;
    for (uint32_t i = engine_call_count(g); once && i > 0; i--) {
        const struct call *c = engine_call(g, i - 1);
        if (c->attempt == attempt && step_id_same(c->step, step)) {
            return true;
        }
    }
    return false;
}

enum err engine_over_budget(struct engine *g, struct step_id step, uint32_t attempt,
                            enum budget_kind kind, int64_t asked, struct error *e) {
    struct allowed now = g->allowance->of[kind], *a = &now;
    now.used += kind == BUDGET_STEPS ? steps_begun(g) : 0;
    struct event ev = event_of_step(EVENT_BUDGET_EXCEEDED, step);
    struct buf why;
    buf_init(&why, 0);
    arena_reset(&g->scratch);
    ev.attempt = attempt;
    ev.what = str_from(budget_key(kind));
    ev.of = str_eq(a->of, g->id) ? STR("") : a->of;
    ev.account = numbers(asked, a, &g->scratch);
    print_why(g, kind, asked, a, &why);
    struct value request = question(&ev, buf_str(&why), &g->scratch);
    bool asks = !a->fails && !may_have_acted(g, step, attempt) && g->mode == MODE_RUN;
    enum err err = buf_ok(&why) ? engine_emit(g, &ev, e) : error_nomem(e);
    if (!err) {
        err = asks ? ask(g, step, attempt, request, e) : fail(g, step, attempt, buf_str(&why), e);
    }
    buf_fini(&why);
    return err;
}

bool engine_step_over_budget(const struct engine *g, enum budget_kind *out) {
    const struct allowance *a = g->allowance;
    if (!a || g->phase != PHASE_MAIN) { /* what cleans up is counted, and begins */
        return false;
    }
    *out = a->of[BUDGET_TIME].limited && allowed_left(&a->of[BUDGET_TIME]) <= 0 ? BUDGET_TIME
                                                                                : BUDGET_STEPS;
    return *out == BUDGET_TIME || allowed_left(&a->of[BUDGET_STEPS]) - steps_begun(g) < 1;
}

static bool runs(const struct engine *g, const struct engine_input *in) {
    return engine_runs(g, in->step, in->attempt);
}

/* Its effect is stopped: nothing of the call was begun. */
enum err engine_on_over_budget(struct engine *g, const struct engine_input *in, struct error *e) {
    struct engine_effect fx = {.type = OUT_CANCEL, .step = in->step, .attempt = in->attempt};
    if (!runs(g, in)) {
        return OK;
    }
    enum err err = engine_emit_effect(g, &fx, e);
    if (err || !in->text.len) {
        return err ? err : engine_over_budget(g, in->step, in->attempt, in->over, in->asked, e);
    }
    return fail(g, in->step, in->attempt, in->text, e);
}

/* ---- what people say ---- */

static bool asks(const struct engine *g, struct step_id step) {
    return engine_step_status(g, step) == STEP_WAITING &&
           engine_suspended(g, step) == SUSPENDED_BUDGET;
}

/* The next step that asks, from the one after (node, index) on; false: there is none. */
static bool next_asking(const struct engine *g, struct step_id *step) {
    for (; step->node < g->plan->node_count; step->node++, step->index = -2) {
        const struct node_state *n = &g->nodes[step->node];
        int64_t last = n->each ? (int64_t)n->each->next - 1 : -1;
        step->iteration = n->iteration;
        step->generation = n->generation;
        while (step->index < last) {
            step->index++;
            if (asks(g, *step)) {
                return true;
            }
        }
    }
    return false;
}

bool engine_budget_holds(struct engine *g) {
    struct step_id step = {.index = -2};
    g->over_budget = g->over_budget && next_asking(g, &step);
    return g->over_budget;
}

static enum err let_fail(struct engine *g, struct step_id step, struct error *e) {
    const struct track_slot *t = track_of(g, step);
    const struct value *prompt = t ? value_get(t->t.more->request, STR("prompt")) : NULL;
    struct arena a;
    arena_init(&a, 0);
    struct str why = prompt ? arena_str(&a, value_str(*prompt)) : STR("over the budget");
    size_t hint = str_find(why, STR(": how much more"), 0);
    why = hint == SIZE_MAX ? why : str_sub(why, 0, hint);
    enum err err = why.ptr ? fail(g, step, engine_step_attempt(g, step), why, e) : error_nomem(e);
    arena_fini(&a);
    return err;
}

static enum err read_map(struct value v, struct budget *b, struct error *why) {
    for (size_t i = 0; i < value_count(v); i++) {
        enum err err = budget_read(b, value_str(v.pairs[i].key), v.pairs[i].val, why);
        if (err) {
            return err;
        }
    }
    return OK;
}

/* An amount of what it waits for, or a map of amounts by key; as a value or as its text. */
static enum err read_amounts(struct value answer, struct str what, struct budget *b,
                             struct error *why) {
    struct value v = answer;
    struct error ignored;
    struct arena a;
    arena_init(&a, 0);
    bool map = answer.type == VALUE_MAP ||
               (answer.type == VALUE_TEXT &&
                value_parse_json(&a, value_str(answer), &v, &ignored) == OK && v.type == VALUE_MAP);
    enum err err = map                         ? read_map(v, b, why)
                   : answer.type == VALUE_TEXT ? budget_read_text(b, what, value_str(answer), why)
                                               : budget_read(b, what, answer, why);
    arena_fini(&a);
    bool more = false;
    for (int i = 0; i < BUDGET_KINDS; i++) {
        more |= b->has[i] && b->limit[i] > 0;
    }
    return err || more ? err : error_set(why, ERR_INVALID, "it allows nothing more");
}

/* More time is more from now on. */
static void add_time_gone(const struct engine *g, struct budget *more) {
    struct budget own = engine_budget(g);
    int64_t over_us = engine_time_used_us(g, g->now) - own.limit[BUDGET_TIME];
    bool counts = more->has[BUDGET_TIME] && own.has[BUDGET_TIME] && over_us > 0;
    more->limit[BUDGET_TIME] += counts ? over_us : 0;
}

static enum err raise_budget(struct engine *g, struct budget *more, struct event ev,
                             struct error *e) {
    ev.kind = EVENT_BUDGET_RAISED;
    if (!ev.of.len) {
        add_time_gone(g, more);
    }
    arena_reset(&g->scratch);
    ev.budget = budget_value(more, &g->scratch);
    return g->scratch.starved ? error_nomem(e) : engine_emit(g, &ev, e);
}

enum err budget_on_answer(struct engine *g, const struct engine_input *in, struct step_id step,
                          struct error *e) {
    const struct track_slot *t = track_of(g, step);
    const struct value *what = value_get(t->t.more->request, STR("what"));
    const struct value *of = value_get(t->t.more->request, STR("of"));
    struct str word = in->value.type == VALUE_TEXT ? str_trim(value_str(in->value)) : STR("");
    bool fails = str_is(word, "fail");
    struct budget more = {0};
    struct error why = {0};
    if (str_is(word, "retry")) {
        return engine_refuse(
            g, in, e,
            "the answer must be how much more, or fail: with nothing more it would "
            "only ask again");
    }
    if (!fails && read_amounts(in->value, what ? value_str(*what) : STR(""), &more, &why)) {
        return engine_refuse(g, in, e, "the answer must be how much more, or fail: %s",
                             why.message);
    }
    enum err err = engine_verdict(g, in, NULL, e);
    if (err || fails) {
        return err ? err : let_fail(g, step, e);
    }
    struct event ev = {.reason = in->by, .of = of ? value_str(*of) : STR("")};
    char id[STEP_ID_BYTES], key[STEP_ID_BYTES + 90];
    struct str name = step_id_print(g->plan, step, id);
    /* Of this question: the same attempt may ask again before it is begun. */
    int len = snprintf(key, sizeof key, "%.*s/%.*s/%llu", STR_ARG(str_sub(g->id, 0, 60)),
                       STR_ARG(name), (unsigned long long)t->t.more->waits_by);
    ev.key = (struct str){key, (size_t)len};
    return raise_budget(g, &more, ev, e);
}

enum err engine_on_budget_raised(struct engine *g, const struct engine_input *in, struct error *e) {
    struct step_id step = {.index = -2};
    struct budget more;
    enum err err = OK;
    if (exec_status_final(g->status)) {
        return OK;
    }
    /* A batch that failed, or whose outcome was unknown, is decided on again. */
    if (!value_is_null(in->value) && !account_has_raise(g, in->target)) {
        struct event ev = {.reason = in->by, .key = in->target};
        budget_from_value(in->value, &more);
        err = raise_budget(g, &more, ev, e);
    }
    while (!err && next_asking(g, &step)) {
        uint32_t attempt = engine_step_attempt(g, step);
        err = engine_release(g, step, in->by, 0, e);
        err = err ? err : engine_retry_due(g, step, attempt, e); /* before what asked for nothing */
    }
    return err;
}
