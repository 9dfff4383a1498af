/* The end of an execution whose journal nobody is to fold again: recorded from outside, without a
 * state, together with the end of every sub-workflow below it that has not ended.
 *
 * In one commit, all or none: a child that stayed would go on alone with nobody to tell, and a
 * retry of its parent would begin a second one. A child is cancelled, and stays readable: its own
 * journal was folded by whoever ran it. Invariant: nothing is written but at the heads that were
 * read.
 */
#include "base/mutant.h"
#include "host/host_priv.h"

/* What is to end, the parent first. */
struct doomed {
    struct store_execution *items;
    uint32_t count, cap;
};

struct ending {
    struct host *host;
    struct arena arena;
    struct doomed doomed;
    struct store_change *changes;
    struct str message; /* why the parent ends */
};

static struct str error_text(struct arena *a, struct str message) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("type"), value_text(STR("quarantined")));
    value_map_add(&b, STR("message"), value_text(message));
    value_map_add(&b, STR("node"), value_null());
    value_map_add(&b, STR("attempt"), value_null());
    return json_text(a, value_map_done(&b));
}

bool host_is_quarantined(const struct store_execution *x) {
    return str_starts(x->row.error, STR("{\"type\":\"quarantined\""));
}

static enum err add(struct ending *t, const struct store_execution *x, struct error *e) {
    struct doomed *d = &t->doomed;
    if (d->count == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 8;
        struct store_execution *more = ARENA_ARRAY(&t->arena, cap, struct store_execution);
        if (!more) {
            return error_nomem(e);
        }
        if (d->count) {
            memcpy(more, d->items, d->count * sizeof *more);
        }
        d->items = more;
        d->cap = cap;
    }
    d->items[d->count++] = *x;
    return OK;
}

/* Breadth first: the list is its own queue. */
static enum err find_all(struct ending *t, const struct store_execution *x, struct error *e) {
    struct store *s = t->host->options.store;
    t->doomed = (struct doomed){0};
    enum err err = add(t, x, e);
    for (uint32_t i = 0; i < t->doomed.count && !err && !MUTANT(quarantine_alone); i++) {
        struct store_execution *children = NULL;
        uint32_t count = 0;
        struct store_children of = {t->doomed.items[i].num, .unended = true};
        err = store_children_read(s, of, &t->arena, &children, &count, e);
        for (uint32_t k = 0; k < count && !err; k++) {
            err = add(t, &children[k], e);
        }
    }
    return err;
}

/* Two events that follow the head of x, and the row that goes with them. */
static enum err change_of(struct ending *t, const struct store_execution *x,
                          const struct event *first, const struct event *last,
                          struct store_change *c, struct error *e) {
    struct store_event *events = ARENA_ARRAY(&t->arena, 2, struct store_event);
    wall_us now = host_now(t->host);
    now = now.us > x->row.updated.us ? now : x->row.updated;
    *c = (struct store_change){.num = x->num,
                               .epoch = x->epoch,
                               .new_epoch = x->epoch + 1,
                               .last_seq = x->last_seq,
                               .last_event = x->last_event,
                               .events = events,
                               .event_count = 2,
                               .row = x->row};
    c->row.completed = c->row.updated = now;
    c->row.deadline = (wall_us){0};
    c->row.waiting_tasks = 0;
    if (!events) {
        return error_nomem(e);
    }
    enum err err = claim_event(first, now, x->last_seq + 1, &t->arena, &events[0], e);
    return err ? err : claim_event(last, now, x->last_seq + 2, &t->arena, &events[1], e);
}

static enum err end_parent(struct ending *t, struct error *e) {
    const struct store_execution *x = &t->doomed.items[0];
    struct store_change *c = &t->changes[0];
    struct event failing = {.kind = EVENT_EXECUTION_FAILING,
                            .error_type = STR("quarantined"),
                            .message = t->message,
                            .mode = 2};
    struct event failed = {.kind = EVENT_EXECUTION_FAILED, .follows = 1};
    enum err err = change_of(t, x, &failing, &failed, c, e);
    c->row.status = str_from(exec_status_name(EXEC_FAILED));
    c->row.error = error_text(&t->arena, t->message);
    c->row.steps_upto = x->last_seq + 2; /* its rows are read, never the journal */
    return err ? err : c->row.error.ptr ? OK : error_nomem(e);
}

static enum err end_child(struct ending *t, uint32_t i, struct error *e) {
    struct store_change *c = &t->changes[i];
    struct str reason =
        arena_printf(&t->arena, "execution %.*s above it, which has failed as quarantined",
                     STR_ARG(t->doomed.items[0].fixed.id));
    struct event requested = {.kind = EVENT_CANCEL_REQUESTED, .reason = reason};
    struct event cancelled = {.kind = EVENT_EXECUTION_CANCELLED, .follows = 1};
    enum err err = change_of(t, &t->doomed.items[i], &requested, &cancelled, c, e);
    c->row.status = str_from(exec_status_name(EXEC_CANCELLED));
    c->row.steps_upto = 0; /* its steps are read from the journal */
    return err ? err : reason.ptr ? OK : error_nomem(e);
}

/* The whole tree as it stands now, in one commit. Fenced: somebody wrote to a part of it. */
static enum err try_once(struct ending *t, const struct store_execution *x, bool *out_fenced,
                         struct error *e) {
    enum err err = find_all(t, x, e);
    t->changes = ARENA_ARRAY(&t->arena, (size_t)t->doomed.count + 1, struct store_change);
    if (err || !t->changes) {
        return err ? err : error_nomem(e);
    }
    err = end_parent(t, e);
    for (uint32_t i = 1; i < t->doomed.count && !err; i++) {
        err = end_child(t, i, e);
    }
    struct store_batch b = {.changes = t->changes, .count = t->doomed.count, .whole = true};
    err = err ? err : store_commit(t->host->options.store, &b, e);
    *out_fenced = !err && t->changes[0].fenced;
    return err;
}

/* What the owners of before left running; what runs in this process ends with its run. */
static void kill_left(const struct ending *t) {
    for (uint32_t i = 0; i < t->doomed.count; i++) {
        const struct store_execution *x = &t->doomed.items[i];
        if (x->host && x->host != t->host->host_id) {
            claim_kill_marked(x->fixed.id);
        }
    }
}

enum err claim_quarantine(struct host *h, const struct store_execution *x, struct str message,
                          struct error *e) {
    struct ending t = {.host = h, .message = message};
    enum err err = OK;
    bool done = false;
    arena_init(&t.arena, 0);
    for (int tries = 0; tries < HOST_COMMIT_TRIES && !done; tries++) {
        struct store_change ended = {
            .new_epoch = x->epoch + 1, .last_seq = x->last_seq, .event_count = 2};
        struct error why;
        bool fenced = false;
        err = try_once(&t, x, &fenced, e);
        done = !err && !fenced;
        if (fenced) {
            err = error_set(e, ERR_CONFLICT,
                            "execution %.*s or one below it was written to at the "
                            "same moment",
                            STR_ARG(x->fixed.id));
        }
        if (done || !(fenced || claim_may_pass(err))) {
            break;
        }
        enum err again = claim_look_again(h, x, &ended, &done, &t.arena, &why);
        if (again == ERR_CONFLICT) {
            *e = why;
            err = again;
            break;
        }
    }
    if (done) {
        kill_left(&t);
    }
    arena_fini(&t.arena);
    return done ? OK : err;
}
