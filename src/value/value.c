/* Making values and finding things in them: constructors, builders, maps with their index.
 *
 * Values are immutable once built; nothing here may change one that was handed out. Builders
 * never fail loudly: lack of memory turns ok false, and done then gives null. A map keeps the
 * order of insertion; of equal keys it keeps the place of the first and the value of the last.
 */
#include "value/value.h"

#include "value/value_priv.h"

#define NANOS_PER_S 1000000000
#define US_PER_S 1000000

_Static_assert(sizeof(struct value) == 16, "values are passed in two registers");

static struct value slice(enum value_type type, struct str s) {
    ASSERT(s.len <= VALUE_MAX_TEXT);
    return (struct value){.type = (uint8_t)type, .extra = (uint32_t)s.len, .ptr = s.ptr};
}

struct value value_text(struct str s) {
    return slice(VALUE_TEXT, s);
}

struct value value_bytes(struct str s) {
    return slice(VALUE_BYTES, s);
}

struct value value_timestamp(int64_t seconds, int32_t nanos) {
    ASSERT(nanos >= 0 && nanos < NANOS_PER_S);
    return (struct value){.type = VALUE_TIMESTAMP, .extra = (uint32_t)nanos, .num = seconds};
}

struct value value_timestamp_us(wall_us t) {
    int64_t us = t.us % US_PER_S;
    int64_t seconds = t.us / US_PER_S - (us < 0);
    return value_timestamp(seconds, (int32_t)(us < 0 ? us + US_PER_S : us) * 1000);
}

struct value value_duration(int64_t seconds, int32_t nanos) {
    ASSERT(nanos > -NANOS_PER_S && nanos < NANOS_PER_S);
    ASSERT((seconds >= 0 || nanos <= 0) && (seconds <= 0 || nanos >= 0));
    return (struct value){.type = VALUE_DURATION, .extra = (uint32_t)nanos, .num = seconds};
}

struct value value_list(const struct value *items, size_t count) {
    ASSERT(count <= VALUE_MAX_COUNT);
    return (struct value){.type = VALUE_LIST, .extra = (uint32_t)count, .items = items};
}

const char *value_type_name(enum value_type t) {
    static const char *const names[] = {
        [VALUE_NULL] = "null",         [VALUE_BOOL] = "bool",
        [VALUE_INT] = "int",           [VALUE_UINT] = "uint",
        [VALUE_DOUBLE] = "double",     [VALUE_TEXT] = "string",
        [VALUE_BYTES] = "bytes",       [VALUE_TIMESTAMP] = "timestamp",
        [VALUE_DURATION] = "duration", [VALUE_LIST] = "list",
        [VALUE_MAP] = "map",           [VALUE_TYPE] = "type",
        [VALUE_OPTIONAL] = "optional",
    };
    ASSERT((size_t)t < ARRAY_LEN(names));
    return names[t];
}

/* --- map index ------------------------------------------------------------------------------ */

static bool same_key(struct value a, struct value b) {
    if (a.type == VALUE_TEXT && b.type == VALUE_TEXT) {
        return str_eq(value_str(a), value_str(b));
    }
    return value_equal(a, b);
}

/* A double that equals an integer hashes as that integer does; others are nobody's key. */
static uint64_t double_bits(double d) {
    if (d >= -0x1p63 && d < 0x1p63) {
        return (uint64_t)(int64_t)d;
    }
    return d >= 0x1p63 && d < 0x1p64 ? (uint64_t)d : 0;
}

static uint32_t key_hash(struct value key, uint64_t seed) {
    if (key.type == VALUE_TEXT) {
        return (uint32_t)hash_bytes(value_str(key), seed);
    }
    uint64_t bits = 0;
    if (key.type == VALUE_INT || key.type == VALUE_UINT) {
        bits = key.unum;
    } else if (key.type == VALUE_DOUBLE) {
        bits = double_bits(key.real);
    } else if (key.type == VALUE_BOOL) {
        bits = key.boolean ? 2 : 1;
    }
    bits = (bits ^ seed) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(bits >> 32);
}

static size_t slot_count(size_t count) {
    size_t n = 32;
    if (count <= VALUE_SMALL_MAP) {
        return 0;
    }
    while (n < 2 * count) {
        n *= 2;
    }
    return n;
}

struct value_pair *value_pairs_alloc(struct arena *a, size_t count) {
    if (count > VALUE_MAX_COUNT) {
        return NULL;
    }
    return arena_alloc(a, count * sizeof(struct value_pair) + slot_count(count) * sizeof(uint32_t));
}

/* Where key stands, or the free slot where it belongs. */
static uint32_t *find_slot(const struct value_pair *pairs, uint32_t *slots, size_t slots_len,
                           struct value key) {
    size_t mask = slots_len - 1;
    size_t i = key_hash(key, (uint64_t)(uintptr_t)pairs) & mask;
    while (slots[i] && !same_key(pairs[slots[i] - 1].key, key)) {
        i = (i + 1) & mask;
    }
    return &slots[i];
}

static const struct value_pair *find_small(const struct value_pair *pairs, size_t count,
                                           struct value key) {
    for (size_t i = 0; i < count; i++) {
        if (same_key(pairs[i].key, key)) {
            return &pairs[i];
        }
    }
    return NULL;
}

bool value_pairs_index(struct value_pair *pairs, size_t count) {
    if (count <= VALUE_SMALL_MAP) {
        for (size_t i = 1; i < count; i++) {
            if (find_small(pairs, i, pairs[i].key)) {
                return false;
            }
        }
        return true;
    }
    uint32_t *slots = (uint32_t *)(void *)(pairs + count);
    size_t slots_len = slot_count(count);
    memset(slots, 0, slots_len * sizeof *slots);
    for (size_t i = 0; i < count; i++) {
        uint32_t *slot = find_slot(pairs, slots, slots_len, pairs[i].key);
        if (*slot) {
            return false;
        }
        *slot = (uint32_t)i + 1;
    }
    return true;
}

/* Moves the last value of each key to the place of its first; returns how many pairs remain. */
static size_t drop_duplicates(struct value_pair *pairs, size_t count) {
    uint32_t *slots = (uint32_t *)(void *)(pairs + count);
    size_t slots_len = slot_count(count);
    size_t kept = 0;
    memset(slots, 0, slots_len * sizeof *slots);
    for (size_t i = 0; i < count; i++) {
        struct value_pair *seen = NULL;
        if (slots_len) {
            uint32_t *slot = find_slot(pairs, slots, slots_len, pairs[i].key);
            if (*slot) {
                seen = &pairs[*slot - 1];
            } else {
                *slot = (uint32_t)kept + 1;
            }
        } else {
            const struct value_pair *found = find_small(pairs, kept, pairs[i].key);
            seen = found ? &pairs[found - pairs] : NULL;
        }
        if (seen) {
            seen->val = pairs[i].val;
        } else {
            pairs[kept++] = pairs[i];
        }
    }
    return kept;
}

const struct value *value_get_key(struct value v, struct value key) {
    if (v.type != VALUE_MAP) {
        return NULL;
    }
    if (v.extra <= VALUE_SMALL_MAP) {
        const struct value_pair *pair = find_small(v.pairs, v.extra, key);
        return pair ? &pair->val : NULL;
    }
    const struct value_pair *pairs = v.pairs;
    const uint32_t *slots = (const uint32_t *)(const void *)(pairs + v.extra);
    size_t mask = slot_count(v.extra) - 1;
    for (size_t i = key_hash(key, (uint64_t)(uintptr_t)pairs) & mask; slots[i];
         i = (i + 1) & mask) {
        if (same_key(pairs[slots[i] - 1].key, key)) {
            return &pairs[slots[i] - 1].val;
        }
    }
    return NULL;
}

const struct value *value_get(struct value v, struct str key) {
    if (key.len > VALUE_MAX_TEXT) {
        return NULL;
    }
    return value_get_key(v, value_text(key));
}

/* --- builders ------------------------------------------------------------------------------- */

void value_builder_init(struct value_builder *b, struct arena *arena) {
    *b = (struct value_builder){.arena = arena, .ok = true};
}

/* Capacity for one more; false, with ok cleared, at the limit. */
static bool next_cap(struct value_builder *b, size_t *out_cap) {
    if (b->count >= VALUE_MAX_COUNT) {
        b->ok = false;
        return false;
    }
    size_t cap = b->cap ? b->cap * 2 : 4;
    *out_cap = cap > VALUE_MAX_COUNT ? VALUE_MAX_COUNT : cap;
    return true;
}

static void grow_list(struct value_builder *b) {
    size_t cap;
    if (!next_cap(b, &cap)) {
        return;
    }
    struct value *items = ARENA_ARRAY(b->arena, cap, struct value);
    b->ok = items != NULL;
    if (!items) {
        return;
    }
    if (b->count) {
        memcpy(items, b->items, b->count * sizeof *items);
    }
    b->items = items;
    b->cap = cap;
}

void value_list_add(struct value_builder *b, struct value item) {
    ASSERT(!b->pairs);
    if (b->ok && b->count == b->cap) {
        grow_list(b);
    }
    if (b->ok) {
        b->items[b->count++] = item;
    }
}

static void grow_map(struct value_builder *b) {
    size_t cap;
    if (!next_cap(b, &cap)) {
        return;
    }
    struct value_pair *pairs = value_pairs_alloc(b->arena, cap);
    b->ok = pairs != NULL;
    if (!pairs) {
        return;
    }
    if (b->count) {
        memcpy(pairs, b->pairs, b->count * sizeof *pairs);
    }
    b->pairs = pairs;
    b->cap = cap;
}

void value_map_add_value(struct value_builder *b, struct value key, struct value val) {
    ASSERT(!b->items);
    if (b->ok && b->count == b->cap) {
        grow_map(b);
    }
    if (b->ok) {
        b->pairs[b->count++] = (struct value_pair){.key = key, .val = val};
    }
}

void value_map_add(struct value_builder *b, struct str key, struct value val) {
    value_map_add_value(b, value_text(key), val);
}

struct value value_list_done(struct value_builder *b) {
    ASSERT(!b->pairs);
    return b->ok ? value_list(b->items, b->count) : value_null();
}

struct value value_map_done(struct value_builder *b) {
    ASSERT(!b->items);
    if (!b->ok) {
        return value_null();
    }
    if (!value_pairs_index(b->pairs, b->count)) {
        b->count = drop_duplicates(b->pairs, b->count);
        bool unique = value_pairs_index(b->pairs, b->count);
        ASSERT(unique);
    }
    return value_map_of(b->pairs, b->count);
}
