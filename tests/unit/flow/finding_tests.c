/* The finding that programs compare, and compiling against recorded decisions: every case of the
 * executable reference and of tests/cases/engine either compiles or has that compile error.
 */
#include <stdio.h>

#include "groups.h"
#include "support/jsonl.h"

static void assert_first(const char *text, const char *code, const char *subject) {
    struct compiled c;
    compiled_text(&c, str_from(text));
    const struct diag_item *item = flow_first_finding(&c.diag);
    assert_non_null(item);
    assert_str(item->code, code);
    assert_str(item->subject, subject);
    compiled_fini(&c);
}

static void scheduling_comes_before_everything(void **state) {
    (void)state;
    assert_first("cairn: 1\nzzz: 1\nnodes:\n  a: {type: work, x: 1}\n"
                 "  b: {type: work, needs: [a.true, a, a, q]}\n",
                 "unknown_handle", "b needs a.true");
}

static void findings_have_a_fixed_order(void **state) {
    (void)state;
    assert_first("cairn: 1\nnodes:\n"
                 "  - {name: h, type: work, needs: [c.true], max_iterations: 2}\n"
                 "  - {name: c, type: condition, needs: [h], max_iterations: 2}\n"
                 "  - {name: d, type: work, needs: [e.error], on_error: continue}\n"
                 "  - {name: e, type: work, on_error: continue}\n"
                 "  - {name: d, type: work}\n",
                 "duplicate_node", "d");
    assert_first("cairn: 1\nnodes:\n"
                 "  h: {type: work, needs: [c.true]}\n"
                 "  c: {type: condition, needs: [h], max_iterations: 2}\n"
                 "  e: {type: work, on_error: continue}\n"
                 "  d: {type: work, needs: [e.error]}\n",
                 "error_and_on_error", "e");
}

/* The smaller body first, though it stands later in the file. */
static void of_two_endless_loops_the_inner_one(void **state) {
    (void)state;
    assert_first("cairn: 1\nnodes:\n"
                 "  a: {type: work, needs: [c]}\n  b: {type: work, needs: [a]}\n"
                 "  c: {type: work, needs: [b]}\n"
                 "  x: {type: work, needs: [y]}\n  y: {type: work, needs: [x]}\n",
                 "endless_loop", "y.out->x");
}

static void without_a_scheduling_error_the_first_error(void **state) {
    (void)state;
    assert_first("cairn: 1\nnodes:\n  a: {type: work, value: zz}\n  b: {type: work, x: 1}\n",
                 "expression", "");
    struct compiled c;
    compiled_text(&c, STR("cairn: 1\nnodes: {a: {type: work}}\n"));
    assert_null(flow_first_finding(&c.diag));
    compiled_fini(&c);
}

/* ---- recorded cases ---- */

static void add_list_of_ones(struct value_builder *b, struct arena *a, const struct value *count) {
    struct value_builder ones;
    value_builder_init(&ones, a);
    for (int64_t i = 0; count && i < count->num; i++) {
        value_list_add(&ones, value_int(1));
    }
    value_map_add(b, STR("foreach"), value_list_done(&ones));
}

static struct value convert_node(struct value n, struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (size_t i = 0; i < value_count(n); i++) {
        struct str key = value_str(n.pairs[i].key);
        struct value v = n.pairs[i].val;
        if (str_is(key, "handles")) {
            value_map_add(&b, STR("cases"), v);
        } else if (str_is(key, "if")) {
            value_map_add(&b, key, value_text(STR("iteration >= 0")));
        } else if (str_is(key, "foreach")) {
            add_list_of_ones(&b, a, value_get(v, STR("items")));
        } else if (str_is(key, "type") && str_is(value_str(v), "foreach-work")) {
            value_map_add(&b, key, value_text(STR("work")));
        } else if (!str_is(key, "attempts")) {
            value_map_add(&b, key, v);
        }
    }
    return value_map_done(&b);
}

static struct str convert(struct value workflow, struct arena *a) {
    struct value_builder nodes, top;
    struct buf text;
    const struct value *given = value_get(workflow, STR("nodes"));
    value_builder_init(&nodes, a);
    for (size_t i = 0; i < value_count(*given); i++) {
        value_list_add(&nodes, convert_node(given->items[i], a));
    }
    value_builder_init(&top, a);
    value_map_add(&top, STR("cairn"), value_int(1));
    value_map_add(&top, STR("nodes"), value_list_done(&nodes));
    buf_init(&text, 0);
    value_print_json(value_map_done(&top), 0, &text);
    struct str kept = arena_str(a, buf_str(&text));
    buf_fini(&text);
    return kept;
}

static bool check_case(struct value one, struct arena *a) {
    struct compiled c;
    struct str text = convert(*value_get(one, STR("workflow")), a);
    const struct value *expected = value_get(one, STR("expected"));
    const struct value *error = value_get(*expected, STR("compile_error"));
    compiled_text(&c, text);
    const struct diag_item *item = flow_first_finding(&c.diag);
    bool good = error ? item && str_eq(item->code, jsonl_text(*error, "type")) &&
                            str_eq(item->subject, jsonl_text(*error, "text"))
                      : c.plan != NULL;
    if (!good) {
        struct buf b;
        buf_init(&b, 0);
        print_findings(&c, &b);
        print_message("%.*s: %.*s\n%.*s", STR_ARG(jsonl_text(one, "name")), STR_ARG(text),
                      STR_ARG(buf_str(&b)));
        buf_fini(&b);
    }
    compiled_fini(&c);
    return good;
}

static void check_file(const char *path) {
    struct arena a;
    struct value cases;
    size_t wrong = 0;
    arena_init(&a, 0);
    if (!jsonl_read(path, &a, &cases)) {
        print_message("skipped: %s is not there\n", path);
        arena_fini(&a);
        skip();
    }
    assert_true(value_count(cases) > 0);
    for (size_t i = 0; i < value_count(cases); i++) {
        wrong += !check_case(cases.items[i], &a);
    }
    arena_fini(&a);
    assert_int_equal(wrong, 0);
}

static void cases_of_the_reference(void **state) {
    (void)state;
    check_file("../shared/oracle/cases.jsonl");
}

static void cases_of_compile_errors(void **state) {
    (void)state;
    check_file("tests/cases/engine/compile_errors.jsonl");
}

int run_finding_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(scheduling_comes_before_everything),
        TEST(findings_have_a_fixed_order),
        TEST(of_two_endless_loops_the_inner_one),
        TEST(without_a_scheduling_error_the_first_error),
        TEST(cases_of_the_reference),
        TEST(cases_of_compile_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
