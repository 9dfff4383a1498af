/* The semantics of store.h, for every backend. */
#include <stdio.h>
#include <string.h>

#include "store/faults.h"
#include "store/suite.h"

/* --- commits and reading back --- */

static void test_row_comes_back(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change parent = make_execution(f, "parent");
    struct store_new n = {.id = STR("exec_a"),
                          .workflow = STR("triage"),
                          .workflow_hash = STR("beef"),
                          .entry = STR("sub/triage.yaml"),
                          .key = STR("k 1"),
                          .labels = STR("{\"team\":\"blue\"}"),
                          .inputs = STR("{\"n\":1.0}"),
                          .parent = parent.num,
                          .parent_step = STR("call[3]~1"),
                          .rules = 7,
                          .created = {1763700000123456}};
    struct store_row row = {.status = STR("waiting"),
                            .updated = {11},
                            .started = {12},
                            .completed = {13},
                            .deadline = {14},
                            .total_tasks = 5,
                            .completed_tasks = 1,
                            .failed_tasks = 2,
                            .skipped_tasks = 3,
                            .waiting_tasks = 4,
                            .error = STR("{\"type\":\"x\"}"),
                            .result = STR("[1]"),
                            .usage = STR("{\"llmCalls\":2}"),
                            .steps_upto = 9};
    struct store_change c = {.new = &n, .epoch = 1, .host = 42, .row = row};
    assert_ok(f, commit_one(f, f->s, &c));
    reopen(f);
    struct store_execution x = get_num(f, c.num);
    assert_same(x.fixed.id, n.id);
    assert_same(x.fixed.workflow, n.workflow);
    assert_same(x.fixed.workflow_hash, n.workflow_hash);
    assert_same(x.fixed.entry, n.entry);
    assert_same(x.fixed.key, n.key);
    assert_same(x.fixed.labels, n.labels);
    assert_same(x.fixed.inputs, n.inputs);
    assert_int_equal(x.fixed.parent, parent.num);
    assert_same(x.fixed.parent_step, n.parent_step);
    assert_int_equal(x.fixed.rules, 7);
    assert_int_equal(x.fixed.created.us, n.created.us);
    assert_same(x.row.status, row.status);
    assert_int_equal(x.row.updated.us, 11);
    assert_int_equal(x.row.started.us, 12);
    assert_int_equal(x.row.completed.us, 13);
    assert_int_equal(x.row.deadline.us, 14);
    assert_int_equal(x.row.total_tasks, 5);
    assert_int_equal(x.row.completed_tasks, 1);
    assert_int_equal(x.row.failed_tasks, 2);
    assert_int_equal(x.row.skipped_tasks, 3);
    assert_int_equal(x.row.waiting_tasks, 4);
    assert_same(x.row.error, row.error);
    assert_same(x.row.result, row.result);
    assert_same(x.row.usage, row.usage);
    assert_int_equal(x.row.steps_upto, 9);
    assert_int_equal(x.epoch, 1);
    assert_int_equal(x.host, 42);
    assert_int_equal(x.last_seq, 0);
    assert_false(x.owner_alive);
}

static void test_row_is_replaced_whole(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change c = make_execution(f, "a");
    struct store_change next = change_next(f, &c, 1, "w");
    next.row = (struct store_row){.status = STR("failed"),
                                  .updated = {5},
                                  .completed = {6},
                                  .error = STR("{}"),
                                  .result = STR("null"),
                                  .failed_tasks = 1};
    assert_ok(f, commit_one(f, f->s, &next));
    struct store_change last = change_next(f, &next, 1, "w");
    last.row = (struct store_row){.status = STR("running"), .updated = {7}};
    assert_ok(f, commit_one(f, f->s, &last));
    struct store_execution x = get_num(f, c.num);
    assert_str(x.row.status, "running");
    assert_int_equal(x.row.completed.us, 0);
    assert_int_equal(x.row.failed_tasks, 0);
    assert_str(x.row.error, "");
    assert_str(x.row.result, "");
    assert_str(x.fixed.id, "exec_a");
    assert_events(f, c.num, 2, "w");
}

/* What is said to be as it was is not lost by not being written. */
static void test_row_that_is_the_same(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change c = make_execution(f, "a");
    struct store_change next = change_next(f, &c, 1, "w");
    next.row = (struct store_row){.status = STR("waiting"),
                                  .updated = {5},
                                  .started = {4},
                                  .deadline = {9},
                                  .total_tasks = 3};
    assert_ok(f, commit_one(f, f->s, &next));
    struct store_change last = change_next(f, &next, 1, "w");
    last.row.same = true;
    last.row.updated = (wall_us){7};
    last.row.completed_tasks = 2;
    last.row.waiting_tasks = 1;
    assert_ok(f, commit_one(f, f->s, &last));
    struct store_execution x = get_num(f, c.num);
    assert_str(x.row.status, "waiting");
    assert_int_equal(x.row.updated.us, 7);
    assert_int_equal(x.row.started.us, 4);
    assert_int_equal(x.row.deadline.us, 9);
    assert_int_equal(x.row.total_tasks, 3);
    assert_int_equal(x.row.completed_tasks, 2);
    assert_int_equal(x.row.waiting_tasks, 1);
    assert_events(f, c.num, 2, "w");
    struct store_change stale = change_next(f, &next, 1, "w");
    stale.row.same = true;
    assert_ok(f, commit_one(f, f->s, &stale));
    assert_true(stale.fenced);
}

static void test_events_come_back(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change b = make_execution(f, "b");
    static const uint32_t counts[] = {1, 2, 3, 31, 32, 33, 64, 100};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) { /* interleaved, in all sizes of a block */
        struct store_change both[] = {
            change_next(f, &a, counts[i], "left"),
            change_next(f, &b, counts[ARRAY_LEN(counts) - 1 - i], "right")};
        struct store_batch batch = {.changes = both, .count = 2};
        assert_ok(f, store_commit(f->s, &batch, &f->e));
        assert_true(both[0].last_event > a.last_event);
        assert_true(both[1].last_event > b.last_event);
        a = both[0];
        b = both[1];
    }
    reopen(f);
    assert_events(f, a.num, 266, "left");
    assert_events(f, b.num, 266, "right");
    assert_int_equal(get_num(f, a.num).last_seq, 266);
    assert_int_equal(get_num(f, a.num).last_event, a.last_event);
}

static void test_new_with_events(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = change_new(f, "a");
    struct store_change model = change_next(f, &a, 3, "w");
    a.events = model.events;
    a.event_count = 3;
    assert_ok(f, commit_one(f, f->s, &a));
    assert_events(f, a.num, 3, "w");
    assert_true(a.last_event > 0);
    struct store_change next = change_next(f, &a, 2, "w");
    assert_ok(f, commit_one(f, f->s, &next));
    assert_events(f, a.num, 5, "w");
}

static void test_event_ranges(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change next = change_next(f, &a, 10, "w");
    assert_ok(f, commit_one(f, f->s, &next));
    static const struct {
        uint64_t from, to;
        uint32_t count;
    } cases[] = {{0, 10, 10}, {3, 7, 4},   {9, UINT64_MAX, 1}, {10, 20, 0}, {5, 5, 0},
                 {7, 3, 0},   {50, 60, 0}, {0, 1, 1},          {0, 0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store_event *events = NULL;
        uint32_t count = 99;
        assert_ok(f,
                  store_read_events(f->s, (struct store_range){a.num, cases[i].from, cases[i].to},
                                    &f->a, &events, &count, &f->e));
        assert_int_equal(count, cases[i].count);
        for (uint32_t k = 0; k < count; k++)
            assert_int_equal(events[k].seq, cases[i].from + k + 1);
    }
    struct store_event *events = NULL;
    uint32_t count = 99;
    assert_err(
        f, ERR_NOT_FOUND,
        store_read_events(f->s, (struct store_range){12345, 0, 1}, &f->a, &events, &count, &f->e));
    assert_int_equal(count, 99);
}

static void test_bytes_are_kept(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    char all[256], *large = arena_alloc(&f->a, 100000);
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    memset(large, 'x', 100000);
    struct store_event events[] = {
        {.seq = 1, .step = STR("s#2[10]~1"), .body = {all, 256}, .kind = UINT16_MAX},
        {.seq = 2, .body = {NULL, 0}},
        {.seq = 3, .step = STR("\xc3\xa4"), .body = {large, 100000}},
    };
    struct store_change next = change_next(f, &a, 0, "");
    next.events = events;
    next.event_count = 3;
    next.row.result = STR("\"\xf0\x9f\x90\xa6\"");
    assert_ok(f, commit_one(f, f->s, &next));
    reopen(f);
    struct store_event *got = NULL;
    uint32_t count = 0;
    assert_ok(
        f, store_read_events(f->s, (struct store_range){a.num, 0, 9}, &f->a, &got, &count, &f->e));
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_same(got[i].body, events[i].body);
        assert_same(got[i].step, events[i].step);
        assert_int_equal(got[i].kind, events[i].kind);
    }
    assert_same(get_num(f, a.num).row.result, next.row.result);
}

static void test_row_only_change(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change first = change_next(f, &a, 2, "w");
    assert_ok(f, commit_one(f, f->s, &first));
    struct store_change touch = change_next(f, &first, 0, "");
    touch.row.status = STR("paused");
    int64_t head = touch.last_event;
    assert_ok(f, commit_one(f, f->s, &touch));
    assert_int_equal(touch.last_event, head);
    struct store_change after = change_next(f, &touch, 1, "w");
    assert_ok(f, commit_one(f, f->s, &after));
    assert_false(after.fenced);
    assert_events(f, a.num, 3, "w");
    assert_str(get_num(f, a.num).row.status, "paused");
}

/* It goes on with another workflow and inputs; not when the change is fenced. */
static void test_another_workflow(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a"), other = make_execution(f, "b");
    struct store_work work = {.workflow = STR("mended"),
                              .workflow_hash = STR("c0ffee"),
                              .entry = STR("mended.yaml"),
                              .inputs = STR("{\"n\":2}")};
    struct store_change next = change_next(f, &a, 1, "x"), stale = change_next(f, &other, 1, "x");
    next.work = stale.work = &work;
    stale.epoch++;
    assert_ok(f, commit_one(f, f->s, &next));
    assert_ok(f, commit_one(f, f->s, &stale));
    assert_true(stale.fenced);
    struct store_change last = change_next(f, &next, 1, "y");
    assert_ok(f, commit_one(f, f->s, &last));
    reopen(f);
    struct store_execution x = get_num(f, a.num), y = get_num(f, other.num);
    assert_same(x.fixed.workflow, STR("mended"));
    assert_same(x.fixed.workflow_hash, STR("c0ffee"));
    assert_same(x.fixed.entry, STR("mended.yaml"));
    assert_same(x.fixed.inputs, STR("{\"n\":2}"));
    assert_false(str_is(y.fixed.workflow, "mended"));
    assert_false(str_is(y.fixed.workflow_hash, "c0ffee"));
}

static void test_empty_batch(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_batch b = {0};
    assert_ok(f, store_commit(f->s, &b, &f->e));
}

static void test_stats(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change next = change_next(f, &a, 5, "w");
    struct store_change stale = change_next(f, &a, 4, "w");
    assert_ok(f, commit_one(f, f->s, &next));
    assert_ok(f, commit_one(f, f->s, &stale));
    struct store_stats stats;
    store_stats_get(f->s, &stats);
    assert_int_equal(stats.commits, 3);
    assert_int_equal(stats.events, 5);
}

/* --- fences --- */

static void test_stale_changes_are_fenced(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change one = change_next(f, &a, 2, "w");
    assert_ok(f, commit_one(f, f->s, &one));
    struct store_change good = change_next(f, &one, 1, "bad");
    struct store_change stale[] = {good, good, good, good, good};
    stale[0].epoch = 2;
    stale[1].last_event += 1;
    stale[2].last_event -= 1;
    struct store_event shifted = good.events[0];
    shifted.seq = 2;
    stale[3].last_seq = 1;
    stale[3].events = &shifted;
    stale[4].num = 777;
    for (size_t i = 0; i < ARRAY_LEN(stale); i++) {
        int64_t event = stale[i].last_event, num = stale[i].num;
        stale[i].row.status = STR("completed");
        assert_ok(f, commit_one(f, f->s, &stale[i]));
        assert_true(stale[i].fenced);
        assert_int_equal(stale[i].last_event, event);
        assert_int_equal(stale[i].num, num);
    }
    assert_events(f, a.num, 2, "w");
    assert_str(get_num(f, a.num).row.status, "running");
}

static void test_takeover_fences_the_old_owner(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change old = change_next(f, &a, 1, "old");
    struct store_change take = change_next(f, &a, 0, "");
    take.new_epoch = 2;
    take.host = 9;
    assert_ok(f, commit_one(f, f->s, &take));
    assert_false(take.fenced);
    assert_ok(f, commit_one(f, f->s, &old));
    assert_true(old.fenced);
    struct store_change on = change_next(f, &take, 1, "w");
    assert_int_equal(on.epoch, 2);
    assert_ok(f, commit_one(f, f->s, &on));
    assert_false(on.fenced);
    struct store_execution x = get_num(f, a.num);
    assert_int_equal(x.epoch, 2);
    assert_int_equal(x.host, 9);
    struct store_change leave = change_next(f, &on, 0, "");
    leave.host = 0;
    assert_ok(f, commit_one(f, f->s, &leave));
    assert_int_equal(get_num(f, a.num).host, 0);
    assert_events(f, a.num, 1, "w");
}

static void test_one_of_a_batch_is_fenced(void **state) {
    struct fixture *f = fixture_of(state);
    enum { COUNT = 20, BAD = 7 };
    struct store_change c[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char name[20];
        snprintf(name, sizeof name, "%d", i);
        c[i] = make_execution(f, name);
    }
    struct store_change ahead = change_next(f, &c[BAD], 1, "w");
    assert_ok(f, commit_one(f, f->s, &ahead));
    struct store_step step = {.step = STR("s"),
                              .node = STR("s"),
                              .kind = STR("x"),
                              .status = STR("completed"),
                              .index = -1};
    struct store_message message = {
        .seq = 1, .step = STR("s"), .role = STR("user"), .content = STR("hi")};
    struct store_change next[COUNT];
    for (int i = 0; i < COUNT; i++) {
        next[i] = change_next(f, &c[i], 3, "w");
        next[i].steps = &step;
        next[i].messages = &message;
        next[i].step_count = next[i].message_count = 1;
    }
    struct store_batch b = {.changes = next, .count = COUNT};
    assert_ok(f, store_commit(f->s, &b, &f->e));
    for (int i = 0; i < COUNT; i++) {
        struct store_step *steps;
        struct store_message *messages;
        uint32_t step_count, message_count;
        assert_int_equal(next[i].fenced, i == BAD);
        assert_events(f, c[i].num, i == BAD ? 1 : 3, "w");
        assert_ok(f, store_steps_read(f->s, c[i].num, &f->a, &steps, &step_count, &f->e));
        assert_ok(f, store_messages_read(f->s, c[i].num, &f->a, &messages, &message_count, &f->e));
        assert_int_equal(step_count, i != BAD);
        assert_int_equal(message_count, i != BAD);
        if (i == BAD)
            continue;
        struct store_change last = change_next(f, &next[i], 1, "w");
        assert_ok(f, commit_one(f, f->s, &last)); /* its head is what the commit gave */
        assert_false(last.fenced);
    }
}

static void test_all_or_none(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a"), b = make_execution(f, "b");
    struct store_change moved = change_next(f, &b, 1, "w");
    assert_ok(f, commit_one(f, f->s, &moved));
    struct store_change next[] = {change_next(f, &a, 2, "w"), change_next(f, &b, 1, "w"),
                                  change_new(f, "c")};
    struct store_inbox row = {.execution = a.num, .kind = STR("k")};
    struct store_verdict verdict = {.verdict = STR("accepted")};
    assert_ok(f, store_inbox_add(f->s, &row, &verdict.inbox, &f->e));
    struct store_batch batch = {next, 3, &verdict, 1, true};
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_ok(f, store_inbox_get(f->s, verdict.inbox, &f->a, &row, &f->e));
    assert_int_equal(row.verdict.len, 0);
    assert_true(next[0].fenced && next[1].fenced && next[2].fenced);
    assert_events(f, a.num, 0, "w");
    assert_events(f, b.num, 1, "w");
    struct store_execution x;
    assert_err(f, ERR_NOT_FOUND, store_execution_get(f->s, 0, STR("exec_c"), &f->a, &x, &f->e));
    next[1] = change_next(f, &moved, 1, "w");
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_false(next[0].fenced || next[1].fenced || next[2].fenced);
    assert_events(f, a.num, 2, "w");
    assert_events(f, b.num, 2, "w");
    assert_int_equal(get_num(f, next[2].num).num, next[2].num);
}

static void test_fence_is_cleared(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change next = change_next(f, &a, 1, "w");
    next.fenced = next.key_taken = true; /* left from an earlier try */
    assert_ok(f, commit_one(f, f->s, &next));
    assert_false(next.fenced);
    assert_false(next.key_taken);
}

/* --- keys and ids --- */

static void test_same_key_is_the_same_execution(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = change_new(f, "a"), b = change_new(f, "b");
    ((struct store_new *)(uintptr_t)a.new)->key = STR("order 7");
    ((struct store_new *)(uintptr_t)b.new)->key = STR("order 7");
    struct store_change other = make_execution(f, "other");
    assert_ok(f, commit_one(f, f->s, &a));
    struct store_change both[] = {b, change_next(f, &other, 1, "w")};
    struct store_batch batch = {.changes = both, .count = 2};
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_true(both[0].fenced);
    assert_true(both[0].key_taken);
    assert_int_equal(both[0].num, 0);
    assert_false(both[1].fenced);
    struct store_execution x;
    assert_ok(f, store_execution_by_key(f->s, STR("order 7"), &f->a, &x, &f->e));
    assert_int_equal(x.num, a.num);
    assert_str(x.fixed.id, "exec_a");
    assert_err(f, ERR_NOT_FOUND, store_execution_by_key(f->s, STR("order"), &f->a, &x, &f->e));
    assert_err(f, ERR_NOT_FOUND, store_execution_get(f->s, 0, STR("exec_b"), &f->a, &x, &f->e));
}

static void test_same_key_in_one_batch(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change both[] = {change_new(f, "a"), change_new(f, "b")};
    for (int i = 0; i < 2; i++)
        ((struct store_new *)(uintptr_t)both[i].new)->key = STR("k");
    struct store_batch batch = {.changes = both, .count = 2};
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_false(both[0].fenced);
    assert_true(both[1].fenced && both[1].key_taken);
}

static void test_same_id_is_fenced(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change again = change_new(f, "a");
    assert_ok(f, commit_one(f, f->s, &again));
    assert_true(again.fenced);
    assert_false(again.key_taken);
    struct store_execution x;
    assert_ok(f, store_execution_get(f->s, 0, STR("exec_a"), &f->a, &x, &f->e));
    assert_int_equal(x.num, a.num);
}

/* --- messages --- */

static void test_messages(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a"), b = make_execution(f, "b");
    struct store_message messages[] = {
        {.seq = 1, .step = STR("z"), .role = STR("user"), .content = STR("hi"), .at = {8}},
        {.seq = 1, .step = STR("z"), .role = STR("assistant"), .at = {9}, .meta = STR("{}")},
    };
    struct store_change next = change_next(f, &a, 1, "w");
    next.messages = messages;
    next.message_count = 2;
    assert_ok(f, commit_one(f, f->s, &next));
    struct store_change last = change_next(f, &next, 1, "w");
    last.messages = messages;
    last.message_count = 1;
    assert_ok(f, commit_one(f, f->s, &last));
    reopen(f);
    struct store_message *said;
    uint32_t count;
    assert_ok(f, store_messages_read(f->s, a.num, &f->a, &said, &count, &f->e));
    assert_int_equal(count, 3);
    assert_str(said[0].role, "user");
    assert_str(said[1].role, "assistant");
    assert_str(said[1].content, "");
    assert_str(said[1].meta, "{}");
    assert_str(said[1].step, "z");
    assert_int_equal(said[1].seq, 1);
    assert_int_equal(said[1].at.us, 9);
    assert_str(said[2].content, "hi");
    assert_ok(f, store_messages_read(f->s, b.num, &f->a, &said, &count, &f->e));
    assert_int_equal(count, 0);
}

/* --- blobs and workflows --- */

static struct str noise(struct fixture *f, size_t len) {
    char *bytes = arena_alloc(&f->a, len + 1);
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes[i] = (char)x;
    }
    return (struct str){bytes, len};
}

static void test_blobs(void **state) {
    struct fixture *f = fixture_of(state);
    struct str bytes[] = {{NULL, 0}, STR("x"), noise(f, 3000000), STR("a\0b")};
    static const char *const hashes[] = {"h0", "h1", "h2", "h3"};
    for (int round = 0; round < 2; round++) { /* twice: putting one that is there is fine */
        for (int i = 0; i < 4; i++)
            assert_ok(f, store_blob_put(f->s, str_from(hashes[i]), bytes[i], &f->e));
    }
    reopen(f);
    for (int i = 0; i < 4; i++) {
        struct str got;
        assert_ok(f, store_blob_get(f->s, str_from(hashes[i]), &f->a, &got, &f->e));
        assert_same(got, bytes[i]);
    }
    struct str got = STR("kept");
    assert_err(f, ERR_NOT_FOUND, store_blob_get(f->s, STR("h"), &f->a, &got, &f->e));
    assert_str(got, "kept");
}

static void test_workflows(void **state) {
    struct fixture *f = fixture_of(state);
    assert_ok(f, store_workflow_put(f->s, STR("h1"), STR("triage"), STR("bundle 1"), &f->e));
    assert_ok(f, store_workflow_put(f->s, STR("h2"), STR("triage"), noise(f, 5000), &f->e));
    assert_ok(f, store_workflow_put(f->s, STR("h1"), STR("triage"), STR("bundle 1"), &f->e));
    assert_ok(f, store_blob_put(f->s, STR("h3"), STR("a blob"), &f->e));
    reopen(f);
    struct str got;
    assert_ok(f, store_workflow_get(f->s, STR("h1"), &f->a, &got, &f->e));
    assert_str(got, "bundle 1");
    assert_ok(f, store_workflow_get(f->s, STR("h2"), &f->a, &got, &f->e));
    assert_same(got, noise(f, 5000));
    assert_err(f, ERR_NOT_FOUND, store_workflow_get(f->s, STR("h3"), &f->a, &got, &f->e));
}

/* --- inbox --- */

static struct store_inbox letter(int64_t execution, const char *payload, const char *key) {
    return (struct store_inbox){.execution = execution,
                                .kind = STR("answer"),
                                .step = STR("ask"),
                                .payload = str_from(payload),
                                .key = str_from(key),
                                .at = {77}};
}

static int64_t post(struct fixture *f, int64_t execution, const char *payload, const char *key) {
    struct store_inbox row = letter(execution, payload, key);
    int64_t id = 0;
    assert_ok(f, store_inbox_add(f->s, &row, &id, &f->e));
    assert_true(id > 0);
    return id;
}

static uint32_t open_count(struct fixture *f, int64_t execution, struct store_inbox **rows) {
    uint32_t count = 0;
    assert_ok(f, store_inbox_open(f->s, execution, &f->a, rows, &count, &f->e));
    return count;
}

static void test_inbox_keeps_letters_once(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a"), b = make_execution(f, "b");
    int64_t first = post(f, a.num, "yes", "k1");
    assert_int_equal(post(f, a.num, "no", "k1"), first);
    int64_t other = post(f, b.num, "yes", "k1"); /* the key counts within its execution */
    assert_true(other != first);
    int64_t unkeyed = post(f, a.num, "", "");
    assert_true(post(f, a.num, "", "") > unkeyed);
    reopen(f);
    struct store_inbox *rows;
    assert_int_equal(open_count(f, a.num, &rows), 3);
    assert_int_equal(rows[0].id, first);
    assert_int_equal(rows[0].execution, a.num);
    assert_str(rows[0].payload, "yes");
    assert_str(rows[0].kind, "answer");
    assert_str(rows[0].step, "ask");
    assert_str(rows[0].key, "k1");
    assert_int_equal(rows[0].at.us, 77);
    assert_int_equal(rows[1].id, unkeyed);
    assert_int_equal(open_count(f, 0, &rows), 4);
    assert_true(rows[0].id < rows[1].id && rows[1].id < rows[2].id && rows[2].id < rows[3].id);
    struct store_inbox lost = letter(999, "x", "");
    int64_t id = -5;
    assert_err(f, ERR_NOT_FOUND, store_inbox_add(f->s, &lost, &id, &f->e));
    assert_int_equal(id, -5);
}

static void test_verdicts_come_with_events(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a"), b = make_execution(f, "b");
    int64_t one = post(f, a.num, "1", "k"), two = post(f, a.num, "2", ""),
            three = post(f, b.num, "3", "");
    struct store_change ahead = change_next(f, &b, 1, "w");
    assert_ok(f, commit_one(f, f->s, &ahead));
    struct store_change next[] = {change_next(f, &a, 1, "w"), change_next(f, &b, 1, "w")};
    struct store_verdict verdicts[] = {{one, STR("accepted")}, {three, STR("accepted")}};
    struct store_batch batch = {next, 2, verdicts, 2, false};
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_true(next[1].fenced);
    struct store_inbox *rows;
    assert_int_equal(open_count(f, a.num, &rows), 1);
    assert_int_equal(rows[0].id, two);
    assert_int_equal(open_count(f, b.num, &rows), 1); /* its change was fenced */
    assert_int_equal(rows[0].id, three);
    struct store_verdict again[] = {{one, STR("refused")}, {two, STR("")}, {12345, STR("x")}};
    struct store_batch only = {NULL, 0, again, 3, false};
    assert_ok(f, store_commit(f->s, &only, &f->e));
    assert_int_equal(open_count(f, a.num, &rows), 0);
    assert_int_equal(post(f, a.num, "late", "k"), one); /* a key is known after its verdict, too */
    assert_int_equal(open_count(f, a.num, &rows), 0);
}

/* A store that cannot tell says that there is news. */
static void test_news_of_others_are_told_once(void **state) {
    struct fixture *f = fixture_of(state);
    struct store *other = second_handle(f);
    bool can_tell = strcmp(f->scheme, "memory") != 0;
    assert_true(store_has_news(other));
    struct store_change a = make_execution(f, "a");
    assert_true(store_has_news(other));
    assert_int_equal(store_has_news(other), !can_tell);
    (void)post(f, a.num, "x", "k");
    struct store_inbox *rows;
    uint32_t count;
    assert_ok(f, store_inbox_open(other, 0, &f->a, &rows, &count, &f->e)); /* is no answer */
    assert_int_equal(count, 1);
    assert_true(store_has_news(other));
    assert_int_equal(store_has_news(other), !can_tell);
    store_close(other);
}

/* --- hosts --- */

static void test_hosts_live_with_their_handle(void **state) {
    struct fixture *f = fixture_of(state);
    struct store *other = second_handle(f);
    int64_t mine = 0, theirs = 0;
    assert_ok(f, store_host_register(f->s, 1, STR("box"), &mine, &f->e));
    assert_ok(f, store_host_register(other, 2, STR("box"), &theirs, &f->e));
    assert_true(mine > 0 && theirs > 0 && mine != theirs);
    assert_ok(f, store_host_renew(f->s, mine, (wall_us){1}, &f->e)); /* over long ago: no matter */
    struct store_change a = change_new(f, "a"), b = change_new(f, "b"), c = change_new(f, "c");
    a.host = mine;
    b.host = theirs;
    c.host = theirs + 1000;
    struct store_change all[] = {a, b, c};
    struct store_batch batch = {.changes = all, .count = 3};
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_true(get_num(f, all[0].num).owner_alive);
    assert_true(get_num(f, all[1].num).owner_alive);
    assert_false(get_num(f, all[2].num).owner_alive);
    struct store_execution x;
    assert_ok(f, store_execution_get(other, all[0].num, (struct str){0}, &f->a, &x, &f->e));
    assert_true(x.owner_alive);
    store_close(other);
    assert_false(get_num(f, all[1].num).owner_alive);
    assert_true(get_num(f, all[0].num).owner_alive);
    assert_err(f, ERR_FENCED, store_host_renew(f->s, 5000, (wall_us){1}, &f->e));
}

static struct store_host *hosts(struct fixture *f, struct store *s, uint32_t count) {
    struct store_host *rows = NULL;
    uint32_t found = 99;
    assert_ok(f, store_host_list(s, &f->a, &rows, &found, &f->e));
    assert_int_equal(found, count);
    return rows;
}

static void put_owned(struct fixture *f, const char *name, const char *status, int64_t host) {
    struct store_change c = change_new(f, name);
    c.host = host;
    c.row.status = str_from(status);
    assert_ok(f, commit_one(f, f->s, &c));
}

static void test_hosts_are_listed(void **state) {
    struct fixture *f = fixture_of(state);
    struct store *other = second_handle(f);
    int64_t mine = 0, theirs = 0, before = io_clock_system.wall(NULL).us;
    (void)hosts(f, f->s, 0);
    assert_ok(f, store_host_register(f->s, 11, STR("box"), &mine, &f->e));
    assert_ok(f, store_host_register(other, 12, STR("tower"), &theirs, &f->e));
    const char *const states[] = {"pending", "running", "waiting", "paused", "completed", "failed"};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        put_owned(f, states[i], states[i], theirs);
    }
    put_owned(f, "mine", "running", mine);
    put_owned(f, "nobody", "running", 0);
    struct store_host *rows = hosts(f, f->s, 2);
    assert_true(rows[0].id == mine && rows[1].id == theirs);
    assert_true(rows[0].pid == 11 && rows[1].pid == 12);
    assert_str(rows[0].hostname, "box");
    assert_str(rows[1].hostname, "tower");
    assert_true(rows[0].alive && rows[1].alive);
    assert_true(rows[0].executions == 1 && rows[1].executions == 4);
    assert_true(rows[0].registered.us >= before &&
                rows[0].registered.us <= io_clock_system.wall(NULL).us);
    assert_int_equal(rows[0].until.us - rows[0].registered.us, STORE_LEASE_US);
    assert_ok(f, store_host_renew(other, theirs, (wall_us){77}, &f->e));
    assert_int_equal(hosts(f, f->s, 2)[1].until.us, 77);
    store_close(other);
    rows = hosts(f, f->s, 2);
    assert_true(rows[0].alive && !rows[1].alive);
    assert_int_equal(rows[1].executions, 4);
}

static uint32_t left_count(struct fixture *f) {
    uint32_t count = 99;
    assert_ok(f, store_left_count(f->s, &count, &f->e));
    return count;
}

static void test_what_owners_left_is_counted(void **state) {
    struct fixture *f = fixture_of(state);
    struct store *other = second_handle(f);
    int64_t mine = 0, theirs = 0;
    uint32_t gone = 0;
    assert_int_equal(left_count(f), 0);
    assert_ok(f, store_host_register(f->s, 11, STR("box"), &mine, &f->e));
    assert_ok(f, store_host_register(other, 12, STR("box"), &theirs, &f->e));
    const char *const states[] = {"pending", "running", "waiting", "paused", "completed", "failed"};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        put_owned(f, states[i], states[i], theirs);
    }
    put_owned(f, "mine", "running", mine);
    put_owned(f, "left", "waiting", 0); /* by an owner that lives or has ended well */
    assert_int_equal(left_count(f), 0);
    put_owned(f, "nobody", "running", 0);
    assert_int_equal(left_count(f), 1);
    struct store_change below = change_new(f, "below");
    below.host = theirs;
    below.row.status = STR("running");
    ((struct store_new *)(uintptr_t)below.new)->parent = 1;
    assert_ok(f, commit_one(f, f->s, &below));
    store_close(other);
    assert_int_equal(left_count(f), 4);
    assert_ok(f, store_hosts_sweep(f->s, &gone, &f->e));
    assert_int_equal(gone, 1);
    assert_int_equal(left_count(f), 4);
}

static void test_dead_hosts_are_swept(void **state) {
    struct fixture *f = fixture_of(state);
    struct store *others[] = {second_handle(f), second_handle(f)};
    int64_t mine = 0, theirs[2] = {0};
    uint32_t gone = 99;
    assert_ok(f, store_hosts_sweep(f->s, &gone, &f->e));
    assert_int_equal(gone, 0);
    for (int i = 0; i < 2; i++) {
        assert_ok(f, store_host_register(others[i], i, STR("box"), &theirs[i], &f->e));
    }
    assert_ok(f, store_host_register(f->s, 9, STR("box"), &mine, &f->e));
    put_owned(f, "a", "running", theirs[0]);
    assert_ok(f, store_hosts_sweep(f->s, &gone, &f->e));
    assert_int_equal(gone, 0);
    store_close(others[0]); /* its lease runs on: no matter */
    assert_ok(f, store_hosts_sweep(others[1], &gone, &f->e));
    assert_int_equal(gone, 1);
    struct store_host *rows = hosts(f, f->s, 2);
    assert_true(rows[0].id == theirs[1] && rows[1].id == mine);
    assert_ok(f, store_hosts_sweep(f->s, &gone, &f->e));
    assert_int_equal(gone, 0);
    assert_err(f, ERR_FENCED, store_host_renew(f->s, theirs[0], (wall_us){1}, &f->e));
    assert_ok(f, store_host_renew(f->s, mine, (wall_us){1}, &f->e));
    store_close(others[1]);
    assert_ok(f, store_hosts_sweep(f->s, &gone, &f->e));
    assert_int_equal(gone, 1);
    struct store *next = second_handle(f);
    int64_t id = 0;
    assert_ok(f, store_host_register(next, 1, STR("box"), &id, &f->e));
    assert_true(id > theirs[1]);
    store_close(next);
    next = second_handle(f);
    assert_ok(f, store_host_register(next, 1, STR("box"), &id, &f->e)); /* sweeps, too */
    (void)hosts(f, f->s, 2);
    store_close(next);
}

/* --- the rest --- */

static void test_memory_that_does_not_suffice(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change next = change_next(f, &a, 50, "w");
    assert_ok(f, commit_one(f, f->s, &next));
    for (size_t cap = 1; cap < 4000; cap += 97) {
        struct arena small;
        arena_init(&small, cap);
        struct store_event *events = NULL;
        uint32_t count = 99;
        enum err got = store_read_events(f->s, (struct store_range){a.num, 0, 50}, &small, &events,
                                         &count, &f->e);
        if (got != OK) {
            assert_int_equal(got, ERR_NOMEM);
            assert_int_equal(count, 99);
        }
        struct store_execution x;
        got = store_execution_get(f->s, a.num, (struct str){0}, &small, &x, &f->e);
        assert_true(got == OK || got == ERR_NOMEM);
        arena_fini(&small);
    }
    assert_events(f, a.num, 50, "w");
}

static void test_kinds_and_idle(void **state) {
    struct fixture *f = fixture_of(state);
    static const struct store_kind_name kinds[] = {{1, "created", 1}, {2, "step_started", 2}};
    assert_ok(f, store_kinds_put(f->s, kinds, 2, &f->e));
    assert_ok(f, store_kinds_put(f->s, kinds, 2, &f->e));
    store_idle(f->s);
    struct store_change a = make_execution(f, "a");
    store_idle(f->s);
    assert_str(get_num(f, a.num).fixed.id, "exec_a");
}

int run_suite(const char *scheme) {
    char group[40];
    snprintf(group, sizeof group, "suite %s", scheme);
    const struct CMUnitTest tests[] = {
        SUITE_TEST(test_row_comes_back),
        SUITE_TEST(test_row_is_replaced_whole),
        SUITE_TEST(test_row_that_is_the_same),
        SUITE_TEST(test_events_come_back),
        SUITE_TEST(test_new_with_events),
        SUITE_TEST(test_event_ranges),
        SUITE_TEST(test_bytes_are_kept),
        SUITE_TEST(test_row_only_change),
        SUITE_TEST(test_empty_batch),
        SUITE_TEST(test_another_workflow),
        SUITE_TEST(test_stats),
        SUITE_TEST(test_stale_changes_are_fenced),
        SUITE_TEST(test_takeover_fences_the_old_owner),
        SUITE_TEST(test_one_of_a_batch_is_fenced),
        SUITE_TEST(test_all_or_none),
        SUITE_TEST(test_fence_is_cleared),
        SUITE_TEST(test_same_key_is_the_same_execution),
        SUITE_TEST(test_same_key_in_one_batch),
        SUITE_TEST(test_same_id_is_fenced),
        SUITE_TEST(test_messages),
        SUITE_TEST(test_blobs),
        SUITE_TEST(test_workflows),
        SUITE_TEST(test_inbox_keeps_letters_once),
        SUITE_TEST(test_verdicts_come_with_events),
        SUITE_TEST(test_news_of_others_are_told_once),
        SUITE_TEST(test_hosts_live_with_their_handle),
        SUITE_TEST(test_hosts_are_listed),
        SUITE_TEST(test_what_owners_left_is_counted),
        SUITE_TEST(test_dead_hosts_are_swept),
        SUITE_TEST(test_memory_that_does_not_suffice),
        SUITE_TEST(test_kinds_and_idle),
    };
    return cmocka_run_group_tests_name(group, tests, NULL, NULL);
}
