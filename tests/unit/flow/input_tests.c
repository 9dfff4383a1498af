/* Inputs given to an execution: read, checked, completed. */
#include "groups.h"

static const char text[] = "cairn: 1\n"
                           "inputs:\n"
                           "  city: {type: string, default: London}\n"
                           "  count: {type: integer, minimum: 1}\n"
                           "  place: {type: object, properties: {x: {type: integer, default: 7}},\n"
                           "          default: {x: 1}}\n"
                           "nodes: {a: {type: work}}\n";

static enum err read_inputs(struct compiled *c, const struct flow_input *given, size_t count,
                            struct buf *out) {
    struct value v = value_null();
    compiled_text(c, str_from(text));
    assert_non_null(c->plan);
    enum err err = flow_inputs(c->plan, given, count, &c->arena, &v, &c->diag);
    if (err) {
        print_findings(c, out);
    } else {
        value_print_json(v, 0, out);
    }
    buf_append_char(out, 0);
    compiled_fini(c);
    return err;
}

static void assert_inputs(const struct flow_input *given, size_t count, enum err err,
                          const char *expected) {
    struct compiled c;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(read_inputs(&c, given, count, &b), err);
    assert_string_equal(b.ptr, expected);
    buf_fini(&b);
}

static void texts_are_read_by_the_declared_type(void **state) {
    (void)state;
    const struct flow_input given[] = {{STR("count"), true, value_text(STR("12"))},
                                       {STR("city"), true, value_text(STR("12"))}};
    assert_inputs(given, 2, OK, "{\"city\":\"12\",\"count\":12,\"place\":{\"x\":1}}");
}

static void values_are_taken_as_they_are(void **state) {
    (void)state;
    const struct flow_input given[] = {{STR("count"), false, value_int(3)}};
    assert_inputs(given, 1, OK, "{\"city\":\"London\",\"count\":3,\"place\":{\"x\":1}}");
}

static void defaults_inside_a_value_are_filled_in(void **state) {
    (void)state;
    const struct flow_input given[] = {{STR("count"), false, value_int(3)},
                                       {STR("place"), true, value_text(STR("{}"))}};
    assert_inputs(given, 2, OK, "{\"city\":\"London\",\"count\":3,\"place\":{\"x\":7}}");
}

static void what_is_missing_or_unknown(void **state) {
    (void)state;
    const struct flow_input given[] = {{STR("cty"), true, value_text(STR("Rome"))}};
    assert_inputs(given, 1, ERR_INVALID,
                  "-:0:0: error unknown_input: the workflow \"flow\" has no input \"cty\"\n"
                  "    did you mean \"city\"?\n"
                  "flow.yaml:4:3: error missing_input: input \"count\" is missing\n"
                  "    give it a value, or a default in the workflow\n");
}

static void what_does_not_fit(void **state) {
    (void)state;
    const struct flow_input given[] = {{STR("count"), false, value_int(0)},
                                       {STR("city"), false, value_int(5)}};
    struct compiled c;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(read_inputs(&c, given, 2, &b), ERR_INVALID);
    assert_non_null(strstr(b.ptr, "flow.yaml:3:3: error bad_input: input \"city\": expected"));
    assert_non_null(strstr(b.ptr, "flow.yaml:4:3: error bad_input: input \"count\""));
    buf_fini(&b);
}

static void a_text_that_is_no_number(void **state) {
    (void)state;
    const struct flow_input given[] = {{STR("count"), true, value_text(STR("many"))}};
    struct compiled c;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(read_inputs(&c, given, 1, &b), ERR_INVALID);
    assert_non_null(strstr(b.ptr, "flow.yaml:4:3: error bad_input: input \"count\""));
    buf_fini(&b);
}

int run_input_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(texts_are_read_by_the_declared_type),
        TEST(values_are_taken_as_they_are),
        TEST(defaults_inside_a_value_are_filled_in),
        TEST(what_is_missing_or_unknown),
        TEST(what_does_not_fit),
        TEST(a_text_that_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
