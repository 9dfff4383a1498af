/* The client: what is sent and what comes back, many at once, and closing it at any time. */
#include "rig.h"

#include <stdio.h>

static char asked_head[8000];
static char asked_body[8000];

static void keep(const struct asked *a) {
    snprintf(asked_head, sizeof asked_head, "%.*s", STR_ARG(a->head));
    snprintf(asked_body, sizeof asked_body, "%.*s", STR_ARG(a->body));
}

static void echo(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    keep(a);
    http_server_answer(c, "200 OK", "Content-Type: text/plain\r\n", STR("hello"));
}

static void assert_asked(const char *line) {
    if (!strstr(asked_head, line)) {
        fail_msg("\"%s\" was not asked for, but %s", line, asked_head);
    }
}

static void assert_not_asked(const char *word) {
    if (strcasestr(asked_head, word)) {
        fail_msg("\"%s\" was asked for: %s", word, asked_head);
    }
}

static void a_request_is_answered(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, echo);
    rig_ask(r, &(struct net_request){.url = rig_url(r, "/a b?q=\xC3\xBC#part")}, &t);
    assert_int_equal(t.err, OK);
    assert_int_equal(t.status, 200);
    assert_int_equal(t.heads, 1);
    assert_true(str_is(buf_str(&t.body), "hello"));
    assert_string_equal(t.type, "text/plain");
    assert_asked("GET /a%20b?q=%c3%bc HTTP/1.1\r\n");
    assert_asked("User-Agent: cairn/" CAIRN_VERSION "\r\n");
    assert_asked("Accept-Encoding: ");
    assert_not_asked("content-type");
    told_fini(&t);
}

static void a_body_is_sent_as_it_is(void **state) {
    struct rig *r = *state;
    struct told t;
    struct net_header headers[] = {{STR("Content-Type"), STR("application/json")},
                                   {STR("X-Empty"), STR("")},
                                   {STR("X-Key"), STR(" k ")}};
    http_server_open(&r->server, r->loop, echo);
    struct net_request q = {.method = STR("PATCH"),
                            .url = rig_url(r, "/"),
                            .headers = headers,
                            .header_count = 3,
                            .body = STR("{\"a\": 1}")};
    rig_ask(r, &q, &t);
    assert_asked("PATCH / HTTP/1.1\r\n");
    assert_asked("Content-Type: application/json\r\n");
    assert_asked("X-Empty:\r\n");
    assert_asked("X-Key: k\r\n");
    assert_asked("Content-Length: 8\r\n");
    assert_not_asked("expect");
    assert_string_equal(asked_body, "{\"a\": 1}");
    told_fini(&t);
    q = (struct net_request){.method = STR("POST"), .url = rig_url(r, "/")};
    rig_ask(r, &q, &t);
    assert_asked("POST / HTTP/1.1\r\n");
    assert_asked("Content-Length: 0\r\n");
    assert_not_asked("content-type");
    told_fini(&t);
    q = (struct net_request){.method = STR("DELETE"), .url = rig_url(r, "/")};
    rig_ask(r, &q, &t);
    assert_asked("DELETE / HTTP/1.1\r\n");
    assert_not_asked("content-length");
    told_fini(&t);
}

static void of_head_there_is_no_body(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, echo);
    /* The server sends one all the same; it is not taken for the answer. */
    rig_ask(r, &(struct net_request){.method = STR("HEAD"), .url = rig_url(r, "/")}, &t);
    assert_int_equal(t.err, OK);
    assert_int_equal(t.status, 200);
    assert_int_equal(t.heads, 1);
    assert_int_equal(t.body.len, 0);
    assert_asked("HEAD / HTTP/1.1\r\n");
    told_fini(&t);
}

static void say_chunks(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    http_server_say(c, STR("HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"));
    http_server_say(c, STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Trailer: 1\r\n\r\n"));
}

static void chunks_are_joined(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, say_chunks);
    rig_ask(r, &(struct net_request){.url = rig_url(r, "/")}, &t);
    assert_true(str_is(buf_str(&t.body), "abcdefg"));
    assert_int_equal(t.heads, 1);
    told_fini(&t);
}

/* gzip of "zipped zipped zipped" (Python's gzip.compress with mtime 0). */
static const unsigned char zipped[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
                                       0xab, 0xca, 0x2c, 0x28, 0x48, 0x4d, 0x51, 0xa8, 0x42, 0xa6,
                                       0x00, 0x0a, 0x34, 0xfc, 0x2a, 0x14, 0x00, 0x00, 0x00};

static void say_zipped(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    http_server_answer(c, "200 OK", "Content-Encoding: gzip\r\n",
                       (struct str){(const char *)zipped, sizeof zipped});
}

static void gzip_is_undone(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, say_zipped);
    rig_ask(r, &(struct net_request){.url = rig_url(r, "/")}, &t);
    assert_true(str_is(buf_str(&t.body), "zipped zipped zipped"));
    told_fini(&t);
    /* The limit is of what was unpacked. */
    rig_ask(r, &(struct net_request){.url = rig_url(r, "/"), .max_body_bytes = 19}, &t);
    assert_int_equal(t.err, ERR_LIMIT);
    told_fini(&t);
}

/* ---- streaming ---- */

static struct connection *open_stream;

static void begin_stream(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    open_stream = c;
    http_server_say(c, STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"));
}

static void on_piece(void *ctx, struct str bytes) {
    struct told *t = ctx;
    assert_int_equal(t->heads, 1);
    assert_int_equal(t->done, 0);
    buf_append(&t->data, bytes);
    if (t->data.len == 5) { /* only now the rest is sent */
        http_server_say(open_stream, STR("other"));
    }
}

static void pieces_are_told_as_they_come(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, begin_stream);
    struct net_listener l = rig_listener(&t);
    l.data = on_piece;
    net_send(r->client, &(struct net_request){.url = rig_url(r, "/")}, &l);
    rig_run(r, &t.done, 1);
    assert_true(str_is(buf_str(&t.data), "firstother"));
    assert_int_equal(t.body.len, 0);
    told_fini(&t);
}

/* ---- many ---- */

enum { MANY = 100 };

static void answer_path(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    http_server_answer(c, "200 OK", "", a->path);
}

static void a_hundred_at_once(void **state) {
    struct rig *r = *state;
    static struct told told[MANY];
    static char urls[MANY][64];
    http_server_open(&r->server, r->loop, answer_path);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(urls[i], sizeof urls[i], "http://127.0.0.1:%u/%d/%d", r->server.port, round,
                     i);
            rig_send(r, &(struct net_request){.url = str_from(urls[i])}, &told[i]);
        }
        for (int i = 0; i < MANY; i++) {
            rig_run(r, &told[i].done, 1);
            const char *path = strchr(urls[i] + strlen("http://"), '/');
            assert_true(str_is(buf_str(&told[i].body), path));
            assert_int_equal(told[i].done, 1);
            told_fini(&told[i]);
        }
    }
    assert_int_equal(r->server.requests, 2 * MANY);
}

static void connections_are_kept_unless_once_is_asked(void **state) {
    struct rig *r = *state;
    struct told t;
    http_server_open(&r->server, r->loop, echo);
    for (int i = 0; i < 3; i++) {
        rig_ask(r, &(struct net_request){.url = rig_url(r, "/")}, &t);
        told_fini(&t);
    }
    assert_int_equal(r->server.accepted, 1);
    rig_ask(r, &(struct net_request){.url = rig_url(r, "/"), .once = true}, &t);
    told_fini(&t);
    assert_int_equal(r->server.accepted, 2);
}

/* ---- from inside a listener ---- */

struct chain {
    struct rig *rig;
    struct told last;
    int left;
    char url[64];
};

static void ask_again(void *ctx, const struct net_response *response, const struct error *e) {
    struct chain *c = ctx;
    assert_null(e);
    assert_int_equal(response->status, 200);
    struct net_request q = {.url = str_from(c->url)};
    if (--c->left > 0) {
        net_send(c->rig->client, &q, &(struct net_listener){.ctx = c, .done = ask_again});
    } else {
        rig_send(c->rig, &q, &c->last);
    }
}

static void a_listener_may_send(void **state) {
    struct rig *r = *state;
    struct chain c = {.rig = r, .left = 3};
    http_server_open(&r->server, r->loop, echo);
    snprintf(c.url, sizeof c.url, "%.*s", STR_ARG(rig_url(r, "/")));
    struct net_request q = {.url = str_from(c.url)};
    net_send(r->client, &q, &(struct net_listener){.ctx = &c, .done = ask_again});
    rig_run(r, &c.last.done, 1);
    assert_int_equal(r->server.requests, 4);
    told_fini(&c.last);
}

/* ---- the end ---- */

static void hold(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)c;
    (void)a;
}

static void closing_breaks_off_what_is_under_way(void **state) {
    struct rig *r = *state;
    struct told queued, running, streaming, over;
    http_server_open(&r->server, r->loop, hold);
    rig_send(r, &(struct net_request){.url = rig_url(r, "/a")}, &running);
    rig_run(r, &r->server.requests, 1);
    r->server.handler = begin_stream;
    rig_send(r, &(struct net_request){.url = rig_url(r, "/b")}, &streaming);
    rig_run(r, &streaming.heads, 1);
    struct net_transfer *x = rig_send(r, &(struct net_request){.url = rig_url(r, "/c")}, &over);
    net_cancel(x);
    rig_send(r, &(struct net_request){.url = rig_url(r, "/d")}, &queued);
    net_client_close(r->client);
    r->client = NULL;
    while (!http_server_gone(open_stream)) {
        assert_true(io_loop_turn(r->loop, true));
    }
    assert_int_equal(queued.done + running.done + streaming.done + over.done, 0);
    told_fini(&queued);
    told_fini(&running);
    told_fini(&streaming);
    told_fini(&over);
}

static void an_unused_client_costs_nothing(void **state) {
    struct rig *r = *state;
    assert_false(io_loop_turn(r->loop, false)); /* nothing is awaited */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int run_client_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_unused_client_costs_nothing),
        TEST(a_request_is_answered),
        TEST(a_body_is_sent_as_it_is),
        TEST(of_head_there_is_no_body),
        TEST(chunks_are_joined),
        TEST(gzip_is_undone),
        TEST(pieces_are_told_as_they_come),
        TEST(a_hundred_at_once),
        TEST(connections_are_kept_unless_once_is_asked),
        TEST(a_listener_may_send),
        TEST(closing_breaks_off_what_is_under_way),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
