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
    int64_t waited_ms;    /* by node_defer_again */
    int64_t pause_ms;     /* of its next time */
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

static void open_timer(struct step_port *port, int64_t delay_ms) {
    struct deferred *d = port->kind_data;
    d->timer = io_timer_open(port->loop, due, port);
    if (d->timer) {
        io_timer_start(d->timer, delay_ms * 1000000);
    } else {
        port->ops->no_memory(port);
    }
}

void node_defer(struct step_port *port, void (*then)(struct step_port *port)) {
    struct deferred *d = ARENA_NEW(port->in->arena, struct deferred);
    if (!d) {
        port->ops->no_memory(port);
        return;
    }
    d->then = then;
    d->pause_ms = 1;
    port->kind_data = d;
    open_timer(port, 0);
}

bool node_defer_again(struct step_port *port) {
    struct deferred *d = port->kind_data;
    if (d->waited_ms >= NODE_WAIT_MS) {
        return false;
    }
    d->waited_ms += d->pause_ms;
    open_timer(port, d->pause_ms);
    d->pause_ms = d->pause_ms < 50 ? d->pause_ms * 2 : d->pause_ms;
    return true;
}

void node_defer_cancel(struct step_port *port) {
    struct deferred *d = port->kind_data;
    d->cancelled = true;
    io_timer_start(d->timer, 0);
}

static void tell_failure(struct step_port *port) {
    const struct deferred *d = port->kind_data;
    node_fail(port, &d->failure);
}

void node_fail_later(struct step_port *port, const struct error *e) {
    node_defer(port, tell_failure);
    struct deferred *d = port->kind_data;
    if (d) {
        d->failure = *e;
    }
}
