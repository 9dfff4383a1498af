/* What the tests of the stores share: a fixture with one open store, makers of changes, and
 * children that do something in a process of their own.
 */
#ifndef TESTS_STORE_SUITE_H
#define TESTS_STORE_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "store/store.h"

struct fixture {
    const char *scheme;
    char dir[200];  /* a folder of its own, removed afterwards */
    char path[240]; /* a file in it, not there yet */
    char url[260];
    struct store *s;
    struct arena a;
    struct error e;
};

int fixture_init(struct fixture *f, const char *scheme);
void fixture_fini(struct fixture *f);
/* The fixture of a test: setup and teardown for cmocka; the group's initial state names the
 * backend. */
int suite_setup(void **state);
int suite_teardown(void **state);
struct fixture *fixture_of(void **state);
/* A row of such a group, where `scheme` is the backend. */
#define SUITE_TEST(name)                                                        \
    cmocka_unit_test_prestate_setup_teardown(name, suite_setup, suite_teardown, \
                                             (void *)(uintptr_t)scheme)

/* Another handle on the same data, as another process has it. */
struct store *second_handle(struct fixture *f);
/* Closes the store and opens it again; a memory store keeps its data. */
void reopen(struct fixture *f);

/* Fails the test with the error's message. */
#define assert_ok(f, call) check_ok((f), (call), #call, __FILE__, __LINE__)
void check_ok(struct fixture *f, enum err got, const char *what, const char *file, int line);
#define assert_err(f, want, call) check_err((f), (want), (call), #call, __FILE__, __LINE__)
void check_err(struct fixture *f, enum err want, enum err got, const char *what, const char *file,
               int line);
/* The message of the fixture's error has this in it. */
#define assert_says(f, text) check_says((f), (text), __FILE__, __LINE__)
void check_says(struct fixture *f, const char *text, const char *file, int line);
#define assert_str(got, want) check_str((got), str_from(want), __FILE__, __LINE__)
#define assert_same(got, want) check_str((got), (want), __FILE__, __LINE__)
void check_str(struct str got, struct str want, const char *file, int line);

/* A new execution named exec_<name>, running, no events; live as long as the fixture. */
struct store_change change_new(struct fixture *f, const char *name);
/* The next change of an execution after `before` was committed: count events with bodies
 * "<seq>:<word>" for seq counted on. */
struct store_change change_next(struct fixture *f, const struct store_change *before,
                                uint32_t count, const char *word);
enum err commit_one(struct fixture *f, struct store *s, struct store_change *c);
/* Commits a new execution and returns its change, with num and last_event filled in. */
struct store_change make_execution(struct fixture *f, const char *name);

struct store_execution get_num(struct fixture *f, int64_t num);
/* Asserts that the execution has exactly these events, seq 1 to count, bodies as change_next made
 * them. */
void assert_events(struct fixture *f, int64_t num, uint32_t count, const char *word);

/* Runs work in a child with a store handle of its own opened on the fixture's path; returns its
 * pid. The fixture has no store open then. A child that returns false, or fails by child_ok,
 * exits with status 1. */
int child_start(struct fixture *f, bool (*work)(struct fixture *f, void *arg), void *arg);
/* Waits; true when it exited with status 0. */
bool child_wait(int pid);
/* Waits; false when a signal ended it. */
bool child_wait_status(int pid, int *out_status);
#define child_ok(f, call) child_check((f), (call), #call, __LINE__)
void child_check(struct fixture *f, enum err got, const char *what, int line);

/* What anybody with SQLite can do to the file, on a connection of its own. */
void sql_run(struct fixture *f, const char *sql);
/* The rows of a query: columns joined by "|", rows by newline, NULL as "-". */
struct str sql_rows(struct fixture *f, const char *sql);

/* Each returns the number of failed tests of its group. */
int run_suite(const char *scheme);
int run_lists(const char *scheme);
int run_steps(const char *scheme);
int run_cached(const char *scheme);
int run_trees(const char *scheme);
int run_faulty(const char *scheme);
int run_agree(void);
int run_sqlite_files(void);
int run_sqlite_processes(void);
int run_sqlite_turns(void);
int run_sqlite_log(void);
int run_sqlite_damage(void);
int run_sqlite_upgrade(void);
int run_sqlite_views(void);
int run_sqlite_modes(void);
int run_sqlite_torture(void);
int run_sqlite_power(void);

#endif
