/* What the parser (regex_parse.c) hands to the compiler and matcher (regex.c): a syntax tree.
 * Trees are at most REGEX_MAX_DEPTH groups deep, so walking them may recurse; sequences and
 * alternatives are lists, not nested pairs.
 */
#ifndef CAIRN_VALUE_REGEX_PRIV_H
#define CAIRN_VALUE_REGEX_PRIV_H

#include "value/regex.h"

#define REGEX_MAX_CHAR 0x10ffffu
#define REGEX_INFINITE UINT32_MAX

struct regex_range {
    uint32_t from;
    uint32_t to; /* included */
};

struct regex_set {
    struct regex_range *ranges; /* sorted, not touching */
    uint32_t count;
    uint64_t ascii[2]; /* the same for 0..127 */
};

enum regex_assertion { AT_TEXT_START, AT_TEXT_END, AT_LINE_START, AT_LINE_END, AT_WORD, NOT_WORD };

enum regex_node_type {
    NODE_EMPTY,
    NODE_CHAR,
    NODE_SET,
    NODE_ASSERT,
    NODE_CAT,
    NODE_ALT,
    NODE_REPEAT
};

struct regex_node {
    enum regex_node_type type;
    struct regex_node *next;  /* brother in a CAT or ALT */
    struct regex_node *child; /* CAT, ALT: the first; REPEAT: the only one */
    uint32_t cp;              /* CHAR */
    const struct regex_set *set;
    enum regex_assertion assertion;
    uint32_t min, max; /* REPEAT */
};

enum err regex_parse(struct arena *a, struct str pattern, struct regex_node **out, struct error *e)
    MUST_USE;
bool regex_set_has(const struct regex_set *s, uint32_t cp);

#endif
