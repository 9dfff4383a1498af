/* The memory store, kept results: a map by key. What is over stays until its key is written again,
 * and is never given.
 */
#include "store/memory_priv.h"

struct store_cached *memory_cache_copy(struct memory_data *d, const struct store_cached *from) {
    bool full = false, fresh;
    struct store_cached *c = ARENA_NEW(&d->arena, struct store_cached);
    if (!c) {
        return NULL;
    }
    *c = *from;
    c->key = memory_str(&d->arena, from->key, &full);
    c->execution = memory_str(&d->arena, from->execution, &full);
    c->step = memory_str(&d->arena, from->step, &full);
    c->event = memory_str(&d->arena, from->event, &full);
    return !full && map_put(&d->cache, c->key, &fresh) ? c : NULL; /* its place is there then */
}

void memory_cache_apply(struct memory_data *d, struct store_cached *c) {
    map_find(&d->cache, c->key)->ptr = c;
}

enum err memory_cache_get(struct store *s, struct str key, wall_us now, struct arena *a,
                          struct store_cached *out, struct error *e) {
    const struct map_entry *entry = map_find(&memory_of(s)->cache, key);
    const struct store_cached *c = entry ? entry->ptr : NULL;
    bool full = false;
    if (!c || c->expires.us <= now.us) {
        return error_set(e, ERR_NOT_FOUND, "no result is kept under this key");
    }
    struct store_cached copy = *c;
    copy.key = key;
    copy.execution = memory_str(a, c->execution, &full);
    copy.step = memory_str(a, c->step, &full);
    copy.event = memory_str(a, c->event, &full);
    if (full) {
        return error_nomem(e);
    }
    *out = copy;
    return OK;
}
