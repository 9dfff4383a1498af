/* A store that hands everything to another one and fails the n-th call: before anything was done,
 * or, for a write, after it was recorded. Unlike the faulty store of src/store it fails reads too,
 * and with any code. Out fields of a call that fails stay as they were.
 */
#include <stdlib.h>

#include "fail.h"
#include "store/store_priv.h"

struct troubled {
    struct store base;
    struct store *inner;
    struct store_trouble *trouble;
};

static struct store *inner(struct store *s) { return ((struct troubled *)s)->inner; }

static bool comes(struct store *s) {
    struct store_trouble *t = ((struct troubled *)s)->trouble;
    t->calls++;
    bool now = t->n && (t->for_good ? t->calls >= t->n : t->calls == t->n);
    t->told = t->told || now;
    return now;
}

static enum err refuse(struct store *s, struct error *e) {
    const struct store_trouble *t = ((struct troubled *)s)->trouble;
    return error_set(e, t->code, "call %llu of the store fails, as the test wants it",
                     (unsigned long long)t->n);
}

/* A read fails, or goes well when it is the writes that fail after they were recorded. */
static bool read_fails(struct store *s) {
    return comes(s) && !((struct troubled *)s)->trouble->after;
}

static void close_it(struct store *s) { free(s); }

#define READ(name, args, ...)                                                   \
    static enum err name##_it args {                                            \
        return read_fails(s) ? refuse(s, e) : inner(s)->ops->name(__VA_ARGS__); \
    }
READ(events,
     (struct store * s, struct store_range r, struct arena *a, struct store_events *out,
      struct error *e),
     inner(s), r, a, out, e)
READ(get,
     (struct store * s, struct store_name name, struct arena *a, struct store_execution *out,
      struct error *e),
     inner(s), name, a, out, e)
READ(find,
     (struct store * s, struct str prefix, struct arena *a, struct str *out, uint32_t *count,
      struct error *e),
     inner(s), prefix, a, out, count, e)
READ(last, (struct store * s, struct arena *a, struct str *out, uint32_t *count, struct error *e),
     inner(s), a, out, count, e)
READ(list,
     (struct store * s, const struct store_filter *f, struct arena *a, struct store_executions *out,
      struct error *e),
     inner(s), f, a, out, e)
READ(steps,
     (struct store * s, int64_t num, struct arena *a, struct store_steps *out, struct error *e),
     inner(s), num, a, out, e)
READ(messages,
     (struct store * s, int64_t num, struct arena *a, struct store_messages *out, struct error *e),
     inner(s), num, a, out, e)
READ(children,
     (struct store * s, struct store_children of, struct arena *a, struct store_executions *out,
      struct error *e),
     inner(s), of, a, out, e)
READ(cache_get,
     (struct store * s, struct str key, wall_us now, struct arena *a, struct store_cached *out,
      struct error *e),
     inner(s), key, now, a, out, e)
READ(workflow_get,
     (struct store * s, struct str hash, struct arena *a, struct str *out, struct error *e),
     inner(s), hash, a, out, e)
READ(blob_get,
     (struct store * s, struct str hash, struct arena *a, struct str *out, struct error *e),
     inner(s), hash, a, out, e)
READ(inbox_open,
     (struct store * s, int64_t x, struct arena *a, struct store_inbox_rows *out, struct error *e),
     inner(s), x, a, out, e)
READ(host_list, (struct store * s, struct arena *a, struct store_hosts *out, struct error *e),
     inner(s), a, out, e)
READ(inbox_get,
     (struct store * s, int64_t id, struct arena *a, struct store_inbox *out, struct error *e),
     inner(s), id, a, out, e)
#undef READ

/* A write that gives something back in *out, which stays as it was when it fails. */
#define WRITE(name, args, before, after_it, ...)              \
    static enum err name##_it args {                          \
        bool now = comes(s);                                  \
        before;                                               \
        if (now && !((struct troubled *)s)->trouble->after) { \
            return refuse(s, e);                              \
        }                                                     \
        enum err err = inner(s)->ops->name(__VA_ARGS__);      \
        if (!err && now) {                                    \
            return refuse(s, e);                              \
        }                                                     \
        if (!err) {                                           \
            after_it;                                         \
        }                                                     \
        return err;                                           \
    }
WRITE(workflow_put,
      (struct store * s, struct str hash, struct str name, struct str bundle, struct error *e),
      (void)0, (void)0, inner(s), hash, name, bundle, e)
WRITE(blob_put, (struct store * s, struct str hash, struct str bytes, struct error *e), (void)0,
      (void)0, inner(s), hash, bytes, e)
WRITE(inbox_add, (struct store * s, const struct store_inbox *row, int64_t *out, struct error *e),
      int64_t id = 0, *out = id, inner(s), row, &id, e)
WRITE(host_register,
      (struct store * s, int64_t pid, struct str name, int64_t *out, struct error *e),
      int64_t id = 0, *out = id, inner(s), pid, name, &id, e)
WRITE(hosts_sweep, (struct store * s, uint32_t *out, struct error *e), uint32_t gone = 0,
      *out = gone, inner(s), &gone, e)
WRITE(host_renew, (struct store * s, int64_t host, wall_us until, struct error *e), (void)0,
      (void)0, inner(s), host, until, e)
WRITE(kinds_put,
      (struct store * s, const struct store_kind_name *kinds, size_t count, struct error *e),
      (void)0, (void)0, inner(s), kinds, count, e)
#undef WRITE

/* What a commit fills is filled only when it went well. */
static enum err commit_it(struct store *s, struct store_batch *b, struct error *e) {
    const struct store_trouble *t = ((struct troubled *)s)->trouble;
    if (!comes(s)) {
        return inner(s)->ops->commit(inner(s), b, e);
    }
    if (t->after) {
        struct store_batch same = *b;
        same.changes = malloc((b->count + 1) * sizeof *b->changes);
        ASSERT(same.changes);
        memcpy(same.changes, b->changes, b->count * sizeof *b->changes);
        enum err err = inner(s)->ops->commit(inner(s), &same, e);
        free(same.changes);
        if (err) {
            return err;
        }
    }
    return refuse(s, e);
}

static void idle_it(struct store *s) { store_idle(inner(s)); }

static const struct store_ops ops = {
    .close = close_it,
    .commit = commit_it,
    .events = events_it,
    .get = get_it,
    .find = find_it,
    .last = last_it,
    .list = list_it,
    .children = children_it,
    .steps = steps_it,
    .messages = messages_it,
    .workflow_put = workflow_put_it,
    .workflow_get = workflow_get_it,
    .blob_put = blob_put_it,
    .blob_get = blob_get_it,
    .cache_get = cache_get_it,
    .inbox_add = inbox_add_it,
    .inbox_open = inbox_open_it,
    .inbox_get = inbox_get_it,
    .host_register = host_register_it,
    .host_renew = host_renew_it,
    .hosts_sweep = hosts_sweep_it,
    .host_list = host_list_it,
    .kinds_put = kinds_put_it,
    .idle = idle_it,
};

enum err store_troubled_open(struct store *inner_store, struct store_trouble *t, struct store **out,
                             struct error *e) {
    struct troubled *s = calloc(1, sizeof *s);
    if (!s) {
        return error_nomem(e);
    }
    s->base.ops = &ops;
    s->inner = inner_store;
    s->trouble = t;
    *out = &s->base;
    return OK;
}
