/* Random batches go to a memory store and to a database at once; what each reports and what can
 * be read from each afterwards must be the same, byte for byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/suite.h"

enum { EXECUTIONS = 12, ROUNDS = 120, SEEDS = 4 };

static uint64_t seed;

static uint32_t below(uint32_t n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static const char *const statuses[] = {"running", "waiting", "completed", "failed"};
static const char *const words[] = {"a", "b", "c", "d"};

struct pair {
    struct fixture memory, sqlite;
    struct store_change known[EXECUTIONS]; /* as last committed */
    int64_t nums[EXECUTIONS];              /* the database's: a conflict may use one up */
    uint32_t count;
    struct store_step step;
    struct store_work work;
    struct store_message message;
};

static void open_pair(struct pair *p) {
    assert_int_equal(fixture_init(&p->memory, "memory"), 0);
    assert_int_equal(fixture_init(&p->sqlite, "sqlite"), 0);
    struct fixture *f = &p->memory;
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    f = &p->sqlite;
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
}

static struct store_change random_new(struct pair *p, uint32_t name) {
    char text[20];
    snprintf(text, sizeof text, "%02u", name);
    struct store_change c = change_new(&p->memory, text);
    struct store_new *n = (struct store_new *)(uintptr_t)c.new;
    n->workflow = str_from(words[below(2)]);
    n->key = below(3) ? (struct str){0} : str_from(words[below(4)]);
    n->created.us = 100 + below(4);
    n->parent = p->count && !below(4) ? 1 : 0;
    return c;
}

static struct store_change random_next(struct pair *p, uint32_t at) {
    struct store_change c = change_next(&p->memory, &p->known[at], below(4), words[below(4)]);
    c.row.status = str_from(statuses[below(4)]);
    c.row.result = below(2) ? STR("1") : STR("");
    c.row.deadline.us = below(3);
    c.host = (int64_t)below(4) - 1;
    if (!below(5)) {
        p->work = (struct store_work){.workflow = str_from(words[below(2)]),
                                      .workflow_hash = str_from(words[below(4)]),
                                      .entry = str_from(words[below(4)]),
                                      .inputs = STR("{}")};
        c.work = &p->work;
    }
    if (!below(6))
        c.new_epoch = c.epoch + 1;
    switch (below(10)) { /* sometimes stale */
    case 0: c.epoch++, c.new_epoch = 0; break;
    case 1: c.last_event++; break;
    default: break;
    }
    p->step = (struct store_step){.step = str_from(words[below(4)]),
                                  .node = STR("n"),
                                  .kind = STR("k"),
                                  .status = str_from(statuses[below(4)]),
                                  .index = (int64_t)below(3) - 1,
                                  .attempt = below(9)};
    p->message = (struct store_message){.seq = c.last_seq,
                                        .step = STR("s"),
                                        .role = STR("user"),
                                        .content = str_from(words[below(4)])};
    c.steps = &p->step;
    c.messages = &p->message;
    c.drop_details = below(8) == 0;
    c.step_count = below(2);
    c.message_count = below(2);
    return c;
}

/* A batch of changes to different executions, sometimes with a new one. */
static uint32_t random_batch(struct pair *p, struct store_change *out, uint32_t *places) {
    uint32_t count = 0;
    for (uint32_t at = 0; at < p->count; at++) {
        if (below(3))
            continue;
        places[count] = at;
        out[count++] = random_next(p, at);
    }
    if (p->count < EXECUTIONS && !below(3)) {
        places[count] = p->count;
        out[count++] = random_new(p, below(2) ? p->count : below(EXECUTIONS));
    }
    return count;
}

static void one_round(struct pair *p) {
    struct store_change left[EXECUTIONS + 1], right[EXECUTIONS + 1];
    uint32_t places[EXECUTIONS + 1];
    uint32_t count = random_batch(p, left, places);
    for (uint32_t i = 0; i < count; i++) {
        right[i] = left[i];
        right[i].num = left[i].num ? p->nums[places[i]] : 0;
    }
    struct store_verdict verdict = {below(20), STR("done")};
    struct store_batch a = {left, count, &verdict, below(2), below(4) == 0},
                       b = {right, count, &verdict, a.verdict_count, a.whole};
    assert_ok(&p->memory, store_commit(p->memory.s, &a, &p->memory.e));
    assert_ok(&p->sqlite, store_commit(p->sqlite.s, &b, &p->sqlite.e));
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(left[i].fenced, right[i].fenced);
        assert_int_equal(left[i].key_taken, right[i].key_taken);
        assert_int_equal(left[i].num == 0, right[i].num == 0);
        assert_int_equal(left[i].last_event, right[i].last_event);
        if (left[i].fenced)
            continue;
        p->known[places[i]] = left[i];
        p->nums[places[i]] = right[i].num;
        p->count += places[i] == p->count;
    }
    if (!p->count || below(2))
        return;
    uint32_t at = below(p->count);
    struct store_inbox row = {.execution = below(9) ? p->known[at].num : 999,
                              .kind = STR("k"),
                              .key = below(2) ? str_from(words[below(4)]) : (struct str){0},
                              .payload = STR("p")};
    int64_t one = 0, two = 0;
    enum err got = store_inbox_add(p->memory.s, &row, &one, &p->memory.e);
    row.execution = row.execution == 999 ? 999 : p->nums[at];
    assert_int_equal(got, store_inbox_add(p->sqlite.s, &row, &two, &p->sqlite.e));
    assert_int_equal(one, two);
}

/* --- comparing --- */

static void same_execution(const struct store_execution *x, const struct store_execution *y) {
    assert_same(x->fixed.id, y->fixed.id);
    assert_same(x->fixed.key, y->fixed.key);
    assert_same(x->row.status, y->row.status);
    assert_same(x->row.result, y->row.result);
    assert_int_equal(x->row.deadline.us, y->row.deadline.us);
    assert_int_equal(x->epoch, y->epoch);
    assert_int_equal(x->host, y->host);
    assert_int_equal(x->last_seq, y->last_seq);
    assert_int_equal(x->last_event, y->last_event);
}

static void same_events(struct pair *p, int64_t num, int64_t other_num) {
    struct store_event *x, *y;
    uint32_t count, other;
    uint64_t from = below(5), to = from + below(30);
    assert_ok(&p->memory, store_read_events(p->memory.s, (struct store_range){num, from, to},
                                            &p->memory.a, &x, &count, &p->memory.e));
    assert_ok(&p->sqlite, store_read_events(p->sqlite.s, (struct store_range){other_num, from, to},
                                            &p->sqlite.a, &y, &other, &p->sqlite.e));
    assert_int_equal(count, other);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(x[i].seq, y[i].seq);
        assert_int_equal(x[i].kind, y[i].kind);
        assert_int_equal(x[i].at.us, y[i].at.us);
        assert_same(x[i].step, y[i].step);
        assert_same(x[i].body, y[i].body);
    }
}

static void same_details(struct pair *p, int64_t num, int64_t other_num) {
    struct store_step *x, *y;
    struct store_message *m, *n;
    uint32_t count, other;
    assert_ok(&p->memory,
              store_steps_read(p->memory.s, num, &p->memory.a, &x, &count, &p->memory.e));
    assert_ok(&p->sqlite,
              store_steps_read(p->sqlite.s, other_num, &p->sqlite.a, &y, &other, &p->sqlite.e));
    assert_int_equal(count, other);
    for (uint32_t i = 0; i < count; i++) {
        assert_same(x[i].step, y[i].step);
        assert_same(x[i].status, y[i].status);
        assert_int_equal(x[i].index, y[i].index);
        assert_int_equal(x[i].attempt, y[i].attempt);
    }
    assert_ok(&p->memory,
              store_messages_read(p->memory.s, num, &p->memory.a, &m, &count, &p->memory.e));
    assert_ok(&p->sqlite,
              store_messages_read(p->sqlite.s, other_num, &p->sqlite.a, &n, &other, &p->sqlite.e));
    assert_int_equal(count, other);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(m[i].seq, n[i].seq);
        assert_same(m[i].content, n[i].content);
    }
}

static void same_lists(struct pair *p) {
    struct store_filter filter = {.limit = below(5) + 1};
    if (below(2))
        filter.status = str_from(statuses[below(4)]);
    if (below(2))
        filter.workflow = str_from(words[below(2)]);
    if (p->count && below(2))
        filter.after = arena_printf(&p->memory.a, "exec_%02u", below(EXECUTIONS));
    struct store_execution *x = NULL, *y = NULL;
    uint32_t count = 0, other = 0;
    enum err got =
        store_execution_list(p->memory.s, &filter, &p->memory.a, &x, &count, &p->memory.e);
    assert_int_equal(
        got, store_execution_list(p->sqlite.s, &filter, &p->sqlite.a, &y, &other, &p->sqlite.e));
    assert_int_equal(count, other);
    for (uint32_t i = 0; i < count; i++)
        same_execution(&x[i], &y[i]);
}

static void same_all(struct pair *p) {
    struct store_inbox *x, *y;
    uint32_t count, other;
    for (uint32_t at = 0; at < p->count; at++) {
        int64_t num = p->known[at].num, other_num = p->nums[at];
        struct store_execution left = get_num(&p->memory, num);
        struct store_execution right = get_num(&p->sqlite, other_num);
        same_execution(&left, &right);
        same_events(p, num, other_num);
        same_details(p, num, other_num);
    }
    assert_ok(&p->memory, store_inbox_open(p->memory.s, 0, &p->memory.a, &x, &count, &p->memory.e));
    assert_ok(&p->sqlite, store_inbox_open(p->sqlite.s, 0, &p->sqlite.a, &y, &other, &p->sqlite.e));
    assert_int_equal(count, other);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(x[i].id, y[i].id);
}

static void test_backends_agree(void **state) {
    (void)state;
    for (uint64_t k = 1; k <= SEEDS; k++) {
        struct pair *p = calloc(1, sizeof *p);
        assert_non_null(p);
        seed = k * 0x9E3779B97F4A7C15u;
        open_pair(p);
        for (int i = 0; i < ROUNDS; i++) {
            one_round(p);
            same_lists(p);
            if (i % 10 == 0)
                same_all(p);
        }
        same_all(p);
        assert_true(p->count > 5);
        fixture_fini(&p->memory);
        fixture_fini(&p->sqlite);
        free(p);
    }
}

int run_agree(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_backends_agree)};
    return cmocka_run_group_tests_name("backends agree", tests, NULL, NULL);
}
