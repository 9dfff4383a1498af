/* Reading executions, events, steps, messages and the inbox: each call is one short read
 * transaction, so what it returns belongs together, and no reader holds up the log for long.
 *
 * Must never return half an answer: a broken chain of events is ERR_CORRUPT, memory that does not
 * suffice is ERR_NOMEM. What is returned lies in the caller's arena.
 */
#include "store/sqlite_priv.h"

struct reading {
    struct sqlite_store *s;
    struct arena *a;
    struct error *e;
    bool full; /* the arena is */
};

static sqlite3_stmt *stmt(struct reading *t, enum stmt_id id) {
    return sqlite_stmt(t->s, &t->s->reader, id, t->e);
}

static enum err fail(struct reading *t) {
    sqlite3 *db = t->s->reader.db;
    return sqlite_error(t->s, db, sqlite3_extended_errcode(db), t->e);
}

/* Ends a loop over rows: rc is what the last step gave. */
static enum err finish(struct reading *t, sqlite3_stmt *st, int rc) {
    enum err status = rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : fail(t);
    sqlite3_reset(st);
    return status == OK && t->full ? error_nomem(t->e) : status;
}

static struct str text(struct reading *t, sqlite3_stmt *st, int at) {
    return column_str(st, at, t->a, &t->full);
}

/* --- executions --- */

static void read_fixed(struct reading *t, sqlite3_stmt *st, struct store_new *n) {
    n->id = text(t, st, 1);
    n->workflow = text(t, st, 2);
    n->workflow_hash = text(t, st, 3);
    n->entry = text(t, st, 4);
    n->key = text(t, st, 5);
    n->labels = text(t, st, 6);
    n->inputs = text(t, st, 7);
    n->parent = sqlite3_column_int64(st, 8);
    n->parent_step = text(t, st, 9);
    n->rules = column_u32(st, 10);
    n->created = column_time(st, 11);
}

static void read_row(struct reading *t, sqlite3_stmt *st, struct store_row *r) {
    r->status = text(t, st, 12);
    r->updated = column_time(st, 13);
    r->started = column_time(st, 14);
    r->completed = column_time(st, 15);
    r->deadline = column_time(st, 16);
    r->total_tasks = column_u32(st, 17);
    r->completed_tasks = column_u32(st, 18);
    r->failed_tasks = column_u32(st, 19);
    r->skipped_tasks = column_u32(st, 20);
    r->waiting_tasks = column_u32(st, 21);
    r->error = text(t, st, 22);
    r->result = text(t, st, 23);
    r->usage = text(t, st, 24);
    r->steps_upto = (uint64_t)sqlite3_column_int64(st, 25);
}

static void read_execution(struct reading *t, sqlite3_stmt *st, struct store_execution *x) {
    *x = (struct store_execution){.num = sqlite3_column_int64(st, 0)};
    read_fixed(t, st, &x->fixed);
    read_row(t, st, &x->row);
    x->epoch = (uint64_t)sqlite3_column_int64(st, 26);
    x->host = sqlite3_column_int64(st, 27);
    x->last_seq = (uint64_t)sqlite3_column_int64(st, 28);
    x->last_event = sqlite3_column_int64(st, 29);
    x->owner_alive = sqlite3_column_type(st, 30) != SQLITE_NULL &&
                     sqlite_host_alive(t->s, x->host, column_time(st, 31));
    x->owner_pid = sqlite3_column_int64(st, 32);
}

static enum err get_in(struct reading *t, struct store_name name, struct store_execution *out) {
    sqlite3_stmt *st = stmt(t, name.num ? STMT_BY_NUM : name.id.len ? STMT_BY_ID : STMT_BY_KEY);
    if (!st) {
        return fail(t);
    }
    if (name.num) {
        sqlite3_bind_int64(st, 1, name.num);
    } else {
        bind_text(st, 1, name.id.len ? name.id : name.key);
    }
    struct store_execution found;
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        read_execution(t, st, &found);
    }
    enum err status = finish(t, st, rc);
    if (status == OK && rc == SQLITE_DONE) {
        status = store_error_missing(name, t->e);
    }
    if (status == OK) {
        *out = found;
    }
    return status;
}

enum err sqlite_get(struct store *base, struct store_name name, struct arena *a,
                    struct store_execution *out, struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    status = get_in(&t, name, out);
    sqlite_read_end(t.s);
    return status;
}

static enum err ids_in(struct reading *t, sqlite3_stmt *st, struct str *out_ids,
                       uint32_t *out_count) {
    struct str ids[STORE_FIND_MAX];
    uint32_t count = 0;
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW && count < STORE_FIND_MAX) {
        ids[count++] = text(t, st, 0);
    }
    enum err status = finish(t, st, rc);
    if (status == OK) {
        if (count) {
            memcpy(out_ids, ids, count * sizeof *ids);
        }
        *out_count = count;
    }
    return status;
}

/* The first text after all that start with prefix. */
static bool after_prefix(struct str prefix, char *out) {
    memcpy(out, prefix.ptr, prefix.len);
    for (size_t i = prefix.len; i > 0; i--) {
        unsigned char c = (unsigned char)out[i - 1];
        out[i - 1] = (char)(c + 1);
        if (c < 0xff) {
            return true;
        }
    }
    return false;
}

enum err sqlite_find(struct store *base, struct str prefix, struct arena *a, struct str *out_ids,
                     uint32_t *out_count, struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    char upto[64] = "\xff";
    if (prefix.len >= sizeof upto) {
        *out_count = 0; /* longer than any id */
        return OK;
    }
    size_t len = prefix.len && after_prefix(prefix, upto) ? prefix.len : 1;
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    sqlite3_stmt *st = stmt(&t, STMT_FIND);
    if (st) {
        bind_text(st, 1, prefix);
        bind_text(st, 2, (struct str){upto, len});
        sqlite3_bind_int(st, 3, STORE_FIND_MAX);
    }
    status = st ? ids_in(&t, st, out_ids, out_count) : fail(&t);
    sqlite_read_end(t.s);
    return status;
}

enum err sqlite_last(struct store *base, struct arena *a, struct str *out_ids, uint32_t *out_count,
                     struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    sqlite3_stmt *st = stmt(&t, STMT_LAST);
    status = st ? ids_in(&t, st, out_ids, out_count) : fail(&t);
    sqlite_read_end(t.s);
    return status;
}

/* --- lists --- */

struct cursor {
    int64_t created_us, num;
};

static enum err find_cursor(struct reading *t, struct str after, struct cursor *out) {
    *out = (struct cursor){INT64_MAX, INT64_MAX};
    if (!after.len) {
        return OK;
    }
    sqlite3_stmt *st = stmt(t, STMT_CURSOR);
    if (!st) {
        return fail(t);
    }
    bind_text(st, 1, after);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *out = (struct cursor){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
    }
    enum err status = finish(t, st, rc);
    return status == OK && rc == SQLITE_DONE
               ? store_error_missing((struct store_name){.id = after}, t->e)
               : status;
}

static enum stmt_id list_kind(const struct store_filter *f) {
    if (!f->status.len) {
        return f->workflow.len ? STMT_LIST_WORKFLOW : STMT_LIST_ALL;
    }
    if (!f->workflow.len) {
        return STMT_LIST_STATUS;
    }
    return str_is(f->status, "completed") ? STMT_LIST_BOTH_COMPLETED : STMT_LIST_BOTH;
}

static sqlite3_stmt *list_stmt(struct reading *t, const struct store_filter *f, struct cursor c) {
    sqlite3_stmt *st = stmt(t, list_kind(f));
    if (!st) {
        return NULL;
    }
    sqlite3_bind_int64(st, 1, c.created_us);
    sqlite3_bind_int64(st, 2, c.num);
    if (f->status.len) {
        bind_text(st, 3, f->status);
    }
    if (f->workflow.len) {
        bind_text(st, 4, f->workflow);
    }
    return st;
}

static bool label_fits(sqlite3_stmt *st, const struct store_filter *f) {
    if (!f->label_key.len) {
        return true;
    }
    const void *bytes = sqlite3_column_blob(st, 6);
    struct str labels = {bytes, (size_t)sqlite3_column_bytes(st, 6)};
    return store_label_has(labels, f->label_key, f->label_value);
}

static enum err list_in(struct reading *t, const struct store_filter *f,
                        struct store_executions *out) {
    struct cursor c;
    enum err status = find_cursor(t, f->after, &c);
    if (status != OK) {
        return status;
    }
    sqlite3_stmt *st = list_stmt(t, f, c);
    if (!st) {
        return fail(t);
    }
    struct store_executions rows = {0};
    uint32_t cap = 0;
    int rc = SQLITE_DONE;
    while (rows.count < f->limit && !t->full && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (!label_fits(st, f)) {
            continue;
        }
        rows.items = store_array_grow(t->a, rows.items, rows.count, &cap, sizeof *rows.items);
        t->full = t->full || !rows.items;
        if (!t->full) {
            read_execution(t, st, &rows.items[rows.count++]);
        }
    }
    status = finish(t, st, rc);
    if (status == OK) {
        *out = rows;
    }
    return status;
}

enum err sqlite_list(struct store *base, const struct store_filter *f, struct arena *a,
                     struct store_executions *out, struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    status = list_in(&t, f, out);
    sqlite_read_end(t.s);
    return status;
}

enum err sqlite_children(struct store *base, struct store_children of, struct arena *a,
                         struct store_executions *out, struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    sqlite3_stmt *st = stmt(&t, of.unended ? STMT_CHILDREN_UNENDED : STMT_CHILDREN);
    if (st) {
        sqlite3_bind_int64(st, 1, of.num);
    }
    struct store_executions rows = {0};
    uint32_t cap = 0;
    int rc = SQLITE_DONE;
    while (st && !t.full && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        rows.items = store_array_grow(a, rows.items, rows.count, &cap, sizeof *rows.items);
        t.full = !rows.items;
        if (!t.full) {
            read_execution(&t, st, &rows.items[rows.count++]);
        }
    }
    status = st ? finish(&t, st, rc) : fail(&t);
    sqlite_read_end(t.s);
    if (status == OK) {
        *out = rows;
    }
    return status;
}

/* --- events --- */

static enum err broken_chain(struct reading *t, int64_t num, uint64_t seq, int64_t id) {
    return error_set(t->e, ERR_CORRUPT,
                     "the store %s is damaged: event %llu of execution %lld is not where its "
                     "journal says (row %lld); restore a backup",
                     t->s->path, (unsigned long long)seq, (long long)num, (long long)id);
}

/* Reads event `seq`, which must be row *id, and moves *id to the event before it. keep: NULL to
 * pass over it. */
static enum err read_event(struct reading *t, sqlite3_stmt *st, int64_t num, uint64_t seq,
                           int64_t *id, struct store_event *keep) {
    sqlite3_bind_int64(st, 1, *id);
    int rc = sqlite3_step(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return finish(t, st, rc);
    }
    if (rc == SQLITE_DONE || sqlite3_column_int64(st, 0) != num ||
        (uint64_t)sqlite3_column_int64(st, 1) != seq) {
        sqlite3_reset(st);
        return broken_chain(t, num, seq, *id);
    }
    if (keep) {
        *keep = (struct store_event){.seq = seq,
                                     .at = column_time(st, 2),
                                     .kind = (uint16_t)sqlite3_column_int(st, 3),
                                     .step = text(t, st, 4),
                                     .body = text(t, st, 6)};
    }
    *id = sqlite3_column_int64(st, 5);
    return finish(t, st, rc);
}

struct head {
    uint64_t seq;
    int64_t event;
};

static enum err read_head(struct reading *t, int64_t num, struct head *out) {
    sqlite3_stmt *st = stmt(t, STMT_HEAD);
    if (!st) {
        return fail(t);
    }
    sqlite3_bind_int64(st, 1, num);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *out = (struct head){(uint64_t)sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
    }
    enum err status = finish(t, st, rc);
    return status == OK && rc == SQLITE_DONE
               ? store_error_missing((struct store_name){.num = num}, t->e)
               : status;
}

/* From the head backwards; seq has no gaps, so each event's place in the result is known. */
static enum err events_in(struct reading *t, struct store_range r, struct store_events *out) {
    struct head head = {0};
    enum err status = read_head(t, r.num, &head);
    if (status != OK) {
        return status;
    }
    uint64_t to = r.to < head.seq ? r.to : head.seq;
    struct store_events rows = {0};
    sqlite3_stmt *st = stmt(t, STMT_EVENT);
    if (!st) {
        return fail(t);
    }
    if (to > r.from) {
        rows.count = (uint32_t)(to - r.from);
        rows.items = ARENA_ARRAY(t->a, rows.count, struct store_event);
        if (!rows.items || to - r.from > UINT32_MAX) {
            return error_nomem(t->e);
        }
    }
    for (uint64_t seq = head.seq; rows.count && seq > r.from && status == OK; seq--) {
        status = read_event(t, st, r.num, seq, &head.event,
                            seq <= to ? &rows.items[seq - r.from - 1] : NULL);
    }
    if (status == OK) {
        *out = rows;
    }
    return status;
}

enum err sqlite_events(struct store *base, struct store_range r, struct arena *a,
                       struct store_events *out, struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    status = events_in(&t, r, out);
    sqlite_read_end(t.s);
    return status;
}

/* --- steps, messages, inbox --- */

static void read_step(struct reading *t, sqlite3_stmt *st, struct store_step *p) {
    p->step = text(t, st, 0);
    p->node = text(t, st, 1);
    p->kind = text(t, st, 2);
    p->status = text(t, st, 3);
    p->dependencies = text(t, st, 4);
    p->description = text(t, st, 5);
    p->iteration = column_u32(st, 6);
    p->generation = column_u32(st, 7);
    p->attempt = column_u32(st, 8);
    p->index = sqlite3_column_type(st, 9) == SQLITE_NULL ? -1 : sqlite3_column_int64(st, 9);
    p->started = column_time(st, 10);
    p->completed = column_time(st, 11);
    p->result = text(t, st, 12);
    p->error = text(t, st, 13);
    p->usage = text(t, st, 14);
    p->handle = text(t, st, 15);
    p->content_type = text(t, st, 16);
    p->meta = text(t, st, 17);
}

static enum err steps_in(struct reading *t, int64_t num, struct store_steps *out) {
    sqlite3_stmt *st = stmt(t, STMT_STEPS);
    if (!st) {
        return fail(t);
    }
    sqlite3_bind_int64(st, 1, num);
    struct store_steps rows = {0};
    uint32_t cap = 0;
    int rc = SQLITE_DONE;
    while (!t->full && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        rows.items = store_array_grow(t->a, rows.items, rows.count, &cap, sizeof *rows.items);
        t->full = !rows.items;
        if (!t->full) {
            read_step(t, st, &rows.items[rows.count++]);
        }
    }
    enum err status = finish(t, st, rc);
    if (status == OK) {
        *out = rows;
    }
    return status;
}

enum err sqlite_steps(struct store *base, int64_t num, struct arena *a, struct store_steps *out,
                      struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    status = steps_in(&t, num, out);
    sqlite_read_end(t.s);
    return status;
}

static void read_message(struct reading *t, sqlite3_stmt *st, struct store_message *m) {
    m->seq = (uint64_t)sqlite3_column_int64(st, 0);
    m->step = text(t, st, 1);
    m->role = text(t, st, 2);
    m->content = text(t, st, 3);
    m->at = column_time(st, 4);
    m->meta = text(t, st, 5);
}

static enum err messages_in(struct reading *t, int64_t num, struct store_messages *out) {
    sqlite3_stmt *st = stmt(t, STMT_MESSAGES);
    if (!st) {
        return fail(t);
    }
    sqlite3_bind_int64(st, 1, num);
    struct store_messages rows = {0};
    uint32_t cap = 0;
    int rc = SQLITE_DONE;
    while (!t->full && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        rows.items = store_array_grow(t->a, rows.items, rows.count, &cap, sizeof *rows.items);
        t->full = !rows.items;
        if (!t->full) {
            read_message(t, st, &rows.items[rows.count++]);
        }
    }
    enum err status = finish(t, st, rc);
    if (status == OK) {
        *out = rows;
    }
    return status;
}

enum err sqlite_messages(struct store *base, int64_t num, struct arena *a,
                         struct store_messages *out, struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    status = messages_in(&t, num, out);
    sqlite_read_end(t.s);
    return status;
}

static void read_inbox(struct reading *t, sqlite3_stmt *st, struct store_inbox *row) {
    *row = (struct store_inbox){.id = sqlite3_column_int64(st, 0),
                                .execution = sqlite3_column_int64(st, 1),
                                .kind = text(t, st, 2),
                                .step = text(t, st, 3),
                                .payload = text(t, st, 4),
                                .key = text(t, st, 5),
                                .at = column_time(st, 6),
                                .verdict = text(t, st, 7)};
}

static enum err inbox_in(struct reading *t, int64_t execution, struct store_inbox_rows *out) {
    sqlite3_stmt *st = stmt(t, execution ? STMT_INBOX_OPEN : STMT_INBOX_OPEN_ALL);
    if (!st) {
        return fail(t);
    }
    if (execution) {
        sqlite3_bind_int64(st, 1, execution);
    }
    struct store_inbox_rows rows = {0};
    uint32_t cap = 0;
    int rc = SQLITE_DONE;
    while (!t->full && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        rows.items = store_array_grow(t->a, rows.items, rows.count, &cap, sizeof *rows.items);
        t->full = !rows.items;
        if (!t->full) {
            read_inbox(t, st, &rows.items[rows.count++]);
        }
    }
    enum err status = finish(t, st, rc);
    if (status == OK) {
        *out = rows;
    }
    return status;
}

enum err sqlite_inbox_open(struct store *base, int64_t execution, struct arena *a,
                           struct store_inbox_rows *out, struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    status = inbox_in(&t, execution, out);
    sqlite_read_end(t.s);
    return status;
}

static enum err inbox_one(struct reading *t, int64_t id, struct store_inbox *out) {
    sqlite3_stmt *st = stmt(t, STMT_INBOX_GET);
    if (!st) {
        return fail(t);
    }
    sqlite3_bind_int64(st, 1, id);
    struct store_inbox row;
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        read_inbox(t, st, &row);
    }
    enum err status = finish(t, st, rc);
    if (status == OK && rc == SQLITE_DONE) {
        status = store_error_no_request(id, t->e);
    }
    if (status == OK) {
        *out = row;
    }
    return status;
}

enum err sqlite_inbox_get(struct store *base, int64_t id, struct arena *a, struct store_inbox *out,
                          struct error *e) {
    struct reading t = {.s = sqlite_of(base), .a = a, .e = e};
    enum err status = sqlite_read_begin(t.s, e);
    if (status != OK) {
        return status;
    }
    status = inbox_one(&t, id, out);
    sqlite_read_end(t.s);
    return status;
}
