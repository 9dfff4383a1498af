/* Every case of tests/cases/flow is a test: what is wrong with a workflow, or its plan. */
#include <stdio.h>

#include "cases.h"
#include "groups.h"

static const char *const paths[] = {
    "tests/cases/flow/top.txt",       "tests/cases/flow/nodes.txt",
    "tests/cases/flow/graph.txt",     "tests/cases/flow/names.txt",
    "tests/cases/flow/children.txt",  "tests/cases/flow/warnings.txt",
    "tests/cases/flow/plans.txt",     "tests/cases/flow/vars.txt",
    "tests/cases/flow/items.txt",     "tests/cases/flow/recover.txt",
    "tests/cases/flow/breaker.txt",   "tests/cases/flow/roles.txt",
    "tests/cases/flow/approvals.txt",
};

struct row {
    const char *path;
    struct flow_case *c;
};

static void run_case(void **state) {
    struct row *row = *state;
    struct buf actual;
    buf_init(&actual, 0);
    case_run(row->c, &actual);
    bool same = str_eq(buf_str(&actual), row->c->expected);
    if (!same) {
        print_message("%s:%u: %.*s\n--- expected\n%.*s--- actual\n%.*s", row->path, row->c->line,
                      STR_ARG(row->c->name), STR_ARG(row->c->expected), STR_ARG(buf_str(&actual)));
    }
    buf_fini(&actual);
    assert_true(same);
}

int run_case_tests(void) {
    struct arena a;
    struct row rows[512];
    struct CMUnitTest tests[512];
    size_t count = 0;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct case_file file;
        if (!case_file_read(paths[i], &a, &file)) {
            fprintf(stderr, "%s is missing\n", paths[i]);
            return 1;
        }
        for (size_t k = 0; k < file.count && count < ARRAY_LEN(rows); k++, count++) {
            rows[count] = (struct row){paths[i], &file.items[k]};
            tests[count] = (struct CMUnitTest){
                .name = arena_printf(&a, "case: %.*s", STR_ARG(file.items[k].name)).ptr,
                .test_func = run_case,
                .initial_state = &rows[count]};
        }
    }
    int failed = _cmocka_run_group_tests("flow cases", tests, count, NULL, NULL);
    arena_fini(&a);
    return failed;
}
