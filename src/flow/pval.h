/* Compiled fields: a tree whose leaves are constants, expressions or templates, and what the names
 * in those expressions stand for. Immutable, in the plan's arena.
 */
#ifndef CAIRN_FLOW_PVAL_H
#define CAIRN_FLOW_PVAL_H

#include "base/base.h"
#include "expr/expr.h"
#include "value/value.h"

/* What a name in an expression stands for; expr slots index plan->refs. */
enum ref_type {
    REF_BODY,      /* <node> or nodes.<node>.body */
    REF_NODE,      /* nodes.<node>: {body, status, error, meta, iteration, attempts, previous} */
    REF_NODE_PART, /* nodes.<node>.<part> */
    REF_INPUTS,    /* inputs */
    REF_INPUT,     /* inputs.<name> */
    REF_EXECUTION, /* execution: {id, workflow, startedAt, now}; in finally also {outcome, error} */
    REF_ITEM,      /* item, or the name given by `as` */
    REF_INDEX,
    REF_ITERATION,
    REF_IN,    /* a name of the node's own `in` */
    REF_ENV,   /* env.<name>, listed in the workflow's env */
    REF_IT,    /* it: the value so far, in a transform of `in` */
    REF_ERROR, /* <node> where it is needed through its error handle: {type, message, ...} */
    REF_VARS,  /* vars */
    REF_VAR,   /* vars.<name> */
    REF_STEP,  /* step: {id, body, error, inputs} of the step that an auxiliary node runs for */
    REF_SELF,  /* in `set`: the node's own name, the body it just completed with */
};

enum node_part {
    PART_BODY,
    PART_STATUS,
    PART_ERROR,
    PART_META,
    PART_ITERATION,
    PART_ATTEMPTS,
    PART_PREVIOUS,
    PART_COUNT
};
extern const char *const node_part_names[PART_COUNT];

struct plan_ref {
    enum ref_type type;
    uint32_t node;       /* REF_BODY, REF_NODE, REF_NODE_PART, REF_ERROR; REF_VAR: its index */
    enum node_part part; /* REF_NODE_PART */
    struct str name; /* REF_INPUT, REF_IN, REF_ENV, REF_VAR; REF_EXECUTION: "now" if it is read */
};

/* A compiled field or structure: a tree whose leaves are constants, expressions or templates. */
enum pval_type {
    PVAL_NONE,
    PVAL_CONST,
    PVAL_EXPR,
    PVAL_TEXT /* template -> text */,
    PVAL_TMPL /* template keeping a lone expression's type */,
    PVAL_LIST,
    PVAL_MAP
};
struct pval {
    enum pval_type type;
    uint32_t count; /* list, map */
    struct mark mark;
    union {
        struct value constant;
        const struct expr *expr;
        const struct tmpl *tmpl;
        const struct pval *items;
    };
    const struct str *keys; /* map */
};

/* Evaluates a compiled field. */
enum err pval_eval(const struct pval *v, struct expr_env *env, struct value *out, struct error *e)
    MUST_USE;

/* What pval_eval gave, now or earlier, with the sealed texts (expr.h) of templates that have a
 * secret opened. What is made here comes from
 * a, the rest is borrowed from evaluated. */
enum err pval_open(const struct pval *v, struct value evaluated, const struct secret_source *source,
                   struct arena *a, struct value *out, struct error *e) MUST_USE;

#endif
