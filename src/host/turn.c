/* The deciding half of a turn: each run with something to decide on gets up to HOST_TURN_EVENTS
 * events or HOST_TURN_US; pure steps run ahead in the same batch without waiting for the disk.
 */
#include "host/host_priv.h"

/* The turn of a pure step comes after all that has arrived before. */
static enum err queue_evals(struct run *r, uint32_t from, struct error *e) {
    for (uint32_t i = from; i < r->out.effect_count; i++) {
        const struct engine_effect *fx = &r->out.effects[i];
        if (fx->type != OUT_EVAL) {
            continue;
        }
        struct happened *x = happened_new(INPUT_EVAL);
        if (!x) {
            return error_nomem(e);
        }
        x->in.step = fx->step;
        x->in.attempt = fx->attempt;
        queue_put(&r->happened, x);
    }
    return OK;
}

struct deciding {
    struct run *run;
    const struct engine_input *in;
};

static enum err decide(void *ctx, struct error *e) {
    const struct deciding *d = ctx;
    return engine_decide(d->run->engine, d->in, &d->run->out, e);
}

/* A rollback was decided: what it makes of the execution is what a fold makes of its journal. It
 * begins from there before anything else is decided on. */
static enum err roll_back(struct run *r, struct error *e) {
    enum err err = run_fold_anew(r, e);
    r->rows_void = true;
    r->row_complete = false;
    r->steps_written = 0;
    return err ? err : run_start_first(r, e);
}

/* What is decided from now on is of a state that is good, also when an earlier one was void. */
static void join_batch(struct run *r) {
    r->is_void = false;
    if (!r->in_batch) {
        r->in_batch = true;
        r->batch_next = r->host->batch;
        r->host->batch = r;
    }
}

/* Only these say of which workflow and in which folder it is. */
static bool may_be_another(const struct run *r, uint32_t first) {
    bool may = false;
    for (uint32_t i = first; i < r->out.record_count; i++) {
        enum event_kind kind = r->out.records[i].kind;
        may |= kind == EVENT_EXECUTION_CREATED || kind == EVENT_WORKFLOW_CHANGED;
    }
    return may;
}

static enum err decide_one(struct run *r, struct happened *x, struct error *e) {
    uint32_t from = r->out.effect_count, first = r->out.record_count;
    struct deciding d = {r, &x->in};
    r->told_again = r->told_again || x->in.type == INPUT_REFRESH;
    wall_us now = host_now(r->host);
    x->in.now = now.us > x->not_before.us ? now : x->not_before;
    struct allowance allowed;
    x->in.allowance = budget_allowance(r, &x->in, &allowed) ? &allowed : NULL;
    if (x->in.allowance && !budget_gate(r, x, &allowed)) {
        return OK;
    }
    bool answer = x->in.type == INPUT_ANSWER;
    enum err err = trap_run(decide, &d, e);
    x->in.allowance = NULL;
    if (err == ERR_BUG) {
        r->engine = NULL; /* in parts changed: left alone, folded anew */
    }
    budget_note(r);
    err = err || !may_be_another(r, first) ? err : run_follow_plan(r, e);
    err = err ? err : queue_evals(r, from, e);
    if (!err && engine_is_superseded(r->engine)) {
        err = roll_back(r, e);
    }
    if (x->in.type == INPUT_EVAL) {
        happened_free(x); /* told again when the state is folded anew */
    } else {
        queue_put(&r->decided, x);
    }
    return err || !answer ? err : budget_pass_on(r, first, e);
}

enum err turn_decide_now(struct run *r, struct happened *x, struct error *e) {
    enum err err = OK;
    join_batch(r);
    r->host->has_told = true;
    if (engine_is_unsettled(r->engine) && r->happened.first) { /* the start after a rollback */
        err = decide_one(r, queue_take(&r->happened), e);
    }
    return err ? err : decide_one(r, x, e);
}

static enum err decide_run(struct run *r, struct error *e) {
    struct host *h = r->host;
    int64_t end_ns = 0;
    uint32_t first = r->out.record_count;
    uint32_t decided = 0;
    join_batch(r);
    while (r->happened.first && r->out.record_count - first < HOST_TURN_EVENTS) {
        enum err err = decide_one(r, queue_take(&r->happened), e);
        if (err) {
            return err;
        }
        if (r->rows_void) {
            break; /* a rollback: what it stops is stopped before what it begins */
        }
        end_ns = end_ns ? end_ns : h->last_mono.ns + HOST_TURN_US * 1000; /* it was looked at */
        if (++decided % 16 == 0 && h->clock->mono(h->clock->ctx).ns > end_ns) {
            break;
        }
    }
    h->batch_events += r->out.record_count - first;
    if (r->happened.first) {
        run_make_ready(r);
    }
    return OK;
}

/* One that an owner before this one has left ends without that anything of it is begun once more,
 * or is given up as in doubt. */
static bool is_left(const struct run *child) {
    const struct happened *first = child->happened.first;
    return first && first->in.type == INPUT_START && engine_last_seq(child->engine) > 0 &&
           !engine_is_unsettled(child->engine);
}

static enum err cancel_now(struct run *child, struct error *e) {
    struct happened *x = happened_new(INPUT_CANCEL);
    if (!x) {
        return error_nomem(e);
    }
    x->in.by = STR("its parent");
    if (is_left(child)) {
        queue_put_first(&child->happened, x);
    } else {
        queue_put(&child->happened, x);
    }
    join_batch(child);
    enum err err = OK;
    while (child->happened.first && !err) {
        err = decide_one(child, queue_take(&child->happened), e);
    }
    return err;
}

/* A tree is cancelled in one commit: a child that were cancelled later would be left alone by a
 * crash in between, since nobody takes over the children of what has ended. False: r is not in this
 * commit, since one below it could not be; all of it is decided on once more. */
static bool cancel_children(struct run *r) {
    for (uint32_t i = 0; i < r->out.effect_count && !r->lost; i++) {
        struct error why = {0};
        struct run *child = NULL;
        if (r->out.effects[i].type != OUT_CANCEL) {
            continue;
        }
        if (child_to_cancel(r, &r->out.effects[i], &child, &why)) {
            run_failed(r, &why);
            return false;
        }
        if (!child || child->ended || child->lost ||
            exec_status_final(engine_status(child->engine))) {
            continue;
        }
        bool done = cancel_now(child, &why) == OK;
        if (!done) {
            run_failed(child, &why);
        }
        if (!done || !cancel_children(child)) {
            run_again(r);
            return false;
        }
    }
    return true;
}

/* What an answer about a budget made others of the tree decide is in this commit too, and so is the
 * end of what they cancel, which may be the one that was answered. */
static void cancel_below_told(struct host *h) {
    while (h->has_told) {
        h->has_told = false; /* what is cancelled may have an answer to decide on */
        for (struct run *r = h->batch; r; r = r->batch_next) {
            (void)!cancel_children(r);
        }
    }
}

/* What the decisions on the next ones need is fetched during that on this one. */
static void fetch_ready(const struct run *next) {
    const struct run *second = next ? next->ready_next : NULL;
    const struct happened *x = next ? next->happened.first : NULL;
    run_fetch_ahead(second, second ? second->ready_next : NULL);
    if (second && second->happened.first) {
        fetch_ahead(second->happened.first, offsetof(struct happened, arena));
    }
    if (x && next->engine) {
        engine_fetch_step(next->engine, x->in.step);
    }
}

static void decide_ready(struct run *r) {
    struct error why = {0};
    if (r->starved) {
        error_nomem(&why);
        run_give_up(r, &why);
    } else if (!r->lost && (r->engine || r->asleep)) {
        if (run_wake(r, &why) || decide_run(r, &why)) {
            run_failed(r, &why); /* the state is void; nothing of it was recorded */
        }
        (void)!cancel_children(r);
        cancel_below_told(r->host);
    }
}

static void decide_until(struct host *h, struct run_queue *q, const struct run *last) {
    const struct run *done = NULL;
    while (done != last && h->batch_events < HOST_BATCH_EVENTS) {
        struct run *r = run_take_ready(h, q);
        fetch_ready(q->first);
        decide_ready(r);
        done = r;
    }
}

/* Decides for the runs that are ready now; those that become ready meanwhile wait a turn. */
void turn_decide(struct host *h) {
    struct run_queue *queues[] = {&h->asked, &h->at_work, &h->ready};
    const struct run *last[ARRAY_LEN(queues)];
    shift_begin(h);
    for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
        last[i] = queues[i]->last;
    }
    for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
        decide_until(h, queues[i], last[i]);
    }
}

/* Of those that wait for it, so many write rows of their steps with this commit as it has room for.
 * Were all of them in it, each commit would touch every execution that has ended. */
void turn_take_rows(struct host *h) {
    uint32_t rows = 0;
    while (rows < HOST_STEP_ROWS && h->rows_first) {
        struct run *r = run_next_for_rows(h);
        if (!r->lost && !r->ended && r->engine && exec_status_final(r->status)) {
            join_batch(r);
            rows += engine_track_count(r->engine) - r->steps_written;
        }
    }
}
