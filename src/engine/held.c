/* Values that are kept: shared by reference count, freed with the last holder.
 * A scalar needs no memory at all; everything else is one deep copy in an arena of its own, never
 * changed, so sharing is safe.
 */
#include <stdlib.h>

#include "engine/engine_priv.h"

static bool needs_memory(struct value v) {
    switch ((enum value_type)v.type) {
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_TYPE:
    case VALUE_OPTIONAL: return v.extra > 0 || v.type == VALUE_OPTIONAL;
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: return false;
    }
    return false;
}

enum err held_set(struct held *h, struct value v, struct error *e) {
    if (!needs_memory(v)) {
        held_clear(h);
        h->v = v;
        return OK;
    }
    struct mem *m = calloc(1, sizeof *m);
    if (!m) {
        return error_nomem(e);
    }
    m->refs = 1;
    arena_init(&m->arena, 0);
    struct value copy;
    if (!value_copy(&m->arena, v, &copy)) {
        arena_fini(&m->arena);
        free(m);
        return error_nomem(e);
    }
    held_clear(h);
    *h = (struct held){copy, m};
    return OK;
}

void mem_unref(struct mem *m) {
    if (m && --m->refs == 0) {
        arena_fini(&m->arena);
        free(m);
    }
}

void held_clear(struct held *h) {
    mem_unref(h->mem);
    *h = (struct held){0};
}

struct held held_share(const struct held *h) {
    if (h->mem) {
        h->mem->refs++;
    }
    return *h;
}
