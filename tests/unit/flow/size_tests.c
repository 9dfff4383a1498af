/* Large and hostile workflows: they compile, or are refused, without recursion over the graph and
 * without quadratic work (a test that took minutes would be noticed; no clock is read).
 */
#include "groups.h"

static struct buf text;

static void begin(void) {
    buf_init(&text, 0);
    buf_append_cstr(&text, "cairn: 1\nnodes:\n");
}

static void compile(struct compiled *c) {
    compiled_text(c, buf_str(&text));
    buf_fini(&text);
}

static void a_chain_of_100000(void **state) {
    (void)state;
    struct compiled c;
    begin();
    buf_append_cstr(&text, "  n0: {type: work}\n");
    for (int i = 1; i < 100000; i++) {
        buf_printf(&text, "  n%d: {type: work, needs: [n%d], note: \"{{ n%d }} {{ n0 }}\"}\n", i,
                   i - 1, i / 2);
    }
    compile(&c);
    assert_non_null(c.plan);
    assert_int_equal(c.plan->edge_count, 99999);
    assert_int_equal(c.plan->loop_count, 0);
    compiled_fini(&c);
}

static void a_join_of_50000(void **state) {
    (void)state;
    struct compiled c;
    begin();
    for (int i = 0; i < 50000; i++) {
        buf_printf(&text, "  n%d: {type: work}\n", i);
    }
    buf_append_cstr(&text, "  j: {type: work, needs: [n0");
    for (int i = 1; i < 50000; i++) {
        buf_printf(&text, ", n%d", i);
    }
    buf_append_cstr(&text, "], value: [n0");
    for (int i = 1; i < 50000; i++) {
        buf_printf(&text, ", n%d", i);
    }
    buf_append_cstr(&text, "]}\n");
    compile(&c);
    assert_non_null(c.plan);
    assert_int_equal(c.plan->nodes[50000].in_count_edges, 50000);
    compiled_fini(&c);
}

/* Every node also needs the first: hard for dominators by plain iteration. */
static void a_star_on_a_chain(void **state) {
    (void)state;
    struct compiled c;
    begin();
    buf_append_cstr(&text, "  n0: {type: work}\n  n1: {type: work, needs: [n0]}\n");
    for (int i = 2; i < 50000; i++) {
        buf_printf(&text, "  n%d: {type: work, needs: [n%d, n0]}\n", i, i - 1);
    }
    compile(&c);
    assert_non_null(c.plan);
    compiled_fini(&c);
}

/* h0 -> h1 ... -> c1 -> c0, and every c leads back to its h. */
static void add_nest(int depth) {
    for (int i = 0; i < depth; i++) {
        buf_printf(&text, "  h%d: {type: work, needs: [", i);
        if (i) {
            buf_printf(&text, "h%d, ", i - 1);
        }
        buf_printf(&text, "c%d.true]}\n", i);
    }
    for (int i = depth - 1; i >= 0; i--) {
        buf_printf(&text, "  c%d: {type: condition, needs: [", i);
        buf_printf(&text, i == depth - 1 ? "h%d]}\n" : "c%d.false]}\n", i == depth - 1 ? i : i + 1);
    }
}

static void a_nest_of_10000_nodes(void **state) {
    (void)state;
    struct compiled c;
    begin();
    add_nest(5000);
    compile(&c);
    assert_non_null(c.plan);
    assert_int_equal(c.plan->loop_count, 5000);
    const struct plan_loop *outer = &c.plan->loops[4999], *inner = &c.plan->loops[0];
    assert_int_equal(outer->header, 0);
    assert_int_equal(outer->body_count, 10000);
    assert_int_equal(outer->inner_count, 4999);
    assert_int_equal(inner->header, 4999);
    assert_int_equal(inner->body_count, 2);
    assert_int_equal(c.plan->nodes[4999].loop_count, 5000);
    compiled_fini(&c);
}

static void a_nest_too_large_is_refused(void **state) {
    (void)state;
    struct compiled c;
    begin();
    add_nest(15000);
    compile(&c);
    assert_int_equal(c.err, ERR_INVALID);
    assert_int_equal(c.diag.errors, 1);
    assert_str(c.diag.items[0].code, "too_large");
    compiled_fini(&c);
}

static void many_errors(void **state) {
    (void)state;
    struct compiled c;
    begin();
    for (int i = 0; i < 20000; i++) {
        buf_printf(&text, "  n%d: {type: work, needs: [x%d], value: y%d.z, foo: 1}\n", i, i, i);
    }
    compile(&c);
    assert_int_equal(c.err, ERR_INVALID);
    assert_int_equal(c.diag.errors, 60000);
    assert_int_equal(c.diag.count, DIAG_MAX_ITEMS);
    compiled_fini(&c);
}

static void alias_bomb(void **state) {
    (void)state;
    struct compiled c;
    buf_init(&text, 0);
    buf_append_cstr(&text,
                    "cairn: 1\nnodes:\n  a:\n    type: work\n    data:\n      l0: &l0 [x]\n");
    for (int i = 1; i < 30; i++) {
        buf_printf(&text, "      l%d: &l%d [*l%d, *l%d, *l%d, *l%d]\n", i, i, i - 1, i - 1, i - 1,
                   i - 1);
    }
    compile(&c);
    assert_int_equal(c.err, ERR_INVALID);
    assert_true(c.diag.errors >= 1);
    compiled_fini(&c);
}

static void deep_nesting(void **state) {
    (void)state;
    static const int depths[] = {150, 100000};
    for (size_t k = 0; k < ARRAY_LEN(depths); k++) {
        struct compiled c;
        begin();
        buf_append_cstr(&text, "  a: {type: work, data: ");
        for (int i = 0; i < depths[k]; i++) {
            buf_append_char(&text, '[');
        }
        buf_append_cstr(&text, "\"{{ 1 }}\"");
        for (int i = 0; i < depths[k]; i++) {
            buf_append_char(&text, ']');
        }
        buf_append_cstr(&text, "}\n");
        compile(&c);
        assert_int_equal(c.err, k == 0 ? OK : ERR_INVALID);
        compiled_fini(&c);
    }
}

static void one_cycle_of_50000_nodes(void **state) {
    (void)state;
    struct compiled c;
    begin();
    buf_append_cstr(&text, "  n0: {type: condition, needs: [n49999]}\n");
    buf_append_cstr(&text, "  n1: {type: work, needs: [n0.true]}\n");
    for (int i = 2; i < 50000; i++) {
        buf_printf(&text, "  n%d: {type: work, needs: [n%d]}\n", i, i - 1);
    }
    compile(&c);
    assert_non_null(c.plan);
    assert_int_equal(c.plan->loop_count, 1);
    assert_int_equal(c.plan->loops[0].body_count, 50000);
    compiled_fini(&c);
}

int run_size_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_chain_of_100000),
        TEST(a_join_of_50000),
        TEST(a_star_on_a_chain),
        TEST(a_nest_of_10000_nodes),
        TEST(a_nest_too_large_is_refused),
        TEST(many_errors),
        TEST(alias_bomb),
        TEST(deep_nesting),
        TEST(one_cycle_of_50000_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
