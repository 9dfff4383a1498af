/* integration: what a manifest may say, what config must be, and what is sent. */
#include "harness.h"

#include <stdio.h>

#include "support/http_server.h"

static const char manifest[] =
    "name: tracker\n"
    "config: {required: [api], properties: {api: {type: string}}}\n"
    "base_url: \"{{ config.api }}/v1/\"\n"
    "auth: {type: bearer, token: {secret: TOKEN}}\n"
    "headers: {X-One: provider, X-Two: provider}\n"
    "operations:\n"
    "  get:\n"
    "    path: /items/{{ config.id }}\n"
    "    params: {lang: \"{{ config.lang }}\"}\n"
    "    headers: {X-Two: operation}\n"
    "    config:\n"
    "      required: [id]\n"
    "      properties: {id: {type: string}, lang: {enum: [en, de], default: en}}\n"
    "      additionalProperties: {type: string}\n"
    "  make:\n"
    "    method: PUT\n"
    "    path: /items\n"
    "    body: {title: \"{{ config.title }}\", n: \"{{ config.?n.orValue(null) }}\"}\n"
    "  all:\n"
    "    path: /items\n"
    "    paginate: {items: page.items, next: 'has(page.next) ? page.next : null'}\n";

static const struct world_file files[] = {
    {"providers/tracker.yaml", manifest},
    {"providers/nothing.yaml", "base_url: http://x\n"},
    {"providers/other.yaml", "name: another\nbase_url: http://x\noperations: {o: {path: /}}\n"},
    {"providers/odd.yaml", "base_url: http://x\nbase: 1\noperations: {o: {path: x, methd: GET}}\n"},
    {"providers/auth.yaml",
     "base_url: http://x\nauth: {type: bearer}\noperations: {o: {path: /}}\n"},
    {"providers/names.yaml", "base_url: \"{{ inputs.x }}\"\noperations: {o: {path: /}}\n"},
    {"providers/given.yaml", "base_url: \"{{ config.api }}\"\n"
                             "auth: {type: bearer, token: \"{{ config.token }}\"}\n"
                             "operations: {o: {path: /}}\n"},
    {"providers/chosen.yaml", "base_url: http://x\n"
                              "auth: {type: bearer, token: {secret: \"{{ config.name }}\"}}\n"
                              "operations: {o: {path: /}}\n"},
    {"providers/broken.yaml", "a: [\n"},
    {NULL, NULL}};

static struct http_server server;
static char asked[4000];

static void answer(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    size_t len = strlen(asked);
    snprintf(asked + len, sizeof asked - len, "%.*s\n%.*s\n", STR_ARG(a->head), STR_ARG(a->body));
    bool first = str_starts(a->path, STR("/v1/items?page=2"));
    struct str body = STR("{\"items\":[1],\"next\":{\"page\":2}}");
    http_server_answer(c, "200 OK", "Content-Type: application/json\r\n",
                       first ? STR("{\"items\":[2]}") : body);
}

static void open_node(struct world *w, const char *fields) {
    char text[1000];
    int len = snprintf(text, sizeof text,
                       "cairn: 1\ninputs: {x: {}, api: {type: string}}\n"
                       "nodes:\n  i: {type: integration, %s}\n",
                       fields);
    assert_in_range(len, 1, sizeof text - 1);
    world_open(w, text, files);
    asked[0] = '\0';
}

static void run(struct world *w, struct attempt *a, const char *fields, const char *x) {
    char names[400];
    open_node(w, fields);
    http_server_open(&server, w->loop, answer);
    snprintf(names, sizeof names, "{\"inputs\": {\"x\": %s, \"api\": \"http://127.0.0.1:%u\"}}", x,
             server.port);
    w->names = world_value(w, names);
    attempt_init(a, w, "i");
    attempt_run(a);
}

static void close_all(struct world *w) {
    http_server_close(&server);
    world_close(w);
}

static void assert_asked(const char *part) {
    if (!strstr(asked, part)) {
        fail_msg("no \"%s\" in:\n%s", part, asked);
    }
}

static void an_operation_is_sent(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    run(&w, &a,
        "provider: tracker, operation: get, config: {api: \"{{ inputs.api }}\", id: "
        "\"{{ inputs.x }}\"}",
        "\"a/b ?\xC3\xA4\"");
    assert_true(a.done);
    assert_string_equal(world_json(&w, a.result.body), "{\"items\":[1],\"next\":{\"page\":2}}");
    assert_asked("GET /v1/items/a%2Fb%20%3F%C3%A4?lang=en HTTP/1.1\r\n");
    assert_asked("Authorization: Bearer the-secret\r\n");
    assert_asked("X-One: provider\r\n");
    assert_asked("X-Two: operation\r\n");
    assert_null(strstr(asked, "X-Two: provider"));
    close_all(&w);
}

static void a_body_keeps_its_types(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    run(&w, &a,
        "provider: tracker, operation: make, config: {api: \"{{ inputs.api }}\", title: "
        "\"{{ inputs.x }}\", n: 2}",
        "\"{{ config.api }}\"");
    assert_true(a.done);
    assert_asked("PUT /v1/items HTTP/1.1\r\n");
    assert_asked("{\"title\":\"{{ config.api }}\",\"n\":2}");
    assert_asked("Idempotency-Key: exec_0/i\r\n");
    close_all(&w);
}

/* Config is data, of a model perhaps: what looks like {secret: NAME} in it is sent as it is. */
static void config_names_no_secret(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    run(&w, &a,
        "provider: given, operation: o, config: {api: \"{{ inputs.api }}\", token: "
        "\"{{ inputs.x }}\"}",
        "{\"secret\": \"TOKEN\"}");
    assert_true(a.done);
    assert_asked("Authorization: Bearer {\"secret\":\"TOKEN\"}\r\n");
    assert_null(strstr(asked, "the-secret"));
    close_all(&w);
    open_node(&w, "provider: chosen, operation: o, config: {name: TOKEN}");
    world_refused(&w, "the name of a secret must be written out");
    world_close(&w);
}

static void pages_are_recorded_calls(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    run(&w, &a, "provider: tracker, operation: all, config: {api: \"{{ inputs.api }}\"}", "1");
    assert_true(a.done);
    assert_string_equal(world_json(&w, a.result.body), "[1,2]");
    assert_int_equal(a.calls_done, 2);
    close_all(&w);
}

static void check_failure(const char *fields, const char *x, const char *type, const char *part) {
    struct world w;
    struct attempt a;
    run(&w, &a, fields, x);
    if (a.done || !str_is(a.failure.type, type) || !strstr(a.failure.message.ptr, part)) {
        fail_msg("%s: %.*s: %.*s", fields, STR_ARG(a.failure.type), STR_ARG(a.failure.message));
    }
    assert_string_equal(asked, "");
    close_all(&w);
}

static void what_is_wrong_is_never_sent(void **state) {
    (void)state;
#define GET_X \
    "provider: tracker, operation: get, config: {api: \"{{ inputs.api }}\", id: \"{{ inputs.x }}\"}"
    check_failure(GET_X, "5", "schema", "config does not fit the schema: at /id: expected string");
    check_failure(GET_X, "\"..\"", "invalid", "with a part ..");
    check_failure("provider: tracker, operation: get, config: \"{{ inputs.x }}\"", "{\"id\":\"1\"}",
                  "schema", "at the top: \"api\" is missing");
    check_failure("provider: tracker, operation: make, config: {api: \"{{ inputs.api }}\"}", "1",
                  "expression", "title");
}

static void check_refused(const char *fields, const char *part) {
    struct world w;
    open_node(&w, fields);
    world_refused(&w, part);
    world_close(&w);
}

static void what_is_wrong_is_found_when_compiled(void **state) {
    (void)state;
    check_refused("provider: none, operation: x", "cannot read \"providers/none.yaml\"");
    check_refused("provider: ../x, operation: x", "small letters, digits, _ and -");
    check_refused("provider: tracker, operation: lst",
                  "the provider has no operation \"lst\"; it has get, make, all");
    check_refused("provider: nothing, operation: x", "a provider needs operations");
    check_refused("provider: other, operation: o",
                  "providers/other.yaml:1:7: error: the name must be that of the file, other");
    check_refused("provider: odd, operation: o",
                  "providers/odd.yaml:2:1: error: unknown key \"base\"");
    check_refused("provider: odd, operation: o", "did you mean \"method\"?");
    check_refused("provider: odd, operation: o", "a path that begins with /");
    check_refused("provider: auth, operation: o", "auth of type bearer needs \"token\"");
    check_refused(
        "provider: names, operation: o",
        "providers/names.yaml:1:15: error: unknown name \"inputs\": known here are config");
    check_refused("provider: broken, operation: o", "providers/broken.yaml:");
    check_refused("provider: tracker, operation: get, config: {id: \"1\"}",
                  "config: \"api\" is missing");
    check_refused("provider: tracker, operation: get", "config: \"id\" is missing");
    check_refused("provider: tracker, operation: get, config: {api: x, id: \"1\", lang: fr}",
                  "config/lang: ");
    check_refused("provider: tracker, operation: get, config: {api: \"{{ inputs.x }}\", id: 1}",
                  "config/id: expected string");
}

static void a_cancelled_operation_ends(void **state) {
    (void)state;
    for (int turns = 0; turns < 4; turns++) {
        struct world w;
        struct attempt a;
        open_node(&w, "provider: tracker, operation: all, config: {api: \"{{ inputs.api }}\"}");
        http_server_open(&server, w.loop, answer);
        w.names = world_value(
            &w,
            arena_printf(&w.arena, "{\"inputs\": {\"api\": \"http://127.0.0.1:%u\"}}", server.port)
                .ptr);
        attempt_init(&a, &w, "i");
        attempt_start(&a);
        for (int n = 0; n < turns; n++) {
            io_loop_turn(w.loop, false);
        }
        attempt_cancel(&a);
        attempt_finish(&a);
        close_all(&w);
    }
}

int integration_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_is_sent),
        cmocka_unit_test(a_body_keeps_its_types),
        cmocka_unit_test(config_names_no_secret),
        cmocka_unit_test(pages_are_recorded_calls),
        cmocka_unit_test(what_is_wrong_is_never_sent),
        cmocka_unit_test(what_is_wrong_is_found_when_compiled),
        cmocka_unit_test(a_cancelled_operation_ends),
    };
    return cmocka_run_group_tests_name("node integration", tests, NULL, NULL);
}
