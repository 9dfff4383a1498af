/* What the files of value share and nobody else may use: the layout of maps and the text of
 * scalars.
 *
 * A map with more than VALUE_SMALL_MAP pairs has an index right behind them: a power of two of
 * uint32_t slots, at most half taken, each 0 or the position of a pair + 1. The hash is seeded
 * with the address of the pairs; nothing visible depends on it.
 */
#ifndef CAIRN_VALUE_VALUE_PRIV_H
#define CAIRN_VALUE_VALUE_PRIV_H

#include "value/value.h"

#define VALUE_SMALL_MAP 8u

/* Zeroed memory for count pairs and their index; NULL when out of memory. */
struct value_pair *value_pairs_alloc(struct arena *a, size_t count);
/* Builds the index of pairs from value_pairs_alloc; false if two keys are the same. */
bool value_pairs_index(struct value_pair *pairs, size_t count);
/* A map of pairs that were indexed. */
static inline struct value value_map_of(const struct value_pair *pairs, size_t count) {
    return (struct value){.type = VALUE_MAP, .extra = (uint32_t)count, .pairs = pairs};
}

/* Scalars as text, without quotes. */
void value_print_int64(int64_t n, struct buf *out);
void value_print_uint64(uint64_t n, struct buf *out);
void value_print_real(double d, struct buf *out);
void value_print_timestamp(struct value v, struct buf *out);
void value_print_duration(struct value v, struct buf *out);
/* A JSON string of s; ill-formed UTF-8 becomes U+FFFD. */
void value_print_quoted(struct str s, struct buf *out);

#endif
