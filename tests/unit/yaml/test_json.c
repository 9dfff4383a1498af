/* JSON goes through the same parser: what the JSON parser accepts of ../shared/data/json_suite
 * (when present) must give the same value here.
 */
#include <glob.h>
#include <stdlib.h>

#include "support/jsonl.h"
#include "yaml_tests.h"

#define FILES "../shared/data/json_suite/test_parsing/y_*.json"

static void same_value(void **state) {
    struct parsed p;
    struct arena a;
    struct str text;
    struct value got, expected;
    struct error e = {0};
    arena_init(&a, 0);
    assert_true(file_read(*state, &a, &text));
    enum err err = value_parse_json(&a, text, &expected, &e);
    parse(&p, text);
    if (err != OK) { /* duplicate keys, NUL in a key: no value to compare with */
        parsed_fini(&p);
        arena_fini(&a);
        skip();
    }
    if (p.err != OK) {
        fail_msg("%s", finding(&p, 0));
    }
    assert_true(yaml_to_value(&p.arena, p.root, &got));
    assert_true(value_equal(got, expected));
    parsed_fini(&p);
    arena_fini(&a);
}

static void absent(void **state) {
    (void)state;
    skip();
}

int run_json(void) {
    glob_t files;
    if (glob(FILES, 0, NULL, &files) != 0) {
        const struct CMUnitTest tests[] = {{.name = "no " FILES, .test_func = absent}};
        return cmocka_run_group_tests_name("json suite", tests, NULL, NULL);
    }
    struct CMUnitTest *tests = calloc(files.gl_pathc, sizeof *tests);
    for (size_t i = 0; tests && i < files.gl_pathc; i++) {
        tests[i] = (struct CMUnitTest){
            .name = files.gl_pathv[i], .test_func = same_value, .initial_state = files.gl_pathv[i]};
    }
    int failed =
        tests ? _cmocka_run_group_tests("json suite", tests, files.gl_pathc, NULL, NULL) : 1;
    free(tests);
    globfree(&files);
    return failed;
}
