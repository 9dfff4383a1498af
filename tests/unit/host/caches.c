/* Results that other executions use again: found before anything is performed, kept with the commit
 * of the completion or not at all, never of a step that failed.
 */
#include "rig.h"

#define HOUR "{cairn: 1, nodes: {a: {type: work, cache: 1h, value: inputs.n}}, " INPUTS "}"
#define OWN                                                                               \
    "{cairn: 1, name: own, nodes: {a: {type: work, cache: {ttl: 1h, key: inputs.n % 2}, " \
    "value: inputs.n}}, " INPUTS "}"
#define INPUTS "inputs: {n: {type: integer, default: 1}}, outputs: {a: a}"

static struct run *run_with(const char *flow, const char *inputs) {
    struct run *r = rig_submit(rig_plan(flow), inputs);
    rig_turns();
    return r;
}

static const char *meta_of(struct run *r) {
    struct store_step *rows = NULL;
    uint32_t count = 0;
    struct error e;
    int64_t num = rig_stored(run_id(r)).num;
    assert_int_equal(store_steps_read(rig.disk, num, &rig.arena, &rows, &count, &e), OK);
    assert_int_equal(count, 1);
    return arena_str(&rig.arena, rows[0].meta).ptr;
}

static bool is_completed(struct run *r) { return !strcmp(rig_status(r), "completed"); }

static void the_same_work_is_done_once(void **state) {
    (void)state;
    struct run *one = run_with(HOUR, "{\"n\": 1}");
    rig_done_full("a", "{\"x\": 1}", "{\"usage\": {\"inputTokens\": 5}, \"model\": \"m\"}");
    struct run *two = run_with(HOUR, "{\"n\": 1}");
    assert_int_equal(rig_starts_of("a"), 1);
    assert_string_equal(rig_result(two), "{\"a\":{\"x\":1}}");
    const char *meta = meta_of(two);
    assert_non_null(strstr(meta, "\"cached\":{\"execution\":\""));
    assert_non_null(strstr(meta, run_id(one).ptr));
    assert_non_null(strstr(meta, "\"step\":\"a\""));
    assert_non_null(strstr(meta, "\"model\":\"m\""));
    assert_null(strstr(meta, "inputTokens")); /* it cost nothing */
    assert_true(rig_stored(run_id(one)).row.usage.len && !rig_stored(run_id(two)).row.usage.len);
    (void)run_with(HOUR, "{\"n\": 2}"); /* other work */
    assert_int_equal(rig_starts_of("a"), 2);
}

static void not_when_it_is_over(void **state) {
    (void)state;
    (void)run_with(HOUR, NULL);
    rig_done("a", "1");
    rig_wait_ms(3599999);
    assert_true(is_completed(run_with(HOUR, NULL))); /* which keeps nothing anew */
    rig_wait_ms(1);
    assert_false(is_completed(run_with(HOUR, NULL)));
    rig_done("a", "2");
    assert_string_equal(rig_result(run_with(HOUR, NULL)), "{\"a\":2}");
    /* Who wants only what is fresh does not take it. */
    rig_wait_ms(1000);
    assert_false(is_completed(run_with(
        "{cairn: 1, nodes: {a: {type: work, cache: 1s, value: inputs.n}}, " INPUTS "}", NULL)));
}

static void never_of_a_failure(void **state) {
    static const char flow[] = "{cairn: 1, on_failure: continue, nodes: {a: {type: work, "
                               "cache: 1h, on_error: {value: '0'}}, b: {type: mute, cache: 1h, "
                               "output_schema: {type: integer}, on_error: {value: '0'}}}}";
    (void)state;
    for (uint32_t i = 1; i <= 2; i++) {
        (void)run_with(flow, NULL);
        rig_fail("a", FAILURE_PERMANENT, "code");
        rig_done("b", "\"no integer\"");
        assert_int_equal(rig_starts_of("a") + rig_starts_of("b"), 2 * i);
    }
}

static void a_key_of_ones_own(void **state) {
    (void)state;
    (void)run_with(OWN, "{\"n\": 1}");
    rig_done("a", "\"odd\"");
    assert_string_equal(rig_result(run_with(OWN, "{\"n\": 3}")), "{\"a\":\"odd\"}");
    assert_false(is_completed(run_with(OWN, "{\"n\": 4}")));
    rig_done("a", "\"even\"");
    /* The key is one of its workflow and node. */
    static const char other[] = "{cairn: 1, name: other, nodes: {a: {type: work, cache: {ttl: 1h, "
                                "key: inputs.n % 2}}}, " INPUTS "}";
    assert_false(is_completed(run_with(other, "{\"n\": 1}")));
}

/* Both look at once and find nothing: both do it. */
static void two_at_once_both_do_it(void **state) {
    (void)state;
    struct run *one = run_with(HOUR, NULL), *two = run_with(HOUR, NULL);
    assert_int_equal(rig_starts_of("a"), 2);
    rig_done("a", "1");
    rig_done("a", "2");
    assert_true(is_completed(one) && is_completed(two));
}

/* What is not recorded is not kept; what is recorded, though nobody was told so, is. */
static void kept_with_the_completion_or_not_at_all(void **state) {
    (void)state;
    struct run *one = run_with(HOUR, NULL);
    rig.commits = "b";
    struct started *s = rig_find("a");
    rig_tell_done(s, "1", NULL);
    rig_turn();
    assert_int_equal(rig_count(run_id(one), "step_completed"), 0);
    one = rig_restart(one, 0); /* the process dies before it tries again */
    rig_turns();
    assert_int_equal(rig_starts_of("a"), 2);
    rig.commits = "a";
    rig_tell_done(rig_find("a"), "1", NULL);
    rig_turn();
    rig_reopen();
    assert_true(is_completed(run_with(HOUR, NULL)));
    assert_int_equal(rig_starts_of("a"), 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int run_cache_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_same_work_is_done_once), TEST(not_when_it_is_over),
        TEST(never_of_a_failure),         TEST(a_key_of_ones_own),
        TEST(two_at_once_both_do_it),     TEST(kept_with_the_completion_or_not_at_all),
    };
    return cmocka_run_group_tests_name("caches", tests, NULL, NULL);
}
