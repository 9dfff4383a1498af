/* A look at the store every now and then: what the journal has more is told in order, once.
 *
 * Between two looks nothing is held open: no read transaction, no row in memory.
 */
#include "cli/follow.h"

#include <signal.h>

#define LOOK_NS 50000000 /* between two looks */

static void on_signal(void *ctx, int signo) {
    struct follow *f = ctx;
    (void)signo;
    f->stop = true;
}

/* What is read lives until the next look, as there may be looks for days. */
static enum err look(struct follow *f) {
    struct error e = {0};
    struct store_execution x;
    struct arena seen;
    arena_init(&seen, 0);
    enum err err = store_execution_get(f->s->store, f->x.num, f->id, &seen, &x, &e);
    if (err) {
        arena_fini(&seen);
        cli_fail_error(f->s->cli, &e, NULL);
        return err;
    }
    arena_fini(&f->seen);
    f->seen = seen;
    f->x = x;
    f->x.fixed.id = f->id;
    return OK;
}

static enum err compile(struct follow *f) {
    struct error e = {0};
    const struct store_new *fixed = &f->x.fixed;
    enum err err = shelf_find(&f->shelf, fixed->workflow_hash, fixed->entry, &f->plan, &e);
    if (err) {
        cli_fail_error(f->s->cli, &e, NULL);
    }
    return err;
}

enum err follow_open(struct follow *f, struct session *s) {
    *f = (struct follow){.s = s, .ctx = f->ctx, .event = f->event};
    shelf_init(&f->shelf, s->store, s->kinds);
    enum err err = session_open_loop(s);
    err = err ? err : session_find(s, s->cli->arguments[0], &f->id);
    if (err) {
        return err;
    }
    f->signal = io_signal_open(s->loop, SIGINT, on_signal, f);
    err = look(f);
    return err ? err : compile(f);
}

/* The workflow that the events from this one on are of. */
static void turn_page(struct follow *f, const struct store_event *row) {
    struct event_fetch fetch = host_fetch(f->s->store);
    struct event ev = {.kind = (enum event_kind)row->kind};
    struct error ignored;
    struct arena a;
    if (ev.kind != EVENT_EXECUTION_CREATED && ev.kind != EVENT_WORKFLOW_CHANGED) {
        return;
    }
    arena_init(&a, 0);
    bool known = event_decode(row->body, &fetch, &a, &ev, &ignored) == OK &&
                 shelf_find(&f->shelf, ev.hash, ev.entry, &f->page, &ignored) == OK;
    f->page = known ? f->page : f->plan;
    arena_fini(&a);
}

enum err follow_read(struct follow *f) {
    struct error e = {0};
    struct arena a;
    struct store_event *rows = NULL;
    uint32_t count = 0;
    arena_init(&a, 0);
    enum err err = look(f);
    err = err || plan_is(f->plan, f->x.fixed.workflow_hash, f->x.fixed.entry) ? err : compile(f);
    if (err) {
        return err;
    }
    struct store_range range = {f->x.num, f->seq, f->x.last_seq};
    if (f->seq < f->x.last_seq) {
        err = store_read_events(f->s->store, range, &a, &rows, &count, &e);
    }
    for (uint32_t i = 0; i < count && !f->stop; i++) {
        turn_page(f, &rows[i]);
        f->event(f->ctx, &rows[i]);
        f->seq = rows[i].seq;
    }
    if (err) {
        cli_fail_error(f->s->cli, &e, NULL);
    }
    arena_fini(&a);
    return err;
}

static void look_again(void *ctx) { *(bool *)ctx = true; }

static void rest(struct follow *f) {
    bool due = false;
    struct io_timer *t = io_timer_open(f->s->loop, look_again, &due);
    if (!t) {
        f->stop = true;
        return;
    }
    io_timer_start(t, LOOK_NS);
    while (!due && !f->stop && io_loop_turn(f->s->loop, true)) {}
    io_timer_close(t);
}

enum err follow_until_end(struct follow *f) {
    enum err err = follow_read(f);
    while (!err && !f->stop && !f->x.row.completed.us && f->x.owner_alive) {
        rest(f);
        err = follow_read(f);
    }
    return err;
}

void follow_close(struct follow *f) {
    io_signal_close(f->signal);
    shelf_fini(&f->shelf);
    arena_fini(&f->seen);
}
