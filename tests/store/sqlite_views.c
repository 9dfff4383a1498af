/* What people see who open a store with the sqlite3 command: settings, tables, views. */
#include <stdio.h>
#include <string.h>

#include "store/suite.h"

static const int64_t HOUR_US = 3600 * INT64_C(1000000);

static int64_t now_us(void) { return io_clock_system.wall(NULL).us; }

static void test_settings_of_the_file(void **state) {
    struct fixture *f = fixture_of(state);
    assert_str(sql_rows(f, "PRAGMA journal_mode"), "wal");
    assert_str(sql_rows(f, "PRAGMA page_size"), "4096");
    assert_str(sql_rows(f, "PRAGMA application_id"), "1667330670");
    assert_str(sql_rows(f, "PRAGMA user_version"), "2");
    assert_str(sql_rows(f, "SELECT value FROM meta WHERE key = 'format_version'"), "2");
    assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
    assert_str(sql_rows(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'index'"
                           " AND tbl_name = 'events'"),
               "0");
    assert_str(sql_rows(f, "SELECT name FROM sqlite_sequence WHERE name IN"
                           " ('executions', 'events')"),
               "");
    make_execution(f, "a");
    assert_str(sql_rows(f, "SELECT name, seq FROM sqlite_sequence"), "executions|1");
}

/* The lists must not read what they do not show. */
static void test_lists_use_indexes(void **state) {
    struct fixture *f = fixture_of(state);
    assert_true(str_find(sql_rows(f, "EXPLAIN QUERY PLAN SELECT id FROM executions WHERE parent = 5"
                                     " AND completed_us IS NULL ORDER BY num"),
                         STR("USING INDEX executions_parent"), 0) != SIZE_MAX);
    static const char *const queries[] = {"x.status = 'running'", "x.workflow = 'w'", "1"};
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct str plan = sql_rows(
            f, arena_printf(&f->a,
                            "EXPLAIN QUERY PLAN SELECT x.id FROM executions x LEFT JOIN inputs i"
                            " ON i.execution = x.num WHERE %s AND (x.created_us, x.num) < (5, 5)"
                            " ORDER BY x.created_us DESC, x.num DESC",
                            queries[i])
                   .ptr);
        assert_true(str_find(plan, STR("USING INDEX executions_"), 0) != SIZE_MAX);
        assert_true(str_find(plan, STR("TEMP B-TREE"), 0) == SIZE_MAX);
    }
}

static void test_journal_view(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a"), b = make_execution(f, "b");
    struct store_change next[] = {change_next(f, &a, 2, "x"), change_next(f, &b, 1, "y")};
    struct store_batch batch = {.changes = next, .count = 2};
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    static const struct store_kind_name kinds[] = {{2, "step_started", 1}};
    assert_ok(f, store_kinds_put(f->s, kinds, 1, &f->e));
    assert_str(sql_rows(f, "SELECT execution, seq, at, event, step, body FROM journal"),
               "exec_a|1|2025-11-21T04:40:00.000Z|step_started|fetch|1:x\n"
               "exec_a|2|2025-11-21T04:40:00.000Z|kind 3||2:x\n"
               "exec_b|1|2025-11-21T04:40:00.000Z|step_started|fetch|1:y");
    static const struct store_kind_name renamed[] = {{2, "step_begun", 3}};
    assert_ok(f, store_kinds_put(f->s, renamed, 1, &f->e));
    assert_str(sql_rows(f, "SELECT name, version FROM event_kinds"), "step_begun|3");
    assert_str(sql_rows(f, "SELECT id, prev FROM events ORDER BY id"), "1|0\n2|1\n3|0");
}

static void test_the_first_verdict_stays(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_inbox row = {.execution = a.num, .kind = STR("k"), .payload = STR("p")};
    struct store_verdict verdict = {0, STR("accepted")};
    struct store_batch batch = {.verdicts = &verdict, .verdict_count = 1};
    assert_ok(f, store_inbox_add(f->s, &row, &verdict.inbox, &f->e));
    assert_str(sql_rows(f, "SELECT kind, payload, key, verdict FROM inbox"), "k|p|-|-");
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    verdict.verdict = STR("refused");
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_str(sql_rows(f, "SELECT verdict FROM inbox"), "accepted");
}

static void put_now(struct fixture *f, const char *name, const char *status, int64_t host,
                    int64_t deadline_us) {
    struct store_change c = change_new(f, name);
    c.row.status = str_from(status);
    c.row.deadline.us = deadline_us;
    c.host = host;
    assert_ok(f, commit_one(f, f->s, &c));
}

static void test_effective_status(void **state) {
    struct fixture *f = fixture_of(state);
    int64_t alive = 0, over = 0;
    struct store *other = second_handle(f);
    assert_ok(f, store_host_register(f->s, 11, STR("box"), &alive, &f->e)); /* with a lease */
    assert_ok(f, store_host_register(other, 12, STR("box"), &over, &f->e));
    assert_ok(f, store_host_renew(other, over, (wall_us){now_us() - 1000000}, &f->e));
    put_now(f, "good", "running", alive, now_us() + HOUR_US);
    put_now(f, "late", "running", alive, now_us() - HOUR_US);
    put_now(f, "over", "running", over, 0);
    put_now(f, "gone", "waiting", 999, 0);
    put_now(f, "none", "running", 0, 0);
    put_now(f, "fresh", "pending", 0, 0);
    put_now(f, "asleep", "waiting", 0, 0);
    put_now(f, "done", "completed", 999, now_us() - HOUR_US);
    put_now(f, "held", "paused", 999, 0);
    assert_str(sql_rows(f, "SELECT id, status, effective_status, reason FROM executions_now"
                           " ORDER BY num"),
               "exec_good|running|running|-\n"
               "exec_late|running|overdue|deadline passed\n"
               "exec_over|running|interrupted|lease over\n"
               "exec_gone|waiting|interrupted|owner gone\n"
               "exec_none|running|interrupted|no owner\n"
               "exec_fresh|pending|pending|-\n"
               "exec_asleep|waiting|waiting|-\n"
               "exec_done|completed|completed|-\n"
               "exec_held|paused|paused|-");
    assert_str(sql_rows(f, "SELECT id, status, suspended_reason FROM dag_executions"
                           " WHERE status IN ('suspended', 'overdue')"),
               "exec_over|suspended|lease over\n"
               "exec_gone|suspended|owner gone\n"
               "exec_none|suspended|no owner\n"
               "exec_held|suspended|paused");
    store_close(other);
}

static void test_dag_views(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change c = change_new(f, "a");
    struct store_new *n = (struct store_new *)(uintptr_t)c.new;
    n->inputs = STR("{\"goal\":\"find out\",\"primary_intent\":\"research\"}");
    c.row = (struct store_row){.status = STR("completed"),
                               .started = {1763700000000000},
                               .completed = {1763700001234999},
                               .total_tasks = 3,
                               .completed_tasks = 2,
                               .failed_tasks = 1,
                               .result = STR("\"r\""),
                               .usage = STR("{\"costUsd\":0.25}")};
    struct store_step steps[] = {
        {.step = STR("__SYNTHESIS__"),
         .node = STR("__SYNTHESIS__"),
         .kind = STR("agent"),
         .status = STR("completed"),
         .index = -1,
         .result = STR("\"syn\""),
         .usage = STR("{\"inputTokens\":10,\"outputTokens\":4,\"costUsd\":0.5}")},
        {.step = STR("get#1"),
         .node = STR("get"),
         .kind = STR("http"),
         .status = STR("failed"),
         .index = -1,
         .dependencies = STR("[\"plan\"]"),
         .description = STR("gets it"),
         .started = {1763700000000000},
         .completed = {1763700000050000},
         .error = STR("{\"type\":\"http\"}"),
         .usage = STR("not json")},
    };
    c.steps = steps;
    c.step_count = 2;
    assert_ok(f, commit_one(f, f->s, &c));
    make_execution(f, "b"); /* without inputs */
    assert_str(
        sql_rows(f, "SELECT id, dag_id, original_request, primary_intent, status, started_at,"
                    " completed_at, duration_ms, total_tasks, completed_tasks, failed_tasks,"
                    " waiting_tasks, final_result, synthesis_result, suspended_reason,"
                    " retry_count, total_usage, total_cost_usd FROM dag_executions"),
        "exec_a|abcd|find out|research|completed|2025-11-21T04:40:00.000Z|2025-11-21T04:40:01.234Z"
        "|1234|3|2|1|0|\"r\"|\"syn\"|-|0|{\"costUsd\":0.25}|0.25\n"
        "exec_b|abcd|hello|-|suspended|-|-|-|0|0|0|0|-|-|no owner|0|-|-");
    assert_str(
        sql_rows(f, "SELECT id, execution_id, task_id, description, thought, action_type,"
                    " tool_or_prompt_name, tool_or_prompt_params, dependencies, status,"
                    " started_at, completed_at, duration_ms, result, error, usage, cost_usd"
                    " FROM sub_steps"),
        "exec_a/__SYNTHESIS__|exec_a|__SYNTHESIS__|-|-|inference|agent|-|[]|completed|-|-|-"
        "|\"syn\"|-|{\"promptTokens\":10,\"completionTokens\":4,\"totalTokens\":14}|0.5\n"
        "exec_a/get#1|exec_a|get|gets it|-|tool|http|-|[\"plan\"]|failed|2025-11-21T04:40:00.000Z"
        "|2025-11-21T04:40:00.050Z|50|-|{\"type\":\"http\"}|-|-");
}

#define TEST(name)                                                              \
    cmocka_unit_test_prestate_setup_teardown(name, suite_setup, suite_teardown, \
                                             (void *)(uintptr_t) "sqlite")

int run_sqlite_views(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_settings_of_the_file),    TEST(test_lists_use_indexes), TEST(test_journal_view),
        TEST(test_the_first_verdict_stays), TEST(test_effective_status),  TEST(test_dag_views),
    };
    return cmocka_run_group_tests_name("sqlite views", tests, NULL, NULL);
}
