/* Every example of docs/workflow-format.md that is a whole workflow compiles, with the kinds that
 * come with cairn and without a warning.
 */
#include "groups.h"
#include "node/node.h"
#include "support/jsonl.h"

static enum err read_example(void *ctx, struct str path, struct arena *a, struct str *out,
                             struct error *e) {
    (void)a;
    if (!str_is(path, "flow.yaml")) {
        return error_set(e, ERR_NOT_FOUND, "no such file");
    }
    *out = *(const struct str *)ctx;
    return OK;
}

static bool compiles(struct str example) {
    struct arena a;
    struct diag d;
    struct buf b;
    struct plan *plan = NULL;
    struct error e = {0};
    arena_init(&a, 0);
    diag_init(&d, &a);
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .loader = {.ctx = &example, .read = read_example},
                                 .kinds = node_kinds()};
    enum err err = flow_compile(&source, &plan, &d, &e);
    bool good = err == OK && d.count == 0;
    if (!good) {
        buf_init(&b, 0);
        diag_print(&d, &b);
        print_message("%.*s\n%s\n%.*s", STR_ARG(example), e.message, STR_ARG(buf_str(&b)));
        buf_fini(&b);
    }
    plan_free(plan);
    arena_fini(&a);
    return good;
}

static void examples_compile(void **state) {
    (void)state;
    struct arena a;
    struct str text;
    size_t count = 0, wrong = 0;
    arena_init(&a, 0);
    assert_true(file_read("docs/workflow-format.md", &a, &text));
    size_t at = str_find(text, STR("```yaml\n"), 0);
    while (at != SIZE_MAX) {
        size_t from = at + 8, to = str_find(text, STR("\n```"), from);
        assert_true(to != SIZE_MAX);
        struct str example = str_sub(text, from, to + 1);
        if (str_starts(example, STR("cairn: 1"))) {
            count++;
            wrong += !compiles(example);
        }
        at = str_find(text, STR("```yaml\n"), to + 4);
    }
    arena_fini(&a);
    assert_true(count >= 5);
    assert_int_equal(wrong, 0);
}

int run_document_tests(void) {
    const struct CMUnitTest tests[] = {TEST(examples_compile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
