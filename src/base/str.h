/* A borrowed slice of bytes, usually UTF-8 text, not NUL-terminated. It never owns memory:
 * whoever hands one out says how long it lives.
 */
#ifndef CAIRN_BASE_STR_H
#define CAIRN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

/* A slice of a string literal. */
#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
/* The same as an initialiser of static data, where a compound literal may not stand. */
#define STR_INIT(lit) \
    { "" lit, sizeof(lit) - 1 }
/* For printf's %.*s. */
#define STR_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline struct str str_from(const char *cstr) {
    return (struct str){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool str_eq(struct str a, struct str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_is(struct str a, const char *b) { return str_eq(a, str_from(b)); }

/* Byte order; shorter first when one is a prefix. <0, 0, >0. */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* First position of needle at or after from, or SIZE_MAX. */
size_t str_find(struct str s, struct str needle, size_t from);
/* The part [from, to), clipped to s. */
struct str str_sub(struct str s, size_t from, size_t to);
/* Without ASCII white space at both ends. */
struct str str_trim(struct str s);
/* Cuts s at the first sep: the part before is returned, *rest gets what follows (empty at the
 * end). */
struct str str_split(struct str s, char sep, struct str *rest);
/* True for well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool str_is_utf8(struct str s);
/* Decodes one code point at *pos and moves *pos; invalid bytes give U+FFFD and move by one. */
uint32_t str_utf8_next(struct str s, size_t *pos);
/* Whole text is a decimal integer in range. */
bool str_to_int64(struct str s, int64_t *out);
bool str_to_uint64(struct str s, uint64_t *out);
/* Edit distance of two short words (bytes), for "did you mean"; at most cap is returned. */
size_t str_distance(struct str a, struct str b, size_t cap);
/* The candidate nearest to word within a third of its length, or an empty slice. */
struct str str_nearest(struct str word, const struct str *candidates, size_t count);
/* Identifier rule of node, input and agent names: [a-z_][a-z0-9_]*. */
bool str_is_name(struct str s);

#endif
