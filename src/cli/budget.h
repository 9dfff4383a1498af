/* How much of a budget is used, for people: results and explain say it alike.
 *
 * The option --budget is read by cli_budget (cli.h).
 */
#ifndef CAIRN_CLI_BUDGET_H
#define CAIRN_CLI_BUDGET_H

#include "engine/engine.h"

/* "$0.05": what is asked for more of it, as `explain` has it. */
void text_budget_asked(struct buf *b, struct str key, struct value part);
/* "$0.42 of $0.50 usd, and $0.05 reserved": of one key of what host_view_budget gives. */
void text_budget_part(struct buf *b, struct str key, struct value part);
/* What failed since it was over a budget fails again without more of that. */
enum budget_need {
    BUDGET_NEEDS_NOTHING, /* it failed otherwise */
    BUDGET_NEEDS_OPTION,  /* a retry of this execution, with " --budget KEY=AMOUNT" */
    BUDGET_NEEDS_FILE     /* the budget stands in the workflow of one below, which begins anew */
};
/* id: of the execution that failed with this error. out_option: empty or that option. */
enum budget_need budget_need_of(const struct engine_error *why, struct str id, struct arena *a,
                                struct str *out_option);

#endif
