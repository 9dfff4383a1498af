/* Binary min-heap of numbers; equal numbers may stand in it several times.
 * The order among equal ones means nothing to its users, who look at what a number stands for
 * when it comes out.
 */
#include "engine/heap.h"

#include <stdlib.h>

void heap_fini(struct heap *h) {
    free(h->items);
    *h = (struct heap){0};
}

bool heap_push(struct heap *h, uint32_t x) {
    if (h->count == h->cap) {
        uint32_t cap = h->cap ? h->cap * 2 : 16;
        uint32_t *items = realloc(h->items, cap * sizeof *items);
        if (!items) {
            return false;
        }
        h->items = items;
        h->cap = cap;
    }
    uint32_t at = h->count++;
    while (at > 0 && h->items[(at - 1) / 2] > x) {
        h->items[at] = h->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    h->items[at] = x;
    return true;
}

uint32_t heap_pop(struct heap *h) {
    ASSERT(h->count > 0);
    uint32_t top = h->items[0];
    uint32_t last = h->items[--h->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= h->count) {
            break;
        }
        if (child + 1 < h->count && h->items[child + 1] < h->items[child]) {
            child++;
        }
        if (h->items[child] >= last) {
            break;
        }
        h->items[at] = h->items[child];
        at = child;
    }
    h->items[at] = last;
    return top;
}
