/* Forks that the items of one foreach step share: each takes one item after another. And processes
 * that steps share in the same way whose code reaches nothing else: in Python all of this host, in
 * JavaScript those of one execution. What is said here of items and their step holds for these.
 *
 * An item waits here until a fork is free. When none has become free for a moment, there are more
 * of them, up to one for each item that is under way: so items that take long run side by side as
 * ever, and short ones need few forks. A fork has at most one item; what it printed when it answers
 * is that item's. One that ends with an item takes no other along: the next ones get another fork.
 * Invariants: a fork has items of one step only. Once all have begun, a fork ends with its item,
 * and the item is not over before that. One that gets no item for IDLE_NS ends as well.
 */
#include <stdio.h>
#include <stdlib.h>

#include "flow/plan.h"
#include "io/loop.h"
#include "node/code_priv.h"

enum {
    GRACE_MS = 2000,
    FIRST_WORKERS = 2,
    KEEP_UP = 10,     /* items that a fork performs in MORE_NS when more forks would not help */
    WAITING_MOST = 8, /* processes for steps of any node that have none just then */
    HEAD_BYTES = 26,
};
#define MORE_NS INT64_C(10000000)
#define IDLE_NS INT64_C(100000000)

struct worker {
    struct pool *pool;
    struct worker *next;
    struct io_process *process; /* NULL: it has ended */
    struct io_scratch *scratch;
    struct code_item *item;
    bool ending;    /* it gets no other item */
    bool answered;  /* its item has an answer, which is told when the process is gone */
    bool too_large; /* the answer */
    int64_t pid;
    uint64_t start_time;
    struct code_sent sent;
    struct buf said; /* of descriptor 3, since the last whole frame */
    struct buf frame;
    bool waits; /* for a step of any node, among all that do */
    struct worker *waits_before, *waits_after;
};

struct pool {
    struct pools *home;
    struct pool *next;
    struct io_loop *loop;
    char *name;                   /* <execution>/<step without its index>, the execution or "" */
    const struct plan_node *node; /* NULL: for steps of any node */
    const char *program;          /* that runs the code */
    struct worker *workers;
    size_t worker_count;
    struct code_item *first, *last; /* that wait */
    size_t done;                    /* items, since counted_from_ns */
    int64_t counted_from_ns;
    size_t begun;           /* items, since idle was last due */
    bool all_begun;         /* no item of the step is still to come, but for a retry */
    struct io_timer *timer; /* while something waits */
    struct io_timer *idle;
};

struct pools {
    struct pool *first;
    struct worker *waits_longest, *waits_shortest;
    size_t waiting;
};

/* ---- ends ---- */

static void pool_free(struct pool *p) {
    struct pool **at = &p->home->first;
    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    io_timer_close(p->timer);
    io_timer_close(p->idle);
    free(p->name);
    free(p);
}

static void worker_drop(struct worker *w) {
    buf_fini(&w->said);
    buf_fini(&w->frame);
    code_sent_fini(&w->sent);
    free(w);
}

static void wait_no_more(struct worker *w) {
    struct pools *all = w->pool->home;
    if (!w->waits) {
        return;
    }
    *(w->waits_before != NULL ? &w->waits_before->waits_after : &all->waits_longest) =
        w->waits_after;
    *(w->waits_after != NULL ? &w->waits_after->waits_before : &all->waits_shortest) =
        w->waits_before;
    w->waits = false;
    all->waiting--;
}

static void worker_free(void *ctx) {
    struct worker *w = ctx;
    struct code_item *item = w->pool != NULL ? w->item : NULL;
    bool answered = w->answered;
    if (w->pool != NULL) {
        struct worker **at = &w->pool->workers;
        while (*at != w) {
            at = &(*at)->next;
        }
        *at = w->next;
        w->pool->worker_count--;
    }
    worker_drop(w);
    if (item != NULL) {
        item->worker = NULL;
        (answered ? item->answered : item->ended)(item->ctx);
    }
}

static void worker_end(struct worker *w) {
    wait_no_more(w);
    if (!w->ending) {
        w->ending = true;
        io_process_feed_end(w->process);
    }
}

/* The one that waited for longest makes room. */
static void wait_for_step(struct worker *w) {
    struct pools *all = w->pool->home;
    w->waits = true;
    w->waits_before = all->waits_shortest;
    w->waits_after = NULL;
    *(all->waits_shortest != NULL ? &all->waits_shortest->waits_after : &all->waits_longest) = w;
    all->waits_shortest = w;
    if (++all->waiting > WAITING_MOST) {
        worker_end(all->waits_longest);
    }
}

/* One whose folder is just being removed goes when that is done. */
static void close_pool(struct pool *p) {
    while (p->workers != NULL) {
        struct worker *w = p->workers;
        p->workers = w->next;
        w->pool = NULL;
        if (w->process != NULL) {
            io_scratch_drop(w->scratch);
            worker_drop(w);
        }
    }
    pool_free(p);
}

static void close_all(void *thing) {
    struct pools *all = thing;
    while (all->first != NULL) {
        close_pool(all->first);
    }
    free(all);
}

/* ---- items ---- */

static void turn(struct pool *p);

static bool nothing_follows(const struct pool *p) { return p->all_begun && p->first == NULL; }

static void end_idle(struct pool *p, bool wanted) {
    for (struct worker *w = p->workers; w != NULL && wanted; w = w->next) {
        if (w->item == NULL && w->process != NULL) {
            worker_end(w);
        }
    }
}

/* What stands in its pipes by now is the item's. */
static void finish_item(struct worker *w, bool over) {
    struct code_item *item = w->item;
    item->exit.stdout_cut = io_process_drain(w->process);
    w->pool->done++;
    if (over || nothing_follows(w->pool)) {
        w->answered = true;
        worker_end(w);
        end_idle(w->pool, nothing_follows(w->pool));
        return;
    }
    w->item = NULL;
    item->worker = NULL;
    item->answered(item->ctx);
    turn(w->pool);
    if (w->pool->node == NULL && w->item == NULL && !w->ending) {
        wait_for_step(w);
    }
}

static uint64_t number(const char *at, size_t size) {
    uint64_t n = 0;
    memcpy(&n, at, size); /* as this machine has it */
    return n;
}

/* The frame is whole. */
static void take_answer(struct worker *w, struct str frame) {
    struct code_item *item = w->item;
    item->exit = (struct io_exit){.user_us = (int64_t)number(frame.ptr, 8),
                                  .system_us = (int64_t)number(frame.ptr + 8, 8),
                                  .max_rss_kib = (int64_t)number(frame.ptr + 16, 8),
                                  .status = (unsigned char)frame.ptr[24]};
    bool over = frame.ptr[25] != 0;
    item->output(item->ctx, 3, str_sub(frame, HEAD_BYTES, frame.len));
    finish_item(w, over);
}

/* What it says makes no sense: its item ends with it. */
static void give_up(struct worker *w) {
    w->ending = true;
    io_process_kill(w->process, 0);
}

static void on_said(struct worker *w, struct str bytes) {
    if (w->item == NULL || w->answered) {
        give_up(w); /* nobody asked */
        return;
    }
    buf_append(&w->said, bytes);
    struct str said = buf_str(&w->said);
    size_t len = said.len >= 4 ? (size_t)number(said.ptr, 4) : HEAD_BYTES;
    w->too_large = len > HEAD_BYTES + w->item->port->in->max_output_bytes;
    if (!buf_ok(&w->said) || len < HEAD_BYTES || w->too_large || said.len > len + 4) {
        give_up(w);
    } else if (said.len >= 4 && said.len - 4 >= len) {
        struct str frame = str_sub(said, 4, 4 + len);
        struct buf whole = w->said;
        buf_init(&w->said, 0);
        take_answer(w, frame);
        buf_fini(&whole);
    }
}

static void on_output(void *ctx, int fd, struct str bytes) {
    struct worker *w = ctx;
    if (fd == 3) {
        on_said(w, bytes);
    } else if (w->item != NULL) {
        w->item->output(w->item->ctx, fd, bytes);
    }
}

static void on_started(void *ctx, int64_t pid, uint64_t start_time) {
    struct worker *w = ctx;
    w->pid = pid;
    w->start_time = start_time;
    if (w->item != NULL) {
        w->item->started(w->item->ctx, pid, start_time);
    }
}

static void on_exited(void *ctx, const struct io_exit *x, enum err spawn_error,
                      const char *spawn_message, bool over_limit) {
    struct worker *w = ctx;
    struct pool *p = w->pool;
    struct code_item *item = w->item;
    w->process = NULL;
    w->ending = true;
    wait_no_more(w);
    if (item != NULL && !w->answered) {
        item->exited(item->ctx, x, spawn_error, spawn_message, over_limit || w->too_large);
    }
    if (w->scratch == NULL || io_scratch_close(w->scratch, worker_free, w)) {
        worker_free(w);
    }
    turn(p);
}

/* ---- forks ---- */

static bool start_process(struct worker *w, const struct code_item *item, struct error *e) {
    struct arena a;
    struct code_input in;
    struct code_job job = *item->job;
    job.items = true;
    job.names = job.env = value_null(); /* each item is told its own */
    arena_init(&a, 0);
    bool ok = code_input_make(&job, item->port, w->scratch, &a, &in, e) == OK;
    in.zygote.from_second = w->pool->node == NULL; /* it may be the only one */
    struct io_process_spec spec = {.argv = in.argv,
                                   .env = in.env,
                                   .cwd = in.cwd,
                                   .feeds = true,
                                   .max_output_bytes = item->port->in->max_output_bytes,
                                   .keep_running = true,
                                   .want_result = true,
                                   .zygote = in.forks ? &in.zygote : NULL,
                                   .started = on_started,
                                   .output = on_output,
                                   .exited = on_exited,
                                   .ctx = w};
    w->process = ok ? io_process_start(item->port->launcher, &spec, e) : NULL;
    if (w->process != NULL && w->pool->node != NULL &&
        !io_process_feed(w->process, code_frame(&w->frame, in.stdin_text))) {
        io_process_kill(w->process, 0);
    }
    arena_fini(&a);
    return w->process != NULL;
}

static struct worker *start_worker(struct pool *p, const struct code_item *item, struct error *e) {
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        error_nomem(e);
        return NULL;
    }
    *w = (struct worker){.pool = p, .next = p->workers};
    buf_init(&w->said, 0);
    buf_init(&w->frame, 0);
    p->workers = w;
    p->worker_count++;
    w->scratch = io_scratch_open(item->port->launcher, e);
    if (w->scratch == NULL || !start_process(w, item, e)) {
        w->ending = true;
        if (w->scratch == NULL || io_scratch_close(w->scratch, worker_free, w)) {
            worker_free(w);
        }
        return NULL;
    }
    return w;
}

/* False when the item cannot be told: then it has failed. */
static bool give(struct worker *w, struct code_item *item) {
    struct error e;
    struct str frame;
    enum err status = item->cancelled ? error_set(&e, ERR_CANCELLED, "the step was cancelled") : OK;
    if (status == OK && w->pool->node == NULL) {
        status = code_step_frame(item->job, item->port, &w->frame, &frame, &e);
    } else if (status == OK) {
        status = code_item_frame(item->job, item->port, &w->sent, &w->frame, &frame, &e);
    }
    if (status == OK && !io_process_feed(w->process, frame)) {
        status = error_nomem(&e);
    }
    if (status != OK) {
        if (status == ERR_NOMEM) { /* it may have been told in part */
            w->ending = true;
            io_process_kill(w->process, 0);
        }
        item->failed(item->ctx, &e);
        return false;
    }
    wait_no_more(w);
    w->item = item;
    item->worker = w;
    if (w->pid != 0) {
        item->started(item->ctx, w->pid, w->start_time);
    }
    return true;
}

static struct worker *free_worker(const struct pool *p) {
    struct worker *w = p->workers;
    while (w != NULL && (w->item != NULL || w->ending || !io_process_takes(w->process))) {
        w = w->next;
    }
    return w;
}

static struct code_item *take_waiting(struct pool *p) {
    struct code_item *item = p->first;
    p->first = item->next;
    p->last = p->first != NULL ? p->last : NULL;
    return item;
}

/* Hands what waits to forks that are free; the timer does the rest. */
static void turn(struct pool *p) {
    struct worker *w;
    while (p->first != NULL && (w = free_worker(p)) != NULL) {
        give(w, take_waiting(p));
    }
    if (p->first == NULL) {
        io_timer_stop(p->timer);
    } else if (p->worker_count == 0) {
        io_timer_start(p->timer, 0);
    }
}

/* ---- times ---- */

static int64_t now_ns(const struct pool *p) {
    const struct io_clock *clock = io_loop_clock(p->loop);
    return clock->mono(clock->ctx).ns;
}

/* From now on it is counted what the forks that there are get done. */
static void count_anew(struct pool *p) {
    p->counted_from_ns = now_ns(p);
    p->done = 0;
}

static size_t wanted_workers(struct pool *p) {
    size_t wanted = p->worker_count;
    if (wanted < FIRST_WORKERS) {
        return FIRST_WORKERS;
    }
    if (now_ns(p) - p->counted_from_ns >= MORE_NS) {
        wanted *= p->done < wanted * KEEP_UP ? 2 : 1;
        count_anew(p);
    }
    return wanted;
}

static void waiting_due(void *ctx) {
    struct pool *p = ctx;
    turn(p);
    size_t wanted = p->first != NULL ? wanted_workers(p) : 0;
    while (p->first != NULL && p->worker_count < wanted) {
        struct error e;
        struct code_item *item = take_waiting(p);
        struct worker *w = start_worker(p, item, &e);
        if (w != NULL) {
            give(w, item);
        } else {
            item->failed(item->ctx, &e);
        }
    }
    if (p->first != NULL) {
        io_timer_start(p->timer, MORE_NS);
    }
}

/* A process of its own takes longer to start, and steps come one by one. */
static int64_t idle_ns(const struct pool *p) { return p->node != NULL ? IDLE_NS : 10 * IDLE_NS; }

static void idle_due(void *ctx) {
    struct pool *p = ctx;
    bool busy = p->first != NULL || p->begun > 0;
    p->begun = 0;
    for (struct worker *w = p->workers; w != NULL; w = w->next) {
        busy = busy || (w->item != NULL && !w->ending);
    }
    for (struct worker *w = p->workers; w != NULL && !busy; w = w->next) {
        if (w->process != NULL && w->ending && w->item == NULL) {
            io_process_kill(w->process, GRACE_MS); /* it had its time */
        } else if (w->process != NULL) {
            worker_end(w);
        }
    }
    if (!busy && p->workers == NULL) {
        pool_free(p);
    } else {
        io_timer_start(p->idle, busy ? idle_ns(p) : GRACE_MS * INT64_C(1000000));
    }
}

/* ---- pools ---- */

static struct str step_without_item(struct str key) {
    size_t at = str_find(key, STR("["), 0);
    return str_sub(key, 0, at != SIZE_MAX ? at : key.len);
}

/* The part behind the index tells generations apart. */
static char *name_of(const struct step_port *port) {
    struct str key = port->in->key, step = step_without_item(key);
    size_t end = str_find(key, STR("]"), 0);
    struct str rest = end != SIZE_MAX ? str_sub(key, end + 1, key.len) : STR("");
    char *name;
    return asprintf(&name, "%.*s%.*s", STR_ARG(step), STR_ARG(rest)) < 0 ? NULL : name;
}

static struct pool *pool_open(struct pools *home, const struct code_item *item,
                              const struct plan_node *node, char *name) {
    struct io_loop *loop = item->port->loop;
    struct pool *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    *p = (struct pool){.home = home,
                       .loop = loop,
                       .name = name,
                       .node = node,
                       .program = item->job->data->language->program,
                       .next = home->first};
    home->first = p;
    p->timer = io_timer_open(loop, waiting_due, p);
    p->idle = io_timer_open(loop, idle_due, p);
    if (p->timer == NULL || p->idle == NULL) {
        p->name = NULL;
        pool_free(p);
        return NULL;
    }
    io_timer_background(p->idle);
    io_timer_start(p->idle, idle_ns(p));
    return p;
}

/* What Python's steps of any node cannot see they cannot see of other executions either; in
 * JavaScript they may see what node's own objects keep. */
static char *name_for(const struct code_item *item, const struct plan_node *node) {
    const struct step_in *in = item->port->in;
    return node != NULL                    ? name_of(item->port)
           : item->job->data->language->js ? strndup(in->execution.ptr, in->execution.len)
                                           : strdup("");
}

/* node: NULL for steps of any node. */
static struct pool *pool_for(const struct code_item *item, const struct plan_node *node) {
    const struct step_port *port = item->port;
    void **kept = io_launcher_keep(port->launcher, close_all);
    struct pools *home = *kept != NULL ? *kept : calloc(1, sizeof *home);
    char *name = home != NULL ? name_for(item, node) : NULL;
    *kept = home;
    struct pool *p = name != NULL ? home->first : NULL;
    const char *program = item->job->data->language->program;
    while (p != NULL &&
           (p->node != node || strcmp(p->program, program) != 0 || strcmp(p->name, name) != 0)) {
        p = p->next;
    }
    struct pool *made = p == NULL && name != NULL ? pool_open(home, item, node, name) : NULL;
    if (made == NULL) {
        free(name);
    }
    return p != NULL ? p : made;
}

/* It is one of several items whose forks do nothing else. */
static bool is_of_step(const struct code_job *job, const struct step_port *port) {
    const struct code_language *language = job->data->language;
    return port->in->index >= 0 && port->in->items > 1 && language != NULL &&
           language->items != NULL && !job->data->own_folder && code_may_fork(job);
}

bool code_pool_fits(const struct code_job *job, const struct step_port *port) {
    return job->data->shares || is_of_step(job, port);
}

bool code_pool_start(struct code_item *item) {
    bool of_step = is_of_step(item->job, item->port);
    struct pool *p = pool_for(item, of_step ? item->port->in->node : NULL);
    if (p == NULL) {
        return false;
    }
    item->next = NULL;
    if (p->first == NULL) {
        count_anew(p);
        io_timer_start(p->timer, 0);
    }
    *(p->first != NULL ? &p->last->next : &p->first) = item;
    p->last = item;
    p->begun++;
    p->all_begun =
        p->all_begun || (of_step && item->port->in->index + 1 == (int64_t)item->port->in->items);
    return true;
}

/* One that waits is told so when its turn comes, which is soon. */
void code_pool_cancel(struct code_item *item) {
    item->cancelled = true;
    if (item->worker != NULL && item->worker->process != NULL) {
        item->worker->ending = true;
        io_process_kill(item->worker->process, GRACE_MS);
    }
}
