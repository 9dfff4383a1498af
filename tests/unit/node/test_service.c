/* Names of services: the part of what an attempt calls that fails as a whole. */
#include "harness.h"

#include <stdio.h>

static const struct world_file files[] = {
    {"providers/tickets.yaml", "name: tickets\nbase_url: \"https://t.example\"\noperations:\n"
                               "  list: {method: GET, path: /list}\n"},
    {NULL, NULL}};

static void assert_service(const char *node, const char *expected) {
    struct world w;
    struct attempt a;
    struct buf name;
    char text[600];
    snprintf(text, sizeof text,
             "cairn: 1\nagents:\n"
             "  o: {service: offline, default: x}\n"
             "  c: {service: openai_compatible, model: m, base_url: \"http://Me:pw@Box:1/v1\"}\n"
             "nodes:\n  n: %s\n",
             node);
    world_open(&w, text, files);
    if (!w.plan) {
        print_error("%s\n", world_findings(&w));
    }
    assert_non_null(w.plan);
    attempt_init(&a, &w, "n");
    buf_init(&name, 0);
    a.kind->service(&a.in, &name);
    assert_int_equal(name.len, strlen(expected));
    assert_memory_equal(name.ptr ? name.ptr : "", expected, name.len);
    buf_fini(&name);
    world_close(&w);
}

static void addresses_are_named_by_their_origin(void **state) {
    (void)state;
    assert_service("{type: http, url: \"https://API.Example.com/a?b=c\"}",
                   "https://api.example.com");
    assert_service("{type: http, url: \"HTTP://u:p@h:8080\"}", "http://h:8080");
    assert_service("{type: http, url: \"http://[::1]:80#x\"}", "http://[::1]:80");
    assert_service("{type: hook, url: \"http://h/x@y\"}", "http://h");
}

static void what_calls_no_address_has_no_name(void **state) {
    (void)state;
    assert_service("{type: http, url: \"{{ 'nonsense' }}\"}", "");
    assert_service("{type: http, url: \"{{ 'http://[secret HOST]/x' }}\"}", "");
    assert_service("{type: hook, command: [\"true\"]}", "");
}

static void agents_are_named_by_service_and_address(void **state) {
    (void)state;
    assert_service("{type: agent, agent: o, prompt: x}", "offline");
    assert_service("{type: agent, agent: c, prompt: x}", "openai_compatible at http://box:1");
    assert_service("{type: condition, agent: o, question: x}", "offline");
    assert_service("{type: agent, agent: o, prompt: x, max_runs: 1}", "offline");
}

static void integrations_are_named_by_their_provider(void **state) {
    (void)state;
    assert_service("{type: integration, provider: tickets, operation: list}",
                   "integration tickets");
}

int service_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_named_by_their_origin),
        cmocka_unit_test(what_calls_no_address_has_no_name),
        cmocka_unit_test(agents_are_named_by_service_and_address),
        cmocka_unit_test(integrations_are_named_by_their_provider),
    };
    return cmocka_run_group_tests_name("services", tests, NULL, NULL);
}
