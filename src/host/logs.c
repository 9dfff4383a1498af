/* What steps print: told to watchers at once, recorded in pieces as events of the step.
 *
 * Pieces are gathered for a moment so that a chatty program does not make a commit per line. What
 * is kept of one attempt is bounded; where the rest is left out the log says so.
 */
#include "host/host_priv.h"

static void record(struct port *p, const char *stream, struct str text) {
    struct happened *x = happened_new(INPUT_LOG);
    if (!x) {
        return; /* a log is not worth an execution */
    }
    x->in.step = p->step;
    x->in.attempt = p->attempt;
    x->in.stream = str_from(stream);
    x->in.text = arena_str(&x->arena, text);
    if (!x->in.text.ptr) {
        happened_free(x);
        return;
    }
    run_happens(p->run, x);
}

/* Hands what the port printed so far to the run, to be recorded. */
static void flush(struct port *p) {
    if (p->log.text.len && p->state != PORT_CANCELLING) {
        record(p, p->log.stream, buf_str(&p->log.text));
    }
    buf_reset(&p->log.text);
}

void port_log_free(struct port *p) { buf_fini(&p->log.text); }

void logs_due(void *ctx) {
    struct host *h = ctx;
    h->logs_pending = false;
    for (struct run *r = h->runs; r; r = r->next) {
        for (struct port *p = r->ports; p; p = p->next) {
            flush(p);
        }
    }
}

static void arm(struct host *h) {
    if (!h->logs_pending) {
        h->logs_pending = true;
        io_timer_start(h->log_timer, HOST_LOG_DELAY_NS);
    }
}

/* The longest part that fits a piece and does not split a character. */
static size_t part_of(struct str text, size_t room) {
    size_t n = text.len < room ? text.len : room;
    while (n < text.len && n > 0 && ((unsigned char)text.ptr[n] & 0xC0) == 0x80) {
        n--;
    }
    return n;
}

static void keep(struct port *p, const char *stream, struct str text) {
    struct port_log *log = &p->log;
    if (log->text.len && log->stream != stream && strcmp(log->stream, stream) != 0) {
        flush(p);
    }
    log->stream = stream;
    while (text.len) {
        size_t room = HOST_LOG_PIECE_BYTES - log->text.len;
        size_t n = part_of(text, room);
        if (n == 0 && log->text.len == 0) {
            n = text.len < room ? text.len : room; /* no character at all begins in there */
        }
        buf_append(&log->text, str_sub(text, 0, n));
        text = str_sub(text, n, text.len);
        if (text.len || log->text.len == HOST_LOG_PIECE_BYTES) {
            flush(p);
        }
    }
}

static void tell(struct port *p, const char *stream, struct str text) {
    struct host *h = p->run->host;
    const struct host_observer *o = &h->options.observer;
    if (p->state == PORT_CANCELLING || !text.len) {
        return;
    }
    if (o->log) {
        o->log(o->ctx, p->run, flight_in(p->flight)->step, stream, text);
    }
    if (p->log.cut) {
        return;
    }
    struct str kept = str_sub(text, 0, part_of(text, HOST_LOG_BYTES - p->log.kept));
    keep(p, stream, kept);
    p->log.kept += kept.len;
    if (kept.len < text.len) {
        p->log.cut = true;
        keep(p, "note", STR("the log is longer than 1 MiB; what follows is not kept\n"));
    }
    arm(h);
}

void port_log(struct step_port *sp, const char *stream, struct str text) {
    struct port *p = (struct port *)(void *)sp;
    tell(p, stream, secrets_stream(p, stream, text, false));
}

void port_log_end(struct port *p) {
    tell(p, "stdout", secrets_stream(p, "stdout", STR(""), true));
    tell(p, "stderr", secrets_stream(p, "stderr", STR(""), true));
    flush(p);
}
