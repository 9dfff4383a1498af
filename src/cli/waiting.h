/* What `cairn list --waiting` prints: the inbox of people.
 *
 * Only looks; what a step asks is in its journal, so it is the same for every process.
 */
#ifndef CAIRN_CLI_WAITING_H
#define CAIRN_CLI_WAITING_H

#include "cli/details.h"

/* A line a step on stdout, or {items: [{execution, workflow, step, since, request}]}. f: which
 * executions, its status and after are not looked at; status: as it really is, or empty for all.
 * Reported. */
enum err waiting_list(struct session *s, struct store_filter *f, struct str status) MUST_USE;

#endif
