/* The server of the tests. Whatever fails in setting it up ends the test by an assertion. */
#include "support/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct http_server *server;
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

void http_server_say(struct connection *c, struct str bytes) {
    buf_append(&c->out, bytes);
    flush(c);
}

void http_server_answer(struct connection *c, const char *status, const char *more_head,
                        struct str body) {
    char head[1000];
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, body.len,
             more_head);
    http_server_say(c, str_from(head));
    http_server_say(c, body);
}

void http_server_hang_up(struct connection *c) {
    c->closing = true;
    flush(c);
}

bool http_server_gone(const struct connection *c) { return c->gone; }

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
    struct http_server *s = ctx;
    (void)events;
    int fd;
    while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int at_once =
            1; /* or an answer in two pieces would wait for the client's acknowledgement */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
        struct connection *c = calloc(1, sizeof *c);
        *c = (struct connection){.server = s, .next = s->connections, .fd = fd};
        buf_init(&c->in, 0);
        buf_init(&c->out, 0);
        c->poll = io_poll_open(s->loop, fd, IO_READABLE, on_ready, c);
        s->connections = c;
        s->accepted++;
    }
}

void http_server_open(struct http_server *s, struct io_loop *loop,
                      void (*handler)(struct http_server *s, struct connection *c,
                                      const struct asked *a)) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    *s = (struct http_server){.loop = loop, .handler = handler};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ASSERT(bind(s->fd, (struct sockaddr *)&at, sizeof at) == 0);
    ASSERT(listen(s->fd, 256) == 0);
    ASSERT(getsockname(s->fd, (struct sockaddr *)&at, &length) == 0);
    s->port = ntohs(at.sin_port);
    s->poll = io_poll_open(loop, s->fd, IO_READABLE, on_accept, s);
}

void http_server_close(struct http_server *s) {
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
    *s = (struct http_server){0};
}
