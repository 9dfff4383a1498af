/* http: what is sent for each form of the fields, what an answer becomes, what a failure is called,
 * pages, and a cancel. Each test asks a server on the same loop.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"
#include "node/http_priv.h"
#include "support/http_server.h"

static struct world w;
static struct attempt a;
static struct http_server server;

static char asked[8000]; /* the last request, whole */
static const char *status, *more_head;
static struct str body;

static void answer(struct http_server *s, struct connection *c, const struct asked *q) {
    (void)s;
    snprintf(asked, sizeof asked, "%.*s%.*s", STR_ARG(q->head), STR_ARG(q->body));
    http_server_answer(c, status, more_head, body);
}

static int set_up(void **state) {
    (void)state;
    asked[0] = '\0';
    status = "200 OK";
    more_head = "Content-Type: application/json\r\n";
    body = STR("{\"n\": 1}");
    return 0;
}

/* A workflow with the node `call` of these fields, on the server's address as inputs.api. */
static void open_node(const char *fields) {
    char text[4000], names[200];
    snprintf(text, sizeof text,
             "cairn: 1\ninputs:\n  api: {type: string}\n  who: {type: string, default: x}\n"
             "nodes:\n  call:\n    type: http\n%s\n",
             fields);
    world_open(&w, text, NULL);
    http_server_open(&server, w.loop, answer);
    snprintf(names, sizeof names,
             "{\"inputs\": {\"api\": \"http://127.0.0.1:%u\", \"who\": \"J\\u00fc & co\"}}",
             server.port);
    w.names = world_value(&w, names);
}

static void close_node(void) {
    http_server_close(&server);
    world_close(&w);
}

static void run_node(const char *fields) {
    open_node(fields);
    attempt_init(&a, &w, "call");
    attempt_run(&a);
}

static void assert_asked(const char *part) {
    if (!strstr(asked, part)) {
        fail_msg("\"%s\" was not asked, but %s (%.*s)", part, asked, STR_ARG(a.failure.message));
    }
}

static void assert_failed(const char *type, enum failure_class class, const char *message) {
    if (a.done || !str_is(a.failure.type, type) || a.failure.class != class ||
        str_find(a.failure.message, str_from(message), 0) == SIZE_MAX) {
        fail_msg("not a failure %s \"%s\" but %s %.*s: %.*s", type, message,
                 a.done ? world_json(&w, a.result.body) : "", STR_ARG(a.failure.type),
                 STR_ARG(a.failure.message));
    }
}

/* ---- what is sent ---- */

static const struct {
    const char *fields;
    const char *parts[4];
} requests[] = {
    {"    url: '{{ inputs.api }}/a b'", {"GET /a%20b HTTP/1.1\r\n", "Host: 127.0.0.1:"}},
    {"    url: '{{ inputs.api }}/?x=1'\n"
     "    params: {q: '{{ inputs.who }}', n: 3, f: 1.5, yes: true, none: null, tag: [a, 'b/c']}",
     {"GET /?x=1&q=J%C3%BC%20%26%20co&n=3&f=1.5&yes=true&tag=a&tag=b%2Fc HTTP/1.1\r\n"}},
    {"    url: '{{ inputs.api }}/p#fragment'\n    params: {a: 1}", {"GET /p?a=1 HTTP/1.1\r\n"}},
    {"    url: '{{ inputs.api }}'\n"
     "    headers: {X-Who: '{{ inputs.who }}', X-Many: [1, 2], X-None: null}",
     {"X-Who: J\xC3\xBC & co\r\n", "X-Many: 1\r\nX-Many: 2\r\n"}},
    {"    url: '{{ inputs.api }}'\n    body: {who: '{{ inputs.who }}', list: [1, 2.5, null]}",
     {"POST / HTTP/1.1\r\n", "Content-Type: application/json\r\n",
      "\r\n\r\n{\"who\":\"J\xC3\xBC & co\",\"list\":[1,2.5,null]}",
      "Idempotency-Key: exec_0/call\r\n"}},
    {"    url: '{{ inputs.api }}'\n    method: PUT\n    body: plain {{ inputs.who }}",
     {"PUT / HTTP/1.1\r\n", "Content-Type: text/plain; charset=utf-8\r\n",
      "\r\n\r\nplain J\xC3\xBC & co"}},
    {"    url: '{{ inputs.api }}'\n    body: {a: 'x y', b: [1, 2]}\n"
     "    headers: {content-type: application/x-www-form-urlencoded}",
     {"content-type: application/x-www-form-urlencoded\r\n", "\r\n\r\na=x%20y&b=1&b=2"}},
    {"    url: '{{ inputs.api }}'\n    method: DELETE\n    headers: {idempotency-key: mine}",
     {"DELETE / HTTP/1.1\r\n", "idempotency-key: mine\r\n"}},
    {"    url: '{{ inputs.api }}'\n    auth: {type: bearer, token: '{{ inputs.who }}'}",
     {"Authorization: Bearer J\xC3\xBC & co\r\n"}},
    {"    url: '{{ inputs.api }}'\n    auth: {type: basic, username: ada, password: pass:word}",
     {"Authorization: Basic YWRhOnBhc3M6d29yZA==\r\n"}},
    {"    url: '{{ inputs.api }}'\n    auth: {type: api_key, name: X-Key, key: k1}",
     {"X-Key: k1\r\n"}},
    {"    url: '{{ inputs.api }}/?a=1'\n    params: {b: 2}\n"
     "    auth: {type: api_key, name: key, key: 'k 1', in: query}",
     {"GET /?a=1&b=2&key=k%201 HTTP/1.1\r\n"}},
    {"    url: '{{ inputs.api }}'\n    auth: {type: none}\n    response: json",
     {"Accept: application/json\r\n"}},
};

static void fields_become_a_request(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        run_node(requests[i].fields);
        for (size_t k = 0; k < 4 && requests[i].parts[k]; k++) {
            assert_asked(requests[i].parts[k]);
        }
        assert_true(a.done);
        assert_string_equal(world_json(&w, a.result.body), "{\"n\":1}");
        close_node();
    }
}

static void get_has_no_idempotency_key(void **state) {
    (void)state;
    run_node("    url: '{{ inputs.api }}'");
    assert_null(strstr(asked, "Idempotency-Key"));
    assert_null(strstr(asked, "Content-Type"));
    close_node();
}

static const struct {
    const char *fields, *message;
} impossible[] = {
    {"    url: '{{ inputs.who }}'", "URL"},
    {"    url: '{{ inputs.api }}'\n    headers: '{{ inputs.who }}'",
     "headers must be a map of names and values, not string"},
    {"    url: '{{ inputs.api }}'\n    params: '{{ inputs.who }}'",
     "params must be a map of names and values, not string"},
    {"    url: '{{ inputs.api }}'\n    params: {a: {b: 1}}",
     "\"a\" of params must be a text, a number, a bool or a list of those"},
    {"    url: '{{ inputs.api }}'\n    auth: '{{ inputs.who }}'", "auth is a map with the type"},
    {"    url: '{{ inputs.api }}'\n    headers: {X: \"a\\nb\"}",
     "the value of the header X has a line end"},
};

static void what_cannot_be_sent_fails_the_step(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(impossible); i++) {
        run_node(impossible[i].fields);
        assert_failed("invalid", FAILURE_PERMANENT, impossible[i].message);
        assert_string_equal(asked, "");
        close_node();
    }
}

/* ---- what is answered ---- */

static const struct {
    const char *more_head, *body, *fields, *json;
} answers[] = {
    {"Content-Type: application/json\r\n", "[1, 2.0]", "", "[1,2.0]"},
    {"Content-Type: application/problem+json; charset=utf-8\r\n", "\xEF\xBB\xBF{}", "", "{}"},
    {"Content-Type: application/json\r\n", "[1]", "    response: text", "\"[1]\""},
    {"Content-Type: application/json\r\n", "[1]", "    response: bytes", "\"WzFd\""},
    {"Content-Type: text/html\r\n", "<p>1</p>", "", "\"<p>1</p>\""},
    {"Content-Type: text/plain\r\n", "5", "", "\"5\""},
    {"Content-Type: text/plain\r\n", "5", "    response: json", "5"},
    {"Content-Type: text/plain\r\n", "\xFF", "", "\"/w==\""},
    {"Content-Type: image/png\r\n", "png", "", "\"cG5n\""},
    {"", "{\"a\": 1}", "", "{\"a\":1}"},
    {"", "words", "", "\"words\""},
    {"Content-Type: application/json\r\n", "", "", "null"},
    {"Content-Type: application/json\r\n", "", "    response: text", "\"\""},
    {"X-A: 1\r\nx-a: 2\r\nContent-Type: text/plain\r\n", "t", "    full: true",
     "{\"status\":200,\"headers\":{\"content-length\":\"1\",\"x-a\":\"1, 2\",\"content-type\":"
     "\"text/plain\"},\"body\":\"t\"}"},
};

static void answers_become_values(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        char fields[200];
        more_head = answers[i].more_head;
        body = str_from(answers[i].body);
        snprintf(fields, sizeof fields, "    url: '{{ inputs.api }}'\n%s", answers[i].fields);
        run_node(fields);
        assert_true(a.done);
        assert_string_equal(world_json(&w, a.result.body), answers[i].json);
        close_node();
    }
}

static void meta_says_how_it_went(void **state) {
    (void)state;
    run_node("    url: '{{ inputs.api }}/x?token=s3cret'");
    const char *meta = world_json(&w, a.result.meta);
    assert_non_null(strstr(meta, "{\"status\":200,\"url\":\"http://127.0.0.1:"));
    assert_non_null(strstr(meta, "/x\",\"durationMs\":"));
    assert_non_null(strstr(meta, "\"bytes\":8}"));
    close_node();
}

static void not_json_is_an_invalid_response(void **state) {
    (void)state;
    more_head = "Content-Type: text/html\r\n";
    body = STR("<!doctype html>\n<title>Log in</title>");
    run_node("    url: '{{ inputs.api }}/x'\n    response: json");
    assert_failed("invalid_response", FAILURE_PERMANENT,
                  "the answer is not the JSON that was wanted but text/html: <!doctype html> "
                  "<title>Log in</title> (line 1, column 1: ");
    close_node();
    body = STR("\xFF\xFE");
    run_node("    url: '{{ inputs.api }}/x'\n    response: text");
    assert_failed("invalid_response", FAILURE_PERMANENT,
                  "the answer is no text in UTF-8 but 2 bytes that are no text");
    close_node();
}

static const struct {
    const char *status, *expect;
    bool done;
} expectations[] = {
    {"200 OK", "2xx", true},         {"204 No Content", "200-204", true},
    {"404 Not Found", "2xx", false}, {"404 Not Found", "[2xx, 404]", true},
    {"201 Created", "200", false},   {"302 Found", "302", true},
    {"999 Odd", "2xx", false},
};

static void statuses_are_expected(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(expectations); i++) {
        char fields[200];
        status = expectations[i].status;
        more_head = "Location: /elsewhere\r\n";
        snprintf(fields, sizeof fields, "    url: '{{ inputs.api }}'\n    expect: %s",
                 expectations[i].expect);
        run_node(fields);
        assert_int_equal(a.done, expectations[i].done);
        close_node();
    }
}

static const struct {
    const char *status;
    enum failure_class class;
} classes[] = {
    {"400 Bad", FAILURE_PERMANENT},       {"401 No", FAILURE_PERMANENT},
    {"404 Not Found", FAILURE_PERMANENT}, {"409 Conflict", FAILURE_PERMANENT},
    {"408 Late", FAILURE_TRANSIENT},      {"425 Early", FAILURE_TRANSIENT},
    {"429 Many", FAILURE_TRANSIENT},      {"500 Trouble", FAILURE_TRANSIENT},
    {"503 Away", FAILURE_TRANSIENT},
};

static void statuses_have_classes(void **state) {
    (void)state;
    more_head = "Retry-After: 7\r\n";
    body = STR("{\"error\":\n  \"no\"}");
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        char message[100];
        status = classes[i].status;
        run_node("    url: '{{ inputs.api }}/x?token=s3cret'\n    method: PUT");
        snprintf(message, sizeof message,
                 "PUT http://127.0.0.1:%u/x answered %.3s: {\"error\": \"no\"}", server.port,
                 status);
        assert_failed("http_status", classes[i].class, message);
        assert_int_equal(a.failure.retry_after_us, 7000000);
        assert_null(strstr(world_json(&w, a.failure.meta), "s3cret"));
        assert_int_equal(value_get(a.failure.meta, STR("status"))->num, atoi(status));
        close_node();
    }
}

static void long_bodies_are_quoted_in_part(void **state) {
    (void)state;
    static char text[5000];
    memset(text, 'a', sizeof text);
    memcpy(text + 299, "\xC3\xBC", 2); /* not cut in two */
    status = "404 Not Found";
    body = (struct str){text, sizeof text};
    run_node("    url: '{{ inputs.api }}'");
    assert_failed("http_status", FAILURE_PERMANENT, "aaa...");
    assert_true(a.failure.message.len < 400);
    assert_true(str_is_utf8(a.failure.message));
    close_node();
}

static void too_much_is_too_large(void **state) {
    (void)state;
    open_node("    url: '{{ inputs.api }}'");
    attempt_init(&a, &w, "call");
    a.in.max_output_bytes = 7;
    attempt_run(&a);
    assert_failed("too_large", FAILURE_PERMANENT, "is longer than 7 bytes");
    close_node();
}

static void nobody_there_is_a_network_failure(void **state) {
    (void)state;
    run_node("    url: 'http://nowhere.invalid/?token=s3cret'");
    assert_failed("network", FAILURE_TRANSIENT,
                  "GET http://nowhere.invalid/: the host nowhere.invalid cannot be found");
    close_node();
    run_node("    url: 'http://10.1.2.3/'");
    assert_failed("denied", FAILURE_PERMANENT, "requests may not go to 10.1.2.3");
    close_node();
}

/* ---- pages ---- */

static int pages_asked;

/* Three pages: the first two say where the next is, by a relative URL. */
static void answer_page(struct http_server *s, struct connection *c, const struct asked *q) {
    char text[200];
    struct str number = str_sub(q->path, q->path.len - 1, q->path.len);
    bool last = str_is(number, "3");
    (void)s;
    pages_asked++;
    snprintf(asked, sizeof asked, "%.*s", STR_ARG(q->head));
    snprintf(text, sizeof text, "{\"items\": [\"a%.*s\", \"b%.*s\"]%s%c%s}", STR_ARG(number),
             STR_ARG(number),
             last ? "" : ", \"next\": \"/list?page=", last ? ' ' : (char)(number.ptr[0] + 1),
             last ? "" : "\"");
    http_server_answer(c, "200 OK", "Content-Type: application/json\r\n", str_from(text));
}

static void open_pages(const char *paginate) {
    char fields[500];
    snprintf(fields, sizeof fields,
             "    url: '{{ inputs.api }}/list'\n    params: {page: 1}\n    paginate: %s\n"
             "    auth: {type: bearer, token: t0ken}\n",
             paginate);
    open_node(fields);
    server.handler = answer_page;
    pages_asked = 0;
    attempt_init(&a, &w, "call");
}

static void pages_follow_one_another(void **state) {
    static const char *const forms[] = {
        "{items: page.items, next: page.?next}",
        "{items: page.items, next: 'number < 3 ? dyn({\"page\": number + 1}) : null'}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        open_pages(forms[i]);
        attempt_run(&a);
        assert_true(a.done);
        assert_string_equal(world_json(&w, a.result.body),
                            "[\"a1\",\"b1\",\"a2\",\"b2\",\"a3\",\"b3\"]");
        assert_int_equal(a.calls_begun, 3);
        assert_int_equal(a.calls_done, 3);
        assert_non_null(strstr(world_json(&w, a.request), "\"page\":3,\"method\":\"GET\""));
        assert_null(strstr(world_json(&w, a.request), "t0ken"));
        assert_asked("Bearer t0ken");
        assert_non_null(strstr(world_json(&w, a.result.meta), "\"pages\":3,\"more\":false"));
        close_node();
    }
}

static void finished_pages_are_not_asked_for_again(void **state) {
    (void)state;
    open_pages("{items: page.items, next: page.?next}");
    struct value known[] = {
        world_value(&w, "{\"status\": 200, \"bytes\": 9, \"items\": [1], \"next\": \"?page=2\"}"),
        world_value(&w, "{\"status\": 200, \"bytes\": 9, \"items\": [2], \"next\": \"?page=3\"}")};
    a.known_answers = known;
    a.known_count = 2;
    attempt_run(&a);
    assert_string_equal(world_json(&w, a.result.body), "[1,2,\"a3\",\"b3\"]");
    assert_int_equal(pages_asked, 1);
    assert_int_equal(a.calls_done, 1);
    close_node();
}

static void pages_that_are_all_known_ask_nothing(void **state) {
    (void)state;
    open_pages("{items: page.items, next: page.?next}");
    struct value known =
        world_value(&w, "{\"status\": 200, \"bytes\": 9, \"items\": [1], \"next\": null}");
    a.known_answers = &known;
    a.known_count = 1;
    attempt_run(&a);
    assert_string_equal(world_json(&w, a.result.body), "[1]");
    assert_int_equal(pages_asked, 0);
    close_node();
}

static void max_pages_is_a_limit(void **state) {
    (void)state;
    open_pages("{items: page.items, next: page.?next, max_pages: 2}");
    attempt_run(&a);
    assert_string_equal(world_json(&w, a.result.body), "[\"a1\",\"b1\",\"a2\",\"b2\"]");
    assert_non_null(strstr(world_json(&w, a.result.meta), "\"pages\":2,\"more\":true"));
    close_node();
}

static const struct {
    const char *paginate, *type, *message;
} bad_pages[] = {
    {"{items: page.missing, next: page.next}", "expression", "missing"},
    {"{items: page, next: page.next}", "expression", "items of paginate must give a list, not map"},
    {"{items: page.items, next: '5'}", "expression",
     "next of paginate must give a URL, a map of params or null, not int"},
    {"{items: page.items, next: '\"http://localhost:1/\"'}", "denied", "may not go on to"},
    {"{items: page.items, next: '{\"page\": 1}'}", "limit", "there are more than 1000 pages"},
};

static void bad_pages_fail_the_step(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_pages); i++) {
        open_pages(bad_pages[i].paginate);
        attempt_run(&a);
        const char *type =
            str_is(str_from(bad_pages[i].type), "limit") ? "too_large" : bad_pages[i].type;
        assert_failed(type, FAILURE_PERMANENT, bad_pages[i].message);
        close_node();
    }
}

/* ---- cancelled ---- */

static struct connection *held;

static void hold(struct http_server *s, struct connection *c, const struct asked *q) {
    (void)s;
    (void)q;
    held = c;
}

static void a_cancel_stops_the_transfer(void **state) {
    (void)state;
    open_node("    url: '{{ inputs.api }}'");
    server.handler = hold;
    held = NULL;
    attempt_init(&a, &w, "call");
    attempt_start(&a);
    while (!held) {
        assert_true(io_loop_turn(w.loop, true));
    }
    attempt_cancel(&a);
    attempt_finish(&a);
    assert_false(a.done);
    while (!http_server_gone(held)) {
        assert_true(io_loop_turn(w.loop, true));
    }
    close_node();
}

static struct step_port_ops cancelling;

static void cancel_with_a_page(struct step_port *port, uint32_t call, struct value v) {
    (void)call;
    (void)v;
    attempt_cancel((struct attempt *)(void *)port);
}

/* A page was taken when the cancel came, so there was nothing to break off. */
static void a_cancel_between_pages_asks_for_no_other(void **state) {
    (void)state;
    open_pages("{items: page.items, next: page.?next}");
    cancelling = *a.port.ops;
    cancelling.call_done = cancel_with_a_page;
    a.port.ops = &cancelling;
    attempt_run(&a);
    assert_false(a.done);
    assert_int_equal(pages_asked, 1);
    close_node();
}

/* A quarter of a megabyte of one header, in many lines: joining them is no square of that. */
static void a_flood_of_headers_is_joined_once(void **state) {
    (void)state;
    struct arena arena;
    enum { LINES = 20000 };
    static struct net_header headers[LINES];
    for (size_t i = 0; i < LINES; i++) {
        headers[i] = (struct net_header){STR("X-A"), STR("0123456789")};
    }
    struct net_response r = {.headers = headers, .header_count = LINES};
    arena_init(&arena, 16u << 20);
    struct value v = http_headers_value(&arena, &r);
    assert_int_equal(value_count(v), 1);
    assert_int_equal(value_str(v.pairs[0].val).len, LINES * 12 - 2);
    arena_fini(&arena);
}

/* ---- compiled ---- */

static const struct {
    const char *fields, *finding;
} refused[] = {
    {"    method: GET", "has no key \"url\""},
    {"    url: x\n    method: GETT", "did you mean \"GET\"?"},
    {"    url: ftp://x/", "the URL must begin with http:// or https:// and a host, not be \"ftp:"},
    {"    url: example.com", "not be \"example.com\""},
    {"    url: 'http:///path'", "and a host"},
    {"    url: HTTPS://", "and a host"},
    {"    url: http://x\n    headers: {'X Y': '{{ inputs.who }}'}",
     "\"X Y\" cannot be the name of a header"},
    {"    url: http://x\n    headers: {Content-Length: 5}",
     "the header Content-Length is set by the client itself"},
    {"    url: x\n    headers: [a]", "headers is a map of names and values"},
    {"    url: x\n    params: a", "params is a map of names and values"},
    {"    url: x\n    auth: {type: bearr, token: '{{ inputs.who }}'}",
     "auth is a map with the type"},
    {"    url: x\n    auth: {type: bearer}", "auth of type bearer needs \"token\""},
    {"    url: x\n    auth: {type: basic, username: '{{ inputs.who }}', pasword: x}",
     "auth of type basic needs \"password\""},
    {"    url: x\n    auth: {type: none, token: x}", "auth of type none has no \"token\""},
    {"    url: x\n    auth: {type: api_key, key: k, name: n, in: body}",
     "\"in\" of auth must be header or query"},
    {"    url: x\n    expect: 2x", "expect is a status or a list of them"},
    {"    url: x\n    expect: [700]", "expect is a status or a list of them"},
    {"    url: x\n    expect: []", "expect is empty"},
    {"    url: x\n    response: xml", "response"},
    {"    url: x\n    paginate: {items: page}", "paginate has items and next"},
    {"    url: x\n    paginate: {items: page, next: page, max: 1}", "paginate has items and next"},
    {"    url: x\n    paginate: {items: page, next: page, max_pages: 0}",
     "max_pages must be a number above 0"},
    {"    url: x\n    paginate: {items: pag.items, next: page}",
     "unknown name \"pag\": known here are page, headers, status, number; did you mean \"page\"?"},
    {"    url: x\n    paginate: {items: inputs.who, next: page}", "unknown name \"inputs\""},
    {"    url: x\n    paginate: {items: page, next: page}\n    full: true",
     "full goes with one answer, not with paginate"},
};

static void wrong_nodes_do_not_compile(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        open_node(refused[i].fields);
        world_refused(&w, refused[i].finding);
        close_node();
    }
}

static void findings_of_paginate_have_their_place(void **state) {
    (void)state;
    open_node("    url: x\n    paginate:\n      items: page.items\n      next: nxt.url");
    world_refused(&w, "flow.yaml:11:13: error: unknown name \"nxt\"");
    close_node();
}

int http_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(fields_become_a_request, set_up),
        cmocka_unit_test_setup(get_has_no_idempotency_key, set_up),
        cmocka_unit_test_setup(what_cannot_be_sent_fails_the_step, set_up),
        cmocka_unit_test_setup(answers_become_values, set_up),
        cmocka_unit_test_setup(meta_says_how_it_went, set_up),
        cmocka_unit_test_setup(not_json_is_an_invalid_response, set_up),
        cmocka_unit_test_setup(statuses_are_expected, set_up),
        cmocka_unit_test_setup(statuses_have_classes, set_up),
        cmocka_unit_test_setup(long_bodies_are_quoted_in_part, set_up),
        cmocka_unit_test_setup(too_much_is_too_large, set_up),
        cmocka_unit_test_setup(nobody_there_is_a_network_failure, set_up),
        cmocka_unit_test_setup(pages_follow_one_another, set_up),
        cmocka_unit_test_setup(finished_pages_are_not_asked_for_again, set_up),
        cmocka_unit_test_setup(pages_that_are_all_known_ask_nothing, set_up),
        cmocka_unit_test_setup(max_pages_is_a_limit, set_up),
        cmocka_unit_test_setup(bad_pages_fail_the_step, set_up),
        cmocka_unit_test_setup(a_cancel_stops_the_transfer, set_up),
        cmocka_unit_test_setup(a_cancel_between_pages_asks_for_no_other, set_up),
        cmocka_unit_test_setup(a_flood_of_headers_is_joined_once, set_up),
        cmocka_unit_test_setup(wrong_nodes_do_not_compile, set_up),
        cmocka_unit_test_setup(findings_of_paginate_have_their_place, set_up),
    };
    return cmocka_run_group_tests_name("node http", tests, NULL, NULL);
}
