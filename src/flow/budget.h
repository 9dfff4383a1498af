/* A budget: what a tree of executions may use. Read from a workflow, from the command line and from
 * answers by the same function; amounts are whole numbers of the smallest unit, so that sums are
 * exact: numbers, billionths of a US dollar, microseconds.
 */
#ifndef CAIRN_FLOW_BUDGET_H
#define CAIRN_FLOW_BUDGET_H

#include "base/base.h"
#include "value/value.h"

enum budget_kind {
#define BUDGET(id, key, doc) BUDGET_##id,
#include "flow/budget.def"
#undef BUDGET
    BUDGET_KINDS
};

#define BUDGET_NANO_USD 1000000000 /* of a dollar */

enum on_exceed { EXCEED_UNSAID, EXCEED_PAUSE, EXCEED_FAIL }; /* unsaid: pause */

struct budget {
    bool has[BUDGET_KINDS]; /* else it is not limited */
    int64_t limit[BUDGET_KINDS];
    enum on_exceed on_exceed;
};

/* "steps" ...; the key of a kind, and its kind or BUDGET_KINDS. */
const char *budget_key(enum budget_kind kind);
enum budget_kind budget_find(struct str key);
bool budget_any(const struct budget *b);

/* One key as people write it: a number, a duration for time, `on_exceed: pause | fail`. ERR_INVALID
 * says what was expected; ERR_NOT_FOUND: there is no such key. */
enum err budget_read(struct budget *b, struct str key, struct value v, struct error *e) MUST_USE;
/* The same from one text: 0.50, +0.50 and $0.50 are numbers. */
enum err budget_read_text(struct budget *b, struct str key, struct str text, struct error *e)
    MUST_USE;
/* An amount as people read it: "$0.50", "1200", "1h30m". */
void budget_print(enum budget_kind kind, int64_t amount, struct buf *out);

/* As journals keep it: a map of key to whole number, with on_exceed when it is said. */
struct value budget_value(const struct budget *b, struct arena *a);
void budget_from_value(struct value v, struct budget *out);

#endif
