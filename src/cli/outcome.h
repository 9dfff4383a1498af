/* How an execution ended, told to people: the same words after `run` and in `results`.
 *
 * Writes into a buffer; which stream it goes to is the caller's choice.
 */
#ifndef CAIRN_CLI_OUTCOME_H
#define CAIRN_CLI_OUTCOME_H

#include "cli/details.h"

/* 0 completed, 1 failed, partial or cancelled, 3 left waiting or paused. */
int outcome_exit_status(enum exec_status status);
/* A result as `run` prints it: text as it is, null not at all, other values as JSON; ends with a
 * newline. */
void outcome_print_result(struct buf *b, struct value v);
/* The same for a stream: on a terminal what it would act on is escaped. */
void outcome_show_result(struct buf *b, const struct sink *s, struct value v);
/* The error of an execution with its node, its line in the workflow and the attempt; a line on
 * partial ones. Nothing for other states. */
void outcome_print_error(struct buf *b, const struct sink *s, const struct details *d,
                         const char *shown_file);
/* "completed: fetch, parse (2 of 7 steps)", and what did not run because of a failure. */
void outcome_print_completed(struct buf *b, const struct details *d);
/* A JSON error column as "type: message"; of a very long one the beginning. */
void outcome_print_error_text(struct buf *b, struct value error);

/* ---- story.c ---- */

/* All that `cairn results` shows, on stdout. */
void outcome_print_story(struct cli *c, const struct details *d, bool verbose);

#endif
