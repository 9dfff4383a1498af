/* A hash map from text, open addressing with linear probing over indexes into the entries.
 *
 * Invariants: entries stand in order of insertion and never move apart from growing as a whole;
 * up to SMALL entries there are no slots and the few keys are compared one by one; beyond, at
 * most half of the slots are taken. The hash is seeded with the address of the entries, so keys
 * that collide in one map do not in the next; nothing visible depends on it.
 */
#include "base/map.h"

#include "base/hash.h"

#define SMALL 8u
#define MAX_ENTRIES (1u << 30)

void map_init(struct map *m, struct arena *arena) { *m = (struct map){.arena = arena}; }

static uint32_t first_slot(const struct map *m, struct str key) {
    return (uint32_t)hash_bytes(key, (uint64_t)(uintptr_t)m->entries) & (m->slots_cap - 1);
}

struct map_entry *map_find(const struct map *m, struct str key) {
    if (m->slots_cap == 0) {
        for (uint32_t i = 0; i < m->count; i++) {
            if (str_eq(m->entries[i].key, key)) {
                return &m->entries[i];
            }
        }
        return NULL;
    }
    uint32_t mask = m->slots_cap - 1;
    for (uint32_t i = first_slot(m, key); m->slots[i]; i = (i + 1) & mask) {
        struct map_entry *e = &m->entries[m->slots[i] - 1];
        if (str_eq(e->key, key)) {
            return e;
        }
    }
    return NULL;
}

static void link_entry(struct map *m, uint32_t index) {
    uint32_t mask = m->slots_cap - 1;
    uint32_t i = first_slot(m, m->entries[index].key);
    while (m->slots[i]) {
        i = (i + 1) & mask;
    }
    m->slots[i] = index + 1;
}

static bool grow(struct map *m) {
    uint32_t cap = m->entries_cap ? m->entries_cap * 2 : SMALL;
    if (cap > MAX_ENTRIES) {
        return false;
    }
    struct map_entry *entries = ARENA_ARRAY(m->arena, cap, struct map_entry);
    uint32_t slots_cap = cap > SMALL ? cap * 2 : 0;
    uint32_t *slots = slots_cap ? ARENA_ARRAY(m->arena, slots_cap, uint32_t) : NULL;
    if (!entries || (slots_cap && !slots)) {
        return false;
    }
    if (m->count) {
        memcpy(entries, m->entries, m->count * sizeof *entries);
    }
    m->entries = entries;
    m->entries_cap = cap;
    m->slots = slots;
    m->slots_cap = slots_cap;
    for (uint32_t i = 0; slots && i < m->count; i++) {
        link_entry(m, i);
    }
    return true;
}

struct map_entry *map_put(struct map *m, struct str key, bool *out_new) {
    struct map_entry *e = map_find(m, key);
    if (e) {
        if (out_new) {
            *out_new = false;
        }
        return e;
    }
    if (m->count == m->entries_cap && !grow(m)) {
        return NULL;
    }
    e = &m->entries[m->count];
    *e = (struct map_entry){.key = key};
    if (m->slots_cap) {
        link_entry(m, m->count);
    }
    m->count++;
    if (out_new) {
        *out_new = true;
    }
    return e;
}
