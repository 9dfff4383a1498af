/* Where journals live, behind one interface: sqlite (default) and memory (tests).
 *
 * A commit is atomic over many executions. Per execution it is fenced: epoch and last_seq must be
 * what the store has, otherwise that execution's change is dropped (fenced) and the others are
 * not. The store knows bytes, not values: event bodies are opaque, JSON columns come as text.
 * A struct store is used by one thread at a time; another thread opens its own. Calls block.
 * docs/FORMAT.md describes the tables and the procedure to change them.
 */
#ifndef CAIRN_STORE_STORE_H
#define CAIRN_STORE_STORE_H

#include "base/base.h"
#include "io/clock.h"
#include "store/rows.h"

struct store;

#define STORE_FORMAT_VERSION 2

struct store_stats {
    uint64_t commits, events, checkpoints;
};

/* Opens by URL: a path or sqlite:PATH, or memory: . make: create it when missing (folder 0700,
 * files 0600). Waits at most 5 s for others and then says for whom. */
enum err store_open(const char *url, bool make, const struct io_clock *clock, struct store **out,
                    struct error *e) MUST_USE;
void store_close(struct store *s);
/* How long writes wait for others from now on, 5 s at first; then they are ERR_STORE_BUSY. */
void store_patience(struct store *s, uint32_t ms);

/* Durable when it returns OK. ERR_STORE_UNKNOWN: it may have been recorded or not, fold again.
 * Any other error (ERR_STORE, ERR_STORE_BUSY, ERR_STORE_FULL ...): nothing was recorded. An
 * execution may have one change in a batch. After an error every out field is as before. */
enum err store_commit(struct store *s, struct store_batch *b, struct error *e) MUST_USE;
/* Events of a range, ascending. */
enum err store_read_events(struct store *s, struct store_range r, struct arena *a,
                           struct store_event **out, uint32_t *out_count, struct error *e) MUST_USE;
/* By num, or by id (exact). ERR_NOT_FOUND. */
enum err store_execution_get(struct store *s, int64_t num, struct str id, struct arena *a,
                             struct store_execution *out, struct error *e) MUST_USE;
/* By submission key. ERR_NOT_FOUND. */
enum err store_execution_by_key(struct store *s, struct str key, struct arena *a,
                                struct store_execution *out, struct error *e) MUST_USE;
/* Ids that start with prefix, ascending, at most STORE_FIND_MAX (out_ids has room for so many);
 * prefix "@last": the newest one without a parent. None: OK and count 0. */
#define STORE_FIND_MAX 10
enum err store_execution_find(struct store *s, struct str prefix, struct arena *a,
                              struct str *out_ids, uint32_t *out_count, struct error *e) MUST_USE;
/* Newest first. ERR_NOT_FOUND when f->after is no execution. */
enum err store_execution_list(struct store *s, const struct store_filter *f, struct arena *a,
                              struct store_execution **out, uint32_t *out_count, struct error *e)
    MUST_USE;
/* The sub-workflows that an execution has begun, in the order in which they were submitted, and not
 * those of its sub-workflows. None: OK and count 0. */
enum err store_children_read(struct store *s, struct store_children of, struct arena *a,
                             struct store_execution **out, uint32_t *out_count, struct error *e)
    MUST_USE;
/* In the order in which the steps were first written. */
enum err store_steps_read(struct store *s, int64_t num, struct arena *a, struct store_step **out,
                          uint32_t *out_count, struct error *e) MUST_USE;
enum err store_messages_read(struct store *s, int64_t num, struct arena *a,
                             struct store_message **out, uint32_t *out_count, struct error *e)
    MUST_USE;

/* Workflow bundles by hash (opaque bytes); putting one that is there is fine. */
enum err store_workflow_put(struct store *s, struct str hash, struct str name, struct str bundle,
                            struct error *e) MUST_USE;
enum err store_workflow_get(struct store *s, struct str hash, struct arena *a, struct str *out,
                            struct error *e) MUST_USE;
/* Blobs by SHA-256 hex, kept zstd-compressed; each in a transaction of its own. */
enum err store_blob_put(struct store *s, struct str hash, struct str bytes, struct error *e)
    MUST_USE;
enum err store_blob_get(struct store *s, struct str hash, struct arena *a, struct str *out,
                        struct error *e) MUST_USE;

/* A kept result that is not over at now. ERR_NOT_FOUND. */
enum err store_cache_get(struct store *s, struct str key, wall_us now, struct arena *a,
                         struct store_cached *out, struct error *e) MUST_USE;

/* Inbox: durable when it returns OK. A row with the same key and execution is not added twice:
 * the first one's id comes back. ERR_NOT_FOUND without such an execution. id and verdict of row
 * are ignored. */
enum err store_inbox_add(struct store *s, const struct store_inbox *row, int64_t *out_id,
                         struct error *e) MUST_USE;
/* Rows without a verdict, oldest first; execution 0: of all. */
enum err store_inbox_open(struct store *s, int64_t execution, struct arena *a,
                          struct store_inbox **out, uint32_t *out_count, struct error *e) MUST_USE;

/* One row, with its verdict when it has one; by its id. ERR_NOT_FOUND. */
enum err store_inbox_get(struct store *s, int64_t id, struct arena *a, struct store_inbox *out,
                         struct error *e) MUST_USE;

/* The file that is written to after each commit that adds a row to the inbox or gives one its
 * verdict, for those who wait for that: watch it first, then look, and what comes after the look is
 * told. Made when missing. NULL: there is none, so poll. */
const char *store_inbox_file(struct store *s);
/* Whether anything was committed by other connections since the last call (the first gives true),
 * or that cannot be told. What it has to say comes before what is read next; costs no more than
 * looking at one shared page. */
bool store_has_news(struct store *s);

/* A row for this process in hosts, with a lease of STORE_LEASE_US from now; its liveness lock is
 * held until store_close. Deletes the rows of dead hosts, too. ERR_FENCED from renew: others took
 * the host for dead. */
#define STORE_LEASE_US 30000000
enum err store_host_register(struct store *s, int64_t pid, struct str hostname, int64_t *out_host,
                             struct error *e) MUST_USE;
enum err store_host_renew(struct store *s, int64_t host, wall_us until, struct error *e) MUST_USE;

/* Deletes the rows of dead hosts, in one transaction; none: costs a read. Dead is whose liveness
 * lock is free, whatever the lease says. */
enum err store_hosts_sweep(struct store *s, uint32_t *out_gone, struct error *e) MUST_USE;
/* Every host that has a row, oldest first. */
enum err store_host_list(struct store *s, struct arena *a, struct store_host **out,
                         uint32_t *out_count, struct error *e) MUST_USE;

/* How many executions, sub-workflows not counted, are under way while their owner is gone; what its
 * owner left waiting is none of them. Reads a little of each that is under way. */
enum err store_left_count(struct store *s, uint32_t *out, struct error *e) MUST_USE;

/* Names the event kinds; costs a read when they are there already. */
enum err store_kinds_put(struct store *s, const struct store_kind_name *kinds, size_t count,
                         struct error *e) MUST_USE;
/* Housekeeping for when nothing else is to do: cheap when there is none. Never waits for others,
 * and what fails is tried again later. */
void store_idle(struct store *s);

void store_stats_get(const struct store *s, struct store_stats *out);

/* One thing that was looked at: what it is ("journals"), how it stands, and why; `command`, if any,
 * is what to give cairn about it. */
enum store_health { STORE_SOUND, STORE_WARNING, STORE_DAMAGED };
struct store_finding {
    const char *check;
    enum store_health health;
    struct str text;
    const char *command;
};
/* Looks at everything that is stored, changes nothing, and tells one finding for each check; what
 * cannot be read is a finding, too. ERR_UNSUPPORTED: this kind of store cannot be checked. */
enum err store_check(struct store *s, void (*tell)(void *ctx, const struct store_finding *f),
                     void *ctx, struct error *e) MUST_USE;

/* The backends: one file and one row of backends.def each. */
struct store_backend {
    const char *scheme;
    const char *doc;
    enum err (*open)(const char *path, bool make, const struct io_clock *clock, struct store **out,
                     struct error *e);
};
const struct store_backend *store_backends(size_t *out_count);

/* For a program of ours, before its first store and its first thread: SQLite does not count its
 * memory from then on, which would take a lock for each allocation. A setting of the whole process,
 * so nothing for a library to do. */
void store_process_set_up(void);

/* Of the libraries behind it, for people. */
const char *store_sqlite_version(void);
const char *store_zstd_version(void);

#endif
