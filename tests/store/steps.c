/* Rows of steps: each comes back whole, is replaced whole and stays where it was; every backend. */
#include <stdio.h>

#include "store/suite.h"

#define LIT(s) \
    { s, sizeof(s) - 1 } /* in a constant */

static const struct store_step first_steps[] = {
    {.step = LIT("z"),
     .node = LIT("z"),
     .kind = LIT("code"),
     .status = LIT("running"),
     .index = -1,
     .attempt = 1,
     .started = {5}},
    {.step = LIT("a#2[10]~1"),
     .node = LIT("a"),
     .kind = LIT("agent"),
     .status = LIT("completed"),
     .dependencies = LIT("[\"z\"]"),
     .description = LIT("d"),
     .iteration = 2,
     .generation = 1,
     .attempt = 3,
     .index = 0,
     .started = {6},
     .completed = {7},
     .result = LIT("1"),
     .error = LIT("{}"),
     .usage = LIT("{\"x\":1}"),
     .handle = LIT("yes"),
     .content_type = LIT("json"),
     .meta = LIT("{\"exitStatus\":0}")},
};

static void assert_step(const struct store_step *got, const struct store_step *want) {
    assert_same(got->step, want->step);
    assert_same(got->node, want->node);
    assert_same(got->kind, want->kind);
    assert_same(got->status, want->status);
    assert_same(got->dependencies, want->dependencies);
    assert_same(got->description, want->description);
    assert_int_equal(got->iteration, want->iteration);
    assert_int_equal(got->generation, want->generation);
    assert_int_equal(got->attempt, want->attempt);
    assert_int_equal(got->index, want->index);
    assert_int_equal(got->started.us, want->started.us);
    assert_int_equal(got->completed.us, want->completed.us);
    assert_same(got->result, want->result);
    assert_same(got->error, want->error);
    assert_same(got->usage, want->usage);
    assert_same(got->handle, want->handle);
    assert_same(got->content_type, want->content_type);
    assert_same(got->meta, want->meta);
}

static struct str made_text(struct fixture *f, const char *before, int n) {
    return arena_printf(&f->a, "%s%d", before, n);
}

static void test_steps(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a"), b = make_execution(f, "b");
    struct store_change next = change_next(f, &a, 1, "w");
    next.steps = first_steps;
    next.step_count = 2;
    assert_ok(f, commit_one(f, f->s, &next));
    struct store_change other = change_next(f, &b, 1, "w");
    other.steps = first_steps;
    other.step_count = 1;
    assert_ok(f, commit_one(f, f->s, &other));
    struct store_step done = first_steps[0];
    done.status = STR("completed");
    done.result = STR("2");
    struct store_step more = {.step = STR("m"),
                              .node = STR("m"),
                              .kind = STR("end"),
                              .status = STR("skipped"),
                              .index = 7};
    struct store_step second[] = {more, done};
    struct store_change last = change_next(f, &next, 1, "w");
    last.steps = second;
    last.step_count = 2;
    assert_ok(f, commit_one(f, f->s, &last));
    reopen(f);
    struct store_step *got;
    uint32_t count;
    assert_ok(f, store_steps_read(f->s, a.num, &f->a, &got, &count, &f->e));
    assert_int_equal(count, 3);
    assert_step(&got[0], &done); /* where it was, with its new content */
    assert_step(&got[1], &first_steps[1]);
    assert_step(&got[2], &more);
    assert_ok(f, store_steps_read(f->s, b.num, &f->a, &got, &count, &f->e));
    assert_int_equal(count, 1);
    assert_step(&got[0], &first_steps[0]);
    assert_ok(f, store_steps_read(f->s, 999, &f->a, &got, &count, &f->e));
    assert_int_equal(count, 0);
}

/* So many that they are written together, and replaced together. */
static void test_many_steps(void **state) {
    struct fixture *f = fixture_of(state);
    enum { STEPS = 23, MORE = 30 };
    struct store_change c[] = {make_execution(f, "a"), make_execution(f, "b")};
    struct store_step rows[2][MORE], *got;
    uint32_t count;
    for (int i = 0; i < 2 * MORE; i++) {
        rows[i / MORE][i % MORE] = (struct store_step){.step = made_text(f, "s", i % MORE),
                                                       .node = made_text(f, "n", i),
                                                       .kind = STR("k"),
                                                       .status = STR("running"),
                                                       .attempt = (uint32_t)i,
                                                       .index = i % 3 - 1};
    }
    for (uint32_t round = 0; round < 2; round++) {
        for (int x = 0; x < 2; x++) {
            c[x] = change_next(f, &c[x], 1, "w");
            c[x].steps = rows[x];
            c[x].step_count = round == 0 ? STEPS : MORE;
        }
        struct store_batch b = {.changes = c, .count = 2};
        assert_ok(f, store_commit(f->s, &b, &f->e));
        for (int x = 0; x < 2; x++) {
            assert_ok(f, store_steps_read(f->s, c[x].num, &f->a, &got, &count, &f->e));
            assert_int_equal(count, c[x].step_count);
            for (uint32_t i = 0; i < count; i++) {
                assert_step(&got[i], &rows[x][i]);
                rows[x][i].status = STR("completed");
                rows[x][i].result = made_text(f, "", (int)i);
            }
        }
    }
}

int run_steps(const char *scheme) {
    char group[40];
    snprintf(group, sizeof group, "steps %s", scheme);
    const struct CMUnitTest tests[] = {
        SUITE_TEST(test_steps),
        SUITE_TEST(test_many_steps),
    };
    return cmocka_run_group_tests_name(group, tests, NULL, NULL);
}
