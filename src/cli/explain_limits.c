/* What holds steps back although nothing of the workflow is open: breakers of services, budgets of
 * the tree, slots.
 *
 * A breaker lives in the process that calls; what is told of one is what the journal of this
 * execution says, so a probe of another execution is not seen.
 */
#include "cli/explain_priv.h"

enum { DEPTH_MOST = 64, HOLDERS_SHOWN = 6 };

static struct arena *arena_of(const struct explaining *x) { return &x->s->cli->arena; }

static struct value id_of(const struct explaining *x, const struct track *t) {
    char text[STEP_ID_BYTES];
    return value_text(arena_str(arena_of(x), step_id_print(t->plan, t->step, text)));
}

static bool waits_for(const struct track *t, const char *what, const char *why) {
    return t->status == STEP_WAITING && str_is(details_text(t->more->request, "for"), what) &&
           str_is(details_text(t->more->request, "reason"), why);
}

/* ---- breakers ---- */

struct breaking {
    struct str service, since;
    wall_us next;
    int64_t failures;
    struct value_builder holds, probes;
};

/* A step that was held back for it and has not ended. */
static void look_at_held(const struct explaining *x, const struct track *t, struct breaking *b) {
    if (t->status != STEP_WAITING) {
        if (t->more->probes) {
            value_list_add(&b->probes, id_of(x, t));
        }
        return;
    }
    const struct value *failures = value_get(t->more->request, STR("failures"));
    struct str since = details_text(t->more->request, "since");
    char text[TIME_RFC3339_BYTES];
    time_print_rfc3339(t->more->waits_since, text);
    since = since.len ? since : str_from(text);
    if (!b->since.len || str_cmp(since, b->since) < 0) {
        b->since = arena_str(arena_of(x), since);
    }
    if (failures && failures->type == VALUE_INT && failures->num > b->failures) {
        b->failures = failures->num;
    }
    b->next = !b->next.us || t->due.us < b->next.us ? t->due : b->next;
    value_list_add(&b->holds, id_of(x, t));
}

static bool was_held(const struct track *t) {
    return t->more->service.len && !step_status_final(t->status) && !t->undone;
}

static struct value breaker_value(const struct explaining *x, struct str service) {
    struct breaking how = {.service = service};
    struct value_builder b;
    struct arena *a = arena_of(x);
    value_builder_init(&how.holds, a);
    value_builder_init(&how.probes, a);
    for (uint32_t i = 0; i < engine_track_count(x->v.engine); i++) {
        const struct track *t = engine_track(x->v.engine, i);
        if (was_held(t) && str_eq(t->more->service, service)) {
            look_at_held(x, t, &how);
        }
    }
    struct value holds = value_list_done(&how.holds), probes = value_list_done(&how.probes);
    value_builder_init(&b, a);
    value_map_add(&b, STR("service"), value_text(arena_str(a, service)));
    value_map_add(&b, STR("state"),
                  value_text(value_count(probes)  ? STR("half-open")
                             : value_count(holds) ? STR("open")
                                                  : STR("closed")));
    value_map_add(&b, STR("failures"), value_int(how.failures));
    explain_text(&b, "since", how.since);
    explain_time(&b, "nextProbe", how.next);
    value_map_add(&b, STR("holds"), holds);
    value_map_add(&b, STR("probes"), probes);
    return value_map_done(&b);
}

struct value explain_breakers(const struct explaining *x) {
    struct value_builder list;
    struct map seen;
    const struct engine *g = x->v.engine;
    value_builder_init(&list, arena_of(x));
    map_init(&seen, arena_of(x));
    for (uint32_t i = 0; !exec_status_final(engine_status(g)) && i < engine_track_count(g); i++) {
        const struct track *t = engine_track(g, i);
        bool is_new = false;
        if (was_held(t) && map_put(&seen, t->more->service, &is_new) && is_new) {
            value_list_add(&list, breaker_value(x, t->more->service));
        }
    }
    return value_list_done(&list);
}

/* ---- budgets ---- */

static double number_in(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return !v ? 0 : v->type == VALUE_INT ? (double)v->num : v->type == VALUE_DOUBLE ? v->real : 0;
}

static double left_of(struct value part) {
    return number_in(part, "limit") - number_in(part, "used") - number_in(part, "reserved");
}

/* What steps of this execution ask for and do not get; in the units of the events. */
static double asked(const struct explaining *x, struct str key, struct value_builder *by) {
    double sum = 0;
    for (uint32_t i = 0; i < engine_track_count(x->v.engine); i++) {
        const struct track *t = engine_track(x->v.engine, i);
        const struct value *account = value_get(t->more->request, STR("account"));
        if (waits_for(t, "answer", "budget") && account &&
            str_eq(details_text(t->more->request, "what"), key)) {
            sum += number_in(*account, "asked");
            value_list_add(by, id_of(x, t));
        }
    }
    return sum;
}

static struct value with_asked(const struct explaining *x, struct str key, struct value part,
                               struct str of) {
    struct value_builder b, by;
    enum budget_kind kind = budget_find(key);
    struct arena *a = arena_of(x);
    value_builder_init(&b, a);
    value_builder_init(&by, a);
    double sum = asked(x, key, &by);
    for (size_t i = 0; i < value_count(part); i++) {
        value_map_add_value(&b, part.pairs[i].key, part.pairs[i].val);
    }
    value_map_add(&b, STR("asked"),
                  kind == BUDGET_USD    ? value_double(sum / BUDGET_NANO_USD)
                  : kind == BUDGET_TIME ? value_double(sum / 1e6)
                                        : value_int((int64_t)sum));
    value_map_add(&b, STR("askedBy"), value_list_done(&by));
    value_map_add(&b, STR("of"), value_text(arena_str(a, of)));
    return value_map_done(&b);
}

struct budgets {
    struct value part[BUDGET_KINDS]; /* of the execution that leaves least, null: of none */
    struct str of[BUDGET_KINDS];
};

static enum err add_budgets(const struct explaining *x, const struct host_view *v,
                            struct budgets *out, struct error *e) {
    struct value own;
    enum err err = host_view_budget(v, x->s->store, session_now(), arena_of(x), &own, e);
    for (size_t i = 0; !err && own.type == VALUE_MAP && i < value_count(own); i++) {
        enum budget_kind kind = budget_find(value_str(own.pairs[i].key));
        bool known = kind != BUDGET_KINDS;
        if (known && (!out->of[kind].len || left_of(own.pairs[i].val) < left_of(out->part[kind]))) {
            out->part[kind] = own.pairs[i].val;
            out->of[kind] = arena_str(arena_of(x), v->stored.fixed.id);
        }
    }
    return err;
}

/* Its own, and those of the executions that it is part of; what cannot be read has none. */
static enum err collect_budgets(const struct explaining *x, struct budgets *out, struct error *e) {
    int64_t parent = x->v.stored.fixed.parent;
    enum err err = add_budgets(x, &x->v, out, e);
    for (int i = 0; !err && parent && i < DEPTH_MOST; i++) {
        struct store_execution stored;
        struct host_view v;
        struct error ignored;
        if (store_execution_get(x->s->store, parent, STR(""), arena_of(x), &stored, &ignored) ||
            host_view_open(x->s->store, x->s->kinds, stored.fixed.id, &v, &ignored)) {
            return OK;
        }
        err = add_budgets(x, &v, out, e);
        host_view_close(&v);
        parent = stored.fixed.parent;
    }
    return err;
}

enum err explain_budget(const struct explaining *x, struct value *out, struct error *e) {
    struct budgets all = {0};
    struct value_builder b;
    enum err err = collect_budgets(x, &all, e);
    bool any = false;
    value_builder_init(&b, arena_of(x));
    for (int i = 0; i < BUDGET_KINDS; i++) {
        struct str key = str_from(budget_key((enum budget_kind)i));
        if (all.of[i].len) {
            value_map_add(&b, key, with_asked(x, key, all.part[i], all.of[i]));
            any = true;
        }
    }
    *out = any ? value_map_done(&b) : value_null();
    return err ? err : b.ok ? OK : error_nomem(e);
}

/* ---- slots ---- */

static bool holds_slot(const struct track *t) {
    const struct plan_node *n = &t->plan->nodes[t->step.node];
    bool is_whole = n->foreach.present && t->step.index < 0;
    return t->status == STEP_RUNNING && !t->more->aux.len && !t->undone && !n->pure && !is_whole &&
           !(n->kind->flags & KIND_NO_SLOT) && !n->kind->wait;
}

/* All that it needs has come, and nothing but a slot is missing. */
static bool is_ready(const struct explaining *x, uint32_t node) {
    const struct plan_node *n = &x->v.plan->nodes[node];
    bool is_live =
        engine_status(x->v.engine) == EXEC_RUNNING || engine_status(x->v.engine) == EXEC_WAITING;
    return is_live && engine_node_status(x->v.engine, node) == STEP_PENDING &&
           !explain_open_needs(x, n).len;
}

struct value explain_slots(const struct explaining *x) {
    struct value_builder b, by, waiting;
    struct arena *a = arena_of(x);
    const struct engine *g = x->v.engine;
    uint32_t limit = x->v.plan->concurrency, used = 0;
    value_builder_init(&b, a);
    value_builder_init(&by, a);
    value_builder_init(&waiting, a);
    for (uint32_t i = 0; i < engine_track_count(g); i++) {
        if (holds_slot(engine_track(g, i))) {
            value_list_add(&by, id_of(x, engine_track(g, i)));
            used++;
        }
    }
    for (uint32_t i = 0; i < x->v.plan->node_count; i++) {
        if (is_ready(x, i)) {
            value_list_add(&waiting, value_text(arena_str(a, x->v.plan->nodes[i].name)));
        }
    }
    value_map_add(&b, STR("limit"), limit ? value_int(limit) : value_null());
    value_map_add(&b, STR("used"), value_int(used));
    value_map_add(&b, STR("holders"), value_list_done(&by));
    value_map_add(&b, STR("waiting"), value_list_done(&waiting));
    return exec_status_final(engine_status(g)) ? value_null() : value_map_done(&b);
}

struct str explain_slots_text(const struct explaining *x, struct value slots) {
    const struct value *limit = value_get(slots, STR("limit"));
    const struct value *used = value_get(slots, STR("used"));
    const struct value *by = value_get(slots, STR("holders"));
    struct buf b;
    if (!limit || limit->type != VALUE_INT || !used || !by) {
        return STR("a slot of its process");
    }
    buf_init(&b, 0);
    buf_printf(&b, "a slot: %lld of %lld in use, by ", (long long)used->num, (long long)limit->num);
    for (size_t i = 0; i < value_count(*by) && i <= HOLDERS_SHOWN; i++) {
        buf_append_cstr(&b, i ? ", " : "");
        buf_append(&b, i == HOLDERS_SHOWN ? STR("...") : value_str(by->items[i]));
    }
    struct str text = arena_str(arena_of(x), buf_str(&b));
    buf_fini(&b);
    return text;
}
