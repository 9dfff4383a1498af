/* How much of a budget is used, for people: results and explain say it alike.
 *
 * The option --budget is read by cli_budget (cli.h).
 */
#ifndef CAIRN_CLI_BUDGET_H
#define CAIRN_CLI_BUDGET_H

#include "base/base.h"
#include "value/value.h"

/* "$0.05": what is asked for more of it, as `explain` has it. */
void text_budget_asked(struct buf *b, struct str key, struct value part);
/* "$0.42 of $0.50 usd, and $0.05 reserved": of one key of what host_view_budget gives. */
void text_budget_part(struct buf *b, struct str key, struct value part);
/* " --budget KEY=AMOUNT" for a retry of what failed since it was over its budget: without more of
 * that it would fail again. Empty for other failures. */
struct str text_budget_retry(struct str type, struct str message, struct arena *a);

#endif
