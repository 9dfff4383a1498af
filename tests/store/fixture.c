/* The fixture and the makers of changes, see suite.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"
#include "store/faults.h"
#include "store/suite.h"

int fixture_init(struct fixture *f, const char *scheme) {
    memset(f, 0, sizeof *f);
    f->scheme = scheme;
    arena_init(&f->a, 0);
    if (strcmp(scheme, "memory") == 0)
        return snprintf(f->url, sizeof f->url, "memory:") < 0;
    if (io_dir_temp(NULL, f->dir, sizeof f->dir, &f->e) != OK)
        return -1;
    snprintf(f->path, sizeof f->path, "%s/cairn.db", f->dir);
    snprintf(f->url, sizeof f->url, "%s:%s", scheme, f->path);
    return 0;
}

void fixture_fini(struct fixture *f) {
    store_close(f->s);
    arena_fini(&f->a);
    if (f->dir[0] && io_dir_remove(f->dir, &f->e) != OK)
        fprintf(stderr, "%s\n", f->e.message);
}

int suite_setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    if (!f || fixture_init(f, *state) != 0)
        return -1;
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    *state = f;
    return 0;
}

int suite_teardown(void **state) {
    struct fixture *f = *state;
    *state = (void *)(uintptr_t)f->scheme;
    fixture_fini(f);
    free(f);
    return 0;
}

struct fixture *fixture_of(void **state) {
    return *state;
}

struct store *second_handle(struct fixture *f) {
    struct store *s = NULL;
    if (strcmp(f->scheme, "memory") == 0)
        assert_ok(f, store_memory_attach(f->s, &s, &f->e));
    else
        assert_ok(f, store_open(f->url, false, &io_clock_system, &s, &f->e));
    return s;
}

void reopen(struct fixture *f) {
    if (strcmp(f->scheme, "memory") == 0) {
        struct store *other = second_handle(f);
        store_close(f->s);
        f->s = other;
        return;
    }
    store_close(f->s);
    f->s = NULL;
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
}

void check_ok(struct fixture *f, enum err got, const char *what, const char *file, int line) {
    if (got == OK)
        return;
    print_error("%s: %s: %s\n", what, err_name(got), f->e.message);
    _fail(file, line);
}

void check_err(struct fixture *f, enum err want, enum err got, const char *what, const char *file,
               int line) {
    if (got == want && f->e.code == want)
        return;
    print_error("%s: wanted %s, got %s (%s)\n", what, err_name(want), err_name(got),
                got == OK ? "" : f->e.message);
    _fail(file, line);
}

void check_says(struct fixture *f, const char *text, const char *file, int line) {
    if (strstr(f->e.message, text))
        return;
    print_error("\"%s\" is not in: %s\n", text, f->e.message);
    _fail(file, line);
}

void check_str(struct str got, struct str want, const char *file, int line) {
    if (str_eq(got, want))
        return;
    print_error("got \"%.*s\", wanted \"%.*s\"\n", STR_ARG(got), STR_ARG(want));
    _fail(file, line);
}

struct store_change change_new(struct fixture *f, const char *name) {
    struct store_new *n = ARENA_NEW(&f->a, struct store_new);
    *n = (struct store_new){.id = arena_printf(&f->a, "exec_%s", name),
                            .workflow = STR("hello"),
                            .workflow_hash = STR("abcd"),
                            .entry = STR("hello.yaml"),
                            .rules = 1,
                            .created = {1763700000000000}};
    return (struct store_change){
        .new = n,
        .epoch = 1,
        .row = {.status = STR("running"), .updated = {1763700000000001}},
    };
}

struct store_change change_next(struct fixture *f, const struct store_change *before,
                                uint32_t count, const char *word) {
    struct store_change c = {.num = before->num,
                             .epoch = before->new_epoch ? before->new_epoch : before->epoch,
                             .host = -1,
                             .last_seq = before->last_seq + before->event_count,
                             .last_event = before->last_event,
                             .row = before->row,
                             .event_count = count};
    struct store_event *events = ARENA_ARRAY(&f->a, count + 1, struct store_event);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t seq = c.last_seq + i + 1;
        events[i] = (struct store_event){
            .seq = seq,
            .at = {1763700000000000 + (int64_t)seq},
            .kind = (uint16_t)(seq % 7 + 1),
            .step = seq % 2 ? STR("fetch") : STR(""),
            .body = arena_printf(&f->a, "%llu:%s", (unsigned long long)seq, word)};
    }
    c.events = events;
    return c;
}

enum err commit_one(struct fixture *f, struct store *s, struct store_change *c) {
    struct store_batch b = {.changes = c, .count = 1};
    return store_commit(s, &b, &f->e);
}

struct store_change make_execution(struct fixture *f, const char *name) {
    struct store_change c = change_new(f, name);
    assert_ok(f, commit_one(f, f->s, &c));
    assert_false(c.fenced);
    assert_true(c.num > 0);
    return c;
}

struct store_execution get_num(struct fixture *f, int64_t num) {
    struct store_execution x = {0};
    assert_ok(f, store_execution_get(f->s, num, (struct str){0}, &f->a, &x, &f->e));
    return x;
}

void assert_events(struct fixture *f, int64_t num, uint32_t count, const char *word) {
    struct store_event *events = NULL;
    uint32_t found = 0;
    assert_ok(f, store_read_events(f->s, (struct store_range){num, 0, UINT64_MAX}, &f->a, &events,
                                   &found, &f->e));
    assert_int_equal(found, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(events[i].seq, i + 1);
        assert_same(events[i].body, arena_printf(&f->a, "%u:%s", i + 1, word));
        assert_int_equal(events[i].kind, (i + 1) % 7 + 1);
        assert_str(events[i].step, (i + 1) % 2 ? "fetch" : "");
        assert_int_equal(events[i].at.us, 1763700000000001 + i);
    }
}

/* --- children --- */

void child_check(struct fixture *f, enum err got, const char *what, int line) {
    if (got == OK)
        return;
    fprintf(stderr, "# child, line %d: %s: %s: %s\n", line, what, err_name(got), f->e.message);
    _exit(1);
}

int child_start(struct fixture *f, bool (*work)(struct fixture *f, void *arg), void *arg) {
    assert_null(f->s); /* SQLite's connections do not survive a fork */
    fflush(NULL);
    int pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    struct fixture own = *f;
    own.s = NULL;
    arena_init(&own.a, 0);
    child_check(&own, store_open(own.url, true, &io_clock_system, &own.s, &own.e), "open", 0);
    bool good = work(&own, arg);
    store_close(own.s);
    arena_fini(&own.a);
    fflush(NULL);
    _exit(good ? 0 : 1);
}

bool child_wait_status(int pid, int *out_status) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    *out_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return WIFEXITED(status);
}

bool child_wait(int pid) {
    int status;
    return child_wait_status(pid, &status) && status == 0;
}
