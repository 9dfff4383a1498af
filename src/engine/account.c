/* What an execution used and reserved: kept by the fold, never undone, neither by a retry nor by
 * going back.
 *
 * A call reserves its maximum with its call_begun. What it used takes the place of that with
 * call_done or call_failed. When its attempt is over without either (its owner died, it was
 * cancelled, it timed out), nobody knows what it used: then it counts as its maximum.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

static int64_t whole(struct value map, const char *key) {
    const struct value *v = value_get(map, str_from(key));
    return v && v->type == VALUE_INT && v->num > 0 ? v->num : 0;
}

int64_t usage_nano_usd(struct value usage) {
    const struct value *v = value_get(usage, STR("costUsd"));
    double usd = !v                        ? 0
                 : v->type == VALUE_DOUBLE ? v->real
                 : v->type == VALUE_INT    ? (double)v->num
                                           : 0;
    return usd > 0 && usd < 1e6 ? llround(usd * BUDGET_NANO_USD) : 0;
}

static void count_usage(struct account *a, struct value usage) {
    a->used[BUDGET_TOKENS] += whole(usage, "inputTokens") + whole(usage, "outputTokens");
    a->used[BUDGET_USD] += usage_nano_usd(usage);
}

static enum err call_begun(struct engine *g, const struct event *ev, struct error *e) {
    struct open_call *c;
    if (value_is_null(ev->reserved)) {
        return OK; /* no budget, or no call of a model */
    }
    if (g->open_count == g->open_cap) {
        uint32_t cap = g->open_cap ? g->open_cap * 2 : 16;
        struct open_call *more = realloc(g->open_calls, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        g->open_calls = more;
        g->open_cap = cap;
    }
    c = &g->open_calls[g->open_count++];
    *c = (struct open_call){.step = ev->step,
                            .call = (uint32_t)ev->call,
                            .tokens = whole(ev->reserved, "tokens"),
                            .nano_usd = whole(ev->reserved, "usd")};
    g->account.used[BUDGET_LLM_CALLS]++;
    if (MUTANT(reserve_nothing)) {
        c->tokens = 0;
    }
    g->account.reserved[BUDGET_TOKENS] += c->tokens;
    g->account.reserved[BUDGET_USD] += c->nano_usd;
    return OK;
}

static uint32_t find_open(const struct engine *g, struct step_id step, uint64_t call) {
    uint32_t i = 0;
    while (i < g->open_count &&
           !(g->open_calls[i].call == call && step_id_same(g->open_calls[i].step, step))) {
        i++;
    }
    return i;
}

bool account_call_open(const struct engine *g, struct step_id step, uint32_t call) {
    return find_open(g, step, call) < g->open_count;
}

static struct open_call close_call(struct engine *g, uint32_t at) {
    struct open_call c = g->open_calls[at];
    g->open_calls[at] = g->open_calls[--g->open_count];
    g->account.reserved[BUDGET_TOKENS] -= c.tokens * (1 + MUTANT(settle_twice));
    g->account.reserved[BUDGET_USD] -= c.nano_usd;
    return c;
}

static void charge_most(struct engine *g, const struct open_call *c) {
    g->account.used[BUDGET_TOKENS] += MUTANT(forgive_the_dead) ? 0 : c->tokens;
    g->account.used[BUDGET_USD] += c->nano_usd;
}

/* An answer that does not say what it used may have used all that was reserved. */
static void call_over(struct engine *g, const struct event *ev, struct value usage, bool answered) {
    uint32_t at = find_open(g, ev->step, ev->call);
    bool told = value_get(usage, STR("inputTokens")) != NULL;
    if (at < g->open_count) {
        struct open_call c = close_call(g, at);
        if (answered && !told) {
            charge_most(g, &c);
        }
    } else if (!answered || value_is_null(usage)) {
        return;
    } else {
        g->account.used[BUDGET_LLM_CALLS]++; /* begun without a budget */
    }
    if (told) {
        count_usage(&g->account, usage);
    }
}

static void attempt_over(struct engine *g, struct step_id step) {
    for (uint32_t i = g->open_count; i-- > 0;) {
        if (step_id_same(g->open_calls[i].step, step)) {
            struct open_call c = close_call(g, i);
            charge_most(g, &c);
        }
    }
}

bool account_has_raise(const struct engine *g, struct str key) {
    const struct raise_key *k = g->raises;
    while (k && !str_eq(k->key, key)) {
        k = k->before;
    }
    return k != NULL;
}

static enum err raised(struct engine *g, const struct event *ev, struct error *e) {
    struct budget b;
    if (ev->key.len) {
        struct raise_key *k = ARENA_NEW(&g->arena, struct raise_key);
        struct str key = arena_str(&g->arena, ev->key);
        if (!k || !key.ptr) {
            return error_nomem(e);
        }
        *k = (struct raise_key){g->raises, key};
        g->raises = k;
    }
    budget_from_value(ev->budget, &b);
    for (int i = 0; i < BUDGET_KINDS && !ev->of.len; i++) {
        g->budget_added[i] += b.has[i] ? b.limit[i] : 0;
    }
    return OK;
}

/* Limits that a retry sets: for all that the execution uses, before and after it. */
static void set_limits(struct value set, struct budget *given, int64_t *added) {
    struct budget b = {0};
    if (set.type == VALUE_MAP) {
        budget_from_value(set, &b);
    }
    for (int i = 0; i < BUDGET_KINDS; i++) {
        if (b.has[i]) {
            given->has[i] = true;
            given->limit[i] = b.limit[i];
            added[i] = 0;
        }
    }
    given->on_exceed = b.on_exceed ? b.on_exceed : given->on_exceed;
}

static struct value usage_of(struct value answer) {
    const struct value *usage = value_get(answer, STR("usage"));
    return usage ? *usage : value_null();
}

enum err account_note(struct engine *g, const struct event *ev, struct error *e) {
    switch ((int)ev->kind) {
    case EVENT_STEP_SCHEDULED:
        g->account.used[BUDGET_STEPS] += ev->attempt == 1;
        attempt_over(g, ev->step);
        break;
    case EVENT_STEP_COMPLETED:
    case EVENT_STEP_RETRYING:
    case EVENT_STEP_FAILED:
    case EVENT_STEP_CANCELLED:
    case EVENT_STEP_SUSPENDED:
        attempt_over(g, ev->step);
        g->over_budget |= ev->why == SUSPENDED_BUDGET;
        break;
    case EVENT_EXECUTION_ROLLED_BACK: /* whatever is under way begins anew */
        while (g->open_count) {
            attempt_over(g, g->open_calls[0].step);
        }
        break;
    case EVENT_CALL_BEGUN: return call_begun(g, ev, e);
    case EVENT_CALL_DONE: call_over(g, ev, usage_of(ev->body), true); break;
    case EVENT_CALL_FAILED: call_over(g, ev, ev->meta, false); break;
    case EVENT_BUDGET_RAISED: return raised(g, ev, e);
    case EVENT_EXECUTION_RETRIED:
        set_limits(ev->budget, &g->budget_given, g->budget_added);
        g->has_budget |= budget_any(&g->budget_given);
        break;
    default: break;
    }
    return OK;
}

bool engine_is_charged(const struct engine *g) { return g->is_charged; }

struct account engine_account(const struct engine *g) {
    return g->account;
}

bool engine_has_budget(const struct engine *g) { return g->has_budget; }

static struct budget sum(const struct plan *p, const struct budget *given, const int64_t *added) {
    struct budget b = p->budget;
    for (int i = 0; i < BUDGET_KINDS; i++) {
        if (given->has[i]) {
            b.has[i] = true;
            b.limit[i] = given->limit[i];
        }
        b.limit[i] += b.has[i] ? added[i] : 0;
    }
    b.on_exceed = given->on_exceed ? given->on_exceed : b.on_exceed;
    return b;
}

struct budget engine_budget(const struct engine *g) {
    return sum(g->plan, &g->budget_given, g->budget_added);
}

struct budget engine_budget_for(const struct engine *g, const struct engine_input *in) {
    struct budget given = g->budget_given;
    int64_t added[BUDGET_KINDS];
    memcpy(added, g->budget_added, sizeof added);
    if (in->type != INPUT_RETRY) {
        return engine_budget(g);
    }
    set_limits(in->value, &given, added);
    return sum(in->plan ? in->plan : g->plan, &given, added);
}

int64_t engine_time_used_for(const struct engine *g, const struct engine_input *in) {
    return in->type == INPUT_RETRY ? 0 : engine_time_used_us(g, in->now);
}

int64_t engine_time_used_us(const struct engine *g, wall_us now) {
    wall_us until = g->paused && g->paused_at.us < now.us ? g->paused_at : now;
    int64_t used_us = until.us - g->timed_from.us - (g->paused_us - g->timed_paused_us);
    return g->timed_from.us && used_us > 0 ? used_us : 0;
}

void account_digest(const struct engine *g, struct buf *b) {
    buf_append(b, (struct str){(const char *)&g->account, sizeof g->account});
    buf_append(b, (struct str){(const char *)g->budget_added, sizeof g->budget_added});
    for (int i = 0; i < BUDGET_KINDS; i++) {
        int64_t given[] = {g->budget_given.has[i], g->budget_given.limit[i]};
        buf_append(b, (struct str){(const char *)given, sizeof given});
    }
    const uint64_t exceed = g->budget_given.on_exceed;
    buf_append(b, (struct str){(const char *)&exceed, sizeof exceed});
    for (const struct raise_key *k = g->raises; k; k = k->before) {
        buf_append(b, k->key);
    }
}
