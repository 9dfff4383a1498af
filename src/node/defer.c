/* Answers that are known at once, given from the next turn of the loop; failures told to a port.
 *
 * Invariant: a port that was deferred is answered exactly once, cancelled or not.
 */
#include "io/loop.h"
#include "node/node_priv.h"

struct deferred {
    struct io_timer *timer;
    void (*then)(struct step_port *port);
    bool cancelled;
    struct error failure; /* for node_fail_later */
};

void node_fail(struct step_port *port, const struct error *e) {
    struct step_failure f = {.class =
                                 e->code == ERR_TRANSIENT ? FAILURE_TRANSIENT : FAILURE_PERMANENT,
                             .type = str_from(err_name(e->code)),
                             .message = str_from(e->message)};
    port->ops->fail(port, &f);
}

static void due(void *ctx) {
    struct step_port *port = ctx;
    struct deferred *d = port->kind_data;
    io_timer_close(d->timer);
    if (d->cancelled) {
        struct error e;
        error_set(&e, ERR_CANCELLED, "the step was cancelled");
        node_fail(port, &e);
        return;
    }
    d->then(port);
}

void node_defer(struct step_port *port, void (*then)(struct step_port *port)) {
    struct deferred *d = ARENA_NEW(port->in->arena, struct deferred);
    ASSERT(d);
    d->then = then;
    d->timer = io_timer_open(port->loop, due, port);
    ASSERT(d->timer);
    port->kind_data = d;
    io_timer_start(d->timer, 0);
}

void node_defer_cancel(struct step_port *port) {
    struct deferred *d = port->kind_data;
    d->cancelled = true;
}

static void tell_failure(struct step_port *port) {
    const struct deferred *d = port->kind_data;
    node_fail(port, &d->failure);
}

void node_fail_later(struct step_port *port, const struct error *e) {
    node_defer(port, tell_failure);
    struct deferred *d = port->kind_data;
    d->failure = *e;
}
