/* end: the value, and save_to: what is written where, whole or not at all. */
#include "harness.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static void open_end(struct world *w, struct attempt *a, const char *fields, const char *names) {
    char text[1000];
    int len = snprintf(text, sizeof text,
                       "cairn: 1\ninputs: {x: {}, name: {type: string}}\n"
                       "nodes:\n  e: {type: end, %s}\n",
                       fields);
    assert_in_range(len, 1, sizeof text - 1);
    world_open(w, text, NULL);
    w->names = world_value(w, names);
    attempt_init(a, w, "e");
}

static const char *content(struct world *w, const char *name) {
    struct str text = {0};
    struct str path = arena_printf(&w->arena, "%s/%s", w->folder, name);
    return io_file_read(path.ptr, 1 << 20, &w->arena, &text, NULL) ? NULL : text.ptr;
}

static void the_value_is_the_body(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    struct error e = {0};
    open_end(&w, &a, "value: {x: inputs.x}", "{\"inputs\": {\"x\": 1.5}}");
    assert_int_equal(attempt_eval(&a, &e), OK);
    assert_string_equal(world_json(&w, a.result.body), "{\"x\":1.5}");
    world_close(&w);
    open_end(&w, &a, "label: nothing", "{}");
    assert_int_equal(attempt_eval(&a, &e), OK);
    assert_true(value_is_null(a.result.body));
    world_close(&w);
}

static void text_is_written_as_it_is(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_end(&w, &a, "value: inputs.x, save_to: \"out/{{ inputs.name }}.md\"",
             "{\"inputs\": {\"x\": \"# Größe\\n{{ not.expanded }}\", \"name\": \"a b\"}}");
    attempt_run(&a);
    assert_true(a.done);
    assert_string_equal(content(&w, "out/a b.md"), "# Größe\n{{ not.expanded }}");
    struct str expected = arena_printf(&w.arena, "%s/out/a b.md", w.folder);
    assert_str(value_str(*value_get(a.result.meta, STR("path"))), expected.ptr);
    assert_true(a.result.body.type == VALUE_TEXT);
    world_close(&w);
}

static void other_values_are_written_as_json(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_end(&w, &a, "value: inputs.x, save_to: r.json",
             "{\"inputs\": {\"x\": {\"b\": [1, 2.0, null], \"a\": true}}}");
    attempt_run(&a);
    assert_true(a.done);
    struct value back = world_value(&w, content(&w, "r.json"));
    assert_true(value_identical(back, a.result.body));
    world_close(&w);
    open_end(&w, &a, "value: inputs.x, save_to: r.json", "{\"inputs\": {\"x\": null}}");
    attempt_run(&a);
    assert_string_equal(content(&w, "r.json"), "null\n");
    world_close(&w);
}

static void a_file_that_is_there_is_replaced(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_end(&w, &a, "value: inputs.x, save_to: r.txt", "{\"inputs\": {\"x\": \"new\"}}");
    struct str path = arena_printf(&w.arena, "%s/r.txt", w.folder);
    assert_int_equal(io_file_write(path.ptr, STR("old and longer"), 0600, false, NULL), OK);
    attempt_run(&a);
    assert_string_equal(content(&w, "r.txt"), "new");
    world_close(&w);
}

static void expect_failure(const char *fields, const char *names, const char *part) {
    struct world w;
    struct attempt a;
    open_end(&w, &a, fields, names);
    attempt_run(&a);
    if (a.done || str_find(a.failure.message, str_from(part), 0) == SIZE_MAX) {
        fail_msg("%s: expected \"%s\", got \"%.*s\"", fields, part, STR_ARG(a.failure.message));
    }
    world_close(&w);
}

static void bad_paths_fail_the_step(void **state) {
    (void)state;
    const char *one = "{\"inputs\": {\"x\": 1, \"name\": \"  \"}}";
    expect_failure("value: inputs.x, save_to: '{{ inputs.name }}'", one, "path is empty");
    expect_failure("value: inputs.x, save_to: 'a/'", one, "is a folder");
    expect_failure("value: inputs.x, save_to: '{{ inputs.name }}'",
                   "{\"inputs\": {\"x\": 1, \"name\": \"a\\u0000b\"}}", "NUL");
    expect_failure("value: inputs.x, save_to: '/dev/null'", one, "outside");
    expect_failure("value: inputs.x, save_to: '../x'", one, "CAIRN_ALLOW_PATHS");
    expect_failure("value: inputs.x, save_to: '.'", one, "is a folder");
}

static void a_cancelled_end_writes_nothing(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_end(&w, &a, "value: inputs.x, save_to: r.txt", "{\"inputs\": {\"x\": \"new\"}}");
    attempt_start(&a);
    attempt_cancel(&a);
    attempt_finish(&a);
    assert_false(a.done);
    assert_null(content(&w, "r.txt"));
    world_close(&w);
}

static void save_to_needs_a_value(void **state) {
    (void)state;
    struct world w;
    world_open(&w, "cairn: 1\nnodes:\n  e: {type: end, save_to: r.txt}\n", NULL);
    world_refused(&w, "\"save_to\" needs the key \"value\"");
    world_close(&w);
}

int end_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_is_the_body),
        cmocka_unit_test(text_is_written_as_it_is),
        cmocka_unit_test(other_values_are_written_as_json),
        cmocka_unit_test(a_file_that_is_there_is_replaced),
        cmocka_unit_test(bad_paths_fail_the_step),
        cmocka_unit_test(a_cancelled_end_writes_nothing),
        cmocka_unit_test(save_to_needs_a_value),
    };
    return cmocka_run_group_tests_name("node end", tests, NULL, NULL);
}
