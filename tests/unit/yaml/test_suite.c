/* Runs the yaml-test-suite when ../shared/data/yaml_suite has it: single documents must give
 * their value, streams of several and wrong documents must be refused.
 *
 * tests/cases/yaml/suite_differences.jsonl names every case where cairn differs, and why; such a
 * case must still differ, so the list cannot grow stale.
 */
#include <stdlib.h>

#include "support/jsonl.h"
#include "yaml_tests.h"

#define SUITE "../shared/data/yaml_suite/cases.jsonl"
#define DIFFERENCES "tests/cases/yaml/suite_differences.jsonl"

static struct arena suite_arena;
static struct value differences;

static const char *difference(struct str id) {
    for (size_t i = 0; i < value_count(differences); i++) {
        if (str_eq(jsonl_text(differences.items[i], "id"), id)) {
            return jsonl_text(differences.items[i], "why").ptr;
        }
    }
    return NULL;
}

static bool same_value(struct parsed *p, struct str json, const char **problem) {
    struct value got, expected;
    struct error e = {0};
    if (p->err != OK) {
        *problem = finding(p, 0);
        return false;
    }
    if (json.len == 0) {
        expected = value_null();
    } else if (value_parse_json(&p->arena, json, &expected, &e) != OK) {
        fail_msg("the suite's JSON: %s", e.message);
    }
    *problem = "another value";
    return yaml_to_value(&p->arena, p->root, &got) && value_equal(got, expected);
}

static bool as_expected(struct parsed *p, const struct value *c, const char **problem) {
    const struct value *documents = value_get(*c, STR("documents"));
    bool error = str_is(jsonl_text(*c, "kind"), "error");
    if (error || (documents && documents->num > 1)) {
        *problem = "was not refused";
        return p->err == ERR_INVALID;
    }
    return same_value(p, jsonl_text(*c, "json"), problem);
}

static void run_one(void **state) {
    const struct value *c = *state;
    struct str id = jsonl_text(*c, "id");
    struct parsed p;
    parse(&p, jsonl_text(*c, "yaml"));
    const char *problem = "";
    bool good = as_expected(&p, c, &problem);
    const char *why = difference(id);
    if (good && why) {
        fail_msg("works now: remove it from %s", DIFFERENCES);
    }
    if (!good && !why) {
        fail_msg("%s", problem);
    }
    parsed_fini(&p);
    if (why) {
        skip();
    }
}

static void absent(void **state) {
    (void)state;
    skip();
}

static int run_list(struct value list) {
    size_t count = 0;
    struct CMUnitTest *tests = calloc(value_count(list) + 1, sizeof *tests);
    for (size_t i = 0; tests && i < value_count(list); i++) {
        struct value c = list.items[i];
        if (!str_is(jsonl_text(c, "kind"), "neither")) {
            tests[count++] = (struct CMUnitTest){
                .name = arena_printf(&suite_arena, "%.*s %.*s", STR_ARG(jsonl_text(c, "id")),
                                     STR_ARG(jsonl_text(c, "name")))
                            .ptr,
                .test_func = run_one,
                .initial_state = (void *)(uintptr_t)&list.items[i],
            };
        }
    }
    int failed = _cmocka_run_group_tests("yaml suite", tests, count, NULL, NULL);
    free(tests);
    return failed;
}

int run_suite(void) {
    arena_init(&suite_arena, 0);
    struct value list;
    int failed;
    if (!jsonl_read(DIFFERENCES, &suite_arena, &differences)) {
        failed = 1;
    } else if (jsonl_read(SUITE, &suite_arena, &list)) {
        failed = run_list(list);
    } else {
        const struct CMUnitTest tests[] = {{.name = "no " SUITE, .test_func = absent}};
        failed = cmocka_run_group_tests_name("yaml suite", tests, NULL, NULL);
    }
    arena_fini(&suite_arena);
    return failed;
}
