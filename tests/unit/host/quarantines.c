/* What ends from outside, ends with all that is below it: in one commit, whatever the store does.
 */
#include "host/host_priv.h"
#include "rig.h"
#include "rig_kinds.h"
#include "store/store_priv.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() (void)0
#define __lsan_enable() (void)0
#endif

#define KID(step) "{type: kid, workflow: {nodes: " step "}}"

#define TWO_STEPS "{x: {type: work}, y: {type: work, needs: [x]}}"

/* Two below the first, one of them with another below it; and one that has ended. */
static const char *const tree = "{cairn: 1, nodes: {a: " KID("{w: {type: work}}") ", b: " KID(
    "{c: " KID(TWO_STEPS) "}") ", d: " KID("{v: {type: work}}") "}}";

struct family {
    struct str top, ended;
    struct str below[3]; /* a, b, c */
};

static struct str only_child(int64_t num, const char *step) {
    struct store_execution *rows = NULL;
    uint32_t count = 0;
    struct error e;
    struct store_children of = {.num = num};
    assert_int_equal(store_children_read(rig.disk, of, &rig.arena, &rows, &count, &e), OK);
    for (uint32_t i = 0; i < count; i++) {
        if (str_is(rows[i].fixed.parent_step, step)) {
            return rows[i].fixed.id;
        }
    }
    fail_msg("no child at %s", step);
    return STR("");
}

static struct family begin(void) {
    struct run *r = rig_run(tree);
    struct family f = {.top = arena_str(&rig.arena, run_id(r))};
    int64_t num = rig_stored(f.top).num;
    rig_done("v", NULL);
    f.below[0] = only_child(num, "a");
    f.below[1] = only_child(num, "b");
    f.below[2] = only_child(rig_stored(f.below[1]).num, "c");
    f.ended = only_child(num, "d");
    assert_string_equal(rig_status(r), "running");
    return f;
}

/* Processes that take the first over and die over its fold. */
static void die(struct str id, int times) {
    for (int i = 0; i < times; i++) {
        rig_reopen();
        (void)rig_resume(id);
    }
    rig_reopen();
    map_find(&rig.told, id)->num = 0;
}

static bool has_ended(struct str id, const char *status) {
    struct store_execution x = rig_stored(id);
    return str_is(x.row.status, status) && x.row.completed.us && !x.host && !x.row.deadline.us;
}

static uint32_t unended_below(int64_t num) {
    struct store_execution *rows = NULL;
    uint32_t count = 0;
    struct error e;
    struct store_children of = {num, .unended = true};
    assert_int_equal(store_children_read(rig.disk, of, &rig.arena, &rows, &count, &e), OK);
    return count;
}

static void assert_all_ended(const struct family *f) {
    struct store_execution x = rig_stored(f->top);
    assert_true(has_ended(f->top, "failed") && host_is_quarantined(&x));
    for (size_t i = 0; i < ARRAY_LEN(f->below); i++) {
        assert_true(has_ended(f->below[i], "cancelled"));
        assert_int_equal(rig_count(f->below[i], "cancel_requested"), 1);
        assert_int_equal(rig_count(f->below[i], "execution_cancelled"), 1);
    }
    assert_true(has_ended(f->ended, "completed"));
    assert_int_equal(rig_count(f->ended, "cancel_requested"), 0);
}

/* A child can be read: what it did, and that the rest of it was cancelled, and why. */
static void assert_readable(const struct family *f) {
    for (size_t i = 0; i < ARRAY_LEN(f->below); i++) {
        struct host_view v;
        struct store_row row;
        struct store_step *steps;
        struct store_message *messages;
        uint32_t count, message_count;
        struct error e;
        assert_int_equal(host_view_open(rig.disk, rig_kinds, f->below[i], &v, &e), OK);
        assert_int_equal(host_view_row(&v, &row, &e), OK);
        assert_int_equal(host_view_rows(&v, &steps, &count, &messages, &message_count, &e), OK);
        assert_true(str_is(row.status, "cancelled") && count > 0 && !row.waiting_tasks);
        for (uint32_t k = 0; k < count; k++) {
            assert_true(str_is(steps[k].status, "cancelled"));
            assert_int_equal(steps[k].completed.us, steps[k].attempt ? row.completed.us : 0);
        }
        host_view_close(&v);
    }
}

static void what_is_below_ends_with_it(void **state) {
    (void)state;
    struct family f = begin();
    struct run *r;
    struct error e;
    die(f.top, 3);
    uint32_t before = rig.commit_count;
    assert_int_equal(host_resume(rig.host, f.top, &r, &e), ERR_QUARANTINED);
    assert_int_equal(rig.commit_count, before + 1);
    assert_all_ended(&f);
    assert_readable(&f);
    for (size_t i = 0; i < ARRAY_LEN(f.below); i++) {
        assert_int_equal(host_resume(rig.host, f.below[i], &r, &e), ERR_CONFLICT);
    }
}

static void a_forced_retry_has_one_child_at_each_step(void **state) {
    (void)state;
    struct family f = begin();
    struct run *r;
    struct error e;
    die(f.top, 3);
    assert_int_equal(host_resume(rig.host, f.top, &r, &e), ERR_QUARANTINED);
    struct host_retry q = {.by = STR("test"), .force = true};
    r = rig_retry(f.top, &q);
    assert_int_equal(unended_below(rig_stored(f.top).num), 2); /* a and b; d had completed */
    assert_true(has_ended(f.below[0], "cancelled"));
    rig_done("w", NULL);
    rig_done("x", NULL);
    rig_done("y", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* A store that fails before it recorded, after it, or has no space: asked again. */
static void whatever_the_store_does(void **state) {
    (void)state;
    static const char *const scripts[] = {"b", "a", "f", "bfb", "ba"};
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct run *r;
        struct error e;
        rig_setup(NULL);
        struct family f = begin();
        die(f.top, 3);
        rig.commits = scripts[i];
        assert_int_equal(host_resume(rig.host, f.top, &r, &e), ERR_QUARANTINED);
        assert_all_ended(&f);
        rig_teardown(NULL);
    }
}

/* All fail: then nothing of it has ended, and who comes next ends it. */
static void never_a_part_of_it(void **state) {
    (void)state;
    struct run *r;
    struct error e;
    struct family f = begin();
    die(f.top, 3);
    rig.commits = "bbbbb";
    assert_int_equal(host_resume(rig.host, f.top, &r, &e), ERR_STORE);
    assert_false(rig_stored(f.top).row.completed.us || rig_stored(f.below[2]).row.completed.us);
    assert_int_equal(host_resume(rig.host, f.top, &r, &e), ERR_QUARANTINED);
    assert_all_ended(&f);
}

/* ---- written to at the same moment ---- */

static const struct store_ops *real_ops;
static struct store_ops racing_ops;
static struct str racing;
static int races_left;

/* Between the read of the children and the commit, something of the tree is written to. */
static enum err read_then_race(struct store *s, struct store_children of, struct arena *a,
                               struct store_executions *out, struct error *e) {
    enum err err = real_ops->children(s, of, a, out, e);
    struct store_execution x = rig_stored(racing);
    struct store_change c = {.num = x.num,
                             .epoch = x.epoch,
                             .new_epoch = x.epoch + 1,
                             .last_seq = x.last_seq,
                             .last_event = x.last_event,
                             .row = x.row};
    struct store_batch b = {.changes = &c, .count = 1};
    if (races_left && races_left--) {
        assert_int_equal(store_commit(rig.disk, &b, e), OK);
    }
    return err;
}

static void race(struct str id, int times) {
    racing = id;
    races_left = times;
    real_ops = rig.faulty->ops;
    racing_ops = *real_ops;
    racing_ops.children = read_then_race;
    rig.faulty->ops = &racing_ops;
}

static void a_child_is_written_to_meanwhile(void **state) {
    (void)state;
    struct run *r;
    struct error e;
    struct family f = begin();
    die(f.top, 3);
    race(f.below[0], 2);
    assert_int_equal(host_resume(rig.host, f.top, &r, &e), ERR_QUARANTINED);
    assert_int_equal(races_left, 0);
    assert_all_ended(&f);
}

static void it_is_taken_meanwhile(void **state) {
    (void)state;
    struct run *r;
    struct error e;
    struct family f = begin();
    die(f.top, 3);
    race(f.top, 1);
    assert_int_equal(host_resume(rig.host, f.top, &r, &e), ERR_CONFLICT);
    rig.faulty->ops = real_ops;
    assert_false(rig_stored(f.top).row.completed.us || rig_stored(f.below[0]).row.completed.us);
}

/* ---- a bug ---- */

static void a_bug_ends_what_is_below(void **state) {
    (void)state;
    __lsan_disable();
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, k: " KID(
        "{c: " KID("{y: {type: work}}") "}") ", x: {type: broken, needs: [a], value: \"1\"}}}");
    struct str id = arena_str(&rig.arena, run_id(r));
    struct str child = only_child(rig_stored(id).num, "k");
    struct str grandchild = only_child(rig_stored(child).num, "c");
    struct started *y = rig_find("y");
    rig_done("a", NULL);
    __lsan_enable();
    struct store_execution x = rig_stored(id);
    assert_true(has_ended(id, "failed") && host_is_quarantined(&x));
    assert_true(has_ended(child, "cancelled") && has_ended(grandchild, "cancelled"));
    assert_true(y->cancelled && !y->port);
    assert_false(rig_turn()); /* nothing is left to be done */
}

int run_quarantine_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_below_ends_with_it, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_forced_retry_has_one_child_at_each_step, rig_setup,
                                        rig_teardown),
        cmocka_unit_test(whatever_the_store_does),
        cmocka_unit_test_setup_teardown(never_a_part_of_it, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_child_is_written_to_meanwhile, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(it_is_taken_meanwhile, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_bug_ends_what_is_below, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
