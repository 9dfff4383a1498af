/* Folding: the state comes back, what is under way is told again, and a journal that does not
 * follow is refused.
 */
#include "groups.h"

static const char flow[] = "cairn: 1\nnodes:\n"
                           "  a: {type: work, retry: {attempts: 3, backoff: 5s, jitter: 0}}\n"
                           "  b: {type: work, timeout: 1m}\n"
                           "  c: {type: condition, needs: b, when: 'true'}\n"
                           "  f: {type: work, foreach: {items: [1, 2, 3], concurrency: 2}}\n";

static void what_is_under_way_is_told_again(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, flow);
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    drive_done(&d, "f[0]", 1, value_int(1));
    drive_refold(&d);
    drive_input(&d, INPUT_REFRESH, NULL, 0);
    assert_int_equal(d.out.record_count, 0);
    assert_int_equal(effects_of(&d, OUT_PERFORM), 3); /* b, f[1], f[2] */
    assert_int_equal(effects_of(&d, OUT_TIMER), 1);   /* retry of a */
    assert_int_equal(effect_of(&d, OUT_TIMER)->due.us, NOW_US + 5000000);
    drive_close(&d);
}

static void another_owner_makes_new_attempts(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, flow);
    drive_done(&d, "f[0]", 1, value_int(1));
    drive_refold(&d);
    drive_input(&d, INPUT_START, NULL, 0);
    assert_int_equal(effects_of(&d, OUT_PERFORM), 4); /* a, b, f[1], f[2] */
    for (uint32_t i = 0; i < d.out.effect_count; i++) {
        if (d.out.effects[i].type == OUT_PERFORM) {
            assert_int_equal(d.out.effects[i].attempt, 2);
            assert_int_equal(flight_in(d.out.effects[i].flight)->attempt, 2);
        }
    }
    drive_refold(&d);
    drive_close(&d);
}

/* Events that cannot come next, in a state that has just begun. */
static void what_does_not_follow_is_refused(void **state) {
    const struct event rows[] = {
        {.kind = EVENT_EXECUTION_CREATED, .seq = 2, .rules = ENGINE_RULES},
        {.kind = EVENT_EXECUTION_STARTED, .seq = 9},
        {.kind = EVENT_STEP_COMPLETED, .seq = 2, .has_step = true, .step = {99, 0, -1, 0}},
        {.kind = EVENT_STEP_COMPLETED, .seq = 2, .has_step = true, .step = {0, 7, -1, 0}},
        {.kind = EVENT_STEP_COMPLETED, .seq = 2, .has_step = true, .step = {0, 0, 5, 0}},
        {.kind = EVENT_STEP_RETRYING, .seq = 2, .has_step = true, .step = {0, 0, -1, 0}},
        {.kind = EVENT_FOREACH_STARTED, .seq = 2, .has_step = true, .step = {3, 0, -1, 0}},
        {.kind = EVENT_ITEMS_CANCELLED, .seq = 2, .has_step = true, .step = {3, 0, -1, 0}},
        {.kind = EVENT_LOOP_REPEATED, .seq = 2, .has_step = true, .step = {0, 0, -1, 0}},
        {.kind = EVENT_LOOP_LIMIT, .seq = 2, .has_step = true, .step = {0, 0, -1, 0}, .edge = 77},
        {.kind = EVENT_CALL_DONE, .seq = 2, .has_step = true, .step = {0, 0, -1, 0}, .call = 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct plan *p = plan_of(flow);
        struct engine *g;
        struct error e = {0};
        struct event created = {.kind = EVENT_EXECUTION_CREATED, .seq = 1, .rules = ENGINE_RULES};
        assert_int_equal(engine_new(p, &g, &e), OK);
        assert_int_equal(engine_fold(g, &created, &e), OK);
        assert_int_equal(engine_fold(g, &rows[i], &e), ERR_CORRUPT);
        engine_free(g);
        plan_free(p);
    }
}

static void other_versions_are_named(void **state) {
    struct plan *p = plan_of(flow);
    struct engine *g;
    struct error e = {0};
    struct event created = {
        .kind = EVENT_EXECUTION_CREATED, .seq = 1, .rules = 99, .id = STR("exec_x")};
    struct event unknown = {.kind = (enum event_kind)200, .seq = 1};
    (void)state;
    assert_int_equal(engine_new(p, &g, &e), OK);
    assert_int_equal(engine_fold(g, &unknown, &e), ERR_UNSUPPORTED);
    assert_int_equal(engine_fold(g, &created, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.message, "exec_x"));
    engine_free(g);
    plan_free(p);
}

/* The same journal with any one event left out is refused or folds, but never crashes. */
static void journals_with_holes_never_crash(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, flow);
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    drive_input(&d, INPUT_RETRY_DUE, "a", 1);
    drive_done(&d, "b", 1, value_int(1));
    drive_input(&d, INPUT_EVAL, "c", 1);
    drive_done(&d, "f[1]", 1, value_int(1));
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    for (uint32_t hole = 0; hole < d.event_count; hole++) {
        struct engine *g;
        struct error e;
        uint64_t seq = 0;
        assert_int_equal(engine_new(d.plan, &g, &e), OK);
        for (uint32_t i = 0; i < d.event_count; i++) {
            struct event ev = d.journal[i];
            ev.seq = seq + 1;
            if (i == hole) {
                continue;
            }
            if (engine_fold(g, &ev, &e)) {
                break; /* the state is void */
            }
            seq++;
        }
        engine_free(g);
    }
    drive_close(&d);
}

int run_fold_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_under_way_is_told_again), TEST(another_owner_makes_new_attempts),
        TEST(what_does_not_follow_is_refused), TEST(other_versions_are_named),
        TEST(journals_with_holes_never_crash)};
    return cmocka_run_group_tests_name("folds", tests, NULL, NULL);
}
