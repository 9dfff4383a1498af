/* Building sets of code points while a class like [^a-z\d] is read: ranges are added in any
 * order, then sorted and merged once. Private to src/value.
 */
#ifndef CAIRN_VALUE_REGEX_SET_H
#define CAIRN_VALUE_REGEX_SET_H

#include "value/regex_priv.h"

struct regex_set_builder {
    struct arena *arena;
    struct regex_range *ranges;
    uint32_t count;
    uint32_t cap;
    bool ok; /* false: out of memory */
};

void regex_set_init(struct regex_set_builder *b, struct arena *arena);
void regex_set_add(struct regex_set_builder *b, uint32_t from, uint32_t to);
/* The ranges of \d \w \s, or for upper case letters all others. False for another letter. */
bool regex_set_add_class(struct regex_set_builder *b, char letter);
/* Adds the other case of every letter in the set. */
void regex_set_fold(struct regex_set_builder *b);
/* The finished set, or NULL when out of memory. */
const struct regex_set *regex_set_done(struct regex_set_builder *b, bool negated);

#endif
