/* The server of the tests: reads whole requests, lets the test answer. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct server *server;
    struct connection *next;
    int fd;
    struct io_poll *poll;
    struct buf in, out;
    bool gone, closing;
};

static void stop(struct connection *c) {
    if (c->poll) {
        io_poll_close(c->poll);
        close(c->fd);
        c->poll = NULL;
    }
}

static void flush(struct connection *c) {
    while (c->poll && c->out.len) {
        ssize_t n = send(c->fd, c->out.ptr, c->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            io_poll_change(c->poll, IO_READABLE | IO_WRITABLE);
            return;
        }
        if (n < 0) {
            c->gone = true;
            stop(c);
            return;
        }
        memmove(c->out.ptr, c->out.ptr + n, c->out.len - (size_t)n);
        c->out.len -= (size_t)n;
    }
    if (c->poll) {
        io_poll_change(c->poll, IO_READABLE);
    }
    if (c->closing) {
        stop(c);
    }
}

void server_say(struct connection *c, struct str bytes) {
    buf_append(&c->out, bytes);
    flush(c);
}

void server_answer(struct connection *c, const char *status, const char *more_head,
                   struct str body) {
    char head[1000];
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, body.len,
             more_head);
    server_say(c, str_from(head));
    server_say(c, body);
}

void server_hang_up(struct connection *c) {
    c->closing = true;
    flush(c);
}

bool server_gone(const struct connection *c) { return c->gone; }

static size_t body_length(struct str head) {
    for (size_t i = 0; i + 15 < head.len; i++) {
        if (strncasecmp(head.ptr + i, "content-length:", 15) == 0) {
            return strtoul(head.ptr + i + 15, NULL, 10);
        }
    }
    return 0;
}

static bool take_request(struct connection *c) {
    struct str all = buf_str(&c->in);
    size_t end = str_find(all, STR("\r\n\r\n"), 0);
    if (end == SIZE_MAX) {
        return false;
    }
    struct asked a = {.head = str_sub(all, 0, end + 4)};
    size_t whole = a.head.len + body_length(a.head);
    if (all.len < whole) {
        return false;
    }
    struct str rest, line = str_split(a.head, '\r', &rest);
    a.method = str_split(line, ' ', &rest);
    a.path = str_split(rest, ' ', &rest);
    a.body = str_sub(all, a.head.len, whole);
    c->server->requests++;
    c->server->handler(c->server, c, &a);
    memmove(c->in.ptr, c->in.ptr + whole, c->in.len - whole);
    c->in.len -= whole;
    return c->poll != NULL;
}

static void on_ready(void *ctx, int events) {
    struct connection *c = ctx;
    if (events & IO_WRITABLE) {
        flush(c);
    }
    char *room = c->poll ? buf_reserve(&c->in, 65536) : NULL;
    ssize_t n = room ? recv(c->fd, room, 65536, 0) : -1;
    if (!room || (n < 0 && errno == EAGAIN)) {
        return;
    }
    if (n <= 0) {
        c->gone = true;
        stop(c);
        return;
    }
    c->in.len += (size_t)n;
    while (take_request(c)) {}
}

static void on_accept(void *ctx, int events) {
    struct server *s = ctx;
    (void)events;
    int fd;
    while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        *c = (struct connection){.server = s, .next = s->connections, .fd = fd};
        buf_init(&c->in, 0);
        buf_init(&c->out, 0);
        c->poll = io_poll_open(s->loop, fd, IO_READABLE, on_ready, c);
        s->connections = c;
        s->accepted++;
    }
}

void server_open(struct server *s, struct io_loop *loop,
                 void (*handler)(struct server *s, struct connection *c, const struct asked *a)) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    *s = (struct server){.loop = loop, .handler = handler};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s->fd, 256), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &length), 0);
    s->port = ntohs(at.sin_port);
    s->poll = io_poll_open(loop, s->fd, IO_READABLE, on_accept, s);
}

void server_close(struct server *s) {
    struct connection *next;
    for (struct connection *c = s->connections; c; c = next) {
        next = c->next;
        stop(c);
        buf_fini(&c->in);
        buf_fini(&c->out);
        free(c);
    }
    if (s->poll) {
        io_poll_close(s->poll);
        close(s->fd);
    }
    *s = (struct server){0};
}

/* ---- the rig ---- */

int rig_set_up(void **state) {
    static struct rig rig;
    struct net_policy policy = {.allow_loopback = true, .allow_hint = "no"};
    rig = (struct rig){0};
    *state = &rig;
    return io_loop_open(&io_clock_system, &rig.loop, NULL) ||
           net_client_open(rig.loop, &policy, &rig.client, NULL);
}

int rig_tear_down(void **state) {
    struct rig *r = *state;
    net_client_close(r->client);
    server_close(&r->server);
    int left = (int)io_loop_open_count(r->loop);
    io_loop_close(r->loop);
    return left;
}

static void on_head(void *ctx, const struct net_response *head) {
    struct told *t = ctx;
    t->heads++;
    t->status = head->status;
}

static void on_done(void *ctx, const struct net_response *r, const struct error *failure) {
    struct told *t = ctx;
    t->done++;
    if (failure) {
        t->failure = *failure;
        t->err = failure->code;
        return;
    }
    t->status = r->status;
    buf_append(&t->body, r->body);
    snprintf(t->url, sizeof t->url, "%.*s", STR_ARG(r->url));
    const struct str *type = net_header_find(r, "content-type");
    snprintf(t->type, sizeof t->type, "%.*s", STR_ARG(type ? *type : STR("")));
}

struct net_listener rig_listener(struct told *t) {
    *t = (struct told){0};
    buf_init(&t->body, 0);
    buf_init(&t->data, 0);
    return (struct net_listener){.ctx = t, .head = on_head, .done = on_done};
}

struct str rig_url(struct rig *r, const char *path) {
    static char ring[8][300];
    static int at;
    char *text = ring[at++ % 8];
    int n = snprintf(text, sizeof ring[0], "http://127.0.0.1:%u%s", r->server.port, path);
    return (struct str){text, (size_t)n};
}

struct net_transfer *rig_send(struct rig *r, const struct net_request *q, struct told *t) {
    struct net_listener l = rig_listener(t);
    return net_send(r->client, q, &l);
}

void rig_run(struct rig *r, const int *until, int count) {
    while (*until < count) {
        bool more = io_loop_turn(r->loop, true);
        assert_true(more || *until >= count);
    }
}

void rig_ask(struct rig *r, const struct net_request *q, struct told *t) {
    rig_send(r, q, t);
    rig_run(r, &t->done, 1);
}

void told_fini(struct told *t) {
    buf_fini(&t->body);
    buf_fini(&t->data);
}
