/* A list of findings about one input: compiling reports every error it finds, not the first.
 * Each finding has a place, a stable code, a message that says what was expected, and a help
 * line ("did you mean ..."). Past 100 findings the rest is only counted.
 */
#ifndef CAIRN_BASE_DIAG_H
#define CAIRN_BASE_DIAG_H

#include "base/arena.h"
#include "base/error.h"

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

struct diag_item {
    enum diag_severity severity;
    struct mark mark;
    struct str code;    /* "unknown_node", "duplicate_key", "expression" ... */
    struct str message; /* one sentence, no final full stop */
    struct str help;    /* what to do, or empty */
    struct str subject; /* for machines: what the finding is about, e.g. "b needs a.true" */
    uint32_t rank;      /* the producer's own order from 1, 0 when it has none */
};

struct diag {
    struct arena *arena;
    struct diag_item *items;
    uint32_t count;
    uint32_t cap;
    uint32_t errors; /* counted also when not kept */
    uint32_t warnings;
    struct diag_item dropped; /* stands for findings that are not kept */
};

#define DIAG_MAX_ITEMS 100

void diag_init(struct diag *d, struct arena *arena);
/* Adds a finding and returns it (so that help and subject can be set), or a dummy when full. */
struct diag_item *diag_add(struct diag *d, enum diag_severity severity, struct mark mark,
                           const char *code, const char *fmt, ...) PRINTF_LIKE(5, 6);
struct diag_item *diag_error(struct diag *d, struct mark mark, const char *code, const char *fmt,
                             ...) PRINTF_LIKE(4, 5);
/* Sets the help of an item: formatted into the arena. */
void diag_help(struct diag *d, struct diag_item *item, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "did you mean X?" when one of the candidates is near to word. */
void diag_suggest(struct diag *d, struct diag_item *item, struct str word,
                  const struct str *candidates, size_t count);
/* Orders by file, line, column; equal places keep their order. */
void diag_sort(struct diag *d);
/* file:line:column: error: message, then the help on its own line. */
struct buf;
void diag_print(const struct diag *d, struct buf *out);
/* At most so many of them, errors before warnings, and how many more there are. */
void diag_print_most(const struct diag *d, uint32_t most, struct buf *out);

#endif
