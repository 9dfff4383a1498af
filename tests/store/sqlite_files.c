/* The files of a store: where it is made, with which rights, what is refused, and what happens
 * when files vanish under it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "store/suite.h"

static int setup_closed(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    return f ? fixture_init(f, "sqlite") : -1;
}

static int teardown_closed(void **state) {
    struct fixture *f = *state;
    fixture_fini(f);
    free(f);
    return 0;
}

static enum err open_it(struct fixture *f, bool make) {
    return store_open(f->url, make, &io_clock_system, &f->s, &f->e);
}

static void write_file(const char *path, const char *bytes, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && close(fd) == 0);
}

static struct str read_file(struct fixture *f, const char *path) {
    struct str text = {0};
    assert_ok(f, io_file_read(path, 1 << 20, &f->a, &text, &f->e));
    return text;
}

static unsigned mode_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void test_private_files(void **state) {
    struct fixture *f = fixture_of(state);
    mode_t old = umask(0);
    snprintf(f->path, sizeof f->path, "%s/new/deep/cairn.db", f->dir);
    snprintf(f->url, sizeof f->url, "%s", f->path); /* a bare path, too */
    assert_ok(f, open_it(f, true));
    make_execution(f, "a");
    static const char *const names[] = {"", "-wal", "-shm", "-lock"};
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s%s", f->path, names[i]);
        assert_int_equal(mode_of(path), 0600);
    }
    snprintf(path, sizeof path, "%s/new/deep", f->dir);
    assert_int_equal(mode_of(path), 0700);
    snprintf(path, sizeof path, "%s-new", f->path);
    assert_false(io_path_exists(path));
    umask(old);
}

static void test_nothing_there(void **state) {
    struct fixture *f = fixture_of(state);
    assert_err(f, ERR_NOT_FOUND, open_it(f, false));
    assert_says(f, f->path);
    assert_null(f->s);
    assert_false(io_path_exists(f->path));
    snprintf(f->url, sizeof f->url, "%s/no/such/folder.db", f->dir);
    assert_err(f, ERR_NOT_FOUND, open_it(f, false));
    snprintf(f->url, sizeof f->url, "%s", f->dir);
    assert_err(f, ERR_STORE, open_it(f, true));
    assert_says(f, "is a folder");
    assert_err(f, ERR_STORE, open_it(f, false));
    snprintf(f->url, sizeof f->url, "%s/", f->dir);
    assert_err(f, ERR_STORE, open_it(f, true));
    assert_says(f, "is a folder");
    snprintf(f->url, sizeof f->url, "/dev/null");
    assert_err(f, ERR_STORE, open_it(f, true));
    write_file(f->path, "x", 1);
    snprintf(f->url, sizeof f->url, "%s/cairn.db", f->path); /* a file as a folder */
    assert_err(f, ERR_STORE, open_it(f, true));
}

static void test_empty_file_becomes_a_store(void **state) {
    struct fixture *f = fixture_of(state);
    write_file(f->path, "", 0);
    assert_err(f, ERR_NOT_FOUND, open_it(f, false));
    assert_ok(f, open_it(f, true));
    make_execution(f, "a");
}

/* Whatever else lies there stays as it is, to the byte. */
static void test_foreign_files_are_left_alone(void **state) {
    struct fixture *f = fixture_of(state);
    char text[9000];
    memset(text, 'x', sizeof text);
    static const size_t sizes[] = {1, 99, 512, sizeof text};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        write_file(f->path, text, sizes[i]);
        for (int make = 0; make < 2; make++) {
            assert_err(f, ERR_STORE, open_it(f, make));
            assert_says(f, "not a cairn store");
            assert_says(f, f->path);
            assert_same(read_file(f, f->path),
                        str_sub((struct str){text, sizeof text}, 0, sizes[i]));
        }
    }
}

static void test_foreign_databases_are_left_alone(void **state) {
    struct fixture *f = fixture_of(state);
    sql_run(f, "PRAGMA journal_mode = DELETE; CREATE TABLE notes(text);"
               "INSERT INTO notes VALUES('mine'); PRAGMA user_version = 1");
    struct str before = read_file(f, f->path);
    for (int make = 0; make < 2; make++) {
        assert_err(f, ERR_STORE, open_it(f, make));
        assert_says(f, "another program");
    }
    assert_same(read_file(f, f->path), before);
    assert_str(sql_rows(f, "SELECT text FROM notes"), "mine");
}

static void test_other_versions(void **state) {
    struct fixture *f = fixture_of(state);
    assert_ok(f, open_it(f, true));
    struct store_change a = make_execution(f, "a");
    sql_run(f, "PRAGMA user_version = 3"); /* a newer cairn came by while we are open */
    struct store_change next = change_next(f, &a, 1, "w");
    assert_err(f, ERR_STORE_VERSION, commit_one(f, f->s, &next));
    assert_says(f, "format 3");
    assert_says(f, "knows format 2");
    assert_says(f, "newer cairn");
    struct store_execution x;
    assert_err(f, ERR_STORE_VERSION, store_execution_get(f->s, a.num, STR(""), &f->a, &x, &f->e));
    assert_err(f, ERR_STORE_VERSION, store_blob_put(f->s, STR("h"), STR("b"), &f->e));
    store_close(f->s);
    f->s = NULL;
    assert_err(f, ERR_STORE_VERSION, open_it(f, true));
    assert_err(f, ERR_STORE_VERSION, open_it(f, false));
    sql_run(f, "PRAGMA user_version = 0");
    assert_err(f, ERR_STORE_VERSION, open_it(f, false));
    assert_says(f, "format 0");
    sql_run(f, "PRAGMA user_version = 2");
    assert_ok(f, open_it(f, true));
    assert_events(f, a.num, 0, "w"); /* the refused commit left nothing */
    next = change_next(f, &a, 1, "w");
    assert_ok(f, commit_one(f, f->s, &next));
    assert_false(next.fenced);
}

/* Runs check as an ordinary user: root may write everywhere. */
static bool as_nobody(bool (*check)(struct fixture *f), struct fixture *f) {
    fflush(NULL);
    int pid = fork();
    if (pid == 0) {
        if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        bool good = check(f);
        fflush(NULL);
        _exit(good ? 0 : 1);
    }
    return child_wait(pid);
}

static bool refused(struct fixture *f, bool make, const char *says) {
    enum err got = open_it(f, make);
    if (got == ERR_STORE && strstr(f->e.message, says))
        return true;
    fprintf(stderr, "# make %d: %s: %s\n", make, err_name(got), f->e.message);
    return false;
}

static bool check_unreadable(struct fixture *f) {
    return refused(f, false, "Permission denied") && refused(f, true, "Permission denied");
}

static bool check_read_only(struct fixture *f) {
    struct store_execution x;
    struct store_inbox row = {.execution = 1, .kind = STR("k")};
    int64_t id;
    if (!refused(f, true, f->path) || open_it(f, false) != OK) {
        fprintf(stderr, "# %s\n", f->e.message);
        return false;
    }
    bool good = store_execution_get(f->s, 1, STR(""), &f->a, &x, &f->e) == OK;
    good = good && store_inbox_add(f->s, &row, &id, &f->e) == ERR_STORE;
    good = good && strstr(f->e.message, f->path) && strstr(f->e.message, "Permission denied");
    if (!good)
        fprintf(stderr, "# read-only: %s\n", f->e.message);
    store_close(f->s);
    return good;
}

static void test_rights_that_are_missing(void **state) {
    struct fixture *f = fixture_of(state);
    assert_ok(f, open_it(f, true));
    make_execution(f, "a");
    store_close(f->s);
    f->s = NULL;
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(chmod(f->path, 0000), 0);
    assert_true(as_nobody(check_unreadable, f));
    static const char *const names[] = {"", "-wal", "-shm", "-lock"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s%s", f->path, names[i]);
        assert_true(chmod(path, 0444) == 0 || errno == ENOENT);
    }
    assert_int_equal(chmod(f->dir, 0555), 0);
    assert_true(as_nobody(check_read_only, f));
    assert_int_equal(chmod(f->dir, 0700), 0);
    snprintf(f->url, sizeof f->url, "%s/other/cairn.db", f->dir);
    assert_true(as_nobody(check_unreadable, f));
}

/* --- files that vanish --- */

static void remove_beside(struct fixture *f, const char *suffix) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s", f->path, suffix);
    assert_int_equal(unlink(path), 0);
}

static void test_deleted_while_open(void **state) {
    struct fixture *f = fixture_of(state);
    assert_ok(f, open_it(f, true));
    struct store_change a = make_execution(f, "a");
    struct store_execution x;
    assert_ok(f, store_execution_get(f->s, a.num, STR(""), &f->a, &x, &f->e));
    remove_beside(f, "");
    struct store_change next = change_next(f, &a, 1, "w");
    assert_err(f, ERR_STORE, commit_one(f, f->s, &next));
    assert_says(f, "deleted or replaced");
    assert_err(f, ERR_STORE, store_execution_get(f->s, a.num, STR(""), &f->a, &x, &f->e));
    store_close(f->s);
    f->s = NULL;
    /* The old log lies there still; it must not come alive in the new store. */
    assert_ok(f, open_it(f, true));
    assert_err(f, ERR_NOT_FOUND, store_execution_get(f->s, 0, STR("exec_a"), &f->a, &x, &f->e));
    make_execution(f, "b");
    assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
    assert_str(sql_rows(f, "SELECT id FROM executions"), "exec_b");
}

static void test_side_file_deleted(void **state) {
    struct fixture *f = fixture_of(state);
    assert_ok(f, open_it(f, true));
    struct store *other = second_handle(f);
    int64_t host = 0;
    assert_ok(f, store_host_register(f->s, 1, STR("box"), &host, &f->e));
    struct store_change a = change_new(f, "a");
    a.host = host;
    assert_ok(f, commit_one(f, f->s, &a));
    remove_beside(f, "-lock");
    assert_ok(f, store_blob_put(other, STR("h"), STR("b"), &f->e)); /* makes a new side file */
    struct store_change next = change_next(f, &a, 1, "w");
    assert_ok(f, commit_one(f, f->s, &next)); /* comes back to it, with its liveness byte */
    struct store_execution x;
    struct store *third = second_handle(f);
    assert_ok(f, store_execution_get(third, a.num, STR(""), &f->a, &x, &f->e));
    assert_true(x.owner_alive);
    store_close(other);
    store_close(third);
}

static int64_t touched(const char *path) {
    struct stat st = {0};
    return stat(path, &st) == 0 ? st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec : 0;
}

/* Whoever waits for the inbox watches the file: it changes with a row and with a verdict, and with
 * nothing else. */
static void test_the_inbox_file_changes_with_the_inbox(void **state) {
    struct fixture *f = fixture_of(state);
    const struct timespec long_ago[] = {{1, 0}, {1, 0}};
    struct stat st;
    assert_ok(f, open_it(f, true));
    const char *path = store_inbox_file(f->s);
    assert_non_null(path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    int64_t before = touched(path);
    struct store_change a = make_execution(f, "a");
    struct store_inbox row = {.execution = a.num, .kind = STR("k"), .key = STR("x")};
    assert_int_equal(touched(path), before);
    struct store_verdict verdict = {0, STR("accepted")};
    assert_ok(f, store_inbox_add(f->s, &row, &verdict.inbox, &f->e));
    assert_true(touched(path) > before);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    struct store_batch batch = {.verdicts = &verdict, .verdict_count = 1};
    assert_ok(f, store_commit(f->s, &batch, &f->e));
    assert_true(touched(path) > before);
    remove_beside(f, "-inbox");
    assert_ok(f, store_inbox_add(f->s, &row, &verdict.inbox, &f->e));
    assert_true(touched(path) > before); /* made again */
}

/* The file is a hint: whatever lies in its place stays as it is, and nothing fails. */
static void test_the_inbox_file_may_be_impossible(void **state) {
    struct fixture *f = fixture_of(state);
    char path[PATH_MAX], victim[PATH_MAX];
    snprintf(path, sizeof path, "%s-inbox", f->path);
    snprintf(victim, sizeof victim, "%s/victim", f->dir);
    assert_ok(f, open_it(f, true));
    struct store_change a = make_execution(f, "a");
    struct store_inbox row = {.execution = a.num, .kind = STR("k")};
    for (int i = 0; i < 3; i++) {
        int64_t id = 0;
        assert_int_equal(i == 0   ? mkfifo(path, 0600)
                         : i == 1 ? mkdir(path, 0700)
                                  : symlink(victim, path),
                         0);
        assert_null(store_inbox_file(f->s));
        assert_ok(f, store_inbox_add(f->s, &row, &id, &f->e));
        assert_int_equal(id, i + 1);
        assert_int_not_equal(access(victim, F_OK), 0);
        assert_int_equal(remove(path), 0);
    }
}

/* SQLite would write the log back when the last connection is closed: out of turn. */
static void test_closing_writes_nothing_back(void **state) {
    struct fixture *f = fixture_of(state);
    assert_ok(f, open_it(f, true));
    store_close(f->s);
    struct str before = read_file(f, f->path);
    assert_ok(f, open_it(f, true));
    struct store_change a = make_execution(f, "a");
    (void)get_num(f, a.num);
    store_close(f->s);
    assert_ok(f, open_it(f, false));
    assert_events(f, a.num, 0, "w");
    store_close(f->s);
    f->s = NULL;
    assert_same(read_file(f, f->path), before);
}

/* Two names of one store are one store, also for its lock. */
static void test_links_lead_to_one_side_file(void **state) {
    struct fixture *f = fixture_of(state);
    char link_path[PATH_MAX], side[PATH_MAX + 8];
    assert_ok(f, open_it(f, true));
    make_execution(f, "a");
    snprintf(link_path, sizeof link_path, "%s/link.db", f->dir);
    assert_int_equal(symlink(f->path, link_path), 0);
    struct store *s = NULL;
    assert_ok(f, store_open(link_path, true, &io_clock_system, &s, &f->e));
    struct store_change b = change_new(f, "b");
    assert_ok(f, commit_one(f, s, &b));
    store_close(s);
    snprintf(side, sizeof side, "%s-lock", link_path);
    assert_false(io_path_exists(side));
    struct store_execution x;
    assert_ok(f, store_execution_get(f->s, 0, STR("exec_b"), &f->a, &x, &f->e));
}

static void test_relative_path_survives_chdir(void **state) {
    struct fixture *f = fixture_of(state);
    char *here = realpath(".", NULL);
    assert_int_equal(chdir(f->dir), 0);
    enum err got = store_open("cairn.db", true, &io_clock_system, &f->s, &f->e);
    assert_int_equal(chdir(here), 0);
    free(here);
    assert_ok(f, got);
    struct store_change a = make_execution(f, "a");
    assert_str(get_num(f, a.num).fixed.id, "exec_a"); /* opens the reader now */
    assert_true(io_path_exists(f->path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_closed, teardown_closed)

int run_sqlite_files(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_private_files),
        TEST(test_nothing_there),
        TEST(test_empty_file_becomes_a_store),
        TEST(test_foreign_files_are_left_alone),
        TEST(test_foreign_databases_are_left_alone),
        TEST(test_other_versions),
        TEST(test_rights_that_are_missing),
        TEST(test_deleted_while_open),
        TEST(test_the_inbox_file_changes_with_the_inbox),
        TEST(test_the_inbox_file_may_be_impossible),
        TEST(test_side_file_deleted),
        TEST(test_closing_writes_nothing_back),
        TEST(test_links_lead_to_one_side_file),
        TEST(test_relative_path_survives_chdir),
    };
    return cmocka_run_group_tests_name("sqlite files", tests, NULL, NULL);
}
