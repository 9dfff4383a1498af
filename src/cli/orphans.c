/* Looking through the executions that have not ended, a page at a time. Whether one that was left
 * waiting waits for a time is in its journal, so those are folded.
 */
#include "cli/orphans.h"

#include <stdlib.h>

#include "cli/visit.h"
#include "engine/look.h"

static const char *const live[] = {"pending", "running", "waiting"};

static bool is_interrupted(const struct store_execution *x) {
    return str_is(details_status(x), "interrupted");
}

/* ---- finding ---- */

struct finding {
    struct session *s;
    struct orphans *found;
};

/* Left waiting: does a time move it? */
static bool waits_for_time(struct session *s, const struct store_execution *x) {
    struct host_view v;
    struct error ignored;
    bool due = x->row.deadline.us != 0;
    if (due || host_view_open(s->store, s->kinds, x->fixed.id, &v, &ignored)) {
        return true; /* what cannot be read is told by who tries to go on with it */
    }
    for (uint32_t i = 0; i < engine_track_count(v.engine) && !due; i++) {
        const struct track *t = engine_track(v.engine, i);
        bool pending = t->status == STEP_WAITING || t->status == STEP_RETRYING;
        due = pending && t->due.us != 0;
    }
    host_view_close(&v);
    return due;
}

static enum err has_request(struct session *s, const struct store_execution *x, bool *out,
                            struct error *e) {
    struct store_inbox *rows;
    uint32_t count = 0;
    struct arena a;
    arena_init(&a, 0);
    enum err err = store_inbox_open(s->store, x->num, &a, &rows, &count, e);
    *out = count > 0;
    arena_fini(&a);
    return err;
}

/* The topmost execution above (and with) x that has not ended, in a. */
static enum err find_top(struct session *s, const struct store_execution *x, struct arena *a,
                         struct store_execution *out, struct error *e) {
    *out = *x;
    while (out->fixed.parent) {
        struct store_execution above;
        enum err err = store_execution_get(s->store, out->fixed.parent, STR(""), a, &above, e);
        if (err || above.row.completed.us) {
            return err == ERR_NOT_FOUND ? OK : err;
        }
        *out = above;
    }
    return OK;
}

static bool is_known(const struct orphans *o, struct str id) {
    for (uint32_t i = 0; i < o->count; i++) {
        if (str_eq(o->items[i].id, id)) {
            return true;
        }
    }
    return false;
}

static enum err add(struct finding *f, const struct store_execution *top, struct error *e) {
    struct orphans *o = f->found;
    struct arena *a = &f->s->cli->arena;
    if (o->count == o->cap) {
        uint32_t cap = o->cap ? o->cap * 2 : 16;
        struct orphan *more = ARENA_ARRAY(a, cap, struct orphan);
        if (!more) {
            return error_nomem(e);
        }
        if (o->count) {
            memcpy(more, o->items, o->count * sizeof *more);
        }
        o->items = more;
        o->cap = cap;
    }
    struct orphan x = {arena_str(a, top->fixed.id), arena_str(a, top->fixed.workflow),
                       arena_str(a, top->row.status)};
    o->items[o->count++] = x;
    return x.id.ptr && x.workflow.ptr && x.status.ptr ? OK : error_nomem(e);
}

static enum err visit_orphan(void *ctx, const struct store_execution *x, bool *stop,
                             struct error *e) {
    struct finding *f = ctx;
    struct store_execution top;
    struct arena a;
    (void)stop;
    if (x->owner_alive) {
        return OK;
    }
    bool wanted = is_interrupted(x);
    enum err err = wanted ? OK : has_request(f->s, x, &wanted, e);
    wanted = !err && (wanted || waits_for_time(f->s, x));
    if (!wanted) {
        return err;
    }
    arena_init(&a, 0);
    err = find_top(f->s, x, &a, &top, e);
    bool taken = !err && (top.owner_alive || str_is(top.row.status, "paused"));
    if (!err && !taken && !is_known(f->found, top.fixed.id)) {
        err = add(f, &top, e);
    }
    arena_fini(&a);
    return err;
}

static int by_id(const void *a, const void *b) {
    return str_cmp(((const struct orphan *)a)->id, ((const struct orphan *)b)->id);
}

enum err orphans_find(struct session *s, struct orphans *out) {
    struct finding f = {s, out};
    struct visitor v = {.s = s, .ctx = &f, .visit = visit_orphan};
    struct error e = {0};
    enum err err = OK;
    *out = (struct orphans){0};
    for (size_t i = 0; i < ARRAY_LEN(live) && s->store && !err; i++) {
        err = visit_status(&v, live[i], STR(""), &e);
    }
    if (err) {
        cli_fail_error(s->cli, &e, NULL);
    } else if (out->count) {
        qsort(out->items, out->count, sizeof *out->items, by_id);
    }
    return err;
}

/* ---- counting ---- */

uint32_t orphans_interrupted(struct session *s) {
    struct error ignored;
    uint32_t count = 0;
    return s->store && store_left_count(s->store, &count, &ignored) == OK ? count : 0;
}
