/* Why an execution is where it is: what runs, what waits and for whom, what holds a join open, who
 * owns it, and what to do. Made from its journal, for people and as JSON.
 */
#ifndef CAIRN_CLI_EXPLAIN_H
#define CAIRN_CLI_EXPLAIN_H

#include "cli/details.h"

/* {id, workflow, status, updatedAt, error?, pausedBy?, pausedAt?, cancelledBy?, failures? and
 * notRun? as of results, owner: {alive, pid?, hostname?, leaseUntil?}, requests, inbox: [{number,
 * request, step?, since, by?}], steps: [{step, status, why, since, until?, attempt, attempts,
 * request?, error?, remedy?; pending: needs: [{node, handle, status, open}]}], answers: [{step,
 * status: kept or dropped, by, since, why?}], remedies: [text]} */
enum err explain_value(struct session *s, struct str id, struct value *out, struct error *e)
    MUST_USE;

#endif
