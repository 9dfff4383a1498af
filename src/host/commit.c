/* The recording half of a turn: blobs first, then all new events of all executions in one
 * transaction (group commit). Only after it effects leave and watchers are told.
 */
#include "base/mutant.h"
#include "host/host_priv.h"

enum { BUSY_FIRST_MS = 5000, BUSY_TRY_MS = 100 }; /* how long a commit waits for others */

/* What a loop over the batch needs of each run, besides the run itself. What is fetched and not
 * needed costs time too, with thousands of runs. */
enum { OF_ENGINE = 1, OF_RECORDS = 2, OF_EFFECTS = 4, OF_DECIDED = 8 };

/* While a run of the batch has its turn those after it are fetched. */
static inline void fetch_batch(const struct run *r, unsigned parts) {
    const struct run *next = r->batch_next, *second = next ? next->batch_next : NULL;
    if (second && second->batch_next) {
        fetch_ahead(second->batch_next, offsetof(struct run, few));
    }
    if (second && second->engine && (parts & OF_ENGINE)) {
        engine_fetch(second->engine);
    }
    if (second && (parts & OF_RECORDS)) {
        fetch_ahead(second->out.records, 2 * sizeof *second->out.records);
        fetch_ahead(second->out.bytes.ptr, 2 * FETCH_LINE_BYTES);
    }
    if (second && (parts & OF_DECIDED)) {
        fetch_ahead(second->decided.first, offsetof(struct happened, arena));
    }
    if (second && (parts & OF_EFFECTS)) {
        fetch_ahead(second->out.effects, sizeof *second->out.effects);
    }
    if (next && next->engine && next->out.effect_count && (parts & OF_EFFECTS)) {
        engine_fetch_step(next->engine, next->out.effects[0].step);
    }
}

static enum err put_blobs(struct run *r, struct error *e) {
    for (uint32_t i = 0; i < r->out.blobs.count; i++) {
        const struct event_blob *b = &r->out.blobs.items[i];
        struct str hash = {b->hash, SHA256_HEX_BYTES - 1};
        struct str bytes = {r->out.blobs.bytes.ptr + b->offset, b->len};
        enum err err = store_blob_put(r->host->options.store, hash, bytes, e);
        if (err && !MUTANT(lose_blob)) {
            return err;
        }
    }
    return OK;
}

static struct store_event *events_of(const struct run *r, struct arena *a) {
    struct store_event *events = ARENA_ARRAY(a, r->out.record_count + 1, struct store_event);
    for (uint32_t i = 0; events && i < r->out.record_count; i++) {
        const struct engine_record *x = &r->out.records[i];
        events[i] = (struct store_event){.seq = x->seq,
                                         .at = x->at,
                                         .kind = (uint16_t)x->kind,
                                         .step = {r->out.bytes.ptr + x->step_offset, x->step_len},
                                         .body = {r->out.bytes.ptr + x->body_offset, x->body_len}};
    }
    return events;
}

/* Rows of steps and messages of an execution that ended, as far as they fit this commit. */
static enum err add_steps(struct run *r, uint32_t room, struct store_change *c, struct arena *a,
                          struct error *e) {
    uint32_t total = engine_track_count(r->engine);
    uint32_t count = total - r->steps_written < room ? total - r->steps_written : room;
    struct store_step *rows = ARENA_ARRAY(a, (size_t)count + 1, struct store_step);
    if (!rows) {
        return error_nomem(e);
    }
    enum err err = row_steps(r->engine, r->steps_written, count, a, rows, e);
    c->steps = rows;
    c->step_count = count;
    if (err || r->steps_written + count < total) {
        return err;
    }
    struct store_message *messages;
    err = row_messages(r->engine, a, &messages, &c->message_count, e);
    c->messages = messages;
    c->row.steps_upto = engine_last_seq(r->engine);
    return err;
}

static bool find_track(const struct run *r, const struct engine_record *x, uint32_t *out) {
    struct str text = {r->out.bytes.ptr + x->step_offset, x->step_len};
    struct step_id step;
    uint32_t i = step_id_parse(r->plan, text, &step) ? engine_track_count(r->engine) : 0;
    while (i > 0 && (engine_track(r->engine, i - 1)->plan != r->plan ||
                     !step_id_same(engine_track(r->engine, i - 1)->step, step))) {
        i--;
    }
    *out = i - 1;
    return i > 0;
}

/* The rows are complete: anew only those of steps whose last words came after the end. */
static enum err add_late_steps(struct run *r, struct store_change *c, struct arena *a,
                               struct error *e) {
    struct store_step *rows = ARENA_ARRAY(a, r->out.record_count + 1, struct store_step);
    enum err err = rows ? OK : error_nomem(e);
    uint32_t at;
    for (uint32_t i = 0; i < r->out.record_count && !err; i++) {
        if (find_track(r, &r->out.records[i], &at)) {
            err = row_steps(r->engine, at, 1, a, &rows[c->step_count++], e);
        }
    }
    c->steps = rows;
    c->row.steps_upto = engine_last_seq(r->engine);
    return err;
}

static bool is_changed(const struct run *r) {
    bool changed = false;
    for (uint32_t i = 0; i < r->out.record_count; i++) {
        changed |= r->out.records[i].kind == EVENT_WORKFLOW_CHANGED;
    }
    return changed;
}

/* Its row is of the workflow and the inputs that it goes on with. */
static enum err add_changed(const struct run *r, struct store_change *c, struct arena *a,
                            struct error *e) {
    const struct plan *p = engine_plan(r->engine);
    struct store_work *w = ARENA_NEW(a, struct store_work);
    if (!w) {
        return error_nomem(e);
    }
    *w = (struct store_work){.workflow = p->name,
                             .workflow_hash = str_from(p->hash),
                             .entry = p->entry,
                             .inputs = json_text(a, engine_inputs(r->engine))};
    c->work = w;
    return w->inputs.ptr ? OK : error_nomem(e);
}

static enum err change_of(struct run *r, uint32_t *room, struct store_change *c, struct arena *a,
                          struct error *e) {
    *c = (struct store_change){.num = r->is_new ? 0 : r->num,
                               .new = r->is_new ? &r->fixed : NULL,
                               .epoch = r->epoch,
                               .host = r->host->host_id,
                               .parent_epoch = r->parent ? r->parent->run->epoch : 0,
                               .last_seq = r->last_seq,
                               .last_event = r->last_event,
                               .drop_details = r->rows_void,
                               .events = events_of(r, a),
                               .event_count = r->out.record_count};
    if (!c->events) {
        return error_nomem(e);
    }
    enum err err = is_changed(r) && !MUTANT(row_of_old_workflow) ? add_changed(r, c, a, e) : OK;
    err = err ? err : row_make(r, a, &c->row, e);
    err = err ? err : cache_keep(r, c, a, e);
    if (err || !exec_status_final(engine_status(r->engine))) {
        return err;
    }
    c->host = 0;
    if (r->row_complete) {
        return add_late_steps(r, c, a, e);
    }
    err = add_steps(r, *room, c, a, e);
    *room -= c->step_count;
    return err;
}

static void tell_events(struct run *r) {
    const struct host_observer *o = &r->host->options.observer;
    for (uint32_t i = 0; o->event && i < r->out.record_count; i++) {
        const struct engine_record *x = &r->out.records[i];
        struct host_event ev = {.kind = x->kind,
                                .seq = x->seq,
                                .at = x->at,
                                .step = {r->out.bytes.ptr + x->step_offset, x->step_len},
                                .body = {r->out.bytes.ptr + x->body_offset, x->body_len}};
        o->event(o->ctx, r, &ev);
    }
}

static void tell_verdicts(struct run *r) {
    const struct host_observer *o = &r->host->options.observer;
    for (uint32_t i = 0; o->verdict && i < r->out.verdict_count; i++) {
        const struct engine_verdict *v = &r->out.verdicts[i];
        o->verdict(o->ctx, r, v->ticket, (struct str){r->out.bytes.ptr + v->offset, v->len});
    }
}

static void drop_decided(struct run *r) {
    struct happened *x;
    while ((x = queue_take(&r->decided))) {
        happened_free(x);
    }
}

/* Everything of the run's batch is durable. */
static void run_committed(struct run *r, const struct store_change *c) {
    struct error ignored;
    if (r->untold) {
        (void)!run_tell_recorded(r, r->last_seq - 1, &ignored);
    }
    r->num = c->num;
    r->is_new = false;
    r->last_seq = engine_last_seq(r->engine);
    r->last_event = c->last_event;
    row_recorded(r, &c->row);
    if (r->rows_void) {
        ports_undo_all(r);
        r->rows_void = false;
    }
    r->steps_written += r->row_complete ? 0 : c->step_count;
    r->row_complete = c->row.steps_upto != 0;
    r->failures = 0;
    r->status = engine_status(r->engine);
    drop_decided(r);
    tell_events(r);
    tell_verdicts(r);
}

/* It has ended and rows of its steps are to be written. */
static bool has_rows(const struct run *r) {
    return !r->ended && !r->lost && r->engine && !r->row_complete &&
           exec_status_final(engine_status(r->engine));
}

/* A run that has nothing to record still has effects (timers, refreshed attempts). */
static bool nothing_to_record(const struct run *r, uint32_t room) {
    bool row = !r->ended && exec_status_final(engine_status(r->engine));
    return r->out.record_count == 0 && (!row || (room == 0 && has_rows(r)));
}

static void run_perform(struct run *r) {
    if (!r->lost) {
        perform_effects(r);
    }
    engine_out_reset(&r->out);
}

static void run_end(struct run *r) {
    if (r->ended) {
        run_let_go(r); /* something came late */
    } else if (!r->lost && r->row_complete && exec_status_final(r->status) &&
               r->steps_written == engine_track_count(r->engine)) {
        run_over(r);
    }
}

static void run_fenced(struct run *r, bool key_taken) {
    struct error why;
    if (key_taken) {
        error_set(&why, ERR_CONFLICT,
                  "the key \"%.*s\" was taken by another process at the same moment: submit again "
                  "to get its execution",
                  STR_ARG(r->fixed.key));
    } else {
        error_set(&why, ERR_FENCED,
                  "another process has taken execution %s over; nothing more of it is recorded "
                  "here",
                  r->id);
    }
    run_give_up(r, &why);
}

/* The commit failed or its outcome is unknown: memory is void, the store is asked again. */
static void batch_failed(struct host *h, struct run *batch, const struct error *why) {
    bool any_left = false;
    for (struct run *r = batch; r; r = r->batch_next) {
        run_failed(r, why);
        any_left = any_left || !r->lost;
    }
    h->is_full = h->is_full && any_left; /* whatever comes next has all of the time again */
}

/* It had ended here, and is retried or taken over here since. In one commit with that what comes
 * late would be fenced, and no request of the execution would get the verdict that it has. */
static bool came_too_late(const struct run *r) { return r->ended && run_is_back(r); }

static uint32_t depth_of(const struct run *r) {
    uint32_t depth = 0;
    while ((r = r->above)) {
        depth++;
    }
    return depth;
}

/* Those above come first, since what is below is recorded with them or not at all. */
static struct run *from_the_top(struct run *left) {
    struct run *first = NULL, **last = &first;
    for (uint32_t depth = 0; left; depth++) {
        struct run **at = &left;
        while (*at) {
            struct run *r = *at;
            if (depth_of(r) != depth) {
                at = &r->batch_next;
                continue;
            }
            *at = r->batch_next;
            r->batch_next = NULL;
            *last = r;
            last = &r->batch_next;
        }
    }
    return first;
}

static struct run *take_batch(struct host *h, uint32_t *out_count, uint32_t *out_verdicts) {
    struct run *batch = NULL, *next;
    bool trees = false;
    *out_count = *out_verdicts = 0;
    for (struct run *r = h->batch; r; r = next) {
        next = r->batch_next;
        r->in_batch = false;
        r->batch_next = NULL;
        if (came_too_late(r)) {
            run_give_up(r, NULL);
        }
        if (!r->lost && !r->is_void && r->engine) {
            r->batch_next = batch;
            batch = r;
            ++*out_count;
            *out_verdicts += r->out.verdict_count;
            trees = trees || r->above;
        }
        r->is_void = false;
    }
    h->batch = NULL;
    h->batch_events = 0;
    return trees ? from_the_top(batch) : batch;
}

/* What became of requests is recorded with what they led to: those of the inbox. */
static void add_verdicts(const struct run *r, struct store_verdict *verdicts,
                         struct store_batch *b) {
    for (uint32_t i = 0; i < r->out.verdict_count; i++) {
        const struct engine_verdict *v = &r->out.verdicts[i];
        if (v->ticket > 0) {
            verdicts[b->verdict_count++] = (struct store_verdict){
                .inbox = v->ticket, .verdict = {r->out.bytes.ptr + v->offset, v->len}};
        }
    }
}

void commit_note_busy(struct host *h, const struct error *why) {
    const struct host_observer *o = &h->options.observer;
    if (!h->is_busy) {
        h->is_busy = true;
        store_patience(h->options.store, BUSY_TRY_MS);
        if (o->busy) {
            o->busy(o->ctx, why);
        }
    }
}

/* Nothing was recorded, that is sure, and nothing is wrong but the moment: the batch stays as it
 * is, what is decided meanwhile joins it, and all of it is tried again before long. From then on
 * each try is short, for the loop has others to serve. */
static void keep_batch(struct host *h, struct run *batch, const struct error *why) {
    for (struct run *r = batch; r; r = r->batch_next) {
        r->in_batch = true;
        h->batch_events += r->out.record_count;
    }
    h->batch = batch;
    commit_note_busy(h, why);
}

bool commit_is_waited_out(struct host *h, enum err err) {
    int64_t now_ns = h->clock->mono(h->clock->ctx).ns;
    uint32_t wait_ms = h->options.space_wait_ms ? h->options.space_wait_ms : HOST_SPACE_WAIT_MS;
    if (err == ERR_STORE_FULL && !h->is_full) {
        h->is_full = true;
        h->full_since_ns = now_ns;
    }
    return err == ERR_STORE_BUSY ||
           (err == ERR_STORE_FULL && now_ns - h->full_since_ns < INT64_C(1000000) * wait_ms);
}

static void free_again(struct host *h) {
    const struct host_observer *o = &h->options.observer;
    h->is_full = false;
    if (h->is_busy) {
        h->is_busy = false;
        store_patience(h->options.store, BUSY_FIRST_MS);
        if (o->busy) {
            o->busy(o->ctx, NULL);
        }
    }
}

static const struct run *top_of(const struct run *r) {
    while (r->above) {
        r = r->above;
    }
    return r;
}

/* All of the tree: one's rollback must not be recorded without what it cancels. */
static void leave_batch(struct run **batch, const struct run *top, const struct error *why) {
    while (*batch) {
        struct run *r = *batch;
        if (top_of(r) == top) {
            *batch = r->batch_next;
            run_failed(r, why);
        } else {
            batch = &r->batch_next;
        }
    }
}

/* What is recorded of the nearest one above it in the same commit, as a store_change names it: if
 * others have taken that over, neither what it had decided about r is recorded nor what r did. */
static uint32_t change_above(const struct run *r, const struct store_batch *b) {
    for (const struct run *x = r->above; x; x = x->above) {
        bool in_batch = x->change >= b->changes && x->change < b->changes + b->count;
        if (in_batch && x->change->num == x->num) { /* not left from an earlier commit */
            return (uint32_t)(x->change - b->changes) + 1;
        }
    }
    return 0;
}

/* What is to be recorded of the run, if anything is. */
static enum err add_part(struct host *h, struct run *r, uint32_t *room, struct store_batch *b,
                         struct error *e) {
    r->change = nothing_to_record(r, *room) ? NULL : &b->changes[b->count];
    enum err err = r->change ? put_blobs(r, e) : OK;
    err = err || !r->change ? err : change_of(r, room, r->change, &h->scratch, e);
    if (!err && r->change) {
        r->change->above = change_above(r, b);
    }
    if (!err && h->scratch.starved) { /* some text of a row may be missing */
        err = error_nomem(e);
    }
    b->count += !err && r->change;
    return err;
}

/* Puts together what is to be recorded of each run and records it. A tree of which a part cannot be
 * made (a blob too many for the disk, no memory) leaves the batch, which is put together anew. */
static enum err record(struct host *h, struct run **batch, uint32_t verdict_count,
                       struct store_batch *b, struct error *e) {
    uint32_t room = HOST_STEP_ROWS;
    struct store_verdict *verdicts =
        ARENA_ARRAY(&h->scratch, (size_t)verdict_count + 1, struct store_verdict);
    struct run *r = *batch;
    if (!verdicts) {
        return error_nomem(e);
    }
    while (r) {
        struct error why;
        fetch_batch(r, OF_ENGINE | OF_RECORDS);
        enum err err = add_part(h, r, &room, b, &why);
        if (commit_is_waited_out(h, err)) {
            *e = why;
            return err;
        }
        if (!err) {
            r = r->batch_next;
            continue;
        }
        leave_batch(batch, top_of(r), &why);
        h->scratch.starved = false; /* what is missing is of those that left */
        b->count = 0;
        room = HOST_STEP_ROWS;
        r = *batch;
    }
    for (r = verdict_count ? *batch : NULL; r; r = r->batch_next) {
        add_verdicts(r, verdicts, b);
    }
    b->verdicts = verdicts;
    return b->count + b->verdict_count == 0 ? OK : store_commit(h->options.store, b, e);
}

static void settle(struct run *r) {
    if (!r->change) {
        r->failures = 0;
        drop_decided(r);
        tell_verdicts(r);
    } else if (r->change->fenced) {
        run_fenced(r, r->change->key_taken);
    } else {
        run_committed(r, r->change);
    }
}

/* What an effect does to another run of the batch finds it as it was recorded: with nobody fenced
 * and none that is new that is so before all are settled. */
static bool is_plain(const struct store_batch *b) {
    bool plain = true;
    for (uint32_t i = 0; i < b->count; i++) {
        plain = plain && !b->changes[i].fenced && !b->changes[i].new;
    }
    return plain;
}

/* Most go on: they have not ended and do not rest. */
static bool goes_on(const struct run *r) {
    return !r->ended && (r->status == EXEC_RUNNING || r->status == EXEC_PENDING);
}

/* Those from r on, and then whether all of them are still owned here. */
static void settle_rest(struct host *h, struct run *r) {
    for (; r; r = r->batch_next) {
        fetch_batch(r, OF_ENGINE | OF_DECIDED);
        settle(r);
    }
    lease_check(h);
}

/* Settles each and performs its effects: in one pass, while it is in the caches, unless there is a
 * reason not to. *batch becomes those that do not just go on. */
static void settle_and_perform(struct host *h, struct run **batch, bool plain) {
    bool settled = !plain;
    struct run *next, **at = batch;
    if (settled) {
        settle_rest(h, *batch);
    }
    for (struct run *r = *batch; r; r = next) {
        next = r->batch_next;
        fetch_batch(r, OF_ENGINE | OF_EFFECTS | (settled ? 0 : OF_DECIDED));
        if (!settled) {
            settle(r);
            settled = !lease_is_good(h);
            if (settled) {
                settle_rest(h, next);
            }
        }
        run_perform(r);
        if (!goes_on(r)) {
            *at = r;
            at = &r->batch_next;
        }
    }
    *at = NULL;
}

static void settle_batch(struct host *h, struct run *batch, bool plain) {
    struct run *next;
    settle_and_perform(h, &batch, plain);
    for (struct run *r = batch; r; r = next) {
        next = r->batch_next;
        run_end(r); /* after all: the end of a child is news for its parent */
        if (has_rows(r)) {
            run_wait_for_rows(r); /* further ones follow in commits of their own */
        }
        run_rest(r);
    }
}

enum err turn_commit(struct host *h, struct error *e) {
    uint32_t count, verdicts;
    struct run *batch = take_batch(h, &count, &verdicts);
    arena_reset(&h->scratch);
    struct store_batch b = {.changes =
                                ARENA_ARRAY(&h->scratch, (size_t)count + 1, struct store_change)};
    for (struct run *r = batch; r && MUTANT(perform_before_commit); r = r->batch_next) {
        perform_effects(r);
    }
    enum err err = b.changes ? record(h, &batch, verdicts, &b, e) : error_nomem(e);
    if (commit_is_waited_out(h, err)) {
        keep_batch(h, batch, e);
        return OK;
    }
    if (err) {
        batch_failed(h, batch, e);
        return err == ERR_NOMEM ? err : OK;
    }
    if (b.count + b.verdict_count) {
        free_again(h);
    }
    settle_batch(h, batch, is_plain(&b));
    return OK;
}
