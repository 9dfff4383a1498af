/* What happened and was not decided on yet: queues per run, and the list of runs that have some.
 * Order of arrival is kept per run; runs take turns. What was decided on stays in memory until its
 * commit, so that it can be decided on once more.
 */
#include <stdlib.h>

#include "host/host_priv.h"

struct happened *happened_new(enum input_type type) {
    struct happened *x = calloc(1, sizeof *x);
    if (x) {
        x->in.type = type;
        arena_init(&x->arena, 0);
    }
    return x;
}

void happened_free(struct happened *x) {
    if (x) {
        arena_fini(&x->arena);
        free(x);
    }
}

bool text_keep(struct arena *a, struct str *s) {
    *s = s->len ? arena_str(a, *s) : STR("");
    return s->ptr != NULL;
}

void queue_put(struct queue *q, struct happened *x) {
    x->next = NULL;
    if (q->last) {
        q->last->next = x;
    } else {
        q->first = x;
    }
    q->last = x;
}

void queue_put_first(struct queue *q, struct happened *x) {
    x->next = q->first;
    q->first = x;
    q->last = q->last ? q->last : x;
}

struct happened *queue_take(struct queue *q) {
    struct happened *x = q->first;
    if (x) {
        q->first = x->next;
        q->last = q->first ? q->last : NULL;
    }
    return x;
}

/* Whose turn came in this shift has its next ones in it, too, for its state is still in the caches.
 * It would not be when many thousands of others have had theirs in between. */
static struct run_queue *queue_of(const struct run *r) {
    struct host *h = r->host;
    return r->shift == h->shift ? &h->at_work : &h->ready;
}

static void make_ready(struct run *r, struct run_queue *q) {
    if (r->is_ready || r->lost) {
        return;
    }
    r->is_ready = true;
    r->ready_next = NULL;
    *(q->last ? &q->last->ready_next : &q->first) = r;
    q->last = r;
}

void run_make_ready(struct run *r) { make_ready(r, queue_of(r)); }

void run_hurry(struct run *r) { make_ready(r, &r->host->asked); }

struct run *run_take_ready(struct host *h, struct run_queue *q) {
    struct run *r = q->first;
    q->first = r->ready_next;
    q->last = q->first ? q->last : NULL;
    r->is_ready = false;
    r->shift = h->shift;
    return r;
}

void shift_begin(struct host *h) {
    int64_t now_ns = h->last_mono.ns;
    if (now_ns < h->shift_end_ns) {
        return;
    }
    if (h->at_work.first) { /* behind all others */
        *(h->ready.last ? &h->ready.last->ready_next : &h->ready.first) = h->at_work.first;
        h->ready.last = h->at_work.last;
        h->at_work = (struct run_queue){0};
    }
    h->shift++;
    h->shift_end_ns = now_ns + HOST_SHIFT_NS;
}

void run_wait_for_rows(struct run *r) {
    struct host *h = r->host;
    if (r->waits_for_rows || r->lost) {
        return;
    }
    r->waits_for_rows = true;
    r->rows_next = NULL;
    *(h->rows_last ? &h->rows_last->rows_next : &h->rows_first) = r;
    h->rows_last = r;
}

struct run *run_next_for_rows(struct host *h) {
    struct run *r = h->rows_first;
    if (r) {
        h->rows_first = r->rows_next;
        h->rows_last = h->rows_first ? h->rows_last : NULL;
        r->waits_for_rows = false;
    }
    return r;
}

void run_starved(struct run *r) {
    r->starved = true;
    run_make_ready(r);
}

/* Of an execution that has ended only what a step cost still matters. */
static bool matters(const struct run *r, const struct happened *x) {
    return !r->lost &&
           (!r->ended || (x->in.type == INPUT_DONE && r->engine && !value_is_null(x->result.meta)));
}

void run_happens(struct run *r, struct happened *x) {
    if (!matters(r, x)) {
        happened_free(x);
        return;
    }
    queue_put(&r->happened, x);
    run_make_ready(r);
}
