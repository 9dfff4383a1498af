/* The journal as the store has it, read after every turn and before every start of a handler, and
 * what must hold of it at all times (model.md "How it is proved"):
 *   seq without gaps, time never goes back, nothing after the end but late results;
 *   a step that ended never runs or ends again; attempts grow; retries wait until they are due;
 *   a handler starts only after its step_scheduled was recorded, and never after its step ended;
 *   attempts of a step get the same inputs and the same key, also in another life;
 *   a call inside a step is recorded once; what was cancelled does not complete;
 *   slots of executions and of foreach are kept; the live state is the fold of the journal, and the
 *   rows that others read say the same;
 *   with an execution that is quarantined all that is below it has ended;
 *   with a step the sub-workflow that it runs has ended, or has only its finally to run;
 *   a rollback: what had begun and not ended has ended, sub-workflows too, no id is used again,
 *   what was used stays counted (rollback.c);
 *   only the owner writes, and owner is who claimed it last: not from one that lives;
 *   a step has the iteration that its node is in, and what a loop leads to begins after the loop;
 *   a result that is used again is one that another step of the same node came to, and is not over;
 *   an answer that came early is taken by its own step, as soon as that waits, or dropped;
 *   what an execution is given is what it was submitted or retried with.
 */
#include "sim.h"

#include <stdlib.h>

enum { CLAIMS_MOST = 3 };

/* ---- finding ---- */

struct seen_execution *mirror_find(struct world *w, struct str id) {
    struct seen_execution *x = w->executions;
    while (x && !str_is(id, x->id)) {
        x = x->next;
    }
    return x;
}

struct seen_step *mirror_step(struct world *w, struct seen_execution *x, struct str id) {
    bool is_new;
    struct str kept = map_find(&x->steps, id) ? id : arena_str(&w->arena, id);
    struct map_entry *entry = map_put(&x->steps, kept, &is_new);
    if (is_new) {
        struct step_id parsed;
        struct seen_step *s = ARENA_NEW(&w->arena, struct seen_step);
        if (!step_id_parse(x->plan, id, &parsed)) {
            world_fail(w, "%.*s is no step id", STR_ARG(id));
            parsed = (struct step_id){.index = -1};
        }
        *s = (struct seen_step){
            .id = kept, .node = &x->plan->nodes[parsed.node], .index = parsed.index};
        entry->ptr = s;
    }
    return entry->ptr;
}

static struct seen_execution *by_num(struct world *w, int64_t num) {
    struct seen_execution *x = w->executions;
    while (x && x->num != num) {
        x = x->next;
    }
    return x;
}

/* A sub-workflow's plan is the one that its parent's node has. */
static const struct plan *plan_of(struct world *w, const struct store_execution *stored) {
    struct seen_execution *parent = by_num(w, stored->fixed.parent);
    struct step_id step;
    if (!stored->fixed.parent) {
        return w->plan;
    }
    if (!parent || !step_id_parse(parent->plan, stored->fixed.parent_step, &step)) {
        return NULL;
    }
    return parent->plan->nodes[step.node].child;
}

static struct seen_execution *add(struct world *w, const struct store_execution *stored) {
    struct seen_execution *x = ARENA_NEW(&w->arena, struct seen_execution);
    x->num = stored->num;
    x->key = arena_str(&w->arena, stored->fixed.key);
    memcpy(x->id, stored->fixed.id.ptr, stored->fixed.id.len);
    x->plan = x->first_plan = plan_of(w, stored);
    map_init(&x->gone, &w->arena);
    x->parent = by_num(w, stored->fixed.parent);
    x->step = arena_str(&w->arena, stored->fixed.parent_step);
    map_init(&x->steps, &w->arena);
    if (!x->plan) {
        world_fail(w, "execution %s has a parent that does not run it", x->id);
        x->plan = x->first_plan = w->plan;
    }
    x->armed = ARENA_ARRAY(&w->arena, x->plan->node_count, uint32_t);
    x->called = ARENA_ARRAY(&w->arena, x->plan->node_count, bool);
    x->recovered = ARENA_ARRAY(&w->arena, x->plan->node_count, uint32_t);
    *(w->last_execution ? &w->last_execution->next : &w->executions) = x;
    w->last_execution = x;
    return x;
}

/* ---- who writes ---- */

static const struct process *by_serial(const struct world *w, uint64_t serial) {
    for (uint32_t i = 0; i < w->process_count; i++) {
        if (w->processes[i].serial == serial && w->processes[i].host) {
            return &w->processes[i];
        }
    }
    return NULL;
}

/* A tree is given up as a whole, but let go of one by one: who took the topmost takes the rest. */
static bool is_left(const struct world *w, const struct seen_execution *x,
                    const struct process *owner) {
    return x->parent && x->parent->owner == w->acting->serial && !process_runs(owner, x);
}

static void claimed(struct world *w, struct seen_execution *x, const struct event *ev) {
    const struct process *owner = x->owner ? by_serial(w, x->owner) : NULL;
    if (owner && owner != w->acting && !w->weather.far && !x->final && !is_left(w, x, owner)) {
        world_fail(w, "process %u takes %s from process %u, which lives", w->acting->number, x->id,
                   owner->number);
    }
    /* Who let go of it did not die over it, which this process may have done itself just now. */
    bool may_be_none = !x->owner || owner == w->acting || x->final;
    if (ev->count >= CLAIMS_MOST || (ev->count != x->claims && !(may_be_none && !ev->count))) {
        world_fail(w, "%s is taken over after %u claims with nothing behind them, recorded as %u",
                   x->id, x->claims, (unsigned)ev->count);
    }
    if (ev->epoch != x->epoch + 1) {
        world_fail(w, "%s is claimed as epoch %llu after %llu", x->id,
                   (unsigned long long)ev->epoch, (unsigned long long)x->epoch);
    }
    world_tally(w, TALLY_TAKEOVER, x->owner != w->acting->serial && !x->final);
    x->owner = w->acting->serial;
    x->epoch = ev->epoch;
    x->claims = (uint32_t)ev->count + 1;
}

static bool is_below_quarantined(const struct seen_execution *x) {
    for (x = x->parent; x; x = x->parent) {
        if (x->quarantined) {
            return true;
        }
    }
    return false;
}

/* Who commits this event may do so. */
static void check_writer(struct world *w, struct seen_execution *x, const struct event *ev) {
    bool poison = ev->kind == EVENT_EXECUTION_FAILING && !ev->node.len &&
                  str_is(ev->error_type, "quarantined");
    if (ev->kind == EVENT_EXECUTION_CREATED) {
        x->owner = w->acting->serial;
        x->epoch = 1;
    } else if (ev->kind == EVENT_EXECUTION_CLAIMED) {
        claimed(w, x, ev);
        return;
    } else if (poison && x->claims < CLAIMS_MOST) {
        world_fail(w, "%s is quarantined: %.*s", x->id, STR_ARG(ev->message));
    } else if (poison) {
        x->quarantined = w->quarantined = true;
        x->owner = w->acting->serial;
        x->epoch++;
    } else if (ev->kind == EVENT_CANCEL_REQUESTED && is_below_quarantined(x)) {
        x->ended_above = true;
        x->owner = w->acting->serial;
        x->epoch++;
    } else if (x->owner != w->acting->serial) {
        world_fail(w, "process %u writes %s of %s, which it does not own", w->acting->number,
                   event_name(ev->kind), x->id);
    }
    x->claims = 0;
    if (ev->kind == EVENT_EXECUTION_FAILING && str_is(ev->error_type, "deadlock")) {
        world_fail(w, "%s is at a deadlock: %.*s", x->id, STR_ARG(ev->message));
    }
}

/* ---- loops ---- */

/* What a loop leads to, and waits for it, begins only when the loop is over. */
static void check_leaving(struct world *w, struct seen_execution *x, const struct plan_loop *l) {
    for (uint32_t i = 0; i < l->leaving_count; i++) {
        const struct plan_edge *edge = &x->plan->edges[l->leaving[i]];
        char text[STEP_ID_BYTES];
        struct step_id id = {edge->target, x->armed[edge->target], -1, 0};
        if (x->retried || edge->back_of >= 0 || x->plan->nodes[edge->target].join != JOIN_ALL) {
            continue;
        }
        const struct map_entry *entry = map_find(&x->steps, step_id_print(x->plan, id, text));
        const struct seen_step *s = entry ? entry->ptr : NULL;
        if (s && s->begun) {
            world_fail(w, "%s began before the loop that leads to it was over", text);
        }
    }
}

static void repeated(struct world *w, struct seen_execution *x, const struct event *ev) {
    int32_t heads = x->plan->nodes[ev->step.node].heads;
    if (heads < 0) {
        world_fail(w, "%s repeats a loop that its plan does not have", x->id);
        return;
    }
    const struct plan_loop *l = &x->plan->loops[heads];
    check_leaving(w, x, l);
    for (uint32_t i = 0; i < l->body_count; i++) {
        x->armed[l->body[i]]++;
    }
}

/* ---- another workflow ---- */

static const struct plan *mended_plan(const struct world *w, const struct event *ev) {
    if (str_is(ev->hash, w->plan->hash)) {
        return w->plan; /* with other inputs */
    }
    for (uint32_t i = 0; i < w->mended_count; i++) {
        if (str_is(ev->hash, w->mended[i]->hash)) {
            return w->mended[i];
        }
    }
    return NULL;
}

/* How often a node of the new plan was armed: as it was, as its loop was, or as before it went. */
static uint32_t armed_before(const struct seen_execution *x, const struct plan *to, uint32_t node) {
    const struct plan_node *n = &to->nodes[node];
    int64_t old = plan_node_find(x->plan, n->name);
    if (old >= 0) {
        return x->armed[old];
    }
    uint32_t header = n->loop_count ? to->loops[n->loops[0]].header : node;
    int64_t led = plan_node_find(x->plan, to->nodes[header].name);
    const struct map_entry *gone = map_find(&x->gone, n->name);
    uint32_t armed = led >= 0 ? x->armed[led] : 0, was = gone ? (uint32_t)gone->num : 0;
    return armed > was ? armed : was;
}

static void take_inputs(struct world *w, struct seen_execution *x, const struct event *ev) {
    const struct value *v = value_get(ev->inputs, STR("x"));
    bool again = ev->kind == EVENT_WORKFLOW_CHANGED;
    if (again && !(v && v->type == VALUE_INT && w->given >> (v->num & 63) & 1)) {
        world_fail(w, "%s goes on with inputs that nobody gave", x->id);
    }
    x->given = v && v->type == VALUE_INT ? v->num : 0;
    world_tally(w, TALLY_RETRY_INPUTS, again);
}

static void changed(struct world *w, struct seen_execution *x, const struct event *ev) {
    const struct plan *to = mended_plan(w, ev);
    world_tally(w, TALLY_RETRY_WORKFLOW, to != x->plan);
    if (!value_is_null(ev->inputs)) {
        take_inputs(w, x, ev);
    }
    uint32_t *armed = to ? ARENA_ARRAY(&w->arena, to->node_count, uint32_t) : NULL;
    bool *called = to ? ARENA_ARRAY(&w->arena, to->node_count, bool) : NULL;
    if (!armed || !called || !x->final) {
        world_fail(w, "%s is changed into a workflow that nobody gave, or too early", x->id);
        return;
    }
    for (uint32_t i = 0; i < to->node_count; i++) {
        int64_t old = plan_node_find(x->plan, to->nodes[i].name);
        bool ran = old >= 0 ? x->called[old] || !x->plan->nodes[old].role
                            : map_find(&x->gone, to->nodes[i].name) != NULL;
        called[i] = to->nodes[i].role && ran;
        armed[i] = armed_before(x, to, i);
    }
    for (uint32_t i = 0; i < x->plan->node_count; i++) {
        bool is_new;
        if (plan_node_find(to, x->plan->nodes[i].name) < 0) {
            map_put(&x->gone, x->plan->nodes[i].name, &is_new)->num = x->armed[i];
        }
    }
    for (uint32_t i = 0; i < x->steps.count; i++) { /* what asks now may be something else */
        const struct seen_step *s = x->steps.entries[i].ptr;
        if (s->kept) {
            world_fail(w, "an answer to %.*s is kept over a change of the workflow",
                       STR_ARG(s->id));
        }
    }
    x->armed = armed;
    x->called = called;
    x->recovered = ARENA_ARRAY(&w->arena, to->node_count, uint32_t);
    x->plan = to;
}

static void note_anew(struct world *w, struct seen_execution *x, const struct event *ev) {
    struct value_builder b;
    struct value lists[] = {ev->nodes, ev->keeping};
    value_builder_init(&b, &w->arena);
    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        for (size_t i = 0; i < value_count(lists[k]); i++) {
            struct str name = arena_str(&w->arena, value_str(lists[k].items[i]));
            value_list_add(&b, value_text(name));
        }
    }
    x->anew = value_list_done(&b);
}

bool mirror_is_anew(const struct seen_execution *x, struct str node) {
    bool found = false;
    for (size_t i = 0; i < value_count(x->anew) && !found; i++) {
        found = str_eq(value_str(x->anew.items[i]), node);
    }
    return found;
}

/* A generation is begun by a rollback, or by a retry that says so: what was kept is not done again
 * under a new id. */
static void check_generation(struct world *w, const struct seen_execution *x,
                             const struct seen_step *s, const struct event *ev) {
    bool unbound =
        s->begun || !ev->step.generation || x->rolled_back || x->plan->nodes[ev->step.node].role;
    if (!unbound && !(x->retried && mirror_is_anew(x, s->node->name))) {
        world_fail(w, "%.*s begins, of a node that no retry named", STR_ARG(s->id));
    }
}

/* ---- one event ---- */

static bool holds_slot(const struct plan_node *n) {
    return !n->pure && !(n->kind->flags & KIND_NO_SLOT);
}

static void check_slots(struct world *w, struct seen_execution *x, const struct seen_step *s) {
    uint32_t slots = 0, items = 0;
    for (uint32_t i = 0; i < x->steps.count; i++) {
        const struct seen_step *o = x->steps.entries[i].ptr;
        slots += o->running && holds_slot(o->node);
        items += o->running && o->node == s->node && o->index >= 0;
    }
    if (x->plan->concurrency && holds_slot(s->node) && slots > x->plan->concurrency) {
        world_fail(w, "%u steps run, the workflow has %u slots", slots, x->plan->concurrency);
    }
    if (s->node->foreach.concurrency && items > s->node->foreach.concurrency) {
        world_fail(w, "%u items of %.*s run, its concurrency is %u", items, STR_ARG(s->node->name),
                   s->node->foreach.concurrency);
    }
}

static void scheduled(struct world *w, struct seen_execution *x, struct seen_step *s,
                      const struct event *ev) {
    if (ev->attempt <= s->attempt) {
        world_fail(w, "attempt %u of %.*s comes after attempt %u", (unsigned)ev->attempt,
                   STR_ARG(s->id), s->attempt);
    }
    if (ev->at.us < s->due_us && !w->jumped) {
        world_fail(w, "attempt %u of %.*s begins before it is due", (unsigned)ev->attempt,
                   STR_ARG(s->id));
    }
    s->called = false;
    s->running = true;
    s->scheduled_us = ev->at.us;
    s->attempt = (uint32_t)ev->attempt;
    check_slots(w, x, s);
}

static void waiting(struct seen_step *s, const struct event *ev) {
    s->running = false;
    s->asks = ev->due_us == 0 && !value_get(ev->body, STR("signal"));
    s->wake_us = ev->due_us;
    s->attempt = (uint32_t)ev->attempt;
}

static bool for_budget(const struct event *ev) {
    const struct value *reason = value_get(ev->body, STR("reason"));
    return reason && reason->type == VALUE_TEXT && str_is(value_str(*reason), "budget");
}

/* Instead of failing or going on: nobody waits without somebody or a time to wait for. */
static void suspended(struct world *w, struct seen_step *s, const struct event *ev) {
    const struct value *what = value_get(ev->body, STR("for"));
    bool person = what && what->type == VALUE_TEXT && str_is(value_str(*what), "answer");
    bool more = for_budget(ev);
    world_tally(w, TALLY_BREAKER_HELD,
                what && what->type == VALUE_TEXT && str_is(value_str(*what), "service"));
    if (person ? !more && !ev->error_type.len : !ev->due_us) {
        world_fail(w, "%.*s waits for nobody and no time", STR_ARG(s->id));
    }
    s->idle_starts += more && s->running && !s->called && s->starts > s->idle_starts;
    s->running = false;
    w->answers_taken += s->wants_more; /* "fail", to a question about a budget */
    s->asks = s->wants_more = more;
    s->recovers = person && !more;
    s->wake_us = s->due_us = 0;
    s->attempt = (uint32_t)ev->attempt;
}

static void released(struct world *w, struct seen_step *s, const struct event *ev) {
    if ((s->recovers || s->wants_more) != (ev->reason.len > 0)) {
        world_fail(w, "%.*s goes on, asked by \"%.*s\"", STR_ARG(s->id), STR_ARG(ev->reason));
    }
    w->answers_taken += s->recovers;
    world_tally(w, TALLY_DECISION, s->recovers);
    s->recovers = s->asks = s->wants_more = false;
    s->due_us = ev->due_us;
}

static bool ends_step(enum event_kind kind) {
    return kind == EVENT_STEP_COMPLETED || kind == EVENT_STEP_FAILED ||
           kind == EVENT_STEP_SKIPPED || kind == EVENT_STEP_CANCELLED;
}

static struct str text_in(struct world *w, struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return v && v->type == VALUE_TEXT ? arena_str(&w->arena, value_str(*v)) : STR("");
}

static uint64_t hash_result(const struct event *ev) {
    struct buf b;
    buf_init(&b, 0);
    value_print_canonical(ev->body, &b);
    buf_append(&b, ev->handle);
    uint64_t hash = hash_bytes(buf_str(&b), 0);
    buf_fini(&b);
    return hash;
}

static void completed(struct world *w, struct seen_step *s, const struct event *ev) {
    const struct value *cached = value_get(ev->meta, STR("cached"));
    int64_t seconds;
    int32_t ns;
    s->completed = true;
    s->did = !cached && !ev->error_type.len && !value_get(ev->meta, STR("recoveredBy"));
    people_note_answer(w, s, ev->meta);
    if (s->node->cache.present) {
        s->result = hash_result(ev);
        world_tally(w, cached ? TALLY_CACHE_HIT : TALLY_CACHE_KEPT, true);
    }
    if (!cached) {
        return;
    }
    s->cached_of = text_in(w, *cached, "execution");
    s->cached_step = text_in(w, *cached, "step");
    bool dated = time_parse_rfc3339(text_in(w, *cached, "at"), &seconds, &ns);
    /* It was looked for after the step was scheduled; times in meta are cut to
     * milliseconds. */
    int64_t age_us = dated ? s->scheduled_us - seconds * 1000000 - ns / 1000 - 999 : 0;
    if (!s->node->cache.present || !dated || (age_us >= s->node->cache.ttl_us && !w->jumped)) {
        world_fail(w, "%.*s took a result that is over, or has no cache", STR_ARG(s->id));
    }
}

/* When all is read: the source may be an execution that is read later. */
static void check_cached(struct world *w, const struct seen_execution *x) {
    for (uint32_t i = 0; i < x->steps.count; i++) {
        const struct seen_step *s = x->steps.entries[i].ptr;
        struct seen_execution *of = s->cached_of.len ? mirror_find(w, s->cached_of) : NULL;
        const struct seen_step *from = of ? mirror_step(w, of, s->cached_step) : NULL;
        if (s->cached_of.len && (!from || !from->did || from->result != s->result ||
                                 !str_eq(from->node->name, s->node->name))) {
            world_fail(w, "%.*s took the result of %.*s of %.*s, which is none", STR_ARG(s->id),
                       STR_ARG(s->cached_step), STR_ARG(s->cached_of));
        }
    }
}

static void step_event(struct world *w, struct seen_execution *x, struct str id,
                       const struct event *ev) {
    struct seen_step *s = mirror_step(w, x, id);
    bool runs_on = ev->kind == EVENT_STEP_SCHEDULED || ev->kind == EVENT_STEP_RETRYING ||
                   ev->kind == EVENT_CALL_BEGUN || ev->kind == EVENT_CALL_DONE ||
                   ev->kind == EVENT_STEP_PROCESS || ev->kind == EVENT_STEP_WAITING ||
                   ev->kind == EVENT_STEP_SUSPENDED || ev->kind == EVENT_STEP_RELEASED ||
                   ev->kind == EVENT_BUDGET_EXCEEDED;
    if (s->over && (runs_on || ends_step(ev->kind))) {
        world_fail(w, "%s of %.*s, which has ended", event_name(ev->kind), STR_ARG(id));
    }
    if (x->rolled_back && ev->step.iteration > x->armed[ev->step.node] &&
        x->plan != x->first_plan && !x->plan->nodes[ev->step.node].role &&
        ev->kind != EVENT_LATE_RESULT) {
        x->armed[ev->step.node] = ev->step.iteration; /* it came back, beyond what was undone */
    }
    if ((runs_on || ev->kind == EVENT_STEP_COMPLETED) &&
        ev->step.iteration != x->armed[ev->step.node]) {
        world_fail(w, "%s of %.*s, its node is in iteration %u", event_name(ev->kind), STR_ARG(id),
                   x->armed[ev->step.node]);
    }
    check_generation(w, x, s, ev);
    s->started = s->started || ev->kind == EVENT_STEP_SCHEDULED || ev->kind == EVENT_STEP_WAITING ||
                 ev->kind == EVENT_FOREACH_STARTED || ev->kind == EVENT_STEP_SUSPENDED ||
                 ev->kind == EVENT_STEP_AIDED;
    s->begun = s->begun || runs_on || ev->kind == EVENT_STEP_COMPLETED ||
               ev->kind == EVENT_STEP_SKIPPED || ev->kind == EVENT_STEP_READY;
    if (ev->kind == EVENT_STEP_SCHEDULED) {
        scheduled(w, x, s, ev);
    } else if (ev->kind == EVENT_STEP_WAITING) {
        waiting(s, ev);
    } else if (ev->kind == EVENT_STEP_SUSPENDED) {
        suspended(w, s, ev);
    } else if (ev->kind == EVENT_STEP_RELEASED) {
        released(w, s, ev);
    } else if (ev->kind == EVENT_STEP_RETRYING) {
        s->running = false;
        s->due_us = ev->due_us;
    } else if (ends_step(ev->kind)) {
        if (ev->kind == EVENT_STEP_COMPLETED && !w->jumped && ev->at.us < s->wake_us) {
            world_fail(w, "%.*s is woken before its time", STR_ARG(id));
        }
        world_tally(w, TALLY_BUDGET_FAILED,
                    ev->kind == EVENT_STEP_FAILED && str_is(ev->error_type, "budget"));
        bool decided = (s->recovers || s->wants_more) && ev->kind == EVENT_STEP_FAILED;
        w->answers_taken += decided;
        world_tally(w, TALLY_DECISION, decided);
        s->kept = s->asks && !s->wants_more ? s->kept : 0; /* who never waited takes none */
        s->running = s->asks = s->recovers = s->wants_more = false;
        s->over = true;
        if (ev->kind == EVENT_STEP_COMPLETED) {
            completed(w, s, ev);
        }
    } else if (ev->kind == EVENT_CALL_BEGUN) {
        s->called = true;
        if (s->answered_calls >> (ev->call & 63) & 1) {
            world_fail(w, "call %u of %.*s was answered and is made again", (unsigned)ev->call,
                       STR_ARG(id));
        }
    } else if (ev->kind == EVENT_CALL_DONE) {
        s->answered_calls |= 1ull << (ev->call & 63);
    }
}

static void answer_event(struct world *w, const struct seen_execution *x, struct seen_step *s,
                         const struct event *ev) {
    bool keeps = ev->kind == EVENT_ANSWER_KEPT;
    if (keeps == (s->kept != 0)) {
        world_fail(w, "%s of %.*s, for which %s", event_name(ev->kind), STR_ARG(s->id),
                   keeps ? "one is kept" : "none was kept");
    }
    if (s->asks == keeps && !x->final) { /* at the end the workflow is changed next */
        world_fail(w, "%s of %.*s, which %s", event_name(ev->kind), STR_ARG(s->id),
                   keeps ? "waits" : "does not wait");
    }
    s->kept = keeps ? ev->seq : 0;
    w->answers_kept += keeps;
    world_tally(w, keeps ? TALLY_ANSWER_EARLY : TALLY_ANSWER_DROPPED, true);
}

/* After whole decisions: nobody waits for what is there. */
static void check_kept(struct world *w, const struct seen_execution *x) {
    for (uint32_t i = 0; i < x->steps.count; i++) {
        const struct seen_step *s = x->steps.entries[i].ptr;
        if (s->asks && s->kept) {
            world_fail(w, "%.*s waits, and an answer for it is kept", STR_ARG(s->id));
        }
    }
}

/* What may follow an end: a retry, a rollback and what their claims lead to, also a quarantine. */
static bool goes_on(const struct world *w, const struct seen_execution *x, const struct event *ev) {
    bool poisoned = (ev->kind == EVENT_EXECUTION_FAILING && x->claims > 0 &&
                     str_is(ev->error_type, "quarantined")) ||
                    (ev->kind == EVENT_EXECUTION_FAILED && x->quarantined);
    return w->may_return &&
           (ev->kind == EVENT_EXECUTION_CLAIMED || ev->kind == EVENT_EXECUTION_RETRIED ||
            ev->kind == EVENT_WORKFLOW_CHANGED || ev->kind == EVENT_EXECUTION_ROLLED_BACK ||
            (ev->kind == EVENT_ANSWER_DROPPED && w->may_retry) ||
            (ev->kind == EVENT_UNDO_BEGUN && ev->after) || poisoned);
}

static void take_event(struct world *w, struct seen_execution *x, const struct store_event *row,
                       const struct event *ev) {
    if (row->seq != x->seq + 1 || row->at.us < x->last_us) {
        world_fail(w, "event %llu of %s follows event %llu", (unsigned long long)row->seq, x->id,
                   (unsigned long long)x->seq);
    }
    if (x->final && ev->kind != EVENT_LATE_RESULT && !goes_on(w, x, ev)) {
        world_fail(w, "%s after the end of %s", event_name(ev->kind), x->id);
    }
    if (x->cancelled && ev->kind == EVENT_EXECUTION_COMPLETED) {
        world_fail(w, "%s was cancelled and yet completed", x->id);
    }
    check_writer(w, x, ev);
    x->seq = row->seq;
    x->last_us = row->at.us;
    x->paused =
        ev->kind == EVENT_EXECUTION_PAUSED || (x->paused && ev->kind != EVENT_EXECUTION_RESUMED);
    if (ev->kind == EVENT_WORKFLOW_CHANGED) {
        changed(w, x, ev);
    }
    world_tally(w, TALLY_CHECKPOINT, ev->kind == EVENT_CHECKPOINT_MADE);
    if (ev->kind == EVENT_EXECUTION_CREATED) {
        take_inputs(w, x, ev);
    }
    if (ev->kind == EVENT_EXECUTION_RETRIED) {
        note_anew(w, x, ev);
        world_tally(w, TALLY_RETRY, true);
        world_tally(w, TALLY_RETRY_COMPLETED, x->completed);
        x->final = x->cancelled = x->completed = x->paused = false;
        x->retried = w->retried = true;
        rollback_forget(x);
    }
    if (ev->kind == EVENT_UNDO_BEGUN && ev->after) { /* a rollback follows */
        x->final = x->cancelled = x->completed = x->paused = false;
        x->retried = w->retried = true;
    }
    x->cancelled = x->cancelled || ev->kind == EVENT_CANCEL_REQUESTED;
    x->completed = x->completed || (ev->kind == EVENT_EXECUTION_COMPLETED && !ev->partial);
    x->final = x->final || ev->kind == EVENT_EXECUTION_COMPLETED ||
               ev->kind == EVENT_EXECUTION_FAILED || ev->kind == EVENT_EXECUTION_CANCELLED;
    budgets_event(w, x, ev);
    signals_event(w, x, row->step, ev);
    approvals_event(w, x, ev);
    if (ev->kind == EVENT_EXECUTION_ROLLED_BACK) {
        rollback_note(w, x, ev);
    } else if (ev->kind == EVENT_LOOP_REPEATED) {
        repeated(w, x, ev);
    } else if (ev->kind == EVENT_ANSWER_KEPT || ev->kind == EVENT_ANSWER_DROPPED) {
        answer_event(w, x, mirror_step(w, x, row->step), ev);
    } else if (row->step.len) {
        step_event(w, x, row->step, ev);
    }
    mirror_auxiliary(w, x, row->step, ev);
}

static enum err fetch_blob(void *ctx, struct str hash, struct arena *a, struct str *out,
                           struct error *e) {
    return store_blob_get(ctx, hash, a, out, e);
}

static enum err decode(struct world *w, const struct plan *p, const struct store_event *row,
                       struct arena *a, struct event *out, struct error *e) {
    struct event_fetch fetch = {w->disk, fetch_blob};
    *out = (struct event){.kind = (enum event_kind)row->kind, .seq = row->seq, .at = row->at};
    out->has_step = row->step.len > 0;
    if (out->has_step && !step_id_parse(p, row->step, &out->step)) {
        return error_set(e, ERR_CORRUPT, "%.*s is no step id", STR_ARG(row->step));
    }
    return event_decode(row->body, &fetch, a, out, e);
}

static void sync_one(struct world *w, const struct store_execution *stored) {
    struct seen_execution *x = mirror_find(w, stored->fixed.id);
    struct arena a;
    struct store_event *rows = NULL;
    uint32_t count = 0;
    struct error e;
    x = x ? x : add(w, stored);
    if (stored->last_seq == x->seq) {
        x->owner = stored->host || x->final ? x->owner : 0; /* given up */
        return;
    }
    arena_init(&a, 0);
    enum err err = store_read_events(
        w->disk, (struct store_range){x->num, x->seq, stored->last_seq}, &a, &rows, &count, &e);
    for (uint32_t i = 0; i < count && !err; i++) {
        struct event ev;
        err = decode(w, x->plan, &rows[i], &a, &ev, &e);
        if (!err) {
            world_say(w, "  %u: %s %llu %s %.*s", w->acting->number, x->id,
                      (unsigned long long)rows[i].seq, event_name(rows[i].kind),
                      STR_ARG(rows[i].step));
            take_event(w, x, &rows[i], &ev);
        }
    }
    check_kept(w, x);
    signals_check(w, x);
    if (stored->epoch != x->epoch || stored->epoch == 0) {
        world_fail(w, "%s has epoch %llu, its journal says %llu", x->id,
                   (unsigned long long)stored->epoch, (unsigned long long)x->epoch);
    }
    if (err) {
        world_fail(w, "the journal of %s cannot be read: %s", x->id, e.message);
    } else if (x->seq != stored->last_seq) {
        world_fail(w, "the journal of %s ends at %llu, its row says %llu", x->id,
                   (unsigned long long)x->seq, (unsigned long long)stored->last_seq);
    }
    arena_fini(&a);
}

void mirror_sync(struct world *w) {
    struct arena a;
    struct error e;
    arena_init(&a, 0);
    for (int64_t num = 1;; num++) {
        struct store_execution stored;
        arena_reset(&a);
        enum err err = store_execution_get(w->disk, num, STR(""), &a, &stored, &e);
        if (err == ERR_NOT_FOUND) {
            break;
        }
        if (err) {
            world_fail(w, "execution %lld cannot be read: %s", (long long)num, e.message);
            break;
        }
        sync_one(w, &stored);
    }
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        const struct map_entry *of = x->parent ? map_find(&x->parent->steps, x->step) : NULL;
        bool over = of && ((const struct seen_step *)of->ptr)->over;
        if (!x->final && is_below_quarantined(x)) {
            world_fail(w, "%s goes on below an execution that was quarantined", x->id);
        }
        if (over && !x->final && !x->cancelled && !x->rolled_back) {
            world_fail(w, "%s goes on, the step that it runs for has ended", x->id);
        }
    }
    rollback_check(w);
    arena_fini(&a);
}

/* ---- the live state ---- */

enum err mirror_fold(struct world *w, const struct seen_execution *x, struct engine **out,
                     struct error *e) {
    struct arena a;
    struct store_event *rows = NULL;
    struct engine *g;
    uint32_t count = 0;
    const struct plan *plan = x->first_plan;
    enum err err = engine_new(plan, &g, e);
    if (err) {
        return err;
    }
    arena_init(&a, 0);
    err = store_read_events(w->disk, (struct store_range){x->num, 0, x->seq}, &a, &rows, &count, e);
    uint64_t *to = ARENA_ARRAY(&a, (size_t)count + 1, uint64_t);
    bool *undone = ARENA_ARRAY(&a, (size_t)count + 1, bool);
    struct event *all = ARENA_ARRAY(&a, (size_t)count + 1, struct event);
    for (uint32_t i = 0; i < count && !err; i++) {
        err = decode(w, plan, &rows[i], &a, &all[i], e);
        to[i] = all[i].to;
        if (!err && all[i].kind == EVENT_WORKFLOW_CHANGED) {
            plan = mended_plan(w, &all[i]);
        }
    }
    engine_mark_undone(to, err ? 0 : count, undone);
    for (uint32_t i = 0; i < count && !err; i++) {
        if (all[i].kind == EVENT_WORKFLOW_CHANGED) {
            engine_offer_plan(g, mended_plan(w, &all[i]));
        }
        err = undone[i] ? engine_fold_undone(g, &all[i], e) : engine_fold(g, &all[i], e);
    }
    arena_fini(&a);
    if (err) {
        engine_free(g);
        return err;
    }
    *out = g;
    return OK;
}

static void check_run(struct process *p, const struct run *r) {
    struct world *w = p->world;
    /* The digest catches up with what a fold leaves open; to a live state it does nothing. */
    struct engine *live = (struct engine *)(uintptr_t)run_engine(r);
    struct seen_execution *x = mirror_find(w, run_id(r));
    struct engine *folded;
    struct error e;
    uint64_t a = 0, b = 1;
    if (!live || !x || x->owner != p->serial) {
        return; /* what another has taken, it does not know yet */
    }
    if (w->may_return && exec_status_final(run_status(r))) {
        return; /* what it was before it went on */
    }
    if (engine_last_seq(live) != x->seq || (exec_status_final(run_status(r)) && !x->final)) {
        world_fail(w, "%s is at %llu and %s, its journal at %llu", x->id,
                   (unsigned long long)engine_last_seq(live), exec_status_name(run_status(r)),
                   (unsigned long long)x->seq);
        return;
    }
    if (mirror_fold(w, x, &folded, &e)) {
        world_fail(w, "%s cannot be folded: %s", x->id, e.message);
        return;
    }
    int64_t tokens = engine_usage(folded).input_tokens;
    if (tokens < x->tokens) {
        world_fail(w, "%s had used %lld tokens, now it is %lld", x->id, (long long)x->tokens,
                   (long long)tokens);
    }
    x->tokens = tokens;
    if (engine_digest(live, &a, &e) || engine_digest(folded, &b, &e) || a != b) {
        world_fail(w, "the fold of %s at %llu is another state than the live one", x->id,
                   (unsigned long long)x->seq);
    }
    engine_free(folded);
}

void mirror_check_live(struct process *p) {
    for (uint32_t i = 0; i < p->run_count && !p->world->failed; i++) {
        check_run(p, p->runs[i]);
    }
}

/* ---- rows ---- */

static void check_steps(struct world *w, const struct seen_execution *x, const struct engine *g,
                        struct arena *a) {
    struct store_step *rows = NULL;
    uint32_t count = 0;
    struct error e;
    char text[STEP_ID_BYTES];
    if (store_steps_read(w->disk, x->num, a, &rows, &count, &e)) {
        world_fail(w, "steps of %s cannot be read: %s", x->id, e.message);
        return;
    }
    if (count != engine_track_count(g)) {
        world_fail(w, "%s has %u rows of steps, the journal tells of %u", x->id, count,
                   engine_track_count(g));
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct track *t = engine_track(g, i);
        if (!str_eq(rows[i].step, step_id_print(t->plan, t->step, text)) ||
            !str_is(rows[i].status, step_status_name(t->status))) {
            world_fail(w, "row %u of %s is %.*s %.*s, the journal says %s %s", i, x->id,
                       STR_ARG(rows[i].step), STR_ARG(rows[i].status), text,
                       step_status_name(t->status));
            return;
        }
    }
}

static struct str print_json(struct value v, struct arena *a) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    struct str text = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

static void check_execution(struct world *w, const struct seen_execution *x, struct arena *a) {
    struct store_execution stored;
    struct engine *g;
    struct error e;
    if (x->quarantined) {
        return; /* never folded again */
    }
    if (store_execution_get(w->disk, x->num, STR(""), a, &stored, &e) ||
        mirror_fold(w, x, &g, &e)) {
        world_fail(w, "%s cannot be read: %s", x->id, e.message);
        return;
    }
    if (!str_is(stored.fixed.workflow_hash, x->plan->hash)) {
        world_fail(w, "the row of %s is of another workflow than its journal", x->id);
    }
    const struct value *given = value_get(engine_inputs(g), STR("x"));
    if (!str_eq(stored.fixed.inputs, print_json(engine_inputs(g), a)) ||
        (given ? given->num != x->given : x->given != 0)) {
        world_fail(w, "the inputs of %s are not those of its row", x->id);
    }
    if (!str_is(stored.row.status, exec_status_name(engine_status(g)))) {
        world_fail(w, "the row of %s says %.*s, its journal %s", x->id, STR_ARG(stored.row.status),
                   exec_status_name(engine_status(g)));
    }
    if (x->ended_above && stored.row.steps_upto) {
        world_fail(w, "the rows of %s are said to be complete", x->id);
    } else if (x->final && !x->ended_above) {
        check_steps(w, x, g, a);
    }
    engine_free(g);
}

void mirror_check_rows(struct world *w) {
    struct arena a;
    arena_init(&a, 0);
    for (const struct seen_execution *x = w->executions; x && !w->failed; x = x->next) {
        arena_reset(&a);
        check_execution(w, x, &a);
        check_cached(w, x);
    }
    arena_fini(&a);
}
