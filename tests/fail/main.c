/* The command line of the tests that fail the n-th.
 *
 *   fail                    as make test runs it: some n are left out where there are many
 *   fail --all              every n (also with CAIRN_LONG=1)
 *   fail units|allocations|store [NAME] [N]   only these; with N only that n, saying what it does
 *
 * Last line: passed P failed F.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"

/* A test is a story, or a unit, with all its n. */
struct tally {
    uint32_t passed, failed;
    uint64_t tried, bad, bad_before;
    bool all;
    const char *name; /* only this one, or NULL */
    uint64_t n;       /* only this n, or 0 */
};

enum { MOST_SHOWN = 40, SOME = 300 };

static PRINTF_LIKE(3, 4) void note(struct tally *t, bool ok, const char *fmt, ...) {
    va_list ap;
    t->tried++;
    if (ok || ++t->bad > MOST_SHOWN) {
        return;
    }
    va_start(ap, fmt);
    printf("FAILED ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
}

static void end_test(struct tally *t) {
    bool ok = t->bad == t->bad_before;
    t->passed += ok;
    t->failed += !ok;
    t->bad_before = t->bad;
}

static bool is_wanted(const struct tally *t, const char *name) {
    return !t->name || !strcmp(t->name, name);
}

/* Of count values of n the next one to be tried: all, or about SOME of them. */
static uint64_t next_n(const struct tally *t, uint64_t n, uint64_t count) {
    uint64_t stride = t->all || count <= SOME ? 1 : count / SOME;
    return t->n ? (n < t->n ? t->n : count + 1) : n + (n % 7 == 0 ? stride + 1 : stride);
}

/* ---- units ---- */

struct unit_run {
    enum err err;
    struct error e;
    struct buf out;
    uint64_t count;
    size_t leaked;
};

static void run_unit(const struct unit *u, size_t i, uint64_t n, bool for_good,
                     struct unit_run *r) {
    size_t before = alloc_live();
    *r = (struct unit_run){0};
    buf_init(&r->out, 0);
    alloc_arm(n, for_good);
    r->err = u->work(i, &r->out, &r->e);
    r->err = r->err || buf_ok(&r->out) ? r->err : error_nomem(&r->e);
    r->count = alloc_disarm();
    r->leaked = alloc_live() - before - (r->out.ptr != NULL);
}

/* Out of memory, or what comes undisturbed: the result, or the same error of the input. */
static bool unit_fine(const struct unit_run *calm, const struct unit_run *rough) {
    if (rough->leaked) {
        return false;
    }
    if (rough->err == ERR_NOMEM) {
        return rough->e.code == ERR_NOMEM;
    }
    return rough->err == calm->err &&
           (rough->err || str_eq(buf_str(&rough->out), buf_str(&calm->out)));
}

static void try_unit(struct tally *t, const struct unit *u, size_t i, const struct unit_run *calm,
                     uint64_t n, bool for_good) {
    struct unit_run rough;
    run_unit(u, i, n, for_good, &rough);
    note(t, unit_fine(calm, &rough),
         "%s %zu, allocation %llu of %llu%s: %s \"%s\", %zu leaked, %.*s", u->name, i,
         (unsigned long long)n, (unsigned long long)calm->count,
         for_good ? " and all after it" : "", err_name(rough.err), rough.e.message, rough.leaked,
         STR_ARG(str_sub(buf_str(&rough.out), 0, 300)));
    buf_fini(&rough.out);
}

static void run_units(struct tally *t) {
    for (const struct unit *u = units; u < units + unit_count; u++) {
        struct unit_run calm;
        for (size_t i = 0; is_wanted(t, u->name); i++) {
            run_unit(u, i, 0, false, &calm);
            for (uint64_t n = next_n(t, 0, calm.count); n <= calm.count;
                 n = next_n(t, n, calm.count)) {
                try_unit(t, u, i, &calm, n, false);
                try_unit(t, u, i, &calm, n, true);
            }
            buf_fini(&calm.out);
            if (calm.err == ERR_NOT_FOUND) {
                end_test(t);
                break;
            }
        }
    }
}

/* ---- stories ---- */

static bool play(struct tally *t, const struct story *s, const struct trouble *trouble,
                 const char *calm, const char *what) {
    struct played p;
    world_play(s, trouble, &p);
    bool same = !calm || !strcmp(calm, p.outcome);
    note(t, p.ok && same, "%s, %s: %s\n%s%s%s", s->name, what, p.why, same ? "" : calm,
         same ? "" : "--- but it came to\n", same ? "" : p.outcome);
    return p.ok && same;
}

/* In which processes. One that has no memory or store for good cannot let go of what it claimed: it
 * is like one that died, and a few of these end the execution as quarantined, as they should. */
static const char *where(const struct trouble *t) {
    return t->again     ? "in five processes, one after the other"
           : t->resumes ? "in the process that takes over"
                        : "";
}

static void try_allocation(struct tally *t, const struct story *s, const struct trouble *trouble,
                           const struct played *calm) {
    char what[100];
    snprintf(what, sizeof what, "allocation %llu of %llu%s fails %s",
             (unsigned long long)trouble->alloc_n, (unsigned long long)calm->allocations,
             trouble->alloc_for_good ? " and all after it" : "", where(trouble));
    (void)play(t, s, trouble, calm->outcome, what);
}

static void run_allocations(struct tally *t) {
    for (const struct story *s = stories; s < stories + story_count; s++) {
        for (int resumes = 0; resumes < 2 && is_wanted(t, s->name); resumes++) {
            struct trouble trouble = {.resumes = resumes};
            struct played calm;
            world_play(s, &trouble, &calm);
            note(t, calm.ok, "%s, undisturbed: %s", s->name, calm.why);
            for (uint64_t n = next_n(t, 0, calm.allocations); n <= calm.allocations;
                 n = next_n(t, n, calm.allocations)) {
                trouble.alloc_n = n;
                trouble.alloc_for_good = false;
                try_allocation(t, s, &trouble, &calm);
                trouble.again = 4;
                try_allocation(t, s, &trouble, &calm);
                trouble.again = 0;
                trouble.alloc_for_good = true;
                try_allocation(t, s, &trouble, &calm);
            }
            end_test(t);
        }
    }
}

/* How a call of the store may fail. */
static const struct {
    enum err code;
    bool after, for_good;
    const char *text;
} ways[] = {
    {ERR_STORE, false, false, "fails"},
    {ERR_STORE, false, true, "and all after it fail"},
    {ERR_STORE_UNKNOWN, true, false, "is recorded, but nobody knows"},
    {ERR_STORE_UNKNOWN, false, false, "is not recorded, but nobody knows"},
    {ERR_STORE_UNKNOWN, true, true, "and all after it are recorded, but nobody knows"},
    {ERR_STORE_BUSY, false, false, "finds the store busy"},
    {ERR_STORE_BUSY, false, true, "and all after it find the store busy"},
    {ERR_NOMEM, false, false, "finds no memory"},
    {ERR_NOMEM, false, true, "and all after it find no memory"},
    {ERR_CORRUPT, false, false, "finds damage"},
    {ERR_CORRUPT, false, true, "and all after it find damage"},
};

static void try_store(struct tally *t, const struct story *s, struct trouble *trouble,
                      const struct played *calm) {
    for (size_t k = 0; k < ARRAY_LEN(ways); k++) {
        char what[160];
        trouble->store.code = ways[k].code;
        trouble->store.after = ways[k].after;
        trouble->store.for_good = ways[k].for_good;
        for (trouble->again = 0; trouble->again <= 4 * !ways[k].for_good; trouble->again += 4) {
            snprintf(what, sizeof what, "call %llu of %llu of the store %s %s",
                     (unsigned long long)trouble->store.n, (unsigned long long)calm->calls,
                     ways[k].text, where(trouble));
            (void)play(t, s, trouble, calm->outcome, what);
        }
    }
}

static void run_store(struct tally *t) {
    for (const struct story *s = stories; s < stories + story_count; s++) {
        for (int resumes = 0; resumes < 2 && is_wanted(t, s->name); resumes++) {
            struct trouble trouble = {.resumes = resumes};
            struct played calm;
            world_play(s, &trouble, &calm);
            note(t, calm.ok, "%s, undisturbed: %s", s->name, calm.why);
            for (uint64_t n = next_n(t, 0, calm.calls); n <= calm.calls;
                 n = next_n(t, n, calm.calls)) {
                trouble.store.n = n;
                try_store(t, s, &trouble, &calm);
            }
            end_test(t);
        }
    }
}

/* ---- what is asked for ---- */

static const struct {
    const char *name;
    void (*run)(struct tally *t);
} groups[] = {{"units", run_units}, {"allocations", run_allocations}, {"store", run_store}};

int main(int argc, char **argv) {
    const char *long_runs = getenv("CAIRN_LONG");
    struct tally t = {.all = long_runs && *long_runs};
    const char *group = NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        char *end;
        uint64_t n = strtoull(argv[i], &end, 10);
        if (!strcmp(argv[i], "--all")) {
            t.all = true;
        } else if (!group) {
            group = argv[i];
        } else if (*end) {
            t.name = argv[i];
        } else {
            t.n = n;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (!group || !strcmp(group, groups[i].name)) {
            groups[i].run(&t);
        }
    }
    printf("%llu tries\n", (unsigned long long)t.tried);
    printf("passed %u failed %u\n", t.passed, t.failed);
    return t.failed ? 1 : 0;
}
