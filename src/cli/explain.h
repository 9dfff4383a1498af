/* Why an execution is where it is: what runs, what waits and for whom, what holds a join open, who
 * owns it, and what to do. Made from its journal, for people and as JSON.
 */
#ifndef CAIRN_CLI_EXPLAIN_H
#define CAIRN_CLI_EXPLAIN_H

#include "cli/details.h"

/* {id, workflow, status, updatedAt, error?, pausedBy?, pausedWhy?, pausedAt?, cancelledBy?,
 * failures, notRun and stopped as of results, undo as of undone_value, owner: {alive, pid?,
 * hostname?, leaseUntil?} or null, requests, inbox: [{number, request, step?, since, by?}],
 * breakers, budget and slots as of explain_priv.h, steps: [{step, status, why, since, until?,
 * attempt, attempts, items?: {total, ended}, request?, nextAttempt?, nextAt?, error?, remedy?;
 * pending: needs: [{node, handle, status, open}]}], answers: [{step, status: kept or dropped, by,
 * since, why?}], remedies: [text]} */
enum err explain_value(struct session *s, struct str id, struct value *out, struct error *e)
    MUST_USE;

#endif
