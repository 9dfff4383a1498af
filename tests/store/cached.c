/* Kept results: written with a commit or not at all, given until they are over; every backend. */
#include <stdio.h>

#include "store/suite.h"

static struct store_cached entry_of(const char *key, const char *step, int64_t at_us,
                                    int64_t expires_us) {
    return (struct store_cached){.key = str_from(key),
                                 .execution = STR("exec_a"),
                                 .step = str_from(step),
                                 .at = {at_us},
                                 .expires = {expires_us},
                                 .event = {"\x11\x00\xff", 3}};
}

/* Commits one event of x with these entries. */
static void keep(struct fixture *f, struct store_change *x, const struct store_cached *entries,
                 uint32_t count) {
    struct store_change c = change_next(f, x, 1, "w");
    c.cached = entries;
    c.cached_count = count;
    assert_ok(f, commit_one(f, f->s, &c));
    *x = c;
}

static enum err get(struct fixture *f, const char *key, int64_t now_us, struct store_cached *out) {
    return store_cache_get(f->s, str_from(key), (wall_us){now_us}, &f->a, out, &f->e);
}

static void test_kept_until_it_is_over(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_cached entries[] = {entry_of("k1", "s", 10, 20), entry_of("k2", "t[3]", 11, 21)};
    struct store_cached found = {.at = {-1}};
    keep(f, &a, entries, 2);
    reopen(f);
    assert_ok(f, get(f, "k1", 19, &found));
    assert_str(found.execution, "exec_a");
    assert_str(found.step, "s");
    assert_int_equal(found.at.us, 10);
    assert_int_equal(found.expires.us, 20);
    assert_int_equal(found.event.len, 3);
    assert_memory_equal(found.event.ptr, "\x11\x00\xff", 3);
    assert_ok(f, get(f, "k2", 20, &found));
    assert_str(found.step, "t[3]");
    assert_err(f, ERR_NOT_FOUND, get(f, "k1", 20, &found));
    assert_err(f, ERR_NOT_FOUND, get(f, "k3", 0, &found));
    assert_str(found.step, "t[3]"); /* untouched */
}

static void test_the_newest_is_kept(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    struct store_cached one = entry_of("k", "s", 10, 20), two = entry_of("k", "s~1", 15, 30), found;
    keep(f, &a, &one, 1);
    keep(f, &a, &two, 1);
    assert_ok(f, get(f, "k", 25, &found));
    assert_str(found.step, "s~1");
}

static void test_not_of_a_change_that_is_fenced(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a"), b = make_execution(f, "b");
    struct store_cached one = entry_of("k", "s", 10, 20), two = entry_of("k2", "s", 10, 20), found;
    struct store_change ahead = change_next(f, &a, 1, "w");
    assert_ok(f, commit_one(f, f->s, &ahead));
    struct store_change next[] = {change_next(f, &a, 1, "w"), change_next(f, &b, 1, "w")};
    next[0].cached = &one;
    next[1].cached = &two;
    next[0].cached_count = next[1].cached_count = 1;
    struct store_batch batch = {.changes = next, .count = 2};
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_true(next[0].fenced && !next[1].fenced);
    assert_err(f, ERR_NOT_FOUND, get(f, "k", 11, &found));
    assert_ok(f, get(f, "k2", 11, &found));
}

/* What is over takes no room for ever. */
static void test_what_is_over_is_deleted(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change a = make_execution(f, "a");
    if (strcmp(f->scheme, "sqlite") != 0) {
        skip();
    }
    for (int64_t i = 0; i < 150; i++) {
        const char *key = arena_printf(&f->a, "k%lld", (long long)i).ptr;
        struct store_cached one = entry_of(key, "s", i, i + 10);
        keep(f, &a, &one, 1);
    }
    assert_str(sql_rows(f, "SELECT count(*) FROM cache"), "10");
}

int run_cached(const char *scheme) {
    char group[40];
    snprintf(group, sizeof group, "cached %s", scheme);
    const struct CMUnitTest tests[] = {
        SUITE_TEST(test_kept_until_it_is_over),
        SUITE_TEST(test_the_newest_is_kept),
        SUITE_TEST(test_not_of_a_change_that_is_fenced),
        SUITE_TEST(test_what_is_over_is_deleted),
    };
    return cmocka_run_group_tests_name(group, tests, NULL, NULL);
}
