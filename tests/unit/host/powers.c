/* The power fails while a host works: after every operation on the disk, with what the disk may
 * then hold of what was not synced (support/power.h). Another host finds all that was told, every
 * effect that had begun in its journal, and goes on to the result of an undisturbed run without
 * doing anything twice that had been recorded.
 */
#include "io/file.h"
#include "rig.h"
#include "support/power.h"

#include <stdlib.h>

enum { IMAGES = 32, STARTS_MOST = 32, EXECUTIONS_MOST = 8 };

/* Two such run side by side; the body of `a` is a blob, the first attempt of `z` fails. */
static const char *const flow =
    "{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a], foreach: {items: \"[1, 2]\"}},"
    "k: {type: kid, needs: [a], workflow: {nodes: {w: {type: work}, e: {type: end, needs: [w], "
    "value: w}}}}, z: {type: work, needs: [b, k], retry: {attempts: 3, backoff: 1s, jitter: 0}},"
    "e: {type: end, needs: [z], value: \"[size(a), b, k, z]\"}}}";
static const char *const result = "[40000,[\"b[0]\",\"b[1]\"],\"w\",\"z\"]";

/* The folder as a cut left it, and what the host had told and begun by then. */
struct image {
    char folder[240];
    uint64_t operation;
    struct {
        char id[IO_ID_BYTES];
        uint64_t seq;
    } told[EXECUTIONS_MOST];
    struct started starts[STARTS_MOST];
    uint32_t told_count, start_count;
};

struct history {
    char folder[200]; /* of all */
    char work[240];   /* where it happens */
    struct image images[IMAGES];
    uint32_t count;
    uint64_t from; /* the first operation after which there is a cut */
    uint64_t round;
};

static struct history history;

static void cut(void *ctx) {
    struct history *h = ctx;
    struct image *m = &h->images[h->count];
    if (power_steps() < h->from || h->count == IMAGES) {
        return;
    }
    char folder[sizeof m->folder];
    snprintf(folder, sizeof folder, "%s/%u", h->folder, h->count);
    *m = (struct image){.operation = power_steps()};
    memcpy(m->folder, folder, sizeof folder);
    struct error e;
    assert_int_equal(io_dir_make(m->folder, 0700, &e), OK);
    assert_true(power_image(m->folder, m->operation % 3 ? m->operation * 31 + h->round : 0));
    for (const struct map_entry *x = rig.told.entries; x < rig.told.entries + rig.told.count; x++) {
        assert_true(m->told_count < EXECUTIONS_MOST);
        snprintf(m->told[m->told_count].id, IO_ID_BYTES, "%.*s", STR_ARG(x->key));
        m->told[m->told_count++].seq = x->num;
    }
    assert_true(rig.start_count <= STARTS_MOST);
    m->start_count = rig.start_count;
    if (rig.start_count) {
        memcpy(m->starts, rig.starts, rig.start_count * sizeof *rig.starts);
    }
    h->count++;
}

static const char *body_of(const char *step) {
    return (strcmp(step, "a") == 0 ? arena_printf(&rig.arena, "\"%040000d\"", 0)
                                   : arena_printf(&rig.arena, "\"%s\"", step))
        .ptr;
}

/* Ends what is performed, and lets time pass when nothing is. */
static void drive(void) {
    for (int idle = 0; idle < 3;) {
        idle = rig_open_count() ? 0 : idle + 1;
        for (uint32_t i = 0; i < rig.start_count; i++) {
            struct started *s = &rig.starts[i];
            if (s->port && strcmp(s->step, "z") == 0 && s->attempt == 1) {
                rig_tell_failed(s, FAILURE_TRANSIENT, "flaky");
            } else if (s->port) {
                rig_tell_done(s, body_of(s->step), NULL);
            }
        }
        rig_turns();
        rig_wait_ms(idle ? 2000 : 0);
    }
}

static void happen(struct history *h) {
    char url[280];
    struct error e;
    snprintf(url, sizeof url, "sqlite:%s/cairn.db", h->work);
    assert_int_equal(io_dir_make(h->work, 0700, &e), OK);
    power_watch(h->work, cut, h);
    rig_setup_on(url);
    const struct plan *p = rig_plan(flow);
    struct run *first = rig_submit(p, NULL), *second = rig_submit(p, NULL);
    rig_turns();
    drive();
    assert_string_equal(rig_result(first), result);
    assert_string_equal(rig_result(second), result);
    rig_teardown(NULL);
    power_stop();
    assert_int_equal(io_dir_remove(h->work, &e), OK);
}

/* ---- afterwards ---- */

static bool stands_in(const char *journal, const char *event, const char *step, uint32_t attempt) {
    char text[200];
    int len = snprintf(text, sizeof text, "%s %s", event, step);
    len += attempt ? snprintf(text + len, sizeof text - (size_t)len, " %u", attempt) : 0;
    const char *at = strstr(journal, text);
    return at && (!at[len] || at[len] == ';' || (!attempt && at[len] == ' '));
}

static void check_found(const struct image *m) {
    for (uint32_t i = 0; i < m->told_count; i++) {
        struct store_execution x = rig_stored(str_from(m->told[i].id));
        if (x.last_seq < m->told[i].seq) {
            fail_msg("operation %llu: event %llu of %s was told and is lost",
                     (unsigned long long)m->operation, (unsigned long long)m->told[i].seq,
                     m->told[i].id);
        }
    }
    for (uint32_t i = 0; i < m->start_count; i++) {
        const struct started *s = &m->starts[i];
        const char *journal = rig_journal(str_from(s->execution));
        if (!stands_in(journal, "step_scheduled", s->step, s->attempt)) {
            fail_msg("operation %llu: attempt %u of %s began, its journal is %s",
                     (unsigned long long)m->operation, s->attempt, s->step, journal);
        }
    }
}

/* Resumes all that have not ended. */
static void go_on(const struct image *m) {
    struct store_execution *rows = NULL;
    struct store_filter all = {.limit = 100};
    struct error e;
    uint32_t count = 0;
    const char *before[EXECUTIONS_MOST];
    assert_int_equal(store_execution_list(rig.disk, &all, &rig.arena, &rows, &count, &e), OK);
    assert_true(count <= EXECUTIONS_MOST);
    for (uint32_t i = 0; i < count; i++) {
        before[i] = rig_journal(rows[i].fixed.id);
        if (!rows[i].fixed.parent && !rows[i].row.completed.us) {
            (void)rig_resume(rows[i].fixed.id);
        }
    }
    drive();
    for (uint32_t i = 0; i < count; i++) {
        struct store_execution x = rig_stored(rows[i].fixed.id);
        const char *want = x.fixed.parent ? "\"w\"" : result;
        if (!str_is(x.row.status, "completed") || !str_is(x.row.result, want)) {
            fail_msg("operation %llu: %.*s with %.*s", (unsigned long long)m->operation,
                     STR_ARG(x.row.status), STR_ARG(x.row.result));
        }
        for (uint32_t k = 0; k < rig.start_count; k++) {
            const struct started *s = &rig.starts[k];
            assert_false(str_is(x.fixed.id, s->execution) &&
                         stands_in(before[i], "step_completed", s->step, 0));
        }
    }
}

static void look(const struct image *m) {
    char url[280];
    snprintf(url, sizeof url, "sqlite:%.239s/cairn.db", m->folder);
    rig_setup_on(url);
    check_found(m);
    go_on(m);
    rig_teardown(NULL);
}

static void after_a_cut_all_that_was_told_is_there_and_goes_on(void **state) {
    (void)state;
    struct history *h = &history;
    struct error e;
    uint64_t rounds = getenv("CAIRN_LONG") ? 20 : 1;
    uint32_t images = 0;
    for (h->round = 0; h->round < rounds; h->round++) {
        h->from = 0;
        do {
            const char *parent = io_path_exists("/dev/shm") ? "/dev/shm" : NULL;
            assert_int_equal(io_dir_temp(parent, h->folder, sizeof h->folder, &e), OK);
            snprintf(h->work, sizeof h->work, "%.199s/work", h->folder);
            h->count = 0;
            happen(h);
            for (uint32_t i = 0; i < h->count; i++) {
                look(&h->images[i]);
            }
            images += h->count;
            h->from += IMAGES;
            assert_int_equal(io_dir_remove(h->folder, &e), OK);
        } while (h->count == IMAGES);
    }
    print_message("# %u images\n", images);
    assert_true(images > 100);
}

int run_power_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_cut_all_that_was_told_is_there_and_goes_on),
    };
    return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
