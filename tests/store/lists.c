/* Lists, cursors, prefixes and labels, for every backend. */
#include <stdio.h>
#include <string.h>

#include "store/suite.h"

struct made {
    const char *name, *status, *workflow, *labels;
    int64_t created_us;
    bool child;
};

/* Ids and times do not agree on the order: the time decides, then the number. */
static const struct made made[] = {
    {"0a", "running", "x", "{\"team\":\"blue\"}", 50, false},
    {"0b", "completed", "x", "{\"team\":\"red\",\"n\":\"1\"}", 40, false},
    {"0c", "completed", "y", "", 40, false},
    {"1a", "failed", "y", "{\"team\":\"blue\"}", 40, true},
    {"1b", "completed", "x", "{}", 60, true},
    {"2", "running", "y", "{\"a\":\"b\",\"team\":\"blue\"}", 10, false},
};

static void make_all(struct fixture *f) {
    int64_t parent = 0;
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        struct store_change c = change_new(f, made[i].name);
        struct store_new *n = (struct store_new *)(uintptr_t)c.new;
        n->workflow = str_from(made[i].workflow);
        n->labels = str_from(made[i].labels);
        n->created = (wall_us){made[i].created_us};
        n->parent = made[i].child ? parent : 0;
        c.row.status = str_from(made[i].status);
        assert_ok(f, commit_one(f, f->s, &c));
        parent = c.num;
    }
}

/* The list as "0a 0b ...". */
static struct str listed(struct fixture *f, struct store_filter filter) {
    struct store_execution *rows = NULL;
    uint32_t count = 0;
    char text[400] = "";
    if (!filter.limit)
        filter.limit = 100;
    assert_ok(f, store_execution_list(f->s, &filter, &f->a, &rows, &count, &f->e));
    assert_true(count <= filter.limit);
    for (uint32_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%.*s", len ? " " : "",
                 STR_ARG(str_sub(rows[i].fixed.id, 5, 99)));
    }
    return arena_str(&f->a, str_from(text));
}

static void test_newest_first(void **state) {
    struct fixture *f = fixture_of(state);
    assert_str(listed(f, (struct store_filter){0}), "");
    make_all(f);
    assert_str(listed(f, (struct store_filter){0}), "1b 0a 1a 0c 0b 2");
    assert_str(listed(f, (struct store_filter){.limit = 2}), "1b 0a");
}

static void test_filters(void **state) {
    struct fixture *f = fixture_of(state);
    make_all(f);
    assert_str(listed(f, (struct store_filter){.status = STR("completed")}), "1b 0c 0b");
    assert_str(listed(f, (struct store_filter){.status = STR("nonsense")}), "");
    assert_str(listed(f, (struct store_filter){.workflow = STR("y")}), "1a 0c 2");
    assert_str(listed(f, (struct store_filter){.workflow = STR("x"), .status = STR("completed")}),
               "1b 0b");
    assert_str(listed(f, (struct store_filter){.status = STR("running"), .limit = 1}), "0a");
}

static void test_status_moves_in_the_list(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_change next = change_next(f, &a, 1, "w");
    next.row.status = STR("completed");
    assert_ok(f, commit_one(f, f->s, &next));
    assert_str(listed(f, (struct store_filter){.status = STR("running")}), "");
    assert_str(listed(f, (struct store_filter){.status = STR("completed")}), "a");
}

/* Walking page by page gives the whole list, whatever the filter and the size of a page. */
static void test_cursors(void **state) {
    struct fixture *f = fixture_of(state);
    make_all(f);
    const struct store_filter filters[] = {{0},
                                           {.status = STR("completed")},
                                           {.workflow = STR("y")},
                                           {.label_key = STR("team"), .label_value = STR("blue")}};
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        struct str whole = listed(f, filters[i]);
        for (uint32_t limit = 1; limit < 4; limit++) {
            struct store_filter page = filters[i];
            struct str walked = STR("");
            page.limit = limit;
            for (struct str part; (part = listed(f, page)).len > 0;) {
                walked = arena_printf(&f->a, "%.*s%s%.*s", STR_ARG(walked), walked.len ? " " : "",
                                      STR_ARG(part));
                size_t last = part.len;
                while (last > 0 && part.ptr[last - 1] != ' ')
                    last--;
                page.after = arena_printf(&f->a, "exec_%.*s", STR_ARG(str_sub(part, last, 999)));
            }
            assert_same(walked, whole);
        }
    }
}

static void test_wrong_questions(void **state) {
    struct fixture *f = fixture_of(state);
    make_all(f);
    struct store_execution *rows = NULL;
    uint32_t count = 0;
    struct store_filter filter = {.after = STR("exec_9"), .limit = 5};
    assert_err(f, ERR_NOT_FOUND, store_execution_list(f->s, &filter, &f->a, &rows, &count, &f->e));
    filter = (struct store_filter){.limit = 0};
    assert_err(f, ERR_INVALID, store_execution_list(f->s, &filter, &f->a, &rows, &count, &f->e));
    filter.limit = 1001;
    assert_err(f, ERR_INVALID, store_execution_list(f->s, &filter, &f->a, &rows, &count, &f->e));
    struct store_execution x;
    assert_err(f, ERR_NOT_FOUND, store_execution_get(f->s, 99, STR(""), &f->a, &x, &f->e));
    assert_says(f, "99");
    assert_err(f, ERR_NOT_FOUND, store_execution_get(f->s, 0, STR("exec_"), &f->a, &x, &f->e));
}

static struct str found(struct fixture *f, const char *prefix) {
    struct str ids[STORE_FIND_MAX];
    uint32_t count = 77;
    char text[600] = "";
    assert_ok(f, store_execution_find(f->s, str_from(prefix), &f->a, ids, &count, &f->e));
    for (uint32_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%.*s", len ? " " : "", STR_ARG(ids[i]));
    }
    return arena_str(&f->a, str_from(text));
}

static void test_prefixes(void **state) {
    struct fixture *f = fixture_of(state);
    assert_str(found(f, "@last"), "");
    make_all(f);
    assert_str(found(f, "exec_0"), "exec_0a exec_0b exec_0c");
    assert_str(found(f, "exec_0b"), "exec_0b");
    assert_str(found(f, "exec_0bb"), "");
    assert_str(found(f, "exec_3"), "");
    assert_str(found(f, "0a"), "");
    assert_str(found(f, "exec_%"), "");
    assert_str(found(f, "exec_\xff\xff"), "");
    assert_str(found(f, "exec_0123456789012345678901234567890123456789012345678901234567890123"),
               "");
    assert_str(found(f, ""), "exec_0a exec_0b exec_0c exec_1a exec_1b exec_2");
    assert_str(found(f, "@last"), "exec_0a"); /* 1b is newer, but has a parent */
    for (int i = 0; i < 12; i++) {
        char name[20];
        snprintf(name, sizeof name, "z%02d", 11 - i);
        make_execution(f, name);
    }
    assert_str(found(f, "exec_z"), "exec_z00 exec_z01 exec_z02 exec_z03 exec_z04 exec_z05 "
                                   "exec_z06 exec_z07 exec_z08 exec_z09");
}

static struct str children(struct fixture *f, int64_t num, bool unended) {
    struct store_execution *rows = NULL;
    uint32_t count = 77;
    char text[600] = "";
    assert_ok(f, store_children_read(f->s, (struct store_children){num, unended}, &f->a, &rows,
                                     &count, &f->e));
    for (uint32_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        assert_int_equal(rows[i].fixed.parent, num);
        snprintf(text + len, sizeof text - len, "%s%.*s/%.*s", len ? " " : "",
                 STR_ARG(rows[i].fixed.id), STR_ARG(rows[i].fixed.parent_step));
    }
    return arena_str(&f->a, str_from(text));
}

static struct store_change make_child(struct fixture *f, const char *name, int64_t parent,
                                      const char *step) {
    struct store_change c = change_new(f, name);
    struct store_new *n = ARENA_NEW(&f->a, struct store_new);
    *n = *c.new;
    n->parent = parent;
    n->parent_step = str_from(step);
    c.new = n;
    assert_ok(f, commit_one(f, f->s, &c));
    return c;
}

static void test_children(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change top = make_execution(f, "top"), other = make_execution(f, "other");
    struct store_change b = make_child(f, "b", top.num, "s"), a = make_child(f, "a", top.num, "t");
    make_child(f, "c", other.num, "s");
    make_child(f, "d", b.num, "u");
    assert_str(children(f, top.num, false), "exec_b/s exec_a/t");
    assert_str(children(f, b.num, true), "exec_d/u");
    assert_str(children(f, a.num, false), "");
    assert_str(children(f, 99, false), "");
    struct store_change next = change_next(f, &b, 1, "w");
    next.row.completed = (wall_us){5};
    assert_ok(f, commit_one(f, f->s, &next));
    assert_str(children(f, top.num, true), "exec_a/t");
    assert_str(children(f, top.num, false), "exec_b/s exec_a/t");
}

static void test_labels(void **state) {
    struct fixture *f = fixture_of(state);
    static const struct {
        const char *labels, *key, *value;
        bool has;
    } cases[] = {
        {"{\"a\":\"b\"}", "a", "b", true},
        {"{\"a\":\"b\"}", "a", "c", false},
        {"{\"a\":\"b\"}", "b", "a", false},
        {"{\"a\":\"bc\"}", "a", "b", false},
        {"{\"a\":\"b\"}", "a", "bc", false},
        {" { \"x\" : \"1\" ,\n\t\"a\" : \"b\" } ", "a", "b", true},
        {"{\"a\":\"\"}", "a", "", true},
        {"{}", "a", "", false},
        {"", "a", "", false},
        {"{\"a\":\"q\\\"\\\\\\n\\u00e4\\ud83d\\udc26\"}", "a", "q\"\\\n\xc3\xa4\xf0\x9f\x90\xa6",
         true},
        {"{\"\\u0061\":\"b\"}", "a", "b", true},
        {"{\"a\":1}", "a", "1", false},
        {"{\"x\":{},\"a\":\"b\"}", "a", "b", false},
        {"{\"a\":\"b", "a", "b", false},
        {"{\"a\":\"\\ud83d\"}", "a", "", false},
        {"{\"a\":\"\\", "a", "", false},
        {"[\"a\"]", "a", "", false},
        {"{\"a\"", "a", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[20];
        snprintf(name, sizeof name, "%02zu", i);
        struct store_change c = change_new(f, name);
        ((struct store_new *)(uintptr_t)c.new)->labels = str_from(cases[i].labels);
        assert_ok(f, commit_one(f, f->s, &c));
        struct store_execution *rows = NULL;
        uint32_t count = 0;
        struct store_filter filter = {.label_key = str_from(cases[i].key),
                                      .label_value = str_from(cases[i].value),
                                      .limit = 1000};
        assert_ok(f, store_execution_list(f->s, &filter, &f->a, &rows, &count, &f->e));
        bool has = count > 0 && rows[0].num == c.num;
        if (has != cases[i].has)
            print_error("labels %s, %s=%s\n", cases[i].labels, cases[i].key, cases[i].value);
        assert_int_equal(has, cases[i].has);
    }
}

int run_lists(const char *scheme) {
    char group[40];
    snprintf(group, sizeof group, "lists %s", scheme);
    const struct CMUnitTest tests[] = {
        SUITE_TEST(test_newest_first),
        SUITE_TEST(test_filters),
        SUITE_TEST(test_status_moves_in_the_list),
        SUITE_TEST(test_cursors),
        SUITE_TEST(test_wrong_questions),
        SUITE_TEST(test_prefixes),
        SUITE_TEST(test_children),
        SUITE_TEST(test_labels),
    };
    return cmocka_run_group_tests_name(group, tests, NULL, NULL);
}
