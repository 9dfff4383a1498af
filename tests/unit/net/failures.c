/* What goes wrong: refused, unresolved, denied, broken off, too long, too late, cancelled, and what
 * may not be sent at all. Each is told once. */
#include "rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void hold(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)c;
    (void)a;
}

static void answer(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    http_server_answer(c, "200 OK", "", STR("0123456789"));
}

static void expect_failure(struct rig *r, const struct net_request *q, enum err err,
                           const char *message) {
    struct told t;
    rig_ask(r, q, &t);
    assert_string_equal(t.failure.message, message);
    assert_int_equal(t.err, err);
    assert_int_equal(t.done, 1);
    told_fini(&t);
}

/* A port of loopback where nobody listens: bound, so that nobody else takes it meanwhile. */
static int closed_port(uint16_t *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void nobody_listens(void **state) {
    struct rig *r = *state;
    char url[64], message[100];
    uint16_t port;
    int fd = closed_port(&port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/?key=s3cret", port);
    snprintf(message, sizeof message, "cannot connect to 127.0.0.1:%u: Connection refused", port);
    expect_failure(r, &(struct net_request){.url = str_from(url)}, ERR_TRANSIENT, message);
    close(fd);
}

static void no_such_host(void **state) {
    expect_failure(*state, &(struct net_request){.url = STR("http://nowhere.invalid/")},
                   ERR_TRANSIENT,
                   "the host nowhere.invalid cannot be found: its name does not resolve");
}

static void the_policy_refuses(void **state) {
    struct rig *r = *state;
    struct net_policy strict = {.allow_hint = "ask"};
    net_client_close(r->client);
    assert_int_equal(net_client_open(r->loop, &strict, &r->client, NULL), OK);
    http_server_open(&r->server, r->loop, answer);
    expect_failure(r, &(struct net_request){.url = rig_url(r, "/")}, ERR_DENIED,
                   "requests may not go to 127.0.0.1, a loopback address; ask");
    expect_failure(r, &(struct net_request){.url = STR("http://2130706433/")}, ERR_DENIED,
                   "requests may not go to 127.0.0.1, a loopback address; ask");
    char url[64];
    struct told t;
    snprintf(url, sizeof url, "http://localhost:%u/", r->server.port);
    rig_ask(r, &(struct net_request){.url = str_from(url)}, &t);
    assert_int_equal(t.err, ERR_DENIED);
    assert_non_null(strstr(t.failure.message, "requests may not go to localhost, which is "));
    told_fini(&t);
    assert_int_equal(r->server.accepted, 0);
}

static void a_listed_host_is_reached(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, answer);
    char entry[64];
    snprintf(entry, sizeof entry, "127.0.0.1:%u", r->server.port);
    const char *hosts[] = {entry, NULL};
    struct net_policy strict = {.allow_hosts = hosts};
    net_client_close(r->client);
    assert_int_equal(net_client_open(r->loop, &strict, &r->client, NULL), OK);
    entry[0] = 'x'; /* it was copied */
    rig_ask(r, &(struct net_request){.url = rig_url(r, "/")}, &t);
    assert_int_equal(t.err, OK);
    told_fini(&t);
}

static void break_off(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    http_server_say(c, STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123"));
    http_server_hang_up(c);
}

static void hang_up(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    http_server_hang_up(c);
}

static void say_nonsense(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    http_server_say(c, STR("SSH-2.0-OpenSSH_9.2\r\n"));
    http_server_hang_up(c);
}

static void broken_answers_are_transient(void **state) {
    struct rig *r = *state;
    void (*const handlers[])(struct http_server *, struct connection *,
                             const struct asked *) = {break_off, hang_up, say_nonsense};
    http_server_open(&r->server, r->loop, answer);
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        struct told t;
        r->server.handler = handlers[i];
        rig_ask(r, &(struct net_request){.url = rig_url(r, "/"), .once = true}, &t);
        assert_int_equal(t.err, ERR_TRANSIENT);
        assert_non_null(strstr(t.failure.message, "the connection to 127.0.0.1:"));
        told_fini(&t);
    }
}

static void answers_have_a_limit(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, answer);
    rig_ask(r, &(struct net_request){.url = rig_url(r, "/"), .max_body_bytes = 10}, &t);
    assert_int_equal(t.err, OK);
    told_fini(&t);
    expect_failure(r, &(struct net_request){.url = rig_url(r, "/"), .max_body_bytes = 9}, ERR_LIMIT,
                   "the answer of 127.0.0.1 is longer than 9 bytes");
}

static void say_a_long_head(struct http_server *s, struct connection *c, const struct asked *a) {
    char line[1002];
    (void)s;
    (void)a;
    memset(line, 'x', sizeof line);
    memcpy(line, "X: ", 3);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    http_server_say(c, STR("HTTP/1.1 200 OK\r\n"));
    for (int i = 0; i < 300; i++) {
        http_server_say(c, (struct str){line, sizeof line});
    }
}

static void heads_have_a_limit(void **state) {
    struct rig *r = *state;
    http_server_open(&r->server, r->loop, say_a_long_head);
    expect_failure(r, &(struct net_request){.url = rig_url(r, "/")}, ERR_LIMIT,
                   "the head of the answer is longer than 262144 bytes");
}

static void time_runs_out(void **state) {
    struct rig *r = *state;
    char message[100];
    http_server_open(&r->server, r->loop, hold);
    snprintf(message, sizeof message, "127.0.0.1:%u timed out: it had not answered after 50ms",
             r->server.port);
    expect_failure(r, &(struct net_request){.url = rig_url(r, "/"), .timeout_us = 50000},
                   ERR_TRANSIENT, message);
}

static const struct {
    const char *method, *url, *name, *value, *message;
} unsendable[] = {
    {"GET", "", NULL, NULL, "the URL is empty"},
    {"GET", "example.com/x", NULL, NULL, "the URL does not begin with http:// or https://"},
    {"GET", "ftp://example.com/x", NULL, NULL, "a URL begins with http:// or https://, not ftp:"},
    {"GET", "http://127.0.0.1:99999/", NULL, NULL,
     "the URL cannot be read: Port number was not a decimal number between 0 and 65535"},
    {"GET", "http://127.0.0.1/", "X-A", "a\r\nB: c",
     "the value of the header X-A has a line end or another control character in it"},
    {"GET", "http://127.0.0.1/", "X A", "a", "\"X A\" cannot be the name of a header"},
    {"GET", "http://127.0.0.1/", "content-LENGTH", "5",
     "the header content-LENGTH is set by the client itself"},
    {"GET /x", "http://127.0.0.1/", NULL, NULL, "\"GET /x\" is no HTTP method"},
    {"CONNECT", "http://127.0.0.1/", NULL, NULL, "the method CONNECT is not supported"},
};

static void what_cannot_be_sent_is_refused(void **state) {
    struct rig *r = *state;
    for (size_t i = 0; i < ARRAY_LEN(unsendable); i++) {
        struct net_header h = {str_from(unsendable[i].name), str_from(unsendable[i].value)};
        struct net_request q = {.method = str_from(unsendable[i].method),
                                .url = str_from(unsendable[i].url),
                                .headers = &h,
                                .header_count = unsendable[i].name != NULL};
        expect_failure(r, &q, ERR_INVALID, unsendable[i].message);
    }
}

static void a_base_binds_the_origin(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, answer);
    struct net_request q = {.base = rig_url(r, "/a/b?c"), .url = STR("?page=2")};
    rig_ask(r, &q, &t);
    assert_int_equal(t.err, OK);
    assert_string_equal(t.url, rig_url(r, "/a/b?page=2").ptr);
    told_fini(&t);
    char message[200];
    snprintf(message, sizeof message,
             "a request meant for http://127.0.0.1:%u may not go on to http://localhost:%u",
             r->server.port, r->server.port);
    char url[64];
    snprintf(url, sizeof url, "http://localhost:%u/", r->server.port);
    q.url = str_from(url);
    expect_failure(r, &q, ERR_DENIED, message);
}

/* ---- cancelled ---- */

static void cancelled_before_it_began(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, answer);
    struct net_transfer *x = rig_send(r, &(struct net_request){.url = rig_url(r, "/")}, &t);
    net_cancel(x);
    net_cancel(x);
    assert_int_equal(t.done, 0); /* not from inside */
    rig_run(r, &t.done, 1);
    assert_int_equal(t.err, ERR_CANCELLED);
    assert_int_equal(r->server.accepted, 0);
    told_fini(&t);
}

static struct connection *held;

static void hold_it(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    held = c;
}

static void cancelled_while_it_waits(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, hold_it);
    struct net_transfer *x = rig_send(r, &(struct net_request){.url = rig_url(r, "/")}, &t);
    rig_run(r, &r->server.requests, 1);
    net_cancel(x);
    rig_run(r, &t.done, 1);
    assert_int_equal(t.err, ERR_CANCELLED);
    while (!http_server_gone(held)) { /* the connection is closed at once */
        assert_true(io_loop_turn(r->loop, true));
    }
    told_fini(&t);
}

static struct net_transfer *streaming;

static void cancel_it(void *ctx, struct str bytes) {
    struct told *t = ctx;
    assert_int_equal(t->data.len, 0); /* data comes no more */
    buf_append(&t->data, bytes);
    net_cancel(streaming);
}

static void say_much(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    http_server_say(c, STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 100000; i++) {
        http_server_say(c, STR("8\r\n01234567\r\n"));
    }
}

static void cancelled_by_its_own_listener(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, say_much);
    struct net_listener l = rig_listener(&t);
    l.data = cancel_it;
    streaming = net_send(r->client, &(struct net_request){.url = rig_url(r, "/")}, &l);
    rig_run(r, &t.done, 1);
    assert_int_equal(t.err, ERR_CANCELLED);
    told_fini(&t);
}

static void cancelled_while_it_resolves(void **state) {
    struct rig *r = *state;
    struct told t;
    struct net_transfer *x =
        rig_send(r, &(struct net_request){.url = STR("http://nowhere.invalid/")}, &t);
    io_loop_turn(r->loop, false);
    if (t.done) { /* the resolver was quicker */
        told_fini(&t);
        skip();
    }
    net_cancel(x);
    rig_run(r, &t.done, 1);
    assert_int_equal(t.err, ERR_CANCELLED);
    told_fini(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int run_failure_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(nobody_listens),
        TEST(no_such_host),
        TEST(the_policy_refuses),
        TEST(a_listed_host_is_reached),
        TEST(broken_answers_are_transient),
        TEST(answers_have_a_limit),
        TEST(heads_have_a_limit),
        TEST(time_runs_out),
        TEST(what_cannot_be_sent_is_refused),
        TEST(a_base_binds_the_origin),
        TEST(cancelled_before_it_began),
        TEST(cancelled_while_it_waits),
        TEST(cancelled_by_its_own_listener),
        TEST(cancelled_while_it_resolves),
    };
    return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}
