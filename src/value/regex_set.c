/* Sets of code points: built from ranges, sorted and merged, asked by the matcher.
 *
 * Invariant of a finished set: ranges ascend and do not touch, and the bits for ASCII agree.
 */
#include "value/regex_set.h"

#include <stdlib.h>

void regex_set_init(struct regex_set_builder *b, struct arena *arena) {
    *b = (struct regex_set_builder){.arena = arena, .ok = true};
}

void regex_set_add(struct regex_set_builder *b, uint32_t from, uint32_t to) {
    if (b->count == b->cap) {
        uint32_t cap = b->cap ? b->cap * 2 : 8;
        struct regex_range *ranges = ARENA_ARRAY(b->arena, cap, struct regex_range);
        if (!ranges) {
            b->ok = false;
            return;
        }
        if (b->count) {
            memcpy(ranges, b->ranges, b->count * sizeof *ranges);
        }
        b->ranges = ranges;
        b->cap = cap;
    }
    b->ranges[b->count++] = (struct regex_range){from, to};
}

static void add_all(struct regex_set_builder *b, const struct regex_range *r, size_t count,
                    bool negated) {
    uint32_t from = 0;
    for (size_t i = 0; i < count; i++) {
        if (!negated) {
            regex_set_add(b, r[i].from, r[i].to);
        } else {
            regex_set_add(b, from, r[i].from - 1);
            from = r[i].to + 1;
        }
    }
    if (negated) {
        regex_set_add(b, from, REGEX_MAX_CHAR);
    }
}

bool regex_set_add_class(struct regex_set_builder *b, char letter) {
    static const struct regex_range digits[] = {{'0', '9'}};
    static const struct regex_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const struct regex_range spaces[] = {{'\t', '\r'}, {' ', ' '}};
    switch (letter) {
    case 'd':
    case 'D': add_all(b, digits, ARRAY_LEN(digits), letter == 'D'); return true;
    case 'w':
    case 'W': add_all(b, words, ARRAY_LEN(words), letter == 'W'); return true;
    case 's':
    case 'S': add_all(b, spaces, ARRAY_LEN(spaces), letter == 'S'); return true;
    default: return false;
    }
}

/* Blocks of upper case letters whose lower case stands `shift` further on. */
static const struct {
    uint32_t from, to, shift;
} cases[] = {
    {'A', 'Z', 32},     {0xc0, 0xd6, 32},   {0xd8, 0xde, 32},   {0x391, 0x3a1, 32},
    {0x3a3, 0x3ab, 32}, {0x400, 0x40f, 80}, {0x410, 0x42f, 32},
};

static void add_overlap(struct regex_set_builder *b, struct regex_range r, uint32_t from,
                        uint32_t to, int32_t shift) {
    uint32_t low = r.from > from ? r.from : from;
    uint32_t high = r.to < to ? r.to : to;
    if (low <= high) {
        regex_set_add(b, (uint32_t)((int32_t)low + shift), (uint32_t)((int32_t)high + shift));
    }
}

void regex_set_fold(struct regex_set_builder *b) {
    uint32_t count = b->count;
    for (uint32_t i = 0; i < count && b->ok; i++) {
        struct regex_range r = b->ranges[i];
        for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
            int32_t shift = (int32_t)cases[k].shift;
            add_overlap(b, r, cases[k].from, cases[k].to, shift);
            add_overlap(b, r, cases[k].from + cases[k].shift, cases[k].to + cases[k].shift, -shift);
        }
    }
}

static int by_start(const void *a, const void *b) {
    const struct regex_range *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

static uint32_t merge(struct regex_range *r, uint32_t count) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept && r[i].from <= r[kept - 1].to + 1) {
            r[kept - 1].to = r[i].to > r[kept - 1].to ? r[i].to : r[kept - 1].to;
        } else {
            r[kept++] = r[i];
        }
    }
    return kept;
}

static void complement(struct regex_set_builder *b) {
    uint32_t count = b->count, from = 0;
    struct regex_range *old = b->ranges;
    b->ranges = NULL;
    b->count = b->cap = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (old[i].from > from) {
            regex_set_add(b, from, old[i].from - 1);
        }
        from = old[i].to + 1;
    }
    if (from <= REGEX_MAX_CHAR) {
        regex_set_add(b, from, REGEX_MAX_CHAR);
    }
}

const struct regex_set *regex_set_done(struct regex_set_builder *b, bool negated) {
    struct regex_set *s = ARENA_NEW(b->arena, struct regex_set);
    if (b->count) {
        qsort(b->ranges, b->count, sizeof *b->ranges, by_start);
        b->count = merge(b->ranges, b->count);
    }
    if (negated) {
        complement(b);
    }
    if (!s || !b->ok) {
        return NULL;
    }
    s->ranges = b->ranges;
    s->count = b->count;
    for (uint32_t i = 0; i < s->count && s->ranges[i].from < 128; i++) {
        for (uint32_t c = s->ranges[i].from; c <= s->ranges[i].to && c < 128; c++) {
            s->ascii[c / 64] |= 1ull << (c % 64);
        }
    }
    return s;
}

bool regex_set_has(const struct regex_set *s, uint32_t cp) {
    if (cp < 128) {
        return s->ascii[cp / 64] >> (cp % 64) & 1;
    }
    uint32_t low = 0, high = s->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (cp > s->ranges[mid].to) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < s->count && cp >= s->ranges[low].from;
}
