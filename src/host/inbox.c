/* What people and other processes ask: taken from the inbox of the store, or handed over in this
 * process. Each request becomes an input of the engine; its verdict is recorded in one transaction
 * with what it led to, so a request is neither lost nor done twice.
 */
#include "base/mutant.h"
#include "host/host_priv.h"

static const struct {
    const char *name;
    enum input_type input;
} requests[] = {
    [REQUEST_CANCEL] = {"cancel", INPUT_CANCEL},
    [REQUEST_PAUSE] = {"pause", INPUT_PAUSE},
    [REQUEST_RESUME] = {"resume", INPUT_RESUME},
    [REQUEST_ANSWER] = {"answer", INPUT_ANSWER},
    [REQUEST_SIGNAL] = {"signal", INPUT_SIGNAL},
    [REQUEST_ROLLBACK] = {"rollback", INPUT_ROLLBACK},
    [REQUEST_CHECKPOINT] = {"checkpoint", INPUT_CHECKPOINT},
};

const char *host_request_name(enum host_request_type type) {
    return (size_t)type < ARRAY_LEN(requests) ? requests[type].name : NULL;
}

void request_input(const struct host_request *q, bool below, struct engine_input *out) {
    *out = (struct engine_input){.type = requests[q->type].input,
                                 .ticket = q->ticket,
                                 .exact = q->exact,
                                 .resume = q->value.type == VALUE_BOOL && q->value.boolean,
                                 .below = below,
                                 .by = q->by,
                                 .target = q->step,
                                 .value = q->value};
}

enum err request_hand_over(struct run *r, const struct host_request *q, struct error *e) {
    struct happened *x = happened_new(requests[q->type].input);
    if (!x) {
        return error_nomem(e);
    }
    request_input(q, r->parent != NULL, &x->in);
    x->in.by = q->by.len ? arena_str(&x->arena, q->by) : STR("");
    x->in.target = q->step.len ? arena_str(&x->arena, q->step) : STR("");
    if (!x->in.by.ptr || !x->in.target.ptr || !value_copy(&x->arena, q->value, &x->in.value)) {
        happened_free(x);
        return error_nomem(e);
    }
    run_hurry(r);
    run_happens(r, x);
    return OK;
}

static bool is_below(const struct run *r, const struct run *root) {
    while (r->parent) {
        r = r->parent->run;
        if (r == root) {
            return true;
        }
    }
    return false;
}

enum err host_ask(struct host *h, struct run *r, const struct host_request *q, struct error *e) {
    enum err err = request_hand_over(r, q, e);
    bool tree = q->type == REQUEST_PAUSE || q->type == REQUEST_RESUME;
    struct host_request same = *q;
    same.ticket = 0; /* the verdict is that of the execution that was named */
    for (struct run *x = h->runs; x && tree && !err; x = x->next) {
        if (!x->ended && !x->lost && is_below(x, r)) {
            err = request_hand_over(x, &same, e);
        }
    }
    return err;
}

/* ---- rows of the inbox ---- */

static struct run *run_of(struct host *h, int64_t num) {
    struct run *r = h->runs;
    while (r && (r->num != num || r->held || !run_is_here(r))) {
        r = r->next;
    }
    return r;
}

static bool read_type(struct str name, enum host_request_type *out) {
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        if (str_is(name, requests[i].name)) {
            *out = (enum host_request_type)i;
            return true;
        }
    }
    return false;
}

/* The payload is {by, value}; what this version does not know is left for one that does. */
static enum err take_row(struct host *h, struct run *r, const struct store_inbox *row,
                         struct arena *a, struct error *e) {
    struct host_request q = {.step = row->step, .ticket = row->id};
    struct value payload = value_null();
    struct error why;
    if (!read_type(row->kind, &q.type) ||
        (row->payload.len && value_parse_json(a, row->payload, &payload, &why))) {
        return OK;
    }
    const struct value *by = value_get(payload, STR("by"));
    const struct value *value = value_get(payload, STR("value"));
    q.by = by && by->type == VALUE_TEXT ? value_str(*by) : STR("");
    q.value = value ? *value : value_null();
    return host_ask(h, r, &q, e);
}

void host_inbox_look(struct host *h) { h->inbox_due = true; }

static void poll_due(void *ctx) {
    struct host *h = ctx;
    h->inbox_polled = true;
    io_timer_start(h->inbox_timer, (int64_t)h->options.inbox_poll_ms * 1000000);
}

static void on_change(void *ctx, bool gone) {
    struct host *h = ctx;
    h->inbox_due = true;
    if (gone) {
        io_watch_close(h->inbox_watch);
        h->inbox_watch = NULL;
    }
}

/* No wake-up is lost between a look and the wait after it. Who adds a row commits it and then
 * writes to the watched file; this host watches before it looks. So the look sees the row, or the
 * write comes after the watch began and is delivered to the next io_loop_turn, which then does not
 * wait. Where nothing is delivered, store_has_news is asked before the look, so a row that the look
 * missed is news at the next poll. */
static void watch(struct host *h) {
    bool wanted = h->inbox_timer && !h->inbox_watch;
    const char *path = wanted ? store_inbox_file(h->options.store) : NULL;
    if (path) {
        h->inbox_watch = io_watch_open(h->options.loop, path, on_change, h);
        h->inbox_due = h->inbox_due || h->inbox_watch;
    }
}

enum err inbox_open(struct host *h, struct error *e) {
    if (!h->options.inbox_poll_ms) {
        return OK;
    }
    h->inbox_timer = io_timer_open(h->options.loop, poll_due, h);
    if (!h->inbox_timer) {
        return error_nomem(e);
    }
    if (h->options.inbox_in_passing) {
        io_timer_background(h->inbox_timer);
    }
    poll_due(h);
    return OK;
}

void inbox_close(struct host *h) {
    io_timer_close(h->inbox_timer);
    io_watch_close(h->inbox_watch);
}

/* Rows that are of no run here may become so: while there are any, every poll looks. */
static bool is_due(struct host *h) {
    if (h->inbox_polled || h->inbox_due) {
        watch(h);
    }
    if (h->inbox_polled) {
        h->inbox_due = store_has_news(h->options.store) || h->inbox_left || h->inbox_due;
    }
    h->inbox_polled = false;
    return h->inbox_due;
}

enum err inbox_take(struct host *h, bool always, struct error *e) {
    struct store_inbox *rows;
    uint32_t count = 0;
    struct error ignored;
    struct arena a;
    if (!is_due(h) && !always) {
        return OK;
    }
    h->inbox_due = false;
    arena_init(&a, 0);
    bool failed = store_inbox_open(h->options.store, 0, &a, &rows, &count, &ignored) != OK;
    h->inbox_left = failed || count > 0;
    enum err err = OK;
    for (uint32_t i = 0; i < count && !err; i++) {
        struct run *r = run_of(h, rows[i].execution);
        if (r && rows[i].id > r->inbox_upto + MUTANT(ignore_inbox_row)) {
            err = take_row(h, r, &rows[i], &a, e);
            r->inbox_upto = rows[i].id;
        }
    }
    arena_fini(&a);
    return err;
}

/* ---- leaving ---- */

bool host_at_rest(const struct host *h) {
    if (host_has_work(h) || h->slots_used || h->batch) {
        return false;
    }
    for (const struct run *r = h->runs; r; r = r->next) {
        for (const struct port *p = r->ports; p; p = p->next) {
            if (!p->child) {
                return false;
            }
        }
    }
    return true;
}

bool host_has_live(const struct host *h) { return h->live_runs > 0; }

static enum err release_all(struct host *h, struct error *e) {
    struct store_batch b = {0};
    uint32_t count = 0;
    enum err err = OK;
    for (struct run *r = h->runs; r; r = r->next) {
        count += run_is_here(r);
    }
    arena_reset(&h->scratch);
    b.changes = ARENA_ARRAY(&h->scratch, (size_t)count + 1, struct store_change);
    if (!b.changes) {
        return error_nomem(e);
    }
    for (struct run *r = h->runs; r && !err; r = r->next) {
        struct store_change *c = &b.changes[b.count];
        if (run_is_here(r) && !r->is_new) {
            err = run_wake(r, e);
            *c = (struct store_change){.num = r->num,
                                       .epoch = r->epoch,
                                       .last_seq = r->last_seq,
                                       .last_event = r->last_event};
            err = err ? err : row_make(r, &h->scratch, &c->row, e);
            row_release(&c->row);
            r->written.known = false;
            b.count++;
        }
    }
    return err || b.count == 0 ? err : store_commit(h->options.store, &b, e);
}

enum err host_release(struct host *h, struct error *e) {
    enum err err = inbox_take(h, true, e);
    if (!err && (host_has_work(h) || h->batch)) {
        err = error_set(e, ERR_CONFLICT, "there are requests to be decided on");
    }
    err = err ? err : release_all(h, e);
    for (struct run *r = h->runs; r && !err; r = r->next) {
        if (run_is_here(r)) {
            r->lost = true;
            h->live_runs--;
        }
    }
    return err;
}
