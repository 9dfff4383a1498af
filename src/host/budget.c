/* Budgets of trees of executions. A tree has one owner, so what all of it has used and reserved is
 * known here: each run adds what its own state says to itself and to all above it. Nothing is kept
 * that does not follow from the journals: after a fold, a failed commit or a take-over the numbers
 * are those of the states, and of the rows of sub-workflows that do not live here.
 *
 * A call that would exceed a budget only because others have reserved it waits until they are over.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mutant.h"
#include "host/host_priv.h"

struct stored_child {
    struct stored_child *next;
    int64_t num;
    struct account total; /* of it and all below */
};

static void add(struct account *to, const struct account *what, int64_t sign) {
    for (int i = 0; i < BUDGET_KINDS; i++) {
        to->used[i] += sign * what->used[i];
        to->reserved[i] += sign * what->reserved[i];
    }
}

/* To the run and all above it. */
static void add_up(struct run *r, const struct account *what, int64_t sign) {
    for (; r; r = r->above) {
        add(&r->tree, what, sign);
    }
}

void budget_note(struct run *r) {
    if (!r->engine) {
        return;
    }
    struct account now = engine_account(r->engine), grown = now;
    add(&grown, &r->counted, -1);
    for (int i = 0; i < BUDGET_KINDS; i++) {
        r->host->budget_moved |= grown.reserved[i] < 0;
    }
    add_up(r, &grown, 1);
    r->counted = now;
}

/* ---- sub-workflows ---- */

static int64_t number_in(struct value map, const char *key, double scale) {
    const struct value *v = value_get(map, str_from(key));
    double n = !v                        ? 0
               : v->type == VALUE_INT    ? (double)v->num
               : v->type == VALUE_DOUBLE ? v->real
                                         : 0;
    return n > 0 && n < 1e15 ? llround(n * scale) : 0;
}

struct value budget_charged(const struct account *a, struct arena *arena) {
    struct value_builder b;
    int64_t sum[BUDGET_KINDS];
    for (int i = 0; i < BUDGET_KINDS; i++) {
        sum[i] = a->used[i] + a->reserved[i];
    }
    value_builder_init(&b, arena);
    value_map_add(&b, STR("steps"), value_int(sum[BUDGET_STEPS]));
    value_map_add(&b, STR("tokens"), value_int(sum[BUDGET_TOKENS]));
    value_map_add(&b, STR("usd"), value_double((double)sum[BUDGET_USD] / BUDGET_NANO_USD));
    value_map_add(&b, STR("llmCalls"), value_int(sum[BUDGET_LLM_CALLS]));
    return value_map_done(&b);
}

/* What its row says; while nobody runs it, what is reserved may have been used. */
static void read_charged(struct str usage, struct arena *a, struct account *out) {
    struct value v;
    struct error ignored;
    *out = (struct account){0};
    if (!usage.len || value_parse_json(a, usage, &v, &ignored)) {
        return;
    }
    const struct value *charged = value_get(v, STR("charged"));
    if (!charged) { /* it ended before a retry gave those above it a budget */
        out->used[BUDGET_TOKENS] = number_in(v, "inputTokens", 1) + number_in(v, "outputTokens", 1);
        out->used[BUDGET_USD] = number_in(v, "costUsd", BUDGET_NANO_USD);
        out->used[BUDGET_LLM_CALLS] = number_in(v, "llmCalls", 1);
    } else {
        out->used[BUDGET_STEPS] = number_in(*charged, "steps", 1);
        out->used[BUDGET_TOKENS] = number_in(*charged, "tokens", 1);
        out->used[BUDGET_USD] = number_in(*charged, "usd", BUDGET_NANO_USD);
        out->used[BUDGET_LLM_CALLS] = number_in(*charged, "llmCalls", 1);
    }
}

/* All below an execution, as the store has it, is added to out. */
static enum err below(struct store *s, int64_t num, struct arena *a, struct account *out,
                      struct error *e) {
    struct store_execution *rows;
    uint32_t count = 0;
    enum err err = store_children_read(s, (struct store_children){.num = num}, a, &rows, &count, e);
    for (uint32_t i = 0; i < count && !err; i++) {
        struct account own;
        read_charged(rows[i].row.usage, a, &own);
        add(out, &own, 1);
        err = below(s, rows[i].num, a, out, e);
    }
    return err;
}

/* Also of nodes that a workflow before this one had. */
static bool had_children(const struct engine *g) {
    bool had = false;
    for (uint32_t i = 0; i < engine_track_count(g) && !had; i++) {
        const struct track *t = engine_track(g, i);
        had = t->plan->nodes[t->step.node].child != NULL;
    }
    return had;
}

enum err budget_load(struct run *r, struct error *e) {
    struct store *s = r->host->options.store;
    struct store_execution *rows;
    struct arena a;
    uint32_t count = 0;
    budget_note(r);
    if (!had_children(r->engine) || MUTANT(forget_the_children)) {
        return OK;
    }
    arena_init(&a, 0);
    enum err err =
        store_children_read(s, (struct store_children){.num = r->num}, &a, &rows, &count, e);
    for (uint32_t i = 0; i < count && !err; i++) {
        struct stored_child *c = calloc(1, sizeof *c); /* it outlives a rest of the run */
        if (!c) {
            err = error_nomem(e);
            break;
        }
        r->has_left |= !rows[i].row.completed.us;
        r->host->has_left |= r->has_left;
        *c = (struct stored_child){.next = r->stored, .num = rows[i].num};
        read_charged(rows[i].row.usage, &a, &c->total);
        err = below(s, c->num, &a, &c->total, e);
        r->stored = c;
        add_up(r, &c->total, 1);
    }
    arena_fini(&a);
    return err;
}

void budget_free(struct run *r) {
    while (r->stored) {
        struct stored_child *next = r->stored->next;
        free(r->stored);
        r->stored = next;
    }
}

void budget_join(struct run *child, struct run *parent) {
    struct stored_child **at = &parent->stored;
    if (child->above == parent) {
        return;
    }
    while (*at && (*at)->num != child->num) {
        at = &(*at)->next;
    }
    if (*at) {
        struct stored_child *found = *at;
        add_up(parent, &found->total, -1);
        *at = found->next;
        free(found);
    }
    child->above = parent;
    add_up(parent, &child->tree, 1);
}

/* ---- for people ---- */

static struct value amount(enum budget_kind kind, int64_t n) {
    return kind == BUDGET_USD    ? value_double((double)n / BUDGET_NANO_USD)
           : kind == BUDGET_TIME ? value_double((double)n / 1e6)
                                 : value_int(n);
}

enum err host_view_budget(const struct host_view *v, struct store *s, wall_us now, struct arena *a,
                          struct value *out, struct error *e) {
    struct budget b = engine_budget(v->engine);
    struct account tree = engine_account(v->engine);
    struct value_builder map;
    wall_us ended = engine_times(v->engine).ended;
    *out = value_null();
    if (!budget_any(&b)) {
        return OK;
    }
    enum err err = below(s, v->stored.num, a, &tree, e);
    tree.used[BUDGET_TIME] = engine_time_used_us(v->engine, ended.us ? ended : now);
    value_builder_init(&map, a);
    for (int i = 0; i < BUDGET_KINDS; i++) {
        struct value_builder one;
        value_builder_init(&one, a);
        value_map_add(&one, STR("limit"), amount((enum budget_kind)i, b.limit[i]));
        value_map_add(&one, STR("used"), amount((enum budget_kind)i, tree.used[i]));
        value_map_add(&one, STR("reserved"), amount((enum budget_kind)i, tree.reserved[i]));
        if (b.has[i]) {
            value_map_add(&map, str_from(budget_key((enum budget_kind)i)), value_map_done(&one));
        }
        map.ok = map.ok && one.ok;
    }
    *out = value_map_done(&map);
    return err ? err : map.ok ? OK : error_nomem(e);
}

/* ---- what is allowed ---- */

static void narrow(struct allowed *out, const struct allowed *a) {
    if (!out->limited || allowed_left(a) < allowed_left(out)) {
        *out = *a;
    }
}

static void narrow_all(const struct run *r, const struct budget *b, int64_t time_us,
                       struct allowance *out) {
    for (int i = 0; i < BUDGET_KINDS; i++) {
        struct allowed a = {.limited = true,
                            .fails = b->on_exceed == EXCEED_FAIL,
                            .of = str_from(r->id),
                            .limit = b->limit[i],
                            .used = i == BUDGET_TIME ? time_us : r->tree.used[i],
                            .reserved = r->tree.reserved[i]};
        if (b->has[i]) {
            narrow(&out->of[i], &a);
        }
    }
}

bool budget_allowance(const struct run *r, const struct engine_input *in, struct allowance *out) {
    bool any = false;
    *out = (struct allowance){0};
    for (const struct run *x = r; x; x = x->above) {
        if (!x->engine || (in->type != INPUT_RETRY && !engine_has_budget(x->engine))) {
            continue;
        }
        bool own = x == r;
        struct budget b = own ? engine_budget_for(x->engine, in) : engine_budget(x->engine);
        int64_t time_us =
            own ? engine_time_used_for(x->engine, in) : engine_time_used_us(x->engine, in->now);
        narrow_all(x, &b, time_us, out);
        any |= budget_any(&b);
    }
    return any;
}

struct str budget_above(const struct run *r) {
    for (; r; r = r->above) {
        if (r->engine && engine_has_budget(r->engine)) {
            return str_from(r->id);
        }
    }
    return STR("");
}

bool budget_is_kept(const struct run *r) { return budget_above(r).len > 0; }

/* ---- calls ---- */

static struct port *asking_port(const struct run *r, const struct happened *x) {
    struct port *p = ports_find(r, x->in.step, NULL);
    while (p && !(p->asking && p->attempt == x->in.attempt)) {
        p = ports_find(r, x->in.step, p);
    }
    return p;
}

static void hold(struct port *p, struct happened *x) {
    struct host *h = p->run->host;
    p->held = x;
    p->held_previous = h->held_last;
    p->held_next = NULL;
    *(h->held_last ? &h->held_last->held_next : &h->held_first) = p;
    h->held_last = p;
}

static struct happened *let_go(struct port *p) {
    struct host *h = p->run->host;
    struct happened *x = p->held;
    *(p->held_previous ? &p->held_previous->held_next : &h->held_first) = p->held_next;
    *(p->held_next ? &p->held_next->held_previous : &h->held_last) = p->held_previous;
    p->held = NULL;
    return x;
}

void budget_forget(struct port *p) {
    if (p->held) {
        happened_free(let_go(p));
    }
}

void budget_turn(struct host *h) {
    struct port *last = h->budget_moved ? h->held_last : NULL;
    h->budget_moved = false;
    while (last) {
        struct port *p = h->held_first;
        bool was_last = p == last;
        run_happens(p->run, let_go(p));
        if (was_last) {
            break;
        }
    }
}

static void refuse(struct happened *x, enum budget_kind kind, int64_t asked) {
    x->in.type = INPUT_OVER_BUDGET;
    x->in.over = kind;
    x->in.asked = asked;
}

static void refuse_unpriced(struct happened *x) {
    x->in.type = INPUT_OVER_BUDGET;
    x->in.text = str_from(x->charge.no_price);
}

bool budget_gate(struct run *r, struct happened *x, const struct allowance *a) {
    struct port *p = x->in.type == INPUT_CALL_BEGUN && x->in.charge ? asking_port(r, x) : NULL;
    const struct call *known = p ? engine_call_find(r->engine, x->in.step, x->in.call) : NULL;
    if (!p || (known && known->attempt == x->in.attempt)) {
        return true; /* nothing to hold, or recorded before */
    }
    const int64_t asked[BUDGET_KINDS] = {[BUDGET_TOKENS] = x->charge.tokens,
                                         [BUDGET_USD] = x->charge.nano_usd,
                                         [BUDGET_LLM_CALLS] = 1,
                                         [BUDGET_TIME] = 1};
    bool held = false;
    for (int i = 0; i < BUDGET_KINDS; i++) {
        const struct allowed *of = &a->of[i];
        if (!of->limited || i == BUDGET_STEPS) {
            continue;
        }
        if (i == BUDGET_USD && x->charge.no_price) {
            refuse_unpriced(x);
            return true;
        }
        if (of->used + asked[i] > of->limit) {
            refuse(x, (enum budget_kind)i, asked[i]);
            return true;
        }
        held |= allowed_left(of) < asked[i];
    }
    if (held) {
        hold(p, x);
    }
    return !held;
}

/* ---- more of it ---- */

static struct happened *raised(struct value more, struct str key, struct str by) {
    struct happened *x = happened_new(INPUT_BUDGET_RAISED);
    if (!x) {
        return NULL;
    }
    x->in.by = by.len ? arena_str(&x->arena, by) : STR("");
    x->in.target = key.len ? arena_str(&x->arena, key) : STR("");
    if (!x->in.by.ptr || !x->in.target.ptr || !value_copy(&x->arena, more, &x->in.value)) {
        happened_free(x);
        return NULL;
    }
    return x;
}

static enum err tell(struct run *r, struct happened *x, struct error *e) {
    return x ? turn_decide_now(r, x, e) : error_nomem(e);
}

static bool is_in_tree(const struct run *r, const struct run *top) {
    while (r && r != top) {
        r = r->above;
    }
    return r != NULL;
}

/* Another execution that cannot decide is folded anew; r is the caller's. */
static enum err tell_tree(struct run *r, struct run *top, struct str by, struct error *e) {
    for (struct run *x = top->host->runs; x; x = x->next) {
        struct error why;
        bool live = x->engine && !x->ended && !x->lost;
        if (!live || !is_in_tree(x, top)) {
            continue;
        }
        enum err err = tell(x, raised(value_null(), STR(""), by), &why);
        if (err && x == r) {
            *e = why;
            return err;
        }
        if (err) {
            run_failed(x, &why);
        }
    }
    return OK;
}

static enum err pass_on(struct run *r, const struct event *ev, struct error *e) {
    struct run *top = r, *last = r;
    while (top && ev->of.len && !str_is(ev->of, top->id)) {
        last = top;
        top = top->above;
    }
    if (!top) { /* its execution has ended, and this one was left: nobody keeps it any more */
        return tell_tree(r, last, ev->reason, e);
    }
    if (!top->engine) {
        return OK;
    }
    top->host->budget_moved = true;
    enum err err = top == r ? OK : tell(top, raised(ev->budget, ev->key, ev->reason), e);
    return err ? err : tell_tree(r, top, ev->reason, e);
}

enum err budget_pass_on(struct run *r, uint32_t first, struct error *e) {
    enum err err = OK;
    uint32_t count = r->out.record_count;
    for (uint32_t i = first; i < count && !err; i++) {
        const struct engine_record *x = &r->out.records[i];
        struct event ev = {.kind = x->kind};
        struct arena a;
        if (x->kind != EVENT_BUDGET_RAISED) {
            continue;
        }
        arena_init(&a, 0);
        struct event_fetch fetch = host_fetch(r->host->options.store);
        struct str body =
            arena_str(&a, (struct str){r->out.bytes.ptr + x->body_offset, x->body_len});
        err = body.ptr ? event_decode(body, &fetch, &a, &ev, e) : error_nomem(e);
        err = err ? err : pass_on(r, &ev, e);
        arena_fini(&a);
    }
    return err;
}
