/* Asking of an execution that nobody runs, without going on with it: what would be said to a
 * request, and a request that is decided on and recorded while nothing of the execution goes on.
 *
 * Part of host/host.h, which includes it.
 */
#ifndef CAIRN_HOST_VISIT_H
#define CAIRN_HOST_VISIT_H

#include "host/view.h"

struct host;
struct host_request;

/* The status as it really is: "interrupted" when nobody runs what seems to be under way. */
struct str host_status(const struct store_execution *x);
/* What may be asked of it now, for refusals. */
const char *host_allows(const struct store_execution *x);

/* The verdict that the execution, as it is recorded now, would have on the request: "accepted" or
 * "refused: " and why, in a. Nothing is recorded and nothing begins. An error: it cannot be read.
 */
enum err host_would(struct host *h, struct str id, const struct host_request *q, struct arena *a,
                    struct str *out, struct error *e) MUST_USE;
/* Claims an execution that nobody runs, decides on the request, records that and lets go of it:
 * nothing of it is begun or stopped. The verdict comes to the observer. Only for requests that lead
 * to nothing else, as checkpoints. ERR_CONFLICT: another process has it now. */
enum err host_visit(struct host *h, struct str id, const struct host_request *q, struct error *e)
    MUST_USE;

#endif
