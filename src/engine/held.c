/* Values that are kept: shared by reference count, freed with the last holder.
 * A scalar needs no memory at all; everything else is one deep copy in an arena of its own, never
 * changed, so sharing is safe.
 */
#include <stdlib.h>

#include "engine/engine_priv.h"

/* Most values that are kept are short texts and small maps. */
enum { SMALL_BYTES = 128 };

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
    arena_init_small(&m->arena, SMALL_BYTES);
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

/* Room for need items (or bytes) in h's own memory, with what it has already. */
static void *grow(struct held *h, size_t need, size_t size, uint32_t *room) {
    size_t more = need * 2 < 16 ? 16 : need * 2;
    if (!h->mem) {
        h->mem = calloc(1, sizeof *h->mem);
        if (!h->mem) {
            return NULL;
        }
        h->mem->refs = 1;
        arena_init_small(&h->mem->arena, SMALL_BYTES);
    }
    void *moved = arena_array(&h->mem->arena, more, size);
    if (moved && h->v.extra) {
        memcpy(moved, h->v.ptr, h->v.extra * size);
    }
    *room = moved ? (uint32_t)more : *room;
    return moved;
}

/* In place: who shares the value sees as much of it as before. A loop that appends one by one
 * copies each item once or twice, not once per turn. */
enum err held_append(struct held *h, uint32_t *room, struct value tail, struct error *e) {
    bool is_list = tail.type == VALUE_LIST;
    size_t size = is_list ? sizeof(struct value) : 1;
    size_t have = h->v.extra, need = have + tail.extra;
    void *at = (void *)(uintptr_t)h->v.ptr;
    if (need > *room || !h->mem) {
        at = grow(h, need, size, room);
    }
    if (!at) {
        return error_nomem(e);
    }
    struct value *items = at;
    for (size_t i = 0; is_list && i < tail.extra; i++) {
        if (!value_copy(&h->mem->arena, tail.items[i], &items[have + i])) {
            return error_nomem(e);
        }
    }
    if (!is_list && tail.extra) {
        memcpy((char *)at + have, tail.ptr, tail.extra);
    }
    h->v = is_list ? value_list(items, need) : value_text((struct str){at, need});
    return OK;
}
