/* Looking through the stored executions of a status, newest first, a page at a time, whatever their
 * number: rows are gone after their turn. Only looks.
 */
#ifndef CAIRN_CLI_VISIT_H
#define CAIRN_CLI_VISIT_H

#include "cli/session.h"

struct visitor {
    struct session *s;
    struct store_filter filter; /* status, limit (of a page) and after are set here */
    void *ctx;
    /* Called with each row until it says stop; the row is the visitor's until it returns. */
    enum err (*visit)(void *ctx, const struct store_execution *x, bool *stop, struct error *e);
};

/* The rows of that status behind the execution `after` (empty: all). ERR_NOT_FOUND: there is no
 * such execution. */
enum err visit_status(const struct visitor *v, const char *status, struct str after,
                      struct error *e) MUST_USE;

#endif
