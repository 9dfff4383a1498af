/* Inside redaction: the automaton of all forms of all secrets, and what it finds.
 *
 * The automaton is that of Aho and Corasick ("Efficient string matching", 1975): a trie of the
 * forms whose nodes know the longest proper suffix that is in the trie too.
 */
#ifndef CAIRN_VALUE_REDACT_PRIV_H
#define CAIRN_VALUE_REDACT_PRIV_H

#include "value/redact.h"

struct redact_node {
    uint32_t child, sibling; /* the children are a list */
    uint32_t fail;
    uint32_t depth;
    uint32_t found;  /* longest form that ends here: its length, 0 for none */
    uint32_t whole;  /* length of the shortest form that begins like this */
    uint16_t secret; /* whose form ends here */
    uint16_t owner;  /* whose form made this node */
    uint8_t byte;
};

struct redact_secret {
    struct str name; /* on the heap */
    size_t len;      /* of the secret itself */
};

struct redactor {
    struct redact_node *nodes; /* 0 is the root */
    uint32_t count, cap;
    uint32_t first[256]; /* children of the root */
    struct redact_secret *secrets;
    uint32_t secret_count;
    uint32_t version; /* grows with each secret */
    bool numeric;     /* one of them may be written as a number */
};

/* A part of the text that is to be taken out. */
struct cover {
    size_t from, to;
    uint16_t secret;
};

/* Parts in order, none overlapping another. */
struct covers {
    struct cover *items;
    size_t count, cap;
    bool failed; /* out of memory */
};

/* redact_match.c */
bool redact_insert(struct redactor *r, struct str form, uint16_t secret);
/* After the last insert. */
bool redact_link(struct redactor *r);
/* Reads text, which begins `at` bytes into the whole, from *state on, and adds what it finds. */
void redact_match(const struct redactor *r, uint32_t *state, struct str text, size_t at,
                  struct covers *out);
/* Likewise in a text that comes whole; half a form is enough if it is its beginning. */
void redact_match_halves(const struct redactor *r, struct str text, struct covers *out);
void covers_fini(struct covers *c);
void redact_mark(const struct redactor *r, uint16_t secret, struct buf *out);

/* redact_forms.c: inserts the secret in every way it is written. */
bool redact_insert_forms(struct redactor *r, struct str text, uint16_t secret);

#endif
