/* The client: drives curl by the loop, and owns the transfers.
 *
 * A transfer is queued, runs, has ended; each state is a list, and work, always from the loop and
 * never from inside curl, moves them on. Invariants: done is called from work alone, once for each
 * transfer; curl is loaded with the first request and not before.
 */
#include <stdlib.h>

#include "net/net_priv.h"

struct list {
    struct net_transfer *first, *last;
};

struct net_client {
    struct io_loop *loop;
    struct arena arena; /* of the policy */
    struct net_policy policy;
    struct net_curl curl;
    CURLM *multi;            /* NULL before the first request */
    struct io_timer *clock;  /* curl's own timeout */
    struct io_timer *worker; /* starts work from a fresh turn */
    struct list lists[NET_STATES];
    bool telling; /* a listener's done is under way */
    bool starved; /* there was no memory to watch a socket: what runs would never hear of it */
};

struct socket {
    struct net_client *client;
    curl_socket_t fd;
    struct io_poll *poll;
};

const struct net_curl *net_client_curl(const struct net_client *c) { return &c->curl; }

const struct net_policy *net_client_policy(const struct net_client *c) { return &c->policy; }

int64_t net_client_now_ns(const struct net_client *c) {
    const struct io_clock *clock = io_loop_clock(c->loop);
    return clock->mono(clock->ctx).ns;
}

/* ---- lists ---- */

static void append(struct net_transfer *t, enum net_state state) {
    struct list *l = &t->client->lists[state];
    t->state = state;
    t->next = NULL;
    t->prev = l->last;
    *(l->last ? &l->last->next : &l->first) = t;
    l->last = t;
}

static void unlink_it(struct net_transfer *t) {
    struct list *l = &t->client->lists[t->state];
    *(t->prev ? &t->prev->next : &l->first) = t->next;
    *(t->next ? &t->next->prev : &l->last) = t->prev;
}

static void move(struct net_transfer *t, enum net_state state) {
    unlink_it(t);
    append(t, state);
}

static void kick(struct net_client *c) { io_timer_start(c->worker, 0); }

/* ---- what curl asks of the loop ---- */

static void work(struct net_client *c);

static void act(struct net_client *c, curl_socket_t fd, int flags) {
    int running;
    c->curl.multi_socket_action(c->multi, fd, flags, &running);
    work(c);
}

static void on_clock(void *ctx) { act(ctx, CURL_SOCKET_TIMEOUT, 0); }

static void on_ready(void *ctx, int events) {
    struct socket *s = ctx;
    act(s->client, s->fd,
        (events & IO_READABLE ? CURL_CSELECT_IN : 0) |
            (events & IO_WRITABLE ? CURL_CSELECT_OUT : 0));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *kept) {
    struct net_client *c = ctx;
    struct socket *s = kept;
    int events = (what & CURL_POLL_IN ? IO_READABLE : 0) | (what & CURL_POLL_OUT ? IO_WRITABLE : 0);
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s) {
            io_poll_close(s->poll);
            free(s);
            c->curl.multi_assign(c->multi, fd, NULL);
        }
        return 0;
    }
    if (s) {
        io_poll_change(s->poll, events);
        return 0;
    }
    s = calloc(1, sizeof *s);
    if (s) {
        *s = (struct socket){.client = c, .fd = fd};
        s->poll = io_poll_open(c->loop, fd, events, on_ready, s);
    }
    if (!s || !s->poll) {
        free(s);
        c->starved = true;
        kick(c);
        return 0; /* an error would be the end of every later transfer, too */
    }
    c->curl.multi_assign(c->multi, fd, s);
    return 0;
}

static int on_timeout(CURLM *multi, long timeout_ms, void *ctx) {
    struct net_client *c = ctx;
    (void)multi;
    if (timeout_ms < 0) {
        io_timer_stop(c->clock);
    } else {
        io_timer_start(c->clock, timeout_ms * INT64_C(1000000));
    }
    return 0;
}

/* ---- work ---- */

static enum err begin_curl(struct net_client *c, struct error *e) {
    if (c->multi) {
        return OK;
    }
    enum err err = net_curl_load(&c->curl, e);
    if (err) {
        return err;
    }
    c->multi = c->curl.multi_init();
    if (!c->multi) {
        net_curl_unload(&c->curl);
        return error_nomem(e);
    }
    c->curl.multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    c->curl.multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    c->curl.multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    c->curl.multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return OK;
}

static void detach(struct net_transfer *t) {
    struct net_client *c = t->client;
    if (t->easy) {
        c->curl.multi_remove_handle(c->multi, t->easy);
        net_transfer_release(t);
    }
}

static void start(struct net_transfer *t) {
    struct net_client *c = t->client;
    struct error e = {0};
    enum err err = begin_curl(c, &e);
    err = err ? err : net_transfer_begin(t, &e);
    if (!err && c->curl.multi_add_handle(c->multi, t->easy) != CURLM_OK) {
        net_transfer_release(t);
        err = error_nomem(&e);
    }
    if (err) {
        t->failure = e;
    }
    move(t, err ? NET_ENDED : NET_RUNNING);
}

static void read_messages(struct net_client *c) {
    CURLMsg *m;
    int left;
    while (c->multi && (m = c->curl.multi_info_read(c->multi, &left)) != NULL) {
        struct net_transfer *t = NULL;
        CURLcode code = m->data.result;
        c->curl.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        if (t->state != NET_RUNNING) {
            continue; /* cancelled meanwhile */
        }
        bool more = net_transfer_finish(t, code);
        detach(t);
        move(t, more ? NET_QUEUED : NET_ENDED);
        if (more) {
            kick(c);
        }
    }
}

/* Which of them it was, curl does not say. */
static void end_starved(struct net_client *c) {
    struct net_transfer *t;
    while (c->starved && (t = c->lists[NET_RUNNING].first) != NULL) {
        (void)error_nomem(&t->failure);
        detach(t);
        move(t, NET_ENDED);
    }
    c->starved = false;
}

/* Those that end while others are told come in a later turn. */
static void tell_ended(struct net_client *c) {
    struct net_transfer *last = c->lists[NET_ENDED].last, *t;
    bool more = last != NULL;
    while (more) {
        t = c->lists[NET_ENDED].first;
        more = t != last;
        unlink_it(t);
        detach(t);
        c->telling = true;
        net_transfer_tell(t);
        c->telling = false;
        net_transfer_free(t);
    }
}

static void work(struct net_client *c) {
    struct net_transfer *t;
    read_messages(c);
    while ((t = c->lists[NET_QUEUED].first) != NULL) {
        start(t);
    }
    end_starved(c);
    tell_ended(c);
}

static void on_worker(void *ctx) { work(ctx); }

/* ---- the face ---- */

static bool copy_text(struct arena *a, const char **text) {
    if (*text) {
        *text = arena_str(a, str_from(*text)).ptr;
        return *text != NULL;
    }
    return true;
}

static bool copy_policy(struct net_client *c, const struct net_policy *p) {
    size_t count = 0;
    while (p->allow_hosts && p->allow_hosts[count]) {
        count++;
    }
    const char **hosts = ARENA_ARRAY(&c->arena, count + 1, const char *);
    bool ok = hosts != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        hosts[i] = p->allow_hosts[i];
        ok = copy_text(&c->arena, &hosts[i]);
    }
    c->policy = *p;
    c->policy.allow_hosts = hosts;
    return ok && copy_text(&c->arena, &c->policy.allow_hint) &&
           copy_text(&c->arena, &c->policy.ca_file);
}

enum err net_client_open(struct io_loop *l, const struct net_policy *p, struct net_client **out,
                         struct error *e) {
    struct net_client *c = calloc(1, sizeof *c);
    if (!c) {
        return error_nomem(e);
    }
    c->loop = l;
    arena_init(&c->arena, 1u << 20);
    c->clock = io_timer_open(l, on_clock, c);
    c->worker = io_timer_open(l, on_worker, c);
    if (!c->clock || !c->worker || !copy_policy(c, p)) {
        net_client_close(c);
        return error_nomem(e);
    }
    *out = c;
    return OK;
}

void net_client_close(struct net_client *c) {
    if (!c) {
        return;
    }
    ASSERT(!c->telling);
    for (int state = 0; state < NET_STATES; state++) {
        struct net_transfer *t;
        while ((t = c->lists[state].first) != NULL) {
            unlink_it(t);
            detach(t);
            net_transfer_free(t);
        }
    }
    if (c->multi) {
        c->curl.multi_cleanup(c->multi);
        net_curl_unload(&c->curl);
    }
    io_timer_close(c->clock);
    io_timer_close(c->worker);
    arena_fini(&c->arena);
    free(c);
}

struct net_transfer *net_send(struct net_client *c, const struct net_request *r,
                              const struct net_listener *l) {
    struct net_transfer *t = calloc(1, sizeof *t);
    if (!t) {
        return NULL;
    }
    t->client = c;
    t->request = *r;
    t->listener = *l;
    arena_init(&t->arena, 16u << 20);
    buf_init(&t->body, r->max_body_bytes ? r->max_body_bytes : NET_MAX_BODY_BYTES);
    append(t, NET_QUEUED);
    kick(c);
    return t;
}

void net_cancel(struct net_transfer *t) {
    if (t->state != NET_ENDED) {
        error_set(&t->failure, ERR_CANCELLED, "the request was cancelled");
        move(t, NET_ENDED);
        kick(t->client);
    }
}
