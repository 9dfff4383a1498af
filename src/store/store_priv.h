/* What a backend implements, and what backends share. A backend embeds struct store as its first
 * member; store.c checks arguments that no caller may get wrong and dispatches, so a backend's
 * functions may rely on them. Semantics are those of store.h, the suite in tests/store is run
 * against every backend.
 */
#ifndef CAIRN_STORE_STORE_PRIV_H
#define CAIRN_STORE_STORE_PRIV_H

#include "store/store.h"

struct store_events {
    struct store_event *items;
    uint32_t count;
};

struct store_executions {
    struct store_execution *items;
    uint32_t count;
};

struct store_steps {
    struct store_step *items;
    uint32_t count;
};

struct store_messages {
    struct store_message *items;
    uint32_t count;
};

struct store_inbox_rows {
    struct store_inbox *items;
    uint32_t count;
};

struct store_hosts {
    struct store_host *items;
    uint32_t count;
};

/* How one execution is named: the first of num, id, key that is given. */
struct store_name {
    int64_t num;
    struct str id, key;
};

struct store_ops {
    void (*close)(struct store *s);
    void (*patience)(struct store *s, uint32_t ms); /* NULL: it never waits */
    enum err (*commit)(struct store *s, struct store_batch *b, struct error *e);
    enum err (*events)(struct store *s, struct store_range r, struct arena *a,
                       struct store_events *out, struct error *e);
    enum err (*get)(struct store *s, struct store_name name, struct arena *a,
                    struct store_execution *out, struct error *e);
    enum err (*find)(struct store *s, struct str prefix, struct arena *a, struct str *out_ids,
                     uint32_t *out_count, struct error *e);
    enum err (*last)(struct store *s, struct arena *a, struct str *out_ids, uint32_t *out_count,
                     struct error *e);
    enum err (*list)(struct store *s, const struct store_filter *f, struct arena *a,
                     struct store_executions *out, struct error *e);
    enum err (*children)(struct store *s, struct store_children of, struct arena *a,
                         struct store_executions *out, struct error *e);
    enum err (*steps)(struct store *s, int64_t num, struct arena *a, struct store_steps *out,
                      struct error *e);
    enum err (*messages)(struct store *s, int64_t num, struct arena *a, struct store_messages *out,
                         struct error *e);
    enum err (*workflow_put)(struct store *s, struct str hash, struct str name, struct str bundle,
                             struct error *e);
    enum err (*workflow_get)(struct store *s, struct str hash, struct arena *a, struct str *out,
                             struct error *e);
    enum err (*blob_put)(struct store *s, struct str hash, struct str bytes, struct error *e);
    enum err (*blob_get)(struct store *s, struct str hash, struct arena *a, struct str *out,
                         struct error *e);
    enum err (*cache_get)(struct store *s, struct str key, wall_us now, struct arena *a,
                          struct store_cached *out, struct error *e);
    enum err (*inbox_add)(struct store *s, const struct store_inbox *row, int64_t *out_id,
                          struct error *e);
    enum err (*inbox_open)(struct store *s, int64_t execution, struct arena *a,
                           struct store_inbox_rows *out, struct error *e);
    enum err (*inbox_get)(struct store *s, int64_t id, struct arena *a, struct store_inbox *out,
                          struct error *e);
    /* NULL: there is no such file, and whether there is news cannot be told. */
    const char *(*inbox_file)(struct store *s);
    bool (*has_news)(struct store *s);
    enum err (*host_register)(struct store *s, int64_t pid, struct str hostname, int64_t *out_host,
                              struct error *e);
    enum err (*host_renew)(struct store *s, int64_t host, wall_us until, struct error *e);
    enum err (*hosts_sweep)(struct store *s, uint32_t *out_gone, struct error *e);
    enum err (*host_list)(struct store *s, struct arena *a, struct store_hosts *out,
                          struct error *e);
    enum err (*left_count)(struct store *s, uint32_t *out, struct error *e);
    enum err (*kinds_put)(struct store *s, const struct store_kind_name *kinds, size_t count,
                          struct error *e);
    void (*idle)(struct store *s);
    /* NULL: cannot be checked. */
    void (*check)(struct store *s, void (*tell)(void *ctx, const struct store_finding *f),
                  void *ctx);
};

struct store {
    const struct store_ops *ops;
    struct store_stats stats;
};

#define STORE_BACKEND(scheme, doc)                                                            \
    enum err store_##scheme##_open(const char *path, bool make, const struct io_clock *clock, \
                                   struct store **out, struct error *e);
#include "store/backends.def"
#undef STORE_BACKEND

/* labels.c: true when the JSON map of texts has key with exactly that value. */
bool store_label_has(struct str labels, struct str key, struct str value);

/* An array in the arena with room for one more item, doubled when full; NULL when out of memory.
 * items may be NULL at first, with *cap 0. */
void *store_array_grow(struct arena *a, void *items, uint32_t count, uint32_t *cap,
                       size_t item_bytes);

/* The error for an execution that is not there. */
enum err store_error_missing(struct store_name name, struct error *e);

/* The error for a row of the inbox that is not there. */
enum err store_error_no_request(int64_t id, struct error *e);

/* zip.c: zstd with a checksum inside. *out is malloc'd (freed by the caller). */
enum err store_zip(struct str bytes, struct str *out, struct error *e);
/* Into the arena; size_bytes is what the result must have. ERR_CORRUPT when it does not. */
enum err store_unzip(struct str packed, size_t size_bytes, struct arena *a, struct str *out,
                     struct error *e);

#endif
