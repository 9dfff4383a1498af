/* Budgets, as the engine sees them: what an execution has used and reserved by itself, what its own
 * budget is now, and what its tree still allows. The last is the host's to know, which comes with
 * each input; what was decided by it is recorded.
 *
 * Part of engine/engine.h, which includes it.
 */
#ifndef CAIRN_ENGINE_BUDGET_H
#define CAIRN_ENGINE_BUDGET_H

#include "engine/look.h"
#include "flow/budget.h"

/* By kind; of time nothing is counted here. */
struct account {
    int64_t used[BUDGET_KINDS];
    int64_t reserved[BUDGET_KINDS]; /* by calls under way: what they may use at most */
};

/* Some execution above has a budget: what this one uses is counted there. */
bool engine_is_charged(const struct engine *g);
/* Of this execution alone, sub-workflows not included. */
struct account engine_account(const struct engine *g);
bool engine_has_budget(const struct engine *g);
/* Its own budget: the workflow's, what was given at submission before it, and what was added. */
struct budget engine_budget(const struct engine *g);
/* Of a budget's time: used until now. */
int64_t engine_time_used_us(const struct engine *g, wall_us now);

/* The same for the allowance that comes with an input: a retry sets limits, may be of another
 * workflow, and its time begins anew. */
struct engine_input;
struct budget engine_budget_for(const struct engine *g, const struct engine_input *in);
int64_t engine_time_used_for(const struct engine *g, const struct engine_input *in);

/* The budget that leaves least of a kind: of this execution or of one above it. */
struct allowed {
    bool limited;                  /* else there is none */
    bool fails;                    /* on_exceed: fail */
    struct str of;                 /* id of the execution whose budget it is */
    int64_t limit, used, reserved; /* by all its tree */
};
struct allowance {
    struct allowed of[BUDGET_KINDS];
};
static inline int64_t allowed_left(const struct allowed *a) {
    return a->limited ? a->limit - a->used - a->reserved : INT64_MAX;
}

#endif
