/* Performing: effects of committed events, and the ports through which kinds answer.
 *
 * A port is one attempt. done or fail comes exactly once and never from inside start (asserted);
 * what a cancelled attempt still says only ends it. An attempt waits until the one before it of
 * the same step has ended, so there are never two writers.
 */
#include <stdlib.h>

#include "host/host_priv.h"

static struct port *port_of(struct step_port *p) { return (struct port *)(void *)p; }

static uint32_t slots_of(const struct host *h) {
    return h->options.slots ? h->options.slots : HOST_SLOTS;
}

static bool needs_slot(const struct port *p) {
    return !(p->run->plan->nodes[p->step.node].kind->flags & KIND_NO_SLOT);
}

/* ---- ports waiting for a slot: first in, first out per run, round robin between runs ---- */

static void wait_for_slot(struct port *p) {
    struct run *r = p->run;
    struct host *h = r->host;
    p->queue_next = NULL;
    p->queue_previous = r->slot_last;
    *(r->slot_last ? &r->slot_last->queue_next : &r->slot_first) = p;
    r->slot_last = p;
    r->queued_free += !needs_slot(p);
    if (!r->waits_for_slot) {
        r->waits_for_slot = true;
        r->slot_next = NULL;
        if (h->slot_last) {
            h->slot_last->slot_next = r;
        } else {
            h->slot_first = r;
        }
        h->slot_last = r;
    }
}

static void leave_slot_queue(struct port *p) {
    struct run *r = p->run;
    *(p->queue_previous ? &p->queue_previous->queue_next : &r->slot_first) = p->queue_next;
    *(p->queue_next ? &p->queue_next->queue_previous : &r->slot_last) = p->queue_previous;
    r->queued_free -= !needs_slot(p);
}

static void port_free(struct port *p) {
    struct run *r = p->run;
    if (p->state == PORT_QUEUED) {
        leave_slot_queue(p);
    }
    breaker_leave(p);
    if (p->slot) {
        r->host->slots_used--;
    }
    r->undone_ports -= p->undone;
    ports_remove(p);
    port_process_forget(p);
    budget_forget(p);
    port_log_free(p);
    secrets_end(p);
    flight_unref(p->flight);
    free(p);
    run_let_go(r);
}

/* Until another attempt of the step has ended, and all that a rollback undid. */
static bool must_wait(const struct port *p) {
    struct port *o = ports_find(p->run, p->step, NULL);
    while (o && (o == p || o->state == PORT_QUEUED)) {
        o = ports_find(p->run, p->step, o);
    }
    return o || p->run->undone_ports;
}

static struct happened *answer(struct port *p, enum input_type type) {
    struct happened *x = happened_new(type);
    if (x) {
        x->in.step = p->step;
        x->in.attempt = p->attempt;
        x->in.started = p->started;
    }
    return x;
}

/* Without memory for the answer nothing can be recorded; another owner goes on with the run. */
static void no_memory(struct port *p) { run_starved(p->run); }

/* It ends by itself: nobody needs to tell it to stop. */
static void end_without_memory(struct port *p) {
    p->state = PORT_CANCELLING;
    no_memory(p);
}

/* The system had no memory for what the attempt tells, or for something that it is made of. */
static bool is_starved(const struct port *p, const struct happened *x) {
    return !x || x->arena.starved || p->port.in->arena->starved;
}

static void drop_starved(struct port *p, struct happened *x) {
    happened_free(x);
    if (p->state != PORT_CANCELLING) {
        end_without_memory(p);
    }
}

static void tell_chunk(struct port *p, struct str text) {
    const struct host_observer *o = &p->run->host->options.observer;
    if (o->chunk && text.len && p->state != PORT_CANCELLING) {
        o->chunk(o->ctx, p->run, flight_in(p->flight)->step, text);
    }
}

/* Nothing more will be printed. */
static void end_output(struct port *p) {
    port_log_end(p);
    tell_chunk(p, secrets_stream(p, "chunk", STR(""), true));
}

/* A result whose values take more memory than one answer may: the step fails. Were it left as it
 * is, whoever goes on with the run would come to the same end. */
static void fail_too_large(struct port *p) {
    struct happened *x = p->state == PORT_CANCELLING ? NULL : answer(p, INPUT_FAIL);
    if (x) {
        x->failure = (struct step_failure){
            .class = FAILURE_PERMANENT,
            .type = STR("too_large"),
            .message = STR("the result has so many parts that it needs more than 1 GiB of memory")};
        x->in.failure = &x->failure;
        run_happens(p->run, x);
    } else if (p->state != PORT_CANCELLING) {
        end_without_memory(p);
    }
}

static void port_done(struct step_port *sp, const struct step_result *result) {
    struct port *p = port_of(sp);
    ASSERT(p->state == PORT_RUNNING || p->state == PORT_CANCELLING);
    end_output(p);
    breaker_answered(p);
    struct happened *x = answer(p, INPUT_DONE);
    if (x) {
        x->result = *result;
        x->in.result = &x->result;
    }
    /* The handle is a name in the workflow's file: not redacted, it would lead nowhere then. */
    bool whole = x && secrets_copy(p, &x->arena, result->body, &x->result.body) &&
                 secrets_copy(p, &x->arena, result->meta, &x->result.meta) &&
                 text_keep(&x->arena, &x->result.handle);
    if (is_starved(p, x)) {
        drop_starved(p, x);
    } else if (whole) {
        run_happens(p->run, x);
    } else {
        happened_free(x);
        fail_too_large(p);
    }
    port_free(p);
}

/* What a cancelled attempt says tells nothing about its service; an answer that was no good (its
 * calls are forgotten) was one. */
static void tell_breaker(struct port *p, const struct step_failure *failure) {
    bool passes = failure->class == FAILURE_TRANSIENT && !failure->forget_calls;
    if (p->state == PORT_RUNNING && passes) {
        breaker_failed(p, failure->retry_after_us);
    } else if (p->state == PORT_RUNNING) {
        breaker_answered(p);
    }
}

static void port_fail(struct step_port *sp, const struct step_failure *failure) {
    struct port *p = port_of(sp);
    ASSERT(p->state == PORT_RUNNING || p->state == PORT_CANCELLING);
    end_output(p);
    tell_breaker(p, failure);
    bool whole = false;
    struct happened *x = p->state == PORT_CANCELLING ? NULL : answer(p, INPUT_FAIL);
    if (x) {
        x->failure = *failure;
        x->in.failure = &x->failure;
        whole = secrets_copy(p, &x->arena, failure->meta, &x->failure.meta) &&
                secrets_copy_message(p, &x->arena, &x->failure.type) &&
                secrets_copy_message(p, &x->arena, &x->failure.message);
    }
    /* A kind that had no memory says so by the type: that is nothing about the step. */
    if (!whole || is_starved(p, x) || str_is(failure->type, err_name(ERR_NOMEM))) {
        drop_starved(p, x);
    } else {
        run_happens(p->run, x);
    }
    port_free(p);
}

/* As for what could not be told, the run is given up with the next turn, and the port goes then. */
static void port_no_memory(struct step_port *sp) {
    struct port *p = port_of(sp);
    bool alone = p->run->lost || p->run->ended; /* nobody will come for it */
    p->over = true;
    if (p->state != PORT_STARTING && (alone || p->state == PORT_CANCELLING)) {
        port_free(p);
    } else if (!alone) {
        no_memory(p);
    }
}

static void port_chunk(struct step_port *sp, struct str text) {
    struct port *p = port_of(sp);
    tell_chunk(p, secrets_stream(p, "chunk", text, false));
}

static void tell_call(struct port *p, enum input_type type, uint32_t call, struct value v) {
    struct happened *x = p->state == PORT_CANCELLING ? NULL : answer(p, type);
    if (!x) {
        return;
    }
    x->in.call = call;
    if (!secrets_copy(p, &x->arena, v, &x->in.value)) {
        happened_free(x);
        no_memory(p);
        return;
    }
    run_happens(p->run, x);
}

/* The answer that an earlier attempt had to the same request. Durable: it was recorded before this
 * attempt was scheduled. */
static bool known_answer(struct port *p, uint32_t call, struct value request, struct value *out) {
    const struct engine *g = p->run->lost ? NULL : p->run->engine;
    const struct call *known = g ? engine_call_answered(g, p->step, call) : NULL;
    return known && known->attempt < p->attempt && value_identical(known->request, request) &&
           value_copy(flight_in(p->flight)->arena, known->answer, out);
}

static uint32_t next_call(struct port *p) {
    if (p->calls == 0 && p->run->engine) {
        p->calls = engine_calls_from(p->run->engine, p->step);
    }
    return ++p->calls;
}

static uint32_t port_call_begin(struct step_port *sp, struct value request,
                                struct value *out_answer) {
    struct port *p = port_of(sp);
    *out_answer = value_null();
    uint32_t call = next_call(p);
    struct value told; /* what was recorded of an earlier one was redacted too */
    if (!secrets_hide(p, sp->in->arena, request, &told)) {
        no_memory(p);
    } else if (!known_answer(p, call, told, out_answer)) {
        tell_call(p, INPUT_CALL_BEGUN, call, told);
    }
    return call;
}

/* Told when it is decided on whether it may be made: the host's turn, not inside the kind. */
static void reserve(struct port *p, uint32_t call, struct value request,
                    const struct step_charge *c) {
    struct happened *x = p->state == PORT_CANCELLING ? NULL : answer(p, INPUT_CALL_BEGUN);
    if (!x) {
        return;
    }
    struct str why = c->no_price ? arena_str(&x->arena, str_from(c->no_price)) : STR("");
    x->in.call = call;
    x->charge = *c;
    x->charge.no_price = c->no_price ? why.ptr : NULL;
    x->in.charge = &x->charge;
    if (!why.ptr || !value_copy(&x->arena, request, &x->in.value)) {
        happened_free(x);
        no_memory(p);
        return;
    }
    p->asking = true;
    p->call = call;
    p->go = c->go;
    run_happens(p->run, x);
}

static uint32_t port_call_reserve(struct step_port *sp, struct value request,
                                  const struct step_charge *c, struct value *out_answer) {
    struct port *p = port_of(sp);
    if (!budget_is_kept(p->run)) {
        uint32_t call = port_call_begin(sp, request, out_answer);
        if (value_is_null(*out_answer)) {
            c->go(sp, call);
        }
        return call;
    }
    struct value told;
    uint32_t call = next_call(p);
    *out_answer = value_null();
    if (!secrets_copy(p, sp->in->arena, request, &told)) {
        no_memory(p);
    } else if (!known_answer(p, call, told, out_answer)) {
        reserve(p, call, told, c);
    }
    return call;
}

/* What the engine does not know to be reserved needs no word. */
static void port_call_failed(struct step_port *sp, uint32_t call, struct value usage) {
    if (budget_is_kept(port_of(sp)->run)) {
        tell_call(port_of(sp), INPUT_CALL_FAILED, call, usage);
    }
}

static void port_call_done(struct step_port *sp, uint32_t call, struct value result) {
    tell_call(port_of(sp), INPUT_CALL_DONE, call, result);
}

static enum err port_secret(struct step_port *sp, struct str name, struct str *out,
                            struct error *e) {
    return secrets_get(port_of(sp), name, out, e);
}

static const struct step_port_ops port_ops = {
    .done = port_done,
    .fail = port_fail,
    .no_memory = port_no_memory,
    .log = port_log,
    .chunk = port_chunk,
    .call_begin = port_call_begin,
    .call_done = port_call_done,
    .call_reserve = port_call_reserve,
    .call_failed = port_call_failed,
    .process = port_process,
    .child = child_begin,
    .secret = port_secret,
    .history = port_history,
};

/* An attempt's time runs from its start: waiting for a slot is not counted. */
static void set_timeout(struct port *p) {
    int64_t timeout_us = p->run->plan->nodes[p->step.node].timeout_us;
    wall_us due = {p->started.us + timeout_us};
    struct timer t = {.recorded = due,
                      .due = due,
                      .run = p->run,
                      .step = p->step,
                      .attempt = p->attempt,
                      .type = INPUT_STEP_TIMEOUT};
    struct error why;
    if (timeout_us && timer_add(p->run->host, &t, &why)) {
        run_give_up(p->run, &why);
    }
}

static void port_cancel(struct port *p);

/* The kind is not told: without its secrets the attempt cannot begin. */
static void refuse(struct port *p, const struct error *why) {
    struct step_failure f = {
        .class = FAILURE_PERMANENT, .type = STR("secret"), .message = str_from(why->message)};
    p->state = PORT_RUNNING;
    breaker_leave(p); /* nothing was called */
    if (why->code == ERR_NOMEM) {
        end_without_memory(p);
        port_free(p);
    } else {
        port_fail(&p->port, &f);
    }
}

/* Nothing is performed when a result that is there already may be used. */
static bool end_by_cache(struct port *p) {
    struct happened *x = answer(p, INPUT_DONE);
    if (!x || !cache_find(p, x)) {
        happened_free(x);
        return false;
    }
    run_happens(p->run, x);
    return true;
}

static void begin(struct port *p) {
    struct run *r = p->run;
    struct host *h = r->host;
    const struct node_kind *kind = r->plan->nodes[p->step.node].kind;
    p->started = host_now(h);
    bool ended = r->plan->nodes[p->step.node].cache.present && end_by_cache(p);
    if (ended || !breaker_admits(p)) {
        p->state = PORT_RUNNING; /* it stands in no queue */
        p->slot = false;
        port_free(p);
        return;
    }
    if (p->slot) {
        h->slots_used++;
    }
    p->state = PORT_STARTING;
    p->port = (struct step_port){.ops = &port_ops,
                                 .loop = h->options.loop,
                                 .in = flight_in(p->flight),
                                 .base_dir = r->folder,
                                 .allow_paths = h->options.allow_paths,
                                 .launcher = h->launcher,
                                 .net = h->options.net,
                                 .settings = h->options.settings};
    struct error why;
    if (secrets_begin(p, &why)) {
        refuse(p, &why);
        return;
    }
    kind->start(p->port.in, &p->port);
    p->state = PORT_RUNNING;
    if (p->over) {
        if (p->stop || r->lost || r->ended) {
            port_free(p);
        }
    } else if (p->stop && !p->child_failed) {
        port_cancel(p);
    } else if (!child_after_start(p)) {
        set_timeout(p);
    }
}

static bool under_way(const struct run *r, const struct engine_effect *fx) {
    const struct port *o = ports_find(r, fx->step, NULL);
    while (o && o->attempt != fx->attempt) {
        o = ports_find(r, fx->step, o);
    }
    return o != NULL;
}

/* With nobody in the queue for slots one that is alone begins as it would from there, in the pass
 * over the batch that has its run in the caches. */
static bool may_begin(const struct port *p, bool alone) {
    const struct host *h = p->run->host;
    bool slot = alone && h->slots_free && h->slots_used < slots_of(h);
    return (slot || !needs_slot(p)) && !must_wait(p);
}

/* alone: no other effect of this commit is to begin. */
static void perform(struct run *r, const struct engine_effect *fx, bool alone) {
    /* Later decisions of the same batch may have ended it; a fold tells again what is under way. */
    if (!engine_runs(r->engine, fx->step, fx->attempt) || (r->told_again && under_way(r, fx))) {
        return;
    }
    struct port *p = calloc(1, sizeof *p);
    if (!p) {
        struct error why;
        error_nomem(&why);
        run_give_up(r, &why);
        return;
    }
    p->run = r;
    p->step = fx->step;
    p->attempt = fx->attempt;
    p->flight = flight_ref(fx->flight);
    buf_init(&p->log.text, 0);
    ports_add(p);
    if (may_begin(p, alone)) {
        p->slot = needs_slot(p);
        begin(p);
    } else {
        wait_for_slot(p);
    }
}

/* A tree of executions has one owner: what is not run here, neither are its children. */
static void give_up_child(struct port *p) {
    struct error why;
    error_set(&why, ERR_CANCELLED, "its parent %s is no longer run here", p->run->id);
    p->child->parent = NULL;
    run_give_up(p->child, &why);
    port_free(p);
}

static void port_cancel(struct port *p) {
    bool only_freed = p->state == PORT_QUEUED || (p->over && p->state != PORT_STARTING);
    if (only_freed) {
        port_free(p);
        return;
    }
    if (p->child && p->run->lost) {
        give_up_child(p);
        return;
    }
    if (p->state == PORT_STARTING || p->state == PORT_CANCELLING) {
        p->stop = true;
        return;
    }
    p->state = PORT_CANCELLING;
    p->asking = false;
    budget_forget(p);
    const struct node_kind *kind = p->run->plan->nodes[p->step.node].kind;
    if (p->child) {
        struct error ignored;
        bool asked = p->child->engine && engine_cancel_asked(p->child->engine);
        (void)!(asked ? OK : host_cancel(p->run->host, p->child, STR("its parent"), &ignored));
    } else if (kind->cancel) {
        kind->cancel(&p->port);
    }
}

void ports_cancel_all(struct run *r) {
    struct port *next;
    for (struct port *p = r->ports; p; p = next) {
        next = p->next;
        port_cancel(p);
    }
}

static void cancel_step(struct run *r, const struct engine_effect *fx) {
    struct port *next;
    for (struct port *p = ports_find(r, fx->step, NULL); p; p = next) {
        next = ports_find(r, fx->step, p);
        if (p->attempt <= fx->attempt) {
            port_cancel(p);
        }
    }
}

static void set_timer(struct run *r, const struct engine_effect *fx) {
    /* A journal that is ahead of this clock was written by another: what is left counts. */
    int64_t ahead_us = engine_times(r->engine).last.us - host_now(r->host).us;
    struct timer t = {.recorded = fx->due,
                      .due = {fx->due.us - (ahead_us > 0 ? ahead_us : 0)},
                      .run = r,
                      .step = fx->step,
                      .attempt = fx->attempt,
                      .type = fx->timer};
    struct error why;
    if (timer_add(r->host, &t, &why)) {
        run_give_up(r, &why);
    }
}

void ports_undo_all(struct run *r) {
    for (struct port *p = r->ports; p; p = p->next) {
        r->undone_ports += !p->undone;
        p->undone = true;
    }
}

void ports_cancel_stale(struct run *r) {
    struct port *next;
    for (struct port *p = r->ports; p; p = next) {
        next = p->next;
        if (!engine_runs(r->engine, p->step, p->attempt)) {
            port_cancel(p);
        }
    }
}

/* Its reservation is recorded: the call is made. */
static void begin_call(struct run *r, const struct engine_effect *fx) {
    struct port *p = ports_find(r, fx->step, NULL);
    while (p && !(p->asking && p->attempt == fx->attempt && p->call == fx->call)) {
        p = ports_find(r, fx->step, p);
    }
    if (p) {
        p->asking = false;
        p->go(&p->port, fx->call);
    }
}

/* Cancels first, so that what they free may be taken by what starts. */
void perform_effects(struct run *r) {
    uint32_t performs = 0;
    for (uint32_t i = 0; i < r->out.effect_count; i++) {
        performs += r->out.effects[i].type == OUT_PERFORM;
        if (r->out.effects[i].type == OUT_CANCEL) {
            cancel_step(r, &r->out.effects[i]);
        }
    }
    for (uint32_t i = 0; i < r->out.effect_count && !r->lost; i++) {
        const struct engine_effect *fx = &r->out.effects[i];
        if (fx->type == OUT_PERFORM) {
            perform(r, fx, performs == 1);
        } else if (fx->type == OUT_TIMER) {
            set_timer(r, fx);
        } else if (fx->type == OUT_SERVICE) {
            breaker_ask(r, fx);
        } else if (fx->type == OUT_CALL) {
            begin_call(r, fx);
        }
    }
    r->told_again = false;
}

/* The first port of the run that may begin. */
static struct port *next_port(struct run *r) {
    bool slots = r->host->slots_used < slots_of(r->host);
    struct port *p = slots || r->queued_free ? r->slot_first : NULL;
    while (p && ((needs_slot(p) && !slots) || must_wait(p))) {
        p = p->queue_next;
    }
    if (p) {
        p->slot = needs_slot(p);
    }
    return p;
}

void perform_queued(struct host *h) {
    struct run *stop = NULL;
    while (h->slot_first && h->slot_first != stop) {
        struct run *r = h->slot_first;
        h->slot_first = r->slot_next;
        h->slot_last = h->slot_first ? h->slot_last : NULL;
        r->waits_for_slot = false;
        struct port *p = r->lost ? NULL : next_port(r);
        if (p) {
            leave_slot_queue(p);
            begin(p);
            stop = NULL;
        }
        if (!r->slot_first) {
            continue;
        }
        r->waits_for_slot = true;
        r->slot_next = NULL;
        *(h->slot_last ? &h->slot_last->slot_next : &h->slot_first) = r;
        h->slot_last = r;
        stop = p || stop ? stop : r; /* a whole round without a start ends it */
    }
    h->slots_free = !h->slot_first;
}
