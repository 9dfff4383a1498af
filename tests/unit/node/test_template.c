/* template: text from the workflow or a file beside it, and what save_to makes of it. */
#include "harness.h"

#include <stdio.h>

#include "io/file.h"

static const struct world_file files[] = {
    {"parts/page.md", "# {{ inputs.x }}\n{{#if inputs.x == 'b'}}\nyes\n{{/if}}\n"},
    {"parts/bad.md", "one\n{{ nope }}\n"},
    {"parts/odd.md", "\xFF"},
    {NULL, NULL}};

static void open_node(struct world *w, const char *fields) {
    char text[1000];
    int len = snprintf(text, sizeof text,
                       "cairn: 1\ninputs: {x: {type: string}}\nnodes:\n  t: {type: template, %s}\n",
                       fields);
    assert_in_range(len, 1, sizeof text - 1);
    world_open(w, text, files);
}

static void check_text(const char *fields, const char *names, const char *expected) {
    struct world w;
    struct attempt a;
    struct error e = {0};
    open_node(&w, fields);
    w.names = world_value(&w, names);
    attempt_init(&a, &w, "t");
    assert_int_equal(attempt_eval(&a, &e), OK);
    assert_str(value_str(a.result.body), expected);
    world_close(&w);
}

static void text_comes_from_the_workflow_or_a_file(void **state) {
    (void)state;
    check_text("template: \"a {{ inputs.x }}\"", "{\"inputs\": {\"x\": \"{{ 1 }}\"}}", "a {{ 1 }}");
    check_text("file: parts/page.md", "{\"inputs\": {\"x\": \"b\"}}", "# b\nyes\n");
    check_text("template: \"\"", "{}", "");
}

static void check_refused(const char *fields, const char *part) {
    struct world w;
    open_node(&w, fields);
    world_refused(&w, part);
    world_close(&w);
}

static void what_is_wrong_is_found_when_compiled(void **state) {
    (void)state;
    check_refused("save_to: x.txt", "exactly one of template, file must be given");
    check_refused("template: x, file: parts/page.md", "exactly one of template, file may be given");
    check_refused("file: parts/none.md", "cannot read \"parts/none.md\"");
    check_refused("file: ../page.md", "no such file");
    check_refused("file: parts/odd.md", "is not text in UTF-8");
    check_refused("file: parts/bad.md", "parts/bad.md:2:4: error: unknown name \"nope\"");
}

static void save_to_writes_the_text(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    struct str text;
    open_node(&w, "file: parts/page.md, save_to: \"out/{{ inputs.x }}.md\"");
    w.names = world_value(&w, "{\"inputs\": {\"x\": \"b\"}}");
    attempt_init(&a, &w, "t");
    attempt_run(&a);
    assert_true(a.done);
    struct str path = arena_printf(&w.arena, "%s/out/b.md", w.folder);
    assert_int_equal(io_file_read(path.ptr, 100, &w.arena, &text, NULL), OK);
    assert_str(text, "# b\nyes\n");
    assert_str(value_str(a.result.body), "# b\nyes\n");
    assert_str(value_str(*value_get(a.result.meta, STR("path"))), path.ptr);
    world_close(&w);
}

static void save_to_stays_in_the_folder(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, "template: x, save_to: \"{{ inputs.x }}\"");
    w.names = world_value(&w, "{\"inputs\": {\"x\": \"../../x\"}}");
    attempt_init(&a, &w, "t");
    attempt_run(&a);
    assert_false(a.done);
    assert_str(a.failure.type, "denied");
    world_close(&w);
}

int template_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_comes_from_the_workflow_or_a_file),
        cmocka_unit_test(what_is_wrong_is_found_when_compiled),
        cmocka_unit_test(save_to_writes_the_text),
        cmocka_unit_test(save_to_stays_in_the_folder),
    };
    return cmocka_run_group_tests_name("node template", tests, NULL, NULL);
}
