/* The tracker: for each step its times, attempts, outcome and the path taken; and the calls made
 * inside steps. Written by the fold, read by whoever shows an execution.
 */
#include <stdlib.h>

#include "engine/engine_priv.h"

/* Made when a step is the first time something that most are not. */
struct more_slot {
    struct track_more m; /* first: found from it */
    struct mem *request;
};

static const struct more_slot none = {.m = {.error_type = STR_INIT(""),
                                            .error_message = STR_INIT(""),
                                            .aux = STR_INIT(""),
                                            .service = STR_INIT("")}};

static struct more_slot *more_of(const struct track_slot *s) {
    return s->t.more == &none.m ? NULL : (struct more_slot *)(uintptr_t)s->t.more;
}

static struct more_slot *need_more(struct engine *g, struct track_slot *s) {
    struct more_slot *m = more_of(s);
    if (!m) {
        m = ARENA_NEW(&g->arena, struct more_slot);
        if (!m) {
            return NULL;
        }
        *m = none;
        s->t.more = &m->m;
    }
    return m;
}

static enum err set_value(struct value *at, struct mem **mem, struct value v, struct error *e) {
    struct held h = {*at, *mem};
    enum err err = held_set(&h, v, e);
    *at = h.v;
    *mem = h.mem;
    return err;
}

void track_waits_no_more(struct track_slot *s) {
    struct more_slot *m = more_of(s);
    if (m) {
        mem_unref(m->request);
        m->request = NULL;
        m->m.request = value_null();
    }
    s->t.due = (wall_us){0};
}

/* At first there is room for a step of each node, unless they are many. */
enum { FIRST_MOST = 255 };

static struct track_slot *new_slot(struct engine *g, struct step_id step) {
    if (g->track_count == g->track_cap) {
        uint32_t nodes = g->plan->node_count < FIRST_MOST ? g->plan->node_count : FIRST_MOST;
        uint32_t cap = g->track_cap ? g->track_cap * 2 : nodes + 1;
        struct track_slot *more = realloc(g->track, cap * sizeof *more);
        if (!more) {
            return NULL;
        }
        g->track = more;
        g->track_cap = cap;
    }
    struct track_slot *s = &g->track[g->track_count++];
    *s = (struct track_slot){.t = {.step = step,
                                   .plan = g->plan,
                                   .more = &none.m,
                                   .scheduled = g->now,
                                   .seq = g->seq,
                                   .before = g->seq - 1}};
    return s;
}

static uint32_t *index_of(const struct engine *g, struct step_id step) {
    struct item_state *item = engine_item_of(g, step);
    return item ? &item->track : &g->nodes[step.node].track;
}

struct track_slot *track_of(const struct engine *g, struct step_id step) {
    uint32_t at = g->undoing ? undone_find(g, step) : *index_of(g, step);
    return at ? &g->track[at - 1] : NULL;
}

struct track_slot *track_past(const struct engine *g, struct step_id step) {
    uint32_t at = step_current(g, step) ? *index_of(g, step) : g->track_count;
    while (at > 0 &&
           (g->track[at - 1].t.plan != g->plan || !step_id_same(g->track[at - 1].t.step, step))) {
        at--;
    }
    return at ? &g->track[at - 1] : NULL;
}

enum err track_begin(struct engine *g, struct step_id step, uint32_t *out, struct error *e) {
    struct track_slot *s = *out ? &g->track[*out - 1] : NULL;
    if (!s || !step_id_same(s->t.step, step)) { /* else it was suspended before it began */
        s = new_slot(g, step);
        if (!s) {
            return error_nomem(e);
        }
        s->t.begun_tick = ++g->ticks;
        *out = g->track_count;
    }
    s->t.status = STEP_RUNNING;
    s->t.attempt = 1;
    return OK;
}

enum err track_again(struct engine *g, struct step_id step, uint32_t *at, struct error *e) {
    uint64_t before = *at ? g->track[*at - 1].t.before : g->seq - 1;
    enum err err = track_begin(g, step, at, e);
    if (!err) {
        g->track[*at - 1].t.before = before;
    }
    return err;
}

void track_attempt(struct engine *g, struct step_id step, uint32_t attempt) {
    struct track_slot *s = track_of(g, step);
    if (s) {
        s->t.attempt = attempt;
        s->t.status = STEP_RUNNING;
    }
}

static int64_t number_in(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return v && v->type == VALUE_INT && v->num > 0 ? v->num : 0;
}

/* Adds the usage that a result's meta tells; it is never undone. */
static void add_usage(struct engine *g, struct value meta) {
    const struct value *usage = value_get(meta, STR("usage"));
    if (usage) {
        g->usage.input_tokens += number_in(*usage, "inputTokens");
        g->usage.output_tokens += number_in(*usage, "outputTokens");
        g->usage.cached_tokens += number_in(*usage, "cachedTokens");
        g->usage.llm_calls += number_in(*usage, "llmCalls");
        g->usage.priced |= value_get(*usage, STR("costUsd")) != NULL;
        g->usage.nano_usd += usage_nano_usd(*usage);
    }
}

struct engine_usage engine_usage(const struct engine *g) {
    return g->usage;
}

static bool keep_text(struct engine *g, struct str text, struct str *out) {
    *out = text.len ? arena_str(&g->arena, text) : STR("");
    return out->ptr != NULL;
}

static bool keep_error(struct engine *g, struct track_slot *s, const struct event *ev) {
    bool any = ev->error_type.len || ev->message.len;
    struct more_slot *m = any ? need_more(g, s) : more_of(s);
    return m ? keep_text(g, ev->error_type, &m->m.error_type) &&
                   keep_text(g, ev->message, &m->m.error_message)
             : !any;
}

/* What an end is, whether it counts or was undone; attempt and body are set. */
static enum err note_end(struct engine *g, struct track_slot *s, const struct event *ev,
                         enum step_status status, struct error *e) {
    s->t.status = status;
    s->t.started = ev->started_us ? (wall_us){ev->started_us} : s->t.scheduled;
    s->t.ended = ev->at;
    s->t.seq = ev->seq;
    s->t.content = (enum content_type)ev->content;
    s->t.ended_tick = ++g->ticks;
    if (!keep_text(g, ev->handle, &s->t.handle) || !keep_error(g, s, ev)) {
        return error_nomem(e);
    }
    track_waits_no_more(s);
    add_usage(g, ev->meta);
    return set_value(&s->t.meta, &s->meta, ev->meta, e);
}

enum err track_end(struct engine *g, const struct event *ev, enum step_status status,
                   struct error *e) {
    struct track_slot *s = track_of(g, ev->step);
    if (!s) {
        s = new_slot(g, ev->step);
        if (!s) {
            return error_nomem(e);
        }
        *index_of(g, ev->step) = g->track_count;
    }
    struct item_state *item = engine_item_of(g, ev->step);
    const struct node_state *n = &g->nodes[ev->step.node];
    s->t.attempt = item ? item->attempt : n->attempt;
    struct held body = held_share(item ? &item->body : &n->body);
    mem_unref(s->body);
    s->t.body = body.v;
    s->body = body.mem;
    return note_end(g, s, ev, status, e);
}

enum err track_begin_undone(struct engine *g, const struct event *ev, struct error *e) {
    struct track_slot *s = track_of(g, ev->step);
    enum err err = OK;
    if (!s) {
        uint32_t at = 0;
        err = track_begin(g, ev->step, &at, e);
        err = err ? err : undone_add(g, ev->step, at, e);
        s = err ? NULL : &g->track[at - 1];
    }
    if (s) {
        s->t.undone = true;
        s->t.status = STEP_RUNNING;
        s->t.attempt = ev->attempt ? (uint32_t)ev->attempt : 1;
    }
    return err;
}

static enum step_status status_after(enum event_kind kind) {
    return kind == EVENT_STEP_COMPLETED ? STEP_COMPLETED
           : kind == EVENT_STEP_FAILED  ? STEP_FAILED
           : kind == EVENT_STEP_SKIPPED ? STEP_SKIPPED
                                        : STEP_CANCELLED;
}

/* The body of a foreach is not in its event: those of its items are what is left of it. */
enum err track_end_undone(struct engine *g, const struct event *ev, struct error *e) {
    struct track_slot *s = track_of(g, ev->step);
    if (!s) {
        s = new_slot(g, ev->step);
        enum err err = s ? undone_add(g, ev->step, g->track_count, e) : error_nomem(e);
        if (err) {
            return err;
        }
    }
    s->t.undone = true;
    s->t.attempt = ev->attempt ? (uint32_t)ev->attempt : s->t.attempt ? s->t.attempt : 1;
    enum err err = set_value(&s->t.body, &s->body, ev->body, e);
    return err ? err : note_end(g, s, ev, status_after(ev->kind), e);
}

uint32_t engine_track_count(const struct engine *g) { return g->track_count; }

const struct track *engine_track(const struct engine *g, uint32_t i) {
    ASSERT(i < g->track_count);
    return &g->track[i].t;
}

const struct track *engine_track_find(const struct engine *g, struct step_id step) {
    const struct track_slot *s = step_current(g, step) ? track_of(g, step) : NULL;
    return s ? &s->t : NULL;
}

enum err track_call_begun(struct engine *g, const struct event *ev, struct error *e) {
    struct track_slot *of = track_of(g, ev->step);
    if (!of) {
        return error_set(e, ERR_CORRUPT, "event %llu is a call of a step that was not begun",
                         (unsigned long long)ev->seq);
    }
    if (g->call_count == g->call_cap) {
        uint32_t cap = g->call_cap ? g->call_cap * 2 : 16;
        struct call_slot *more = realloc(g->calls, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        g->calls = more;
        g->call_cap = cap;
    }
    struct call_slot *s = &g->calls[g->call_count++];
    *s = (struct call_slot){.c = {.step = ev->step,
                                  .track = (uint32_t)(of - g->track),
                                  .number = (uint32_t)ev->call,
                                  .attempt = (uint32_t)ev->attempt,
                                  .begun = ev->at,
                                  .seq = ev->seq},
                            .before = of->last_call};
    of->last_call = g->call_count;
    enum err err = held_set(&s->request, ev->body, e);
    s->c.request = s->request.v;
    return err;
}

/* The newest call of the step under that number: calls of a step are a chain, newest first. */
static struct call_slot *find_call(struct engine *g, struct step_id step, uint64_t number) {
    const struct track_slot *t = track_of(g, step);
    uint32_t at = t ? t->last_call : 0;
    while (at && g->calls[at - 1].c.number != number) {
        at = g->calls[at - 1].before;
    }
    return at ? &g->calls[at - 1] : NULL;
}

uint32_t track_calls_forget(struct engine *g, struct step_id step) {
    const struct track_slot *t = track_of(g, step);
    uint32_t last = 0;
    for (uint32_t at = t ? t->last_call : 0; at; at = g->calls[at - 1].before) {
        struct call *c = &g->calls[at - 1].c;
        last = c->number > last ? c->number : last;
        c->forgotten = true;
    }
    return last;
}

uint32_t engine_calls_from(const struct engine *g, struct step_id step) {
    const struct item_state *item = engine_item_of(g, step);
    return item ? item->calls_from : g->nodes[step.node].calls_from;
}

const struct call *engine_call_find(const struct engine *g, struct step_id step, uint32_t number) {
    const struct track_slot *t = step_current(g, step) ? track_of(g, step) : NULL;
    uint32_t at = t ? t->last_call : 0;
    while (at && g->calls[at - 1].c.number != number) {
        at = g->calls[at - 1].before;
    }
    return at ? &g->calls[at - 1].c : NULL;
}

const struct call *engine_call_answered(const struct engine *g, struct step_id step,
                                        uint32_t number) {
    const struct track_slot *t = step_current(g, step) ? track_of(g, step) : NULL;
    for (uint32_t at = t ? t->last_call : 0; at; at = g->calls[at - 1].before) {
        if (g->calls[at - 1].c.number == number && g->calls[at - 1].c.done.us) {
            return &g->calls[at - 1].c;
        }
    }
    return NULL;
}

/* A step that is held back names its service. */
static struct str service_of(struct value request) {
    bool held = str_is(engine_text_in(request, "for"), "service");
    return held ? engine_text_in(request, "service") : STR("");
}

enum err track_wait(struct engine *g, const struct event *ev, struct error *e) {
    struct track_slot *s = track_of(g, ev->step);
    if (!s) {
        return OK;
    }
    struct more_slot *m = need_more(g, s);
    if (!m) {
        return error_nomem(e);
    }
    if (value_is_null(m->m.request)) { /* else it is held back on */
        m->m.waits_since = ev->at;
    }
    s->t.status = STEP_WAITING;
    s->t.due = (wall_us){ev->due_us};
    m->m.waits_by = ev->seq;
    m->m.probes = false;
    enum err err = set_value(&m->m.request, &m->request, ev->body, e);
    add_usage(g, ev->meta);
    struct str service = service_of(m->m.request);
    if (!err && service.len && !str_eq(service, m->m.service) &&
        !keep_text(g, service, &m->m.service)) {
        return error_nomem(e);
    }
    bool ok = !ev->error_type.len || keep_error(g, s, ev);
    return err || ok ? err : error_nomem(e);
}

enum err track_retry(struct engine *g, const struct event *ev, struct error *e) {
    struct track_slot *s = track_of(g, ev->step);
    if (!s) {
        return OK;
    }
    add_usage(g, ev->meta);
    struct more_slot *m = more_of(s);
    if (m) {
        m->m.probes = service_of(m->m.request).len && s->t.due.us && ev->at.us >= s->t.due.us;
    }
    track_waits_no_more(s);
    s->t.status = STEP_RETRYING;
    s->t.due = (wall_us){ev->due_us};
    return keep_error(g, s, ev) ? OK : error_nomem(e);
}

enum err track_aid(struct engine *g, const struct event *ev, struct error *e) {
    struct track_slot *s = track_of(g, ev->step);
    if (!s) {
        return OK;
    }
    struct more_slot *m = need_more(g, s);
    if (!m) {
        return error_nomem(e);
    }
    if (!step_status_final(s->t.status)) { /* else it is undone, and told as it ended */
        s->t.status = STEP_RUNNING;
    }
    track_waits_no_more(s);
    add_usage(g, ev->meta);
    return keep_error(g, s, ev) && keep_text(g, ev->aux, &m->m.aux) ? OK : error_nomem(e);
}

enum err track_process(struct engine *g, const struct event *ev, struct error *e) {
    struct track_slot *s = track_of(g, ev->step);
    struct more_slot *m = s ? need_more(g, s) : NULL;
    if (m) {
        m->m.pid = ev->pid;
        m->m.process_start = ev->process_start;
    }
    return s && !m ? error_nomem(e) : OK;
}

const struct call *track_call_find(struct engine *g, struct step_id step, uint32_t number) {
    const struct call_slot *s = find_call(g, step, number);
    return s ? &s->c : NULL;
}

enum err track_call_done(struct engine *g, const struct event *ev, struct error *e) {
    struct call_slot *s = find_call(g, ev->step, ev->call);
    if (!s) {
        return error_set(e, ERR_CORRUPT, "event %llu ends a call that was not begun",
                         (unsigned long long)ev->seq);
    }
    s->c.done = ev->at;
    enum err err = held_set(&s->answer, ev->body, e);
    s->c.answer = s->answer.v;
    return err;
}

/* Usage that was told after the step was cancelled. */
enum err track_late(struct engine *g, const struct event *ev, struct error *e) {
    add_usage(g, ev->meta);
    if (ev->step.node >= g->plan->node_count) {
        return OK;
    }
    struct track_slot *s = g->undoing ? track_of(g, ev->step) : track_past(g, ev->step);
    return s ? set_value(&s->t.meta, &s->meta, ev->meta, e) : OK;
}

uint32_t engine_call_count(const struct engine *g) { return g->call_count; }

const struct call *engine_call(const struct engine *g, uint32_t i) {
    ASSERT(i < g->call_count);
    return &g->calls[i].c;
}

void track_free(struct engine *g) {
    for (uint32_t i = 0; i < g->track_count; i++) {
        struct more_slot *m = more_of(&g->track[i]);
        mem_unref(g->track[i].body);
        mem_unref(g->track[i].meta);
        if (m) {
            mem_unref(m->request);
        }
    }
    for (uint32_t i = 0; i < g->call_count; i++) {
        held_clear(&g->calls[i].request);
        held_clear(&g->calls[i].answer);
    }
    free(g->track);
    free(g->calls);
    free(g->open_calls);
}
