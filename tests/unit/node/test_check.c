/* check: what fits passes, what does not names every place; schemas are checked when compiled. */
#include "harness.h"

#include <stdio.h>

static const struct world_file files[] = {
    {"user.json", "{\"type\": \"object\", \"required\": [\"id\"]}"},
    {"user.yaml", "type: object\nrequired: [id]\n"},
    {"odd.json", "{\"type\": 5}"},
    {"broken.yaml", "a: [1\n"},
    {NULL, NULL}};

static void open_node(struct world *w, const char *fields) {
    char text[1000];
    int len = snprintf(text, sizeof text,
                       "cairn: 1\ninputs: {x: {}}\nnodes:\n  c: {type: check, %s}\n", fields);
    assert_in_range(len, 1, sizeof text - 1);
    world_open(w, text, files);
}

static void check_value(const char *fields, const char *json, const char *said) {
    struct world w;
    struct attempt a;
    struct error e = {0};
    open_node(&w, fields);
    w.names = world_value(&w, arena_printf(&w.arena, "{\"inputs\": {\"x\": %s}}", json).ptr);
    attempt_init(&a, &w, "c");
    enum err err = attempt_eval(&a, &e);
    if (err != (said ? ERR_SCHEMA : OK) || (said && strcmp(e.message, said) != 0)) {
        fail_msg("%s with %s: %s", fields, json, e.message);
    }
    if (!said) {
        assert_string_equal(world_json(&w, a.result.body), json);
    }
    world_close(&w);
}

static void what_fits_is_passed_on(void **state) {
    (void)state;
    check_value("schema: {type: object}, value: inputs.x", "{\"a\":[1,2.0]}", NULL);
    check_value("schema: true, value: inputs.x", "null", NULL);
    check_value("schema_file: user.json, value: inputs.x", "{\"id\":1}", NULL);
    check_value("schema_file: user.yaml, value: inputs.x", "{\"id\":1}", NULL);
}

static void what_does_not_fit_is_named(void **state) {
    (void)state;
    check_value("schema: {type: object}, value: inputs.x", "[1]",
                "the value does not fit the schema: at the top: expected object, got a list");
    check_value("schema_file: user.yaml, value: inputs.x", "{}",
                "the value does not fit the schema: at the top: \"id\" is missing");
    check_value("schema: {items: {properties: {n: {type: integer}, s: {minLength: 2}}}}, "
                "value: inputs.x",
                "[{\"n\":1},{\"n\":\"x\",\"s\":\"a\"}]",
                "the value does not fit the schema: at /1/n: expected integer, got text \"x\"; at "
                "/1/s: expected at least 2 characters, got 1");
}

static void many_findings_are_counted(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    struct error e = {0};
    struct buf json;
    buf_init(&json, 0);
    buf_append_cstr(&json, "{\"inputs\": {\"x\": [");
    for (int i = 0; i < 20; i++) {
        buf_printf(&json, "%s{\"a_name_that_takes_some_room\": {\"and_another_one\": \"%d\"}}",
                   i ? "," : "", i);
    }
    buf_append_cstr(&json, "]}}");
    buf_append_char(&json, '\0');
    open_node(&w,
              "schema: {items: {additionalProperties: {additionalProperties: {type: integer}}}},"
              " value: inputs.x");
    w.names = world_value(&w, json.ptr);
    attempt_init(&a, &w, "c");
    assert_int_equal(attempt_eval(&a, &e), ERR_SCHEMA);
    assert_non_null(strstr(e.message, "at /0/a_name_that_takes_some_room/and_another_one:"));
    assert_non_null(strstr(e.message, " more"));
    assert_true(strlen(e.message) < ERROR_MESSAGE_BYTES - 5);
    buf_fini(&json);
    world_close(&w);
}

static void check_refused(const char *fields, const char *part) {
    struct world w;
    open_node(&w, fields);
    world_refused(&w, part);
    assert_int_equal(w.diag.errors, 1);
    world_close(&w);
}

static void schemas_are_checked_when_compiled(void **state) {
    (void)state;
    check_refused("value: 1", "exactly one of schema, schema_file must be given");
    check_refused("schema: {}", "no key \"value\"");
    check_refused("schema: {type: 5}, value: 1", "type");
    check_refused("schema_file: odd.json, value: 1", "this is no JSON Schema");
    check_refused("schema_file: broken.yaml, value: 1", "broken.yaml, line ");
    check_refused("schema_file: none.json, value: 1", "cannot read \"none.json\"");
}

int check_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_passed_on),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(many_findings_are_counted),
        cmocka_unit_test(schemas_are_checked_when_compiled),
    };
    return cmocka_run_group_tests_name("node check", tests, NULL, NULL);
}
