/* Trees of executions in a commit: what is below one that others have taken is not recorded, when
 * it is to be made below it or was decided together with it; every backend.
 */
#include <stdio.h>

#include "store/suite.h"

static void test_a_child_of_what_was_taken_is_fenced(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change top = make_execution(f, "top");
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        struct store_change child = change_new(f, epoch ? "b" : "a");
        struct store_new *n = ARENA_NEW(&f->a, struct store_new);
        *n = *child.new;
        n->parent = top.num;
        child.new = n;
        child.parent_epoch = epoch;
        assert_ok(f, commit_one(f, f->s, &child));
        assert_int_equal(child.fenced, epoch == 2);
    }
}

/* What was decided together is recorded together. */
static void test_what_is_below_is_fenced_with_it(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change top = make_execution(f, "top"), kid = make_execution(f, "kid"),
                        other = make_execution(f, "other");
    struct store_inbox row = {.execution = kid.num, .kind = STR("answer")};
    struct store_verdict said = {.verdict = STR("accepted")};
    assert_ok(f, store_inbox_add(f->s, &row, &said.inbox, &f->e));
    struct store_change next[4] = {change_next(f, &top, 1, "w"), change_next(f, &kid, 1, "w"),
                                   change_new(f, "new"), change_next(f, &other, 1, "w")};
    struct store_batch batch = {.changes = next, .count = 4, .verdicts = &said, .verdict_count = 1};
    next[1].above = 1;
    next[2].above = 2;
    next[0].epoch++; /* another process has it */
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_true(next[0].fenced && next[1].fenced && next[2].fenced);
    assert_false(next[3].fenced);
    assert_events(f, kid.num, 0, "w");
    assert_events(f, other.num, 1, "w");
    struct store_execution x;
    assert_err(f, ERR_NOT_FOUND, store_execution_get(f->s, 0, STR("exec_new"), &f->a, &x, &f->e));
    assert_ok(f, store_inbox_get(f->s, said.inbox, &f->a, &row, &f->e));
    assert_int_equal(row.verdict.len, 0);
    next[0].epoch--;
    batch.count = 3;
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_false(next[0].fenced || next[1].fenced || next[2].fenced);
    assert_events(f, kid.num, 1, "w");
    assert_int_equal(get_num(f, next[2].num).num, next[2].num);
}

int run_trees(const char *scheme) {
    char group[40];
    snprintf(group, sizeof group, "trees %s", scheme);
    const struct CMUnitTest tests[] = {
        SUITE_TEST(test_a_child_of_what_was_taken_is_fenced),
        SUITE_TEST(test_what_is_below_is_fenced_with_it),
    };
    return cmocka_run_group_tests_name(group, tests, NULL, NULL);
}
