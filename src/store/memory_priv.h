/* Inside of the memory store: what its two files share. All data lies in one arena and is only
 * ever added to; what a commit replaces stays behind as garbage, which is fine for tests. Several
 * handles may share the data (faults.h), each standing for one process.
 */
#ifndef CAIRN_STORE_MEMORY_PRIV_H
#define CAIRN_STORE_MEMORY_PRIV_H

#include "store/store_priv.h"

struct memory_execution {
    struct store_execution x;
    struct store_event *events; /* seq 1 is the first */
    struct store_step *steps;
    struct store_message *messages;
    uint32_t event_count, events_cap;
    uint32_t step_count, steps_cap;
    uint32_t message_count, messages_cap;
};

struct memory_host {
    struct store_host row; /* alive: its handle is open */
    bool far;              /* of another machine: only its lease tells whether it lives */
    bool swept;
};

struct memory_data {
    struct arena arena;
    const struct io_clock *clock;
    uint32_t handles;
    struct memory_execution **executions; /* num is the index + 1 */
    uint32_t execution_count, executions_cap;
    struct map ids, keys;        /* to num; 0: reserved by a commit that failed */
    struct map workflows, blobs; /* to struct str */
    struct map cache;            /* to struct store_cached, NULL: a commit that failed */
    struct store_inbox *inbox;   /* id is the index + 1; verdict.ptr NULL: open */
    uint32_t inbox_count, inbox_cap;
    struct memory_host *hosts; /* id is the index + 1 */
    uint32_t host_count, hosts_cap;
    int64_t next_event;
};

struct memory_store {
    struct store base;
    struct memory_data *data;
    int64_t host;
    bool far; /* a host that registers here is of another machine */
};

static inline struct memory_data *memory_of(struct store *s) {
    return ((struct memory_store *)s)->data;
}

/* Copies a text; *full is set when the arena is. */
struct str memory_str(struct arena *a, struct str s, bool *full);
void memory_row_copy(struct arena *a, const struct store_row *from, struct store_row *to,
                     bool *full);
void memory_new_copy(struct arena *a, const struct store_new *from, struct store_new *to,
                     bool *full);
void memory_step_copy(struct arena *a, const struct store_step *from, struct store_step *to,
                      bool *full);
void memory_message_copy(struct arena *a, const struct store_message *from,
                         struct store_message *to, bool *full);
void memory_event_copy(struct arena *a, const struct store_event *from, struct store_event *to,
                       bool *full);

/* A kept result, copied with room for it in the map; NULL when out of memory. */
struct store_cached *memory_cache_copy(struct memory_data *d, const struct store_cached *from);
void memory_cache_apply(struct memory_data *d, struct store_cached *c);
enum err memory_cache_get(struct store *s, struct str key, wall_us now, struct arena *a,
                          struct store_cached *out, struct error *e);

bool memory_host_alive(const struct memory_data *d, const struct memory_host *h);
enum err memory_events(struct store *s, struct store_range r, struct arena *a,
                       struct store_events *out, struct error *e);
enum err memory_get(struct store *s, struct store_name name, struct arena *a,
                    struct store_execution *out, struct error *e);
enum err memory_find(struct store *s, struct str prefix, struct arena *a, struct str *out_ids,
                     uint32_t *out_count, struct error *e);
enum err memory_last(struct store *s, struct arena *a, struct str *out_ids, uint32_t *out_count,
                     struct error *e);
enum err memory_children(struct store *s, struct store_children of, struct arena *a,
                         struct store_executions *out, struct error *e);
enum err memory_list(struct store *s, const struct store_filter *f, struct arena *a,
                     struct store_executions *out, struct error *e);
enum err memory_steps(struct store *s, int64_t num, struct arena *a, struct store_steps *out,
                      struct error *e);
enum err memory_messages(struct store *s, int64_t num, struct arena *a, struct store_messages *out,
                         struct error *e);
enum err memory_inbox_open(struct store *s, int64_t execution, struct arena *a,
                           struct store_inbox_rows *out, struct error *e);
enum err memory_inbox_get(struct store *s, int64_t id, struct arena *a, struct store_inbox *out,
                          struct error *e);

enum err memory_host_register(struct store *s, int64_t pid, struct str hostname, int64_t *out_host,
                              struct error *e);
enum err memory_host_renew(struct store *s, int64_t host, wall_us until, struct error *e);
enum err memory_hosts_sweep(struct store *s, uint32_t *out_gone, struct error *e);
enum err memory_host_list(struct store *s, struct arena *a, struct store_hosts *out,
                          struct error *e);
enum err memory_left_count(struct store *s, uint32_t *out, struct error *e);

#endif
