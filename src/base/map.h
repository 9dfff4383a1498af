/* A hash map from text to pointers or numbers, insertion ordered when walked, in an arena.
 * Keys are borrowed: they must live as long as the map. Entries are never removed.
 */
#ifndef CAIRN_BASE_MAP_H
#define CAIRN_BASE_MAP_H

#include <stdint.h>

#include "base/arena.h"

struct map_entry {
    struct str key;
    union {
        void *ptr;
        uint64_t num;
    };
};

struct map {
    struct arena *arena;
    struct map_entry *entries; /* in order of insertion */
    uint32_t *slots;           /* open addressing: index + 1 into entries, 0 empty */
    uint32_t count;
    uint32_t entries_cap;
    uint32_t slots_cap; /* power of two */
};

void map_init(struct map *m, struct arena *arena);
/* The entry of key, or NULL. */
struct map_entry *map_find(const struct map *m, struct str key);
/* The entry of key, made (zero value, *out_new true) when missing; NULL when out of memory. */
struct map_entry *map_put(struct map *m, struct str key, bool *out_new);

#endif
