/* Fail the n-th: the same work again and again, with one allocation or one call of the store
 * failing, for every n until nothing is left that could fail. Whatever n was, there is a clean
 * error or the right result, nothing leaks, and with all well again the work comes to the same as
 * undisturbed.
 *
 *   alloc.c    the seam: malloc, calloc, realloc and strdup of cairn's own code, of jansson and of
 *              libyaml. Left out: libuv (it ends the process when it finds no memory for its
 *              tables), libcurl and SQLite, which have tests of their own for that; and the kinds
 *              of node that own processes or transfers.
 *   store.c    a store whose n-th call fails, reads too
 *   stories.c  what is run: small workflows that together use what the engine can
 *   world.c    a process that runs one, the next that goes on with it, and what must hold
 *   units.c    parts of cairn alone: expressions, values, schemas, YAML, workflow files, requests
 */
#ifndef CAIRN_TESTS_FAIL_H
#define CAIRN_TESTS_FAIL_H

#include "flow/kind.h"
#include "store/store.h"

/* ---- alloc.c ---- */
/* From now on the n-th allocation fails (0: none), or all from then on. */
void alloc_arm(uint64_t n, bool for_good);
/* Nothing fails any more. Returns how many allocations there were since alloc_arm. */
uint64_t alloc_disarm(void);
/* What the tests themselves need in between neither fails nor counts. */
void alloc_pause(void);
void alloc_go_on(void);
/* What is allocated and not freed, also by pointers that the tests hold. */
size_t alloc_live(void);
/* Prints where what is live came from: its number since alloc_arm. */
void alloc_print_live(void);

/* ---- store.c ---- */
struct store_trouble {
    uint64_t n; /* the call that fails, from 1; 0: none */
    bool for_good;
    bool after; /* a write is recorded all the same; reads go well */
    enum err code;
    uint64_t calls; /* counted */
    bool told;      /* one has failed */
};
/* inner stays the caller's and must live longer; t is looked at with each call. */
enum err store_troubled_open(struct store *inner, struct store_trouble *t, struct store **out,
                             struct error *e) MUST_USE;

/* ---- stories.c ---- */
struct story {
    const char *name;
    const char *document; /* YAML */
    const char *inputs;   /* JSON */
    const char *key;      /* submission key or NULL */
    const char *answer;   /* to whatever asks, or NULL */
    const char *stop;     /* a request made when it first waits for somebody: "pause" or NULL */
};
extern const struct story stories[];
extern const size_t story_count;

/* ---- world.c ---- */
/* What goes wrong in the first process. */
struct trouble {
    uint64_t alloc_n; /* 0: none */
    bool alloc_for_good;
    struct store_trouble store;
    uint32_t again; /* so many further processes in a row have the same */
    bool resumes;   /* it is the second one, which takes over from one that was killed */
};
/* What came of it, and why it is not as it should be. */
struct played {
    bool ok;
    char why[1500];
    char outcome[8000];
    uint64_t allocations, calls;
};
/* Runs a story in a process that has trouble, then in one that has none until it has ended. */
void world_play(const struct story *s, const struct trouble *t, struct played *out);

/* ---- units.c ---- */
struct unit {
    const char *name;
    /* Does the i-th piece of its work and appends what came of it; only ERR_NOMEM may come
     * instead. ERR_NOT_FOUND, and nothing done: there is no i-th. */
    enum err (*work)(size_t i, struct buf *out, struct error *e);
};
/* changes.c */
enum err work_change(size_t i, struct buf *out, struct error *e);
extern const struct unit units[];
extern const size_t unit_count;

#endif
