/* A small binary min-heap of numbers, growing. For worklists in file or rank order. */
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
