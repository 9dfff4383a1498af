/* The commit: many executions in one transaction, each with its own fence.
 *
 * First the progress of every execution is updated (or made) under its fence, and its row where
 * that differs, then the events of those that were not fenced follow in commit order, chained by
 * ids that are taken here, inside the lock.
 * Invariants: events of a fenced change are never inserted; what the caller sees of the commit
 * (numbers, heads, fences) is published only after COMMIT returned.
 */
#include <stdlib.h>

#include "store/sqlite_priv.h"

struct commit {
    struct sqlite_store *s;
    struct store_batch *b;
    struct error *e;
    int64_t next_event; /* the id that the next event gets */
    uint64_t events;
    uint32_t fenced;
};

static sqlite3_stmt *stmt(struct commit *t, enum stmt_id id) {
    return sqlite_stmt(t->s, &t->s->writer, id, t->e);
}

static enum err fail(struct commit *t) {
    sqlite3 *db = t->s->writer.db;
    return sqlite_error(t->s, db, sqlite3_extended_errcode(db), t->e);
}

static enum err run(struct commit *t, sqlite3_stmt *st) {
    return sqlite_run(st) == SQLITE_OK ? OK : fail(t);
}

/* --- executions --- */

/* Parameters 1 to 10 of the statements that write to progress. */
static void bind_progress(sqlite3_stmt *st, const struct store_change *c, int64_t last_event) {
    const struct store_row *r = &c->row;
    bind_count(st, 1, c->new_epoch ? c->new_epoch : c->epoch);
    sqlite3_bind_int64(st, 2, c->num || c->host > 0 ? c->host : 0);
    bind_count(st, 3, c->last_seq + c->event_count);
    sqlite3_bind_int64(st, 4, last_event);
    sqlite3_bind_int64(st, 5, r->updated.us);
    bind_count(st, 6, r->completed_tasks);
    bind_count(st, 7, r->failed_tasks);
    bind_count(st, 8, r->skipped_tasks);
    bind_count(st, 9, r->waiting_tasks);
    bind_count(st, 10, r->steps_upto);
}

/* Parameters 1 to 8 of the statements that write to executions. */
static void bind_row(sqlite3_stmt *st, const struct store_row *r) {
    bind_text(st, 1, r->status);
    bind_time(st, 2, r->started);
    bind_time(st, 3, r->completed);
    bind_time(st, 4, r->deadline);
    bind_count(st, 5, r->total_tasks);
    bind_some(st, 6, r->error);
    bind_some(st, 7, r->result);
    bind_some(st, 8, r->usage);
}

static enum err update_with(struct commit *t, enum stmt_id id, const struct store_change *c,
                            bool *out_done) {
    sqlite3_stmt *st = stmt(t, id);
    if (!st) {
        return fail(t);
    }
    bind_row(st, &c->row);
    sqlite3_bind_int64(st, 9, c->num);
    enum err status = run(t, st);
    *out_done = sqlite3_changes(t->s->writer.db) > 0;
    return status;
}

static enum err update_row(struct commit *t, const struct store_change *c, int64_t last_event,
                           struct sqlite_outcome *out) {
    sqlite3_stmt *st = stmt(t, STMT_PROGRESS);
    if (!st) {
        return fail(t);
    }
    bind_progress(st, c, last_event);
    sqlite3_bind_int64(st, 11, c->num);
    bind_count(st, 12, c->epoch);
    bind_count(st, 13, c->last_seq);
    sqlite3_bind_int64(st, 14, c->last_event);
    enum err status = run(t, st);
    bool done = status != OK || sqlite3_changes(t->s->writer.db) > 0;
    out->num = c->num;
    out->fenced = !done;
    if (status != OK || !done || c->row.same) {
        return status;
    }
    status = update_with(t, STMT_ROW_SAME, c, &done);
    return status != OK || done ? status : update_with(t, STMT_ROW_OTHER, c, &done);
}

static enum err insert_progress(struct commit *t, const struct store_change *c, int64_t num,
                                int64_t last_event) {
    sqlite3_stmt *st = stmt(t, STMT_PROGRESS_NEW);
    if (!st) {
        return fail(t);
    }
    bind_progress(st, c, last_event);
    sqlite3_bind_int64(st, 11, num);
    return run(t, st);
}

static enum err put_inputs(struct commit *t, int64_t num, struct str inputs) {
    sqlite3_stmt *st = stmt(t, STMT_INPUTS_PUT);
    if (!st) {
        return fail(t);
    }
    sqlite3_bind_int64(st, 1, num);
    bind_text(st, 2, inputs);
    return run(t, st);
}

static enum err put_work(struct commit *t, const struct store_change *c) {
    const struct store_work *w = c->work;
    sqlite3_stmt *st = stmt(t, STMT_WORK_PUT);
    if (!st) {
        return fail(t);
    }
    sqlite3_bind_int64(st, 1, c->num);
    bind_text(st, 2, w->workflow);
    bind_text(st, 3, w->workflow_hash);
    bind_text(st, 4, w->entry);
    enum err status = run(t, st);
    return status == OK ? put_inputs(t, c->num, w->inputs) : status;
}

static enum err find_key(struct commit *t, struct str key, bool *out_taken) {
    sqlite3_stmt *st = stmt(t, STMT_KEY_TAKEN);
    if (!st) {
        return fail(t);
    }
    bind_text(st, 1, key);
    int rc = sqlite3_step(st);
    *out_taken = rc == SQLITE_ROW;
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : fail(t);
}

static enum err parent_was_taken(struct commit *t, const struct store_change *c, bool *out) {
    *out = false;
    if (!c->new->parent || !c->parent_epoch) {
        return OK;
    }
    sqlite3_stmt *st = stmt(t, STMT_PARENT_TAKEN);
    if (!st) {
        return fail(t);
    }
    sqlite3_bind_int64(st, 1, c->new->parent);
    bind_count(st, 2, c->parent_epoch);
    int rc = sqlite3_step(st);
    *out = rc == SQLITE_ROW;
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : fail(t);
}

static enum err insert_row(struct commit *t, const struct store_change *c, int64_t last_event,
                           struct sqlite_outcome *out) {
    const struct store_new *n = c->new;
    enum err status = parent_was_taken(t, c, &out->fenced);
    if (status != OK || out->fenced) {
        return status;
    }
    sqlite3_stmt *st = stmt(t, STMT_ROW_NEW);
    if (!st) {
        return fail(t);
    }
    bind_row(st, &c->row);
    bind_text(st, 9, n->id);
    bind_text(st, 10, n->workflow);
    bind_text(st, 11, n->workflow_hash);
    bind_text(st, 12, n->entry);
    sqlite3_bind_int64(st, 13, n->created.us);
    bind_count(st, 14, n->rules);
    bind_time(st, 15, (wall_us){n->parent});
    bind_some(st, 16, n->parent_step);
    bind_some(st, 17, n->key);
    bind_some(st, 18, n->labels);
    status = run(t, st);
    if (status != OK) {
        return status;
    }
    out->fenced = sqlite3_changes(t->s->writer.db) == 0;
    if (out->fenced) {
        return n->key.len ? find_key(t, n->key, &out->key_taken) : OK;
    }
    out->num = sqlite3_last_insert_rowid(t->s->writer.db);
    status = insert_progress(t, c, out->num, last_event);
    return status == OK && n->inputs.len ? put_inputs(t, out->num, n->inputs) : status;
}

static enum err write_row(struct commit *t, const struct store_change *c,
                          struct sqlite_outcome *out) {
    bool fenced = c->above && t->s->outcomes[c->above - 1].fenced;
    *out = (struct sqlite_outcome){.num = c->num, .fenced = fenced};
    out->last_event = c->event_count ? t->next_event + c->event_count - 1 : c->last_event;
    return fenced   ? OK
           : c->num ? update_row(t, c, out->last_event, out)
                    : insert_row(t, c, out->last_event, out);
}

static enum err write_rows(struct commit *t) {
    for (uint32_t i = 0; i < t->b->count; i++) {
        const struct store_change *c = &t->b->changes[i];
        struct sqlite_outcome *out = &t->s->outcomes[i];
        enum err status = write_row(t, c, out);
        if (status == OK && c->num && c->work && !out->fenced) {
            status = put_work(t, c);
        }
        if (status != OK) {
            return status;
        }
        if (out->fenced) {
            t->fenced++;
        } else {
            t->next_event += c->event_count;
        }
    }
    return OK;
}

/* --- events --- */

/* Walks the events of all changes that were not fenced. */
struct walk {
    uint32_t change, event;
    int64_t id, prev;
};

static bool walk_next(struct commit *t, struct walk *w) {
    for (; w->change < t->b->count; w->change++, w->event = 0) {
        const struct store_change *c = &t->b->changes[w->change];
        if (w->event == 0) {
            w->prev = c->last_event;
        }
        if (!t->s->outcomes[w->change].fenced && w->event < c->event_count) {
            return true;
        }
    }
    return false;
}

static void bind_event(sqlite3_stmt *st, int at, struct commit *t, struct walk *w) {
    const struct store_event *v = &t->b->changes[w->change].events[w->event++];
    sqlite3_bind_int64(st, at + 1, w->id);
    sqlite3_bind_int64(st, at + 2, t->s->outcomes[w->change].num);
    bind_count(st, at + 3, v->seq);
    sqlite3_bind_int64(st, at + 4, v->at.us);
    sqlite3_bind_int(st, at + 5, v->kind);
    bind_text(st, at + 6, v->step);
    sqlite3_bind_int64(st, at + 7, w->prev);
    bind_blob(st, at + 8, v->body);
    w->prev = w->id++;
}

/* Several rows in one INSERT: the id counter of AUTOINCREMENT costs per statement. */
static enum err write_events(struct commit *t, int64_t first_id) {
    struct walk w = {.id = first_id};
    for (uint64_t left = t->events; left > 0;) {
        int rows = left >= SQLITE_EVENT_BLOCK ? SQLITE_EVENT_BLOCK : left >= 2 ? 2 : 1;
        sqlite3_stmt *st = stmt(t, rows == 1   ? STMT_EVENT_ONE
                                   : rows == 2 ? STMT_EVENT_TWO
                                               : STMT_EVENT_MANY);
        if (!st) {
            return fail(t);
        }
        ASSERT(sqlite3_bind_parameter_count(st) == rows * SQLITE_EVENT_COLUMNS);
        for (int i = 0; i < rows; i++) {
            bool more = walk_next(t, &w);
            ASSERT(more);
            bind_event(st, i * SQLITE_EVENT_COLUMNS, t, &w);
        }
        enum err status = run(t, st);
        if (status != OK) {
            return status;
        }
        left -= (uint64_t)rows;
    }
    return OK;
}

static enum err read_event_head(struct commit *t) {
    sqlite3_stmt *st = stmt(t, STMT_EVENT_HEAD);
    if (!st) {
        return fail(t);
    }
    int rc = sqlite3_step(st);
    t->next_event = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) + 1 : 1;
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : fail(t);
}

/* --- the rest of the read model --- */

/* Walks the step rows of all changes that were not fenced. */
struct step_walk {
    uint32_t change, step;
};

static const struct store_step *next_step(const struct commit *t, struct step_walk *w) {
    for (; w->change < t->b->count; w->change++, w->step = 0) {
        const struct store_change *c = &t->b->changes[w->change];
        if (!t->s->outcomes[w->change].fenced && w->step < c->step_count) {
            return &c->steps[w->step++];
        }
    }
    return NULL;
}

static uint64_t count_steps(const struct commit *t) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < t->b->count; i++) {
        count += t->s->outcomes[i].fenced ? 0 : t->b->changes[i].step_count;
    }
    return count;
}

static void bind_step(sqlite3_stmt *st, int at, int64_t num, const struct store_step *p) {
    sqlite3_bind_int64(st, at + 1, num);
    bind_text(st, at + 2, p->step);
    bind_text(st, at + 3, p->node);
    bind_text(st, at + 4, p->kind);
    bind_text(st, at + 5, p->status);
    bind_some(st, at + 6, p->dependencies);
    bind_some(st, at + 7, p->description);
    bind_count(st, at + 8, p->iteration);
    bind_count(st, at + 9, p->generation);
    bind_count(st, at + 10, p->attempt);
    if (p->index < 0) {
        sqlite3_bind_null(st, at + 11);
    } else {
        sqlite3_bind_int64(st, at + 11, p->index);
    }
    bind_time(st, at + 12, p->started);
    bind_time(st, at + 13, p->completed);
    bind_some(st, at + 14, p->result);
    bind_some(st, at + 15, p->error);
    bind_some(st, at + 16, p->usage);
    bind_some(st, at + 17, p->handle);
    bind_some(st, at + 18, p->content_type);
    bind_some(st, at + 19, p->meta);
}

/* In blocks: beginning and ending a statement costs as much as a third of a row. */
static enum err write_steps(struct commit *t) {
    struct step_walk w = {0};
    for (uint64_t left = count_steps(t); left > 0;) {
        int rows = left >= SQLITE_STEP_BLOCK ? SQLITE_STEP_BLOCK : 1;
        sqlite3_stmt *st = stmt(t, rows == 1 ? STMT_STEP_ONE : STMT_STEP_MANY);
        if (!st) {
            return fail(t);
        }
        ASSERT(sqlite3_bind_parameter_count(st) == rows * SQLITE_STEP_COLUMNS);
        for (int i = 0; i < rows; i++) {
            const struct store_step *p = next_step(t, &w);
            ASSERT(p);
            bind_step(st, i * SQLITE_STEP_COLUMNS, t->s->outcomes[w.change].num, p);
        }
        enum err status = run(t, st);
        if (status != OK) {
            return status;
        }
        left -= (uint64_t)rows;
    }
    return OK;
}

static enum err put_message(struct commit *t, int64_t num, const struct store_message *m) {
    sqlite3_stmt *st = stmt(t, STMT_MESSAGE_PUT);
    if (!st) {
        return fail(t);
    }
    sqlite3_bind_int64(st, 1, num);
    bind_count(st, 2, m->seq);
    bind_text(st, 3, m->step);
    bind_text(st, 4, m->role);
    bind_text(st, 5, m->content);
    sqlite3_bind_int64(st, 6, m->at.us);
    bind_some(st, 7, m->meta);
    return run(t, st);
}

static enum err drop_details(struct commit *t, int64_t num) {
    static const enum stmt_id statements[] = {STMT_STEPS_DROP, STMT_MESSAGES_DROP};
    enum err status = OK;
    for (size_t i = 0; i < ARRAY_LEN(statements) && status == OK; i++) {
        sqlite3_stmt *st = stmt(t, statements[i]);
        if (!st) {
            return fail(t);
        }
        sqlite3_bind_int64(st, 1, num);
        status = run(t, st);
    }
    return status;
}

static enum err drop_all_details(struct commit *t) {
    enum err status = OK;
    for (uint32_t i = 0; i < t->b->count && status == OK; i++) {
        const struct sqlite_outcome *out = &t->s->outcomes[i];
        if (t->b->changes[i].drop_details && !out->fenced) {
            status = drop_details(t, out->num);
        }
    }
    return status;
}

static enum err write_details(struct commit *t) {
    enum err status = drop_all_details(t);
    status = status == OK ? write_steps(t) : status;
    for (uint32_t i = 0; i < t->b->count; i++) {
        const struct store_change *c = &t->b->changes[i];
        const struct sqlite_outcome *out = &t->s->outcomes[i];
        for (uint32_t k = 0; k < c->message_count && !out->fenced && status == OK; k++) {
            status = put_message(t, out->num, &c->messages[k]);
        }
        for (uint32_t k = 0; k < c->cached_count && !out->fenced && status == OK; k++) {
            status = sqlite_cache_put(t->s, &c->cached[k], t->e);
        }
    }
    return status;
}

/* --- verdicts --- */

static enum err verdict_is_fenced(struct commit *t, int64_t inbox, bool *out) {
    *out = false;
    sqlite3_stmt *st = t->fenced ? stmt(t, STMT_INBOX_EXECUTION) : NULL;
    if (!st) {
        return t->fenced ? fail(t) : OK;
    }
    sqlite3_bind_int64(st, 1, inbox);
    int rc = sqlite3_step(st);
    int64_t num = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    for (uint32_t i = 0; i < t->b->count && num; i++) {
        *out = *out || (t->s->outcomes[i].fenced && t->b->changes[i].num == num);
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : fail(t);
}

static enum err write_verdicts(struct commit *t) {
    for (uint32_t i = 0; i < t->b->verdict_count; i++) {
        const struct store_verdict *v = &t->b->verdicts[i];
        bool fenced;
        enum err status = verdict_is_fenced(t, v->inbox, &fenced);
        if (status != OK) {
            return status;
        }
        if (fenced) {
            continue;
        }
        sqlite3_stmt *st = stmt(t, STMT_INBOX_VERDICT);
        if (!st) {
            return fail(t);
        }
        sqlite3_bind_int64(st, 1, v->inbox);
        bind_text(st, 2, v->verdict);
        status = run(t, st);
        if (status != OK) {
            return status;
        }
    }
    return OK;
}

/* --- all of it --- */

/* A whole batch of which a change is fenced: nothing of it is written. */
static bool is_refused(const struct commit *t) { return t->b->whole && t->fenced > 0; }

static enum err write_batch(struct commit *t) {
    enum err status = read_event_head(t);
    int64_t first_id = t->next_event;
    if (status == OK) {
        status = write_rows(t);
    }
    if (status != OK || is_refused(t)) {
        return status;
    }
    t->events = (uint64_t)(t->next_event - first_id);
    status = write_events(t, first_id);
    if (status == OK) {
        status = write_details(t);
    }
    return status == OK ? write_verdicts(t) : status;
}

static enum err make_room(struct sqlite_store *s, uint32_t count, struct error *e) {
    if (count <= s->outcomes_cap) {
        return OK;
    }
    struct sqlite_outcome *larger = realloc(s->outcomes, count * sizeof *larger);
    if (!larger) {
        return error_nomem(e);
    }
    s->outcomes = larger;
    s->outcomes_cap = count;
    return OK;
}

static void publish(struct commit *t) {
    for (uint32_t i = 0; i < t->b->count; i++) {
        struct store_change *c = &t->b->changes[i];
        const struct sqlite_outcome *out = &t->s->outcomes[i];
        c->fenced = out->fenced;
        c->key_taken = out->key_taken;
        if (!out->fenced) {
            c->num = out->num;
            c->last_event = out->last_event;
        }
    }
    t->s->base.stats.commits++;
    t->s->base.stats.events += t->events;
}

enum err sqlite_commit(struct store *base, struct store_batch *b, struct error *e) {
    struct commit t = {.s = sqlite_of(base), .b = b, .e = e};
    enum err status = make_room(t.s, b->count, e);
    if (status == OK) {
        status = sqlite_write_begin(t.s, e);
    }
    if (status != OK) {
        return status;
    }
    status = write_batch(&t);
    if (status != OK) {
        return sqlite_write_abort(t.s, status);
    }
    if (is_refused(&t)) {
        for (uint32_t i = 0; i < b->count; i++) {
            b->changes[i].fenced = true;
            b->changes[i].key_taken = t.s->outcomes[i].key_taken;
        }
        return sqlite_write_abort(t.s, OK);
    }
    status = sqlite_write_commit(t.s, e);
    if (status == OK) {
        publish(&t);
    }
    if (status == OK && b->verdict_count) {
        sqlite_inbox_touch(t.s);
    }
    return status;
}
