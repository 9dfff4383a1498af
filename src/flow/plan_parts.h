/* Parts of a node in the plan that are made of compiled fields: its `in`, `set` and `foreach`.
 * Immutable, in the plan's arena, like all of it.
 */
#ifndef CAIRN_FLOW_PLAN_PARTS_H
#define CAIRN_FLOW_PLAN_PARTS_H

#include "flow/coerce.h"
#include "flow/pval.h"

struct plan_in { /* one name of `in` */
    struct str name;
    struct pval from;
    bool has_default;
    struct pval default_value;
    enum coercion type;                   /* what it is read as, before the transforms */
    const struct expr *const *transforms; /* with the value so far as `it` */
    uint32_t transform_count;
};

struct plan_axis { /* one name of a matrix: a list */
    struct str name;
    struct pval values;
};

/* Change of a variable by a node: the new value. */
struct plan_set {
    uint32_t var; /* index into plan->vars */
    struct pval value;
};

/* What is done about a failure that nothing else handles: an entry of `recover`. */
enum recover_what { RECOVER_ASK, RECOVER_FAIL, RECOVER_COMPENSATE, RECOVER_ROLLBACK };
enum recover_timeout { RECOVER_TIMEOUT_NEXT, RECOVER_TIMEOUT_FAIL, RECOVER_TIMEOUT_RETRY };

struct plan_recover {
    enum recover_what what;
    struct str prompt, assignee; /* ask; empty: not given */
    int64_t timeout_us;          /* ask; 0: it waits without end */
    enum recover_timeout on_timeout;
    struct str target; /* rollback: @name or a node */
    uint32_t times; /* rollback: how often, for each node; ask: on_timeout: retry, for each step */
    struct mark mark;
};

/* When the services of a workflow's steps are left alone; failures 0: never. */
struct plan_breaker {
    uint32_t failures; /* transient ones in a row */
    int64_t open_us;   /* at first; longer each time the probe fails ... */
    int64_t max_us;    /* ... but not longer than this */
};

/* When an attempt that failed is followed by another one. */
struct retry_policy {
    uint32_t attempts; /* tries in all, at least 1 */
    int64_t backoff_us;
    double factor;
    int64_t max_us;
    double jitter;        /* 0..1: share of the delay that is spread by a hash */
    const struct str *on; /* classes and types; "transient" when not given */
    uint32_t on_count;
};

/* How long its results may be used again, and under which key. */
struct plan_cache {
    bool present;
    int64_t ttl_us;
    struct pval key; /* PVAL_NONE: a hash of all that the step is given */
};

struct plan_foreach {
    bool present;
    struct pval items;            /* PVAL_NONE when there is a matrix */
    const struct plan_axis *axes; /* the first one changes slowest */
    uint32_t axis_count;
    struct pval exclude, include; /* lists of maps: combinations left out, added; or PVAL_NONE */
    struct str as;                /* "item" when not given */
    uint32_t concurrency;         /* 0: no limit of its own */
    bool collect;
    uint32_t max_items;
};

#endif
