/* Redirects: how far they are followed, with which method, and what is never sent along. */
#include "rig.h"

#include <stdio.h>

static struct http_server other;
static char location[300], back[300]; /* of the rig's server and of the other */
static const char *status_line;
static char last_text[8000];
static struct str last_method, last_body;

static void keep(const struct asked *a) {
    int head = snprintf(last_text, sizeof last_text, "%.*s", STR_ARG(a->head));
    last_method = str_is(a->method, "GET")    ? STR("GET")
                  : str_is(a->method, "POST") ? STR("POST")
                                              : STR("other");
    int body = snprintf(last_text + head + 1, sizeof last_text - (size_t)head - 1, "%.*s",
                        STR_ARG(a->body));
    last_body = (struct str){last_text + head + 1, (size_t)body};
}

static void answer(struct http_server *s, struct connection *c, const struct asked *a) {
    if (str_starts(a->path, STR("/from"))) {
        http_server_answer(c, status_line, s == &other ? back : location,
                           STR("a redirect's own body"));
    } else {
        keep(a);
        http_server_answer(c, "200 OK", "", STR("there"));
    }
}

static void redirect_to(const char *status, struct str to) {
    status_line = status;
    snprintf(location, sizeof location, "Location: %.*s\r\n", STR_ARG(to));
}

static int set_up(void **state) {
    int failed = rig_set_up(state);
    struct rig *r = *state;
    http_server_open(&r->server, r->loop, answer);
    http_server_open(&other, r->loop, answer);
    return failed;
}

static int tear_down(void **state) {
    http_server_close(&other);
    return rig_tear_down(state);
}

static const struct {
    const char *status, *method, *then;
    bool with_body;
} methods[] = {
    {"301 Moved", "GET", "GET", false},      {"301 Moved", "POST", "GET", false},
    {"302 Found", "POST", "GET", false},     {"303 See Other", "POST", "GET", false},
    {"303 See Other", "PUT", "GET", false},  {"302 Found", "PUT", "other", true},
    {"307 Temporary", "POST", "POST", true}, {"308 Permanent", "POST", "POST", true},
};

static void methods_change_as_they_should(void **state) {
    struct rig *r = *state;
    struct net_header type = {STR("Content-Type"), STR("text/x")};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct told t;
        redirect_to(methods[i].status, STR("../to?x=1"));
        struct net_request q = {.method = str_from(methods[i].method),
                                .url = rig_url(r, "/from/here"),
                                .headers = &type,
                                .header_count = 1};
        q.body = str_is(q.method, "GET") ? STR("") : STR("body");
        rig_ask(r, &q, &t);
        assert_int_equal(t.err, OK);
        assert_int_equal(t.heads, 1);
        assert_true(str_is(buf_str(&t.body), "there"));
        assert_true(str_is(last_method, methods[i].then));
        assert_true(str_is(last_body, methods[i].with_body ? "body" : ""));
        assert_int_equal(strstr(last_text, "text/x") != NULL, methods[i].with_body);
        assert_string_equal(t.url, rig_url(r, "/to?x=1").ptr);
        told_fini(&t);
    }
}

static const struct net_header secrets[] = {
    {STR_INIT("Authorization"), STR_INIT("Bearer s3cret")},
    {STR_INIT("Cookie"), STR_INIT("id=s3cret")},
    {STR_INIT("X-Api-Key"), STR_INIT("s3cret")},
    {STR_INIT("Accept"), STR_INIT("text/plain")},
    {STR_INIT("Content-Type"), STR_INIT("text/x")},
};

static void ask_with_secrets(struct rig *r) {
    struct told t;
    struct net_request q = {.method = STR("POST"),
                            .url = rig_url(r, "/from"),
                            .headers = secrets,
                            .header_count = ARRAY_LEN(secrets),
                            .body = STR("body")};
    rig_ask(r, &q, &t);
    assert_int_equal(t.err, OK);
    told_fini(&t);
}

static void credentials_stay_with_their_origin(void **state) {
    struct rig *r = *state;
    redirect_to("307 Temporary", rig_url(r, "/to"));
    ask_with_secrets(r);
    assert_non_null(strstr(last_text, "Bearer s3cret"));
    assert_non_null(strstr(last_text, "X-Api-Key: s3cret"));
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/to", other.port);
    redirect_to("307 Temporary", str_from(url));
    ask_with_secrets(r);
    assert_int_equal(other.requests, 1);
    assert_null(strstr(last_text, "s3cret"));
    assert_non_null(strstr(last_text, "Accept: text/plain"));
    assert_non_null(strstr(last_text, "Content-Type: text/x"));
    assert_true(str_is(last_body, "body"));
}

/* Here, to the other, and back: whoever sent us back chose where to. */
static void credentials_do_not_come_back(void **state) {
    struct rig *r = *state;
    char there[100];
    struct told t;
    snprintf(there, sizeof there, "http://127.0.0.1:%u/from", other.port);
    redirect_to("302 Found", str_from(there));
    snprintf(back, sizeof back, "Location: %s\r\n", rig_url(r, "/to").ptr);
    struct net_request q = {
        .url = rig_url(r, "/from"), .headers = secrets, .header_count = ARRAY_LEN(secrets)};
    rig_ask(r, &q, &t);
    assert_int_equal(t.err, OK);
    assert_int_equal(other.requests, 1);
    assert_string_equal(t.url, rig_url(r, "/to").ptr);
    assert_null(strstr(last_text, "s3cret"));
    told_fini(&t);
}

static void endless_redirects_end(void **state) {
    struct rig *r = *state;
    struct told t;
    redirect_to("302 Found", STR("/from"));
    rig_ask(r, &(struct net_request){.url = rig_url(r, "/from")}, &t);
    assert_int_equal(t.err, ERR_INVALID);
    assert_string_equal(t.failure.message, "more than 10 redirects, the last to 127.0.0.1");
    assert_int_equal(r->server.requests, NET_MAX_REDIRECTS + 1);
    told_fini(&t);
}

static void redirects_may_be_the_answer(void **state) {
    struct rig *r = *state;
    struct told t;
    redirect_to("302 Found", STR("/to"));
    rig_ask(r, &(struct net_request){.url = rig_url(r, "/from"), .keep_redirects = true}, &t);
    assert_int_equal(t.status, 302);
    assert_true(str_is(buf_str(&t.body), "a redirect's own body"));
    told_fini(&t);
}

static const struct {
    const char *to;
    enum err err;
    const char *message;
} refused[] = {
    {"http://169.254.169.254/latest", ERR_DENIED,
     "requests may not go to 169.254.169.254, an address of cloud metadata; no"},
    {"http://2852039166/latest", ERR_DENIED,
     "requests may not go to 169.254.169.254, an address of cloud metadata; no"},
    {"http://0xa9.0376.169.254/", ERR_DENIED,
     "requests may not go to 169.254.169.254, an address of cloud metadata; no"},
    {"http://[::ffff:169.254.169.254]/", ERR_DENIED,
     "requests may not go to ::ffff:169.254.169.254, an address of cloud metadata; no"},
    {"http://10.1.2.3:99/", ERR_DENIED, "requests may not go to 10.1.2.3, a private address; no"},
    {"file:///etc/passwd", ERR_INVALID,
     "a redirect of 127.0.0.1 cannot be followed: a URL begins with http:// or https://, not "
     "file:"},
    {"gopher://127.0.0.1/", ERR_INVALID,
     "a redirect of 127.0.0.1 cannot be followed: a URL begins with http:// or https://, not "
     "gopher:"},
};

static void each_hop_is_checked(void **state) {
    struct rig *r = *state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct told t;
        redirect_to("302 Found", str_from(refused[i].to));
        rig_ask(r, &(struct net_request){.url = rig_url(r, "/from")}, &t);
        assert_string_equal(t.failure.message, refused[i].message);
        assert_int_equal(t.err, refused[i].err);
        assert_int_equal(t.heads, 0);
        told_fini(&t);
    }
}

int run_redirect_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(methods_change_as_they_should, set_up, tear_down),
        cmocka_unit_test_setup_teardown(credentials_stay_with_their_origin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(credentials_do_not_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(endless_redirects_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(redirects_may_be_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_hop_is_checked, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("redirect", tests, NULL, NULL);
}
