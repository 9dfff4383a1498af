/* The plan: the compiled, checked, immutable graph of one workflow. Built by flow_compile, read by
 * the engine (which never changes it) and by commands that show it. Owns all its memory.
 */
#ifndef CAIRN_FLOW_PLAN_H
#define CAIRN_FLOW_PLAN_H

#include "base/base.h"
#include "expr/expr.h"
#include "flow/agent.h"
#include "flow/budget.h"
#include "flow/kind.h"
#include "flow/plan_parts.h"
#include "flow/pval.h"
#include "schema/schema.h"
#include "value/value.h"

enum join_mode { JOIN_ALL, JOIN_ANY };
enum on_error_mode { ON_ERROR_FAIL, ON_ERROR_CONTINUE, ON_ERROR_VALUE };
enum on_failure_mode { ON_FAILURE_DRAIN, ON_FAILURE_CANCEL, ON_FAILURE_CONTINUE };
enum on_limit_mode { ON_LIMIT_FAIL, ON_LIMIT_EXIT };
/* A node with a role is never started by the graph: it belongs to the node that names it (finally:
 * to the workflow) and runs when that needs it. */
enum node_role { ROLE_NONE, ROLE_FALLBACK, ROLE_ON_TIMEOUT, ROLE_COMPENSATE, ROLE_FINALLY };
enum { SIGNAL_MOST_BYTES = 256 }; /* of the name of a signal */

enum delivery_mode { DELIVERY_AT_LEAST_ONCE, DELIVERY_AT_MOST_ONCE };

#define HANDLE_NONE UINT16_MAX
/* Handle numbers: 0.. are the node's normal handles in order; then error, limit. A plain need on a
 * node with KIND_ANY_EXIT has HANDLE_ANY: any normal handle. */
#define HANDLE_ERROR (UINT16_MAX - 1)
#define HANDLE_LIMIT (UINT16_MAX - 2)
#define HANDLE_ANY (UINT16_MAX - 3)

struct plan_edge {
    uint32_t source, target; /* node indexes */
    uint16_t handle;
    int32_t back_of;        /* loop whose back edge this is, or -1 */
    const uint32_t *leaves; /* loops whose body it leaves, inner first */
    uint32_t leaves_count;
    struct mark mark;
};

struct plan_loop { /* sorted: inner first (smaller body, then header in file order) */
    uint32_t header;
    uint32_t max_iterations;
    enum on_limit_mode on_limit;
    const uint32_t *backs; /* edges */
    uint32_t back_count;
    const uint32_t *body; /* nodes in file order, cycle nodes and side branches */
    uint32_t body_count;
    const uint32_t *leaving; /* edges that leave the body */
    uint32_t leaving_count;
    const uint32_t *inner; /* other loops whose header is in the body */
    uint32_t inner_count;
};

/* Ordered so that it has no holes: there may be 100,000 of them. */
struct plan_node {
    struct str name;
    uint32_t index; /* file order */
    uint16_t handle_count;
    bool pure;
    bool secrets; /* some field has a secret in it */
    const struct node_kind *kind;
    struct mark mark;
    struct str label, description;
    struct str checkpoint;     /* this name is given to the moment of its completion; empty: none */
    const struct str *handles; /* normal handles */
    struct pval *fields;       /* by index of kind->fields */
    struct mark *field_marks;  /* where each value stands; line 0 when absent */
    const void *data;          /* the kind's own, set by check_set_data */
    struct plan *child;        /* workflow nodes: the compiled sub-workflow */
    const struct expr *guard;  /* if; NULL for none */
    const struct plan_in *ins;
    const struct plan_set *sets; /* in order of the file; of a foreach: for each item */
    uint32_t in_count;
    uint32_t set_count;
    int agent;     /* index into plan->agents or -1 */
    int32_t heads; /* loop it heads, or -1 */
    struct plan_foreach foreach;
    struct plan_cache cache;
    const char *contents; /* hash of the files it is made of and its output_schema, or NULL */
    bool approved;        /* some ask approves it: it never begins without */
    bool has_error_edge;
    bool has_timeout_edge; /* some node needs its handle `timeout` */
    enum join_mode join;
    struct pval on_error_value;
    enum on_error_mode on_error;
    enum node_role role;
    const struct plan_recover *recover; /* in order; the workflow's when it has none of its own */
    uint32_t recover_count;
    int32_t owner;             /* node that it belongs to, or -1 */
    int32_t aux[ROLE_FINALLY]; /* by role: nodes that belong to it, or -1 */
    int32_t approves;          /* of an ask: the node whose arguments it shows and binds, or -1 */
    enum delivery_mode delivery;
    struct retry_policy retry;
    int64_t timeout_us; /* per attempt, 0 for none */
    const struct schema *output_schema;
    const uint32_t *in_edges;   /* forward edges, in order of needs */
    const uint32_t *back_edges; /* back edges that lead here */
    const uint32_t *out_edges;
    const uint32_t *loops; /* loops whose body it is in, inner first */
    uint32_t in_count_edges;
    uint32_t back_count;
    uint32_t out_count;
    uint32_t loop_count;
    int32_t priority;
};

struct plan_input {
    struct str name;
    struct value schema_source;
    const struct schema *schema;
    bool has_default;
    struct value default_value;
    struct mark mark;
};

struct plan_var {
    struct str name;
    struct pval initial; /* reads inputs and env only */
};

struct plan_file {   /* all the workflow is made of, for the hash and the store */
    struct str path; /* relative, normalized; the entry is the first */
    struct str text;
};

struct plan {
    struct arena arena;
    struct str name, description;
    struct str entry; /* path of the workflow file, "#node" appended for an inline sub-workflow */
    char hash[SHA256_HEX_BYTES];
    struct plan_node *nodes;
    uint32_t node_count;
    struct plan_edge *edges;
    uint32_t edge_count;
    struct plan_loop *loops;
    uint32_t loop_count;
    struct map names; /* node name -> index */
    const struct plan_ref *refs;
    uint32_t ref_count;
    const struct plan_input *inputs;
    uint32_t input_count;
    const struct plan_var *vars;
    uint32_t var_count;
    const struct plan_agent *agents;
    uint32_t agent_count;
    const struct str *output_names;
    const struct pval *outputs;
    uint32_t output_count; /* 0 and has_outputs: outputs: {} */
    bool has_outputs;
    const struct str *env;
    uint32_t env_count;
    const struct str *preload; /* modules for Python code, imported before any step */
    uint32_t preload_count;
    const struct str *secrets; /* names of all that it and its sub-workflows mention */
    uint32_t secret_count;
    int64_t timeout_us; /* whole execution, 0 for none */
    enum on_failure_mode on_failure;
    const uint32_t *finally; /* nodes that run last, in this order */
    uint32_t finally_count;
    uint32_t concurrency; /* slots of one execution, 0 for no limit */
    struct plan_breaker breaker;
    struct budget budget; /* of it and its sub-workflows together */
    const struct plan_file *files;
    uint32_t file_count;
    struct kind_table kinds;
};

/* Index of a node or -1. */
int64_t plan_node_find(const struct plan *p, struct str name);
/* "fallback", "on_timeout" ...; "" for none. */
const char *plan_role_name(enum node_role role);
/* The node at the end of a chain of owners: no aux node, or one of finally. */
uint32_t plan_node_root(const struct plan *p, uint32_t node);
/* Number of a normal handle (or error, limit), HANDLE_NONE when the node has no such. */
uint16_t plan_handle_find(const struct plan_node *n, struct str name);
struct str plan_handle_name(const struct plan_node *n, uint16_t handle);
/* Its contents for a hash: as many zeros when it has none. */
struct str plan_node_contents(const struct plan_node *n);
/* True when leaving by the normal handle (or HANDLE_ERROR) takes this edge. */
static inline bool plan_edge_matches(const struct plan_edge *e, uint16_t handle) {
    return e->handle == handle ||
           (e->handle == HANDLE_ANY && handle != HANDLE_ERROR && handle != HANDLE_LIMIT);
}
/* A plain need on it is any of its normal exits: it has no `out`. */
bool plan_node_any_exit(const struct plan_node *n);
/* True for conditions and choices: their on_error value names a handle (a constant text). */
bool plan_node_decides(const struct plan_node *n);
/* Frees the plan of a flow_compile and its children (never a child alone). NULL is fine. */
void plan_free(struct plan *p);

#endif
