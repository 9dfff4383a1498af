/* The power fails after each write, sync, rename and deletion of a short history, and at random
 * moments of long ones, and the disk keeps of what was not synced what it likes (support/power.h).
 * What is found afterwards must open with our own code, be sound, and hold exactly what was
 * acknowledged, or that and what was under way: never a part, never a hole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "io/file.h"
#include "store/suite.h"
#include "support/power.h"

enum { EXECUTIONS = 3, LONG_STEPS = 40 };

/* All that a store holds, as far as these histories write it. */
struct state {
    bool made;
    uint32_t events[EXECUTIONS]; /* 0: there is no such execution */
    uint32_t blobs, workflows, requests, verdicts;
};

struct world {
    struct fixture f, image;
    struct store *second;
    struct state acked, wanted; /* wanted: when what is under way is acknowledged */
    struct store_change last[EXECUTIONS];
    uint64_t seed;
    uint32_t every, images; /* a cut after every so manyth operation, so many images of each */
    uint32_t cuts;
    char wrong[1200]; /* the first thing that was */
};

static const char *const names[EXECUTIONS] = {"a", "b", "c"};

static uint64_t draw(struct world *w, uint64_t below) {
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (w->seed >> 33) % below;
}

/* --- what an image holds --- */

/* Bytes that cannot be compressed, the same for each i. */
static struct str blob_bytes(struct arena *a, uint32_t i, char hash[SHA256_HEX_BYTES]) {
    size_t len = 200 + (size_t)(i % 4) * 11000;
    char *bytes = arena_alloc(a, len);
    uint64_t state = i + 1;
    for (size_t at = 0; at < len; at++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        bytes[at] = (char)(state >> 56);
    }
    struct str s = {bytes, len};
    sha256_hex(s, hash);
    return s;
}

static bool has_events(struct fixture *f, int64_t num, uint32_t count) {
    struct store_event *events = NULL;
    uint32_t found = 0;
    bool good = store_read_events(f->s, (struct store_range){num, 0, UINT64_MAX}, &f->a, &events,
                                  &found, &f->e) == OK &&
                found == count;
    for (uint32_t i = 0; i < found && good; i++) {
        good = events[i].seq == i + 1 &&
               str_eq(events[i].body, arena_printf(&f->a, "%u:w", (unsigned)i + 1));
    }
    return good;
}

static bool read_executions(struct fixture *f, struct state *out) {
    for (int i = 0; i < EXECUTIONS; i++) {
        struct store_execution x;
        struct str id = arena_printf(&f->a, "exec_%s", names[i]);
        enum err err = store_execution_get(f->s, 0, id, &f->a, &x, &f->e);
        if (err == ERR_NOT_FOUND) {
            continue;
        }
        if (err || !has_events(f, x.num, (uint32_t)x.last_seq)) {
            return false;
        }
        out->events[i] = (uint32_t)x.last_seq + 1; /* 1: it is there, without an event */
    }
    return true;
}

static bool read_blobs(struct fixture *f, struct state *out) {
    struct str got;
    enum err err = OK;
    for (uint32_t i = 0, missing = 0; missing < 2; i++) {
        char hash[SHA256_HEX_BYTES];
        struct str want = blob_bytes(&f->a, i, hash);
        err = store_blob_get(f->s, str_from(hash), &f->a, &got, &f->e);
        missing += err == ERR_NOT_FOUND;
        if (!missing && (err || !str_eq(got, want))) {
            return false;
        }
        if (missing && err != ERR_NOT_FOUND) {
            return false; /* a hole */
        }
        out->blobs += err == OK;
    }
    err = store_workflow_get(f->s, STR("abcd"), &f->a, &got, &f->e);
    out->workflows = err == OK;
    return err == OK || err == ERR_NOT_FOUND;
}

static bool read_requests(struct fixture *f, struct state *out) {
    struct store_inbox row;
    enum err err = OK;
    while ((err = store_inbox_get(f->s, out->requests + 1, &f->a, &row, &f->e)) == OK) {
        out->requests++;
        out->verdicts += row.verdict.len > 0;
    }
    return err == ERR_NOT_FOUND;
}

static void count_damage(void *ctx, const struct store_finding *x) {
    struct fixture *f = ctx;
    if (x->health == STORE_DAMAGED) {
        error_set(&f->e, ERR_CORRUPT, "%s: %.*s", x->check, STR_ARG(x->text));
    }
}

static bool is_sound(struct fixture *f) {
    error_set(&f->e, OK, "sound");
    return store_check(f->s, count_damage, f, &f->e) == OK && f->e.code == OK;
}

static void wrong(struct world *w, const char *what, uint64_t seed) {
    if (!w->wrong[0]) {
        snprintf(w->wrong, sizeof w->wrong, "operation %llu, image %llu: %s (%s)",
                 (unsigned long long)power_steps(), (unsigned long long)seed, what,
                 w->image.e.message);
    }
}

/* The store goes on from there, and what it then acknowledges stays, too. */
static bool goes_on(struct fixture *f) {
    struct store_execution x;
    if (store_execution_get(f->s, 0, STR("exec_a"), &f->a, &x, &f->e) != OK) {
        return true;
    }
    store_close(f->s);
    f->s = NULL;
    if (store_open(f->url, true, &io_clock_system, &f->s, &f->e) != OK) {
        return false;
    }
    struct store_change now = {.num = x.num,
                               .epoch = x.epoch,
                               .host = -1,
                               .last_seq = x.last_seq,
                               .last_event = x.last_event,
                               .row = x.row};
    struct store_change next = change_next(f, &now, 2, "w");
    if (commit_one(f, f->s, &next) != OK || next.fenced) {
        return false;
    }
    store_close(f->s);
    f->s = NULL;
    return store_open(f->url, false, &io_clock_system, &f->s, &f->e) == OK && is_sound(f) &&
           has_events(f, x.num, (uint32_t)x.last_seq + 2);
}

static void look(struct world *w, uint64_t seed) {
    struct fixture *f = &w->image;
    struct state found = {.made = true};
    if (!is_sound(f)) {
        wrong(w, "it is damaged", seed);
    } else if (!read_executions(f, &found) || !read_blobs(f, &found) || !read_requests(f, &found)) {
        wrong(w, "it cannot be read", seed);
    } else if (memcmp(&found, &w->acked, sizeof found) != 0 &&
               memcmp(&found, &w->wanted, sizeof found) != 0) {
        wrong(w, "it holds other than what was acknowledged", seed);
    } else if (seed % 5 == 0 && !goes_on(f)) {
        wrong(w, "it does not go on", seed);
    }
}

static void cut(struct world *w, uint64_t seed) {
    struct fixture *f = &w->image;
    w->cuts++;
    arena_reset(&f->a);
    error_set(&f->e, OK, "nothing is known");
    if (!power_image(f->dir, seed)) {
        wrong(w, "there is no room for an image", seed);
        return;
    }
    enum err err = store_open(f->url, false, &io_clock_system, &f->s, &f->e);
    if (err == ERR_NOT_FOUND && !w->acked.made) {
        err = store_open(f->url, true, &io_clock_system, &f->s, &f->e);
    }
    if (err) {
        wrong(w, "it does not open", seed);
    } else {
        look(w, seed);
    }
    store_close(f->s);
    f->s = NULL;
}

static void stepped(void *ctx) {
    struct world *w = ctx;
    if (w->wrong[0] || (w->every > 1 && draw(w, w->every) > 0)) {
        return;
    }
    for (uint32_t i = 0; i < w->images; i++) {
        cut(w, i < 2 ? i : draw(w, 1u << 30));
    }
}

/* --- a history --- */

static void world_init(struct world *w, uint64_t seed, uint32_t every, uint32_t images) {
    char in_memory[200]; /* images are many, and a real disk adds nothing to them */
    *w = (struct world){.seed = seed, .every = every, .images = images};
    assert_int_equal(fixture_init(&w->f, "sqlite"), 0);
    assert_int_equal(fixture_init(&w->image, "sqlite"), 0);
    if (io_dir_temp("/dev/shm", in_memory, sizeof in_memory, &w->image.e) == OK) {
        assert_ok(&w->image, io_dir_remove(w->image.dir, &w->image.e));
        snprintf(w->image.dir, sizeof w->image.dir, "%s", in_memory);
        snprintf(w->image.path, sizeof w->image.path, "%s/cairn.db", in_memory);
        snprintf(w->image.url, sizeof w->image.url, "sqlite:%s", w->image.path);
    }
}

static void world_fini(struct world *w) {
    power_stop();
    store_close(w->second);
    w->second = NULL;
    fixture_fini(&w->f);
    fixture_fini(&w->image);
    if (w->wrong[0]) {
        fail_msg("%s", w->wrong);
    }
    assert_true(w->cuts > 0);
}

static void acknowledged(struct world *w, enum err err, const char *what) {
    check_ok(&w->f, err, what, __FILE__, __LINE__);
    w->acked = w->wanted;
}

static void open_store(struct world *w) {
    w->wanted.made = true;
    acknowledged(w, store_open(w->f.url, true, &io_clock_system, &w->f.s, &w->f.e), "open");
}

static void close_both(struct world *w) {
    store_close(w->second);
    store_close(w->f.s);
    w->second = w->f.s = NULL;
}

static struct store *second(struct world *w) {
    if (!w->second) {
        w->second = second_handle(&w->f);
    }
    return w->second;
}

static struct store_change change_first(struct fixture *f, const char *name) {
    struct store_change c = change_new(f, name);
    struct store_new *n = ARENA_NEW(&f->a, struct store_new);
    *n = *c.new;
    n->inputs = STR("{}");
    c.new = n;
    return c;
}

/* One more event each for the executions from..to, which are made if need be, in one commit; and
 * a verdict on the oldest request that has none. */
static void commit_some(struct world *w, struct store *s, int from, int to) {
    struct store_change changes[EXECUTIONS];
    struct store_verdict verdict = {.inbox = w->acked.verdicts + 1, .verdict = STR("accepted")};
    struct store_batch b = {.changes = changes,
                            .count = (uint32_t)(to - from + 1),
                            .verdicts = &verdict,
                            .verdict_count = w->acked.verdicts < w->acked.requests};
    for (int i = from; i <= to; i++) {
        changes[i - from] = w->acked.events[i] ? change_next(&w->f, &w->last[i], 1, "w")
                                               : change_first(&w->f, names[i]);
        w->wanted.events[i]++;
    }
    w->wanted.verdicts += b.verdict_count;
    acknowledged(w, store_commit(s, &b, &w->f.e), "commit");
    for (int i = from; i <= to; i++) {
        assert_false(changes[i - from].fenced);
        w->last[i] = changes[i - from];
    }
}

static void put_blob(struct world *w, struct store *s) {
    char hash[SHA256_HEX_BYTES];
    struct str bytes = blob_bytes(&w->f.a, w->acked.blobs, hash);
    w->wanted.blobs++;
    acknowledged(w, store_blob_put(s, str_from(hash), bytes, &w->f.e), "blob");
}

static void put_workflow(struct world *w) {
    w->wanted.workflows = 1;
    enum err err = store_workflow_put(w->f.s, STR("abcd"), STR("hello"), STR("bundle"), &w->f.e);
    acknowledged(w, err, "workflow");
}

static void ask(struct world *w, struct store *s) {
    int64_t id;
    if (!w->acked.events[0]) {
        return;
    }
    struct store_inbox row = {.execution = w->last[0].num, .kind = STR("k")};
    w->wanted.requests++;
    acknowledged(w, store_inbox_add(s, &row, &id, &w->f.e), "request");
}

/* As the sqlite3 command line may do it at any time. */
static void checkpoint(struct world *w, const char *mode) {
    char sql[60];
    snprintf(sql, sizeof sql, "PRAGMA wal_checkpoint(%s)", mode);
    (void)sql_rows(&w->f, sql);
}

static void short_history(struct world *w) {
    power_watch(w->f.dir, stepped, w);
    open_store(w);
    put_workflow(w);
    commit_some(w, w->f.s, 0, 0);
    commit_some(w, w->f.s, 0, 1);
    ask(w, second(w));
    commit_some(w, second(w), 0, 2);
    put_blob(w, w->f.s);
    put_blob(w, second(w));
    checkpoint(w, "PASSIVE"); /* the next commit starts the log anew, over the old frames */
    commit_some(w, w->f.s, 0, 2);
    commit_some(w, second(w), 1, 1);
    put_blob(w, w->f.s);
    checkpoint(w, "TRUNCATE");
    commit_some(w, w->f.s, 0, 2);
    close_both(w);
    checkpoint(w, "PASSIVE"); /* and deletes the log: nobody else has the store open */
    open_store(w);
    commit_some(w, w->f.s, 0, 2);
    close_both(w);
}

static void test_every_operation(void **state) {
    struct world w;
    (void)state;
    world_init(&w, 1, 1, getenv("CAIRN_LONG") ? 40 : 5);
    short_history(&w);
    assert_true(power_syncs() > 20);
    world_fini(&w);
}

static void one_operation(struct world *w) {
    struct store *s = draw(w, 3) == 0 ? second(w) : w->f.s;
    int from = (int)draw(w, EXECUTIONS), to = from + (int)draw(w, (uint64_t)(EXECUTIONS - from));
    switch (draw(w, 11)) {
    case 0:
    case 1: put_blob(w, s); break;
    case 2:
    case 3: ask(w, s); break;
    case 4: checkpoint(w, draw(w, 2) ? "PASSIVE" : "RESTART"); break;
    case 5: checkpoint(w, "TRUNCATE"); break;
    case 6:
        close_both(w);
        open_store(w);
        break;
    default: commit_some(w, s, from, to);
    }
}

static void test_random_moments(void **state) {
    struct world w;
    uint64_t rounds = getenv("CAIRN_LONG") ? 200 : 4;
    (void)state;
    for (uint64_t round = 0; round < rounds; round++) {
        world_init(&w, round * 7919 + 3, 25, 4);
        power_watch(w.f.dir, stepped, &w);
        open_store(&w);
        put_workflow(&w);
        for (int i = 0; i < LONG_STEPS; i++) {
            one_operation(&w);
        }
        close_both(&w);
        world_fini(&w);
    }
}

/* Our own checkpoints: of a log that is long enough, while idle and at the end. */
static void test_own_checkpoints(void **state) {
    enum { LARGE = 4500000 };
    struct world w;
    (void)state;
    world_init(&w, 5, 150, 2);
    power_watch(w.f.dir, stepped, &w);
    open_store(&w);
    put_workflow(&w);
    commit_some(&w, w.f.s, 0, 2);
    for (int round = 0; round < 2; round++) {
        struct store_change next = change_next(&w.f, &w.last[0], 1, "w");
        char *filling = arena_alloc(&w.f.a, LARGE);
        memset(filling, 'x', LARGE);
        next.row.result = (struct str){filling, LARGE};
        w.wanted.events[0]++;
        acknowledged(&w, commit_one(&w.f, w.f.s, &next), "large");
        next.row.result = STR("");
        w.last[0] = next;
        if (round == 0) {
            store_idle(w.f.s);
        }
        commit_some(&w, w.f.s, 0, 2);
    }
    uint64_t before = power_steps();
    close_both(&w);
    assert_true(power_steps() > before + 10);
    world_fini(&w);
}

/* Somebody deleted a database and left its log: the new one of that name must not get it. */
static void test_log_of_a_deleted_database(void **state) {
    struct world w;
    (void)state;
    world_init(&w, 9, 1, 40);
    assert_ok(&w.f, store_open(w.f.url, true, &io_clock_system, &w.f.s, &w.f.e));
    make_execution(&w.f, "a");
    store_close(w.f.s);
    w.f.s = NULL;
    assert_int_equal(unlink(w.f.path), 0);
    power_watch(w.f.dir, stepped, &w);
    open_store(&w);
    put_workflow(&w);
    commit_some(&w, w.f.s, 1, 1);
    close_both(&w);
    world_fini(&w);
}

int run_sqlite_power(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operation),
        cmocka_unit_test(test_random_moments),
        cmocka_unit_test(test_own_checkpoints),
        cmocka_unit_test(test_log_of_a_deleted_database),
    };
    return cmocka_run_group_tests_name("sqlite power loss", tests, NULL, NULL);
}
