/* A small binary min-heap of numbers, growing: the worklists of the engine, in file or rank order.
 * Zero bytes are an empty heap. Entries may be stale; users check what they pop.
 * Only pushing can fail, for lack of memory.
 */
#ifndef CAIRN_ENGINE_HEAP_H
#define CAIRN_ENGINE_HEAP_H

#include "base/base.h"

struct heap {
    uint32_t *items;
    uint32_t count, cap;
};

void heap_fini(struct heap *h);
/* False when out of memory. */
bool heap_push(struct heap *h, uint32_t x) MUST_USE;
/* The heap must not be empty. */
uint32_t heap_pop(struct heap *h);

#endif
