/* Step ids as text: printed and read back, and what is no step id.
 */
#include "groups.h"

static const char flow[] = "cairn: 1\nnodes:\n  fetch: {type: work}\n  a_1: {type: work}\n";

static void ids_are_read_back(void **state) {
    static const struct {
        const char *text;
        struct step_id id;
    } rows[] = {
        {"fetch", {0, 0, -1, 0}},
        {"a_1", {1, 0, -1, 0}},
        {"fetch#2", {0, 2, -1, 0}},
        {"fetch[0]", {0, 0, 0, 0}},
        {"a_1#1[12]~3", {1, 1, 12, 3}},
        {"fetch~1", {0, 0, -1, 1}},
        {"fetch#4294967295[4294967295]~4294967295", {0, UINT32_MAX, UINT32_MAX, UINT32_MAX}},
    };
    struct plan *p = plan_of(flow);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[STEP_ID_BYTES];
        struct step_id id;
        assert_str(step_id_print(p, rows[i].id, text), rows[i].text);
        assert_int_equal(strlen(text), strlen(rows[i].text));
        assert_true(step_id_parse(p, str_from(rows[i].text), &id));
        assert_int_equal(id.node, rows[i].id.node);
        assert_int_equal(id.iteration, rows[i].id.iteration);
        assert_int_equal(id.index, rows[i].id.index);
        assert_int_equal(id.generation, rows[i].id.generation);
    }
    plan_free(p);
}

static void other_text_is_refused(void **state) {
    static const char *const texts[] = {"",
                                        "nobody",
                                        "Fetch",
                                        "fetch ",
                                        " fetch",
                                        "fetch#",
                                        "fetch#0",
                                        "fetch#01",
                                        "fetch#-1",
                                        "fetch#1#2",
                                        "fetch[",
                                        "fetch[]",
                                        "fetch[1",
                                        "fetch[01]",
                                        "fetch[-1]",
                                        "fetch[1]x",
                                        "fetch[1]#2",
                                        "fetch~0",
                                        "fetch~1~2",
                                        "fetch~x",
                                        "fetch~1[2]",
                                        "fetch[1][2]",
                                        "#1",
                                        "fetch#4294967296",
                                        "fetch#99999999999999999999999999"};
    struct plan *p = plan_of(flow);
    struct step_id id;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (step_id_parse(p, str_from(texts[i]), &id)) {
            fail_msg("\"%s\" was taken for a step id", texts[i]);
        }
    }
    assert_false(step_id_parse(p, (struct str){"fetch\0#1", 8}, &id));
    plan_free(p);
}

int run_step_id_tests(void) {
    const struct CMUnitTest tests[] = {TEST(ids_are_read_back), TEST(other_text_is_refused)};
    return cmocka_run_group_tests_name("step ids", tests, NULL, NULL);
}
