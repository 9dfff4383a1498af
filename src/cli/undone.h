/* What was undone by compensate nodes, what was not and why: after `recover: compensate`, or for a
 * rollback, whether that is under way, was stopped or is over.
 *
 * Only looks.
 */
#ifndef CAIRN_CLI_UNDONE_H
#define CAIRN_CLI_UNDONE_H

#include "cli/details.h"

/* {state: running, paused, stopped or completed; by: who asked for the rollback, or "recover"; to:
 * the event it goes back to, or null; steps: [{step, state: undone, running, failed, stopped or
 * open, by: the run that undid it, or null, at, error, inDoubt: it may be undone, and a retry does
 * it anew, rolledBack}]}, the last completed first.
 * Null when nothing is or was undone. past: also what was undone before a retry. In a. */
struct value undone_value(const struct host_view *v, struct arena *a, bool past);
/* Lines behind the indent. */
void undone_print(struct buf *b, struct value undo, const char *indent);
/* Which run undid the step, or empty. */
struct str undone_by(struct value undo, struct str step);

#endif
