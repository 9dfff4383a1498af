/* Slices of text: search, cutting, UTF-8, numbers, and words that are nearly alike.
 *
 * Nothing here allocates or fails. An empty slice may have a NULL pointer, so no function may
 * hand its pointer to memcmp and friends without looking at the length first.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "base/str.h"

#define REPLACEMENT 0xFFFDu
#define WORD_MAX_BYTES 64u /* of the words that str_distance looks at */

int str_cmp(struct str a, struct str b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

bool str_starts(struct str s, struct str prefix) {
    return s.len >= prefix.len && str_eq((struct str){s.ptr, prefix.len}, prefix);
}

bool str_ends(struct str s, struct str suffix) {
    return s.len >= suffix.len && str_eq(str_sub(s, s.len - suffix.len, s.len), suffix);
}

size_t str_find(struct str s, struct str needle, size_t from) {
    if (from > s.len) {
        return SIZE_MAX;
    }
    if (needle.len == 0) {
        return from;
    }
    if (needle.len > s.len - from) {
        return SIZE_MAX;
    }
    const char *at = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
    return at ? (size_t)(at - s.ptr) : SIZE_MAX;
}

struct str str_sub(struct str s, size_t from, size_t to) {
    if (to > s.len) {
        to = s.len;
    }
    if (from > to) {
        from = to;
    }
    return (struct str){from ? s.ptr + from : s.ptr, to - from};
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct str str_trim(struct str s) {
    size_t from = 0;
    size_t to = s.len;
    while (from < to && is_space(s.ptr[from])) {
        from++;
    }
    while (to > from && is_space(s.ptr[to - 1])) {
        to--;
    }
    return str_sub(s, from, to);
}

struct str str_split(struct str s, char sep, struct str *rest) {
    const char *at = s.len ? memchr(s.ptr, sep, s.len) : NULL;
    size_t len = at ? (size_t)(at - s.ptr) : s.len;
    *rest = at ? str_sub(s, len + 1, s.len) : str_sub(s, s.len, s.len);
    return str_sub(s, 0, len);
}

/* Bytes of the well-formed sequence at p (left > 0), 0 if there is none. Unicode, table 3-7. */
static size_t sequence_bytes(const unsigned char *p, size_t left) {
    unsigned char c = p[0];
    if (c < 0x80) {
        return 1;
    }
    size_t n = c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return n;
}

bool str_is_utf8(struct str s) {
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;
    while (i < s.len) {
        uint64_t eight;
        if (s.len - i >= sizeof eight) {
            memcpy(&eight, p + i, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        size_t n = sequence_bytes(p + i, s.len - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

uint32_t str_utf8_next(struct str s, size_t *pos) {
    static const unsigned char lead_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    if (*pos >= s.len) {
        return REPLACEMENT;
    }
    const unsigned char *p = (const unsigned char *)s.ptr + *pos;
    size_t n = sequence_bytes(p, s.len - *pos);
    if (n == 0) {
        *pos += 1;
        return REPLACEMENT;
    }
    uint32_t c = p[0] & lead_mask[n];
    for (size_t i = 1; i < n; i++) {
        c = (c << 6) | (p[i] & 0x3Fu);
    }
    *pos += n;
    return c;
}

bool str_to_uint64(struct str s, uint64_t *out) {
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, digit, &n)) {
            return false;
        }
    }
    if (s.len == 0) {
        return false;
    }
    *out = n;
    return true;
}

bool str_to_int64(struct str s, int64_t *out) {
    uint64_t n;
    bool negative = s.len > 0 && s.ptr[0] == '-';
    if (!str_to_uint64(negative ? str_sub(s, 1, s.len) : s, &n)) {
        return false;
    }
    if (n > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *out = (int64_t)(negative ? 0 - n : n);
    return true;
}

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* Insertions, deletions, changes and swaps of neighbours count one each (restricted
 * Damerau-Levenshtein): three rows of the usual table are enough. */
size_t str_distance(struct str a, struct str b, size_t cap) {
    if (a.len > WORD_MAX_BYTES || b.len > WORD_MAX_BYTES) {
        return str_eq(a, b) ? 0 : cap;
    }
    size_t rows[3][WORD_MAX_BYTES + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        before[j] = last[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = last[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            now[j] = min_size(change, 1 + min_size(last[j], now[j - 1]));
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1]) {
                now[j] = min_size(now[j], before[j - 2] + 1);
            }
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return min_size(last[b.len], cap);
}

struct str str_nearest(struct str word, const struct str *candidates, size_t count) {
    size_t limit = word.len / 3;
    if (limit == 0 && word.len > 1) {
        limit = 1; /* a slip in a two-letter word is still worth a hint */
    }
    struct str best = {0};
    size_t best_distance = limit + 1;
    for (size_t i = 0; i < count; i++) {
        size_t d = str_distance(word, candidates[i], best_distance);
        if (d < best_distance) {
            best_distance = d;
            best = candidates[i];
        }
    }
    return best;
}

bool str_is_name(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool first_ok = (c >= 'a' && c <= 'z') || c == '_';
        if (!first_ok && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return s.len > 0;
}
