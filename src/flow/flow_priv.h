/* Inside flow: one compilation and its parts. A session is one flow_compile, a unit is one workflow
 * in it (the entry or a sub-workflow), a draft is one node on its way into the plan.
 *
 * Everything the plan keeps is in session.keep (the plan's arena), everything else in
 * session.scratch. A failed allocation sets session.nomem: steps return false, the driver stops.
 */
#ifndef CAIRN_FLOW_PRIV_H
#define CAIRN_FLOW_PRIV_H

#include "flow/flow.h"
#include "yaml/yaml.h"

#define FLOW_MAX_DEPTH 20          /* sub-workflows inside one another */
#define FLOW_MAX_MEMBERS 67108864u /* nodes in loop bodies, each counted once per loop */
#define FLOW_MAX_ITEMS 100000      /* default of foreach.max_items */
#define FLOW_MAX_ITERATIONS 100    /* default of max_iterations */
#define FLOW_MAX_SECRET_NAME 128
#define FLOW_MAX_NODES 200000u /* of one workflow */
#define FLOW_MAX_NAME 200u     /* bytes of a name: it is repeated in every step's id */
#define FLOW_ANY_DOUBLE 1e300  /* a range without a limit */
#define NONE UINT32_MAX

enum common_id {
#define COMMON(id, name, type, doc) COMMON_##id,
#define LATER(name)
#include "flow/common.def"
#undef COMMON
#undef LATER
    COMMON_COUNT
};

/* Ranks of the scheduling findings: the order of flow_first_finding. */
enum rank {
    RANK_NONE,
    RANK_DUPLICATE,
    RANK_NEEDS,
    RANK_ROLES,
    RANK_FAILURE,
    RANK_IRREDUCIBLE,
    RANK_LIMIT,
    RANK_LIMIT_EDGE,
    RANK_ENDLESS,
};

/* ---- the definition: what every format's reader produces ---- */

struct def_node {
    struct str name;
    struct mark mark;             /* of the name */
    const struct yaml_node *body; /* a map in the native form */
    bool named;                   /* from a list: the body has a key `name` */
};

struct def {
    const struct yaml_node *name, *description, *inputs, *agents, *defaults, *timeout;
    const struct yaml_node *on_failure, *concurrency, *env, *outputs, *vars, *recover;
    const struct yaml_node *preload, *breaker, *finally, *budget;
    struct def_node *nodes;
    uint32_t node_count;
};

struct unit;

struct flow_format {
    const char *name;
    const char *doc;
    bool (*detect)(const struct yaml_node *root);
    /* Fills unit.def and reports; false when nothing more can be said about the file. */
    bool (*read)(struct unit *u, const struct yaml_node *root);
};
#define FORMAT(name, doc) extern const struct flow_format format_##name;
#include "flow/formats.def"
#undef FORMAT

/* ---- the compilation ---- */

struct session {
    const struct flow_source *source;
    struct diag *diag;
    struct arena *keep;
    struct arena scratch;
    struct str display_prefix; /* of every file but the entry */
    struct map texts;          /* path -> struct plan_file, each read once */
    struct map children;       /* path -> struct plan, NULL for one with errors */
    bool nomem;
};

struct draft {
    const struct def_node *def;
    struct plan_node *node;
    const struct yaml_node *common[COMMON_COUNT]; /* NULL when not given */
    const struct yaml_node **fields;              /* by index of kind->fields */
    struct str *handles;                          /* declared by the kind's check */
    uint32_t handle_count, handle_cap;
    uint32_t max_iterations;
    bool broken; /* its kind is unknown: nothing is known of its handles */
    bool exit_on_limit;
    bool incomplete;                  /* one of its needs names no node */
    struct mark role_mark;            /* where its role is given to it */
    const struct yaml_node *approves; /* of an ask: the name of the node it approves, or NULL */
};

struct node_check { /* what a kind's check function gets */
    struct unit *u;
    struct draft *d;
};

struct fgraph {
    uint32_t n, m;
    uint32_t *in_start;  /* n + 1: edges of a node are consecutive */
    uint32_t *out_start; /* n + 1, into out */
    uint32_t *out;       /* edges by source, ascending */
    bool *odd;           /* by edge: its handle is unknown */
    bool missing;        /* a need named no node: the graph is not all there */
    bool missing_error;  /* and it may have been the error of any node */
    bool *doubtful;      /* by node: such a need may lead to it */
    uint32_t *comp;      /* strongly connected component; edges never lead to a higher one */
    bool *entry;         /* scheduling starts here */
    uint32_t *walk_pre, *walk_size; /* a spanning tree of depth-first search */
    uint32_t *dom_pre, *dom_size;   /* the dominator tree */
    uint32_t *idom;                 /* n is the virtual root */
    uint32_t *topo;                 /* nodes in an order of the forward edges */
    uint32_t *topo_at;              /* position in topo */
    bool reducible;
};

struct unit {
    struct session *s;
    struct unit *parent;
    struct plan *plan;
    struct str path;        /* of the file, without #node */
    struct str folder;      /* "" or "a/b/" */
    const char *file;       /* for marks */
    struct str inline_name; /* name of the node that holds this workflow, or empty */
    uint32_t depth;
    struct def def;
    struct draft *drafts;
    struct fgraph graph;
    struct retry_policy retry; /* defaults */
    int64_t timeout_us;
    const struct plan_recover *recover; /* of nodes without their own */
    uint32_t recover_count;
    struct map ref_slots;
    struct plan_ref *refs;
    uint32_t ref_cap;
    struct map secret_names; /* those in plan->secrets */
    struct str *secrets;
    uint32_t secret_cap;
    struct plan_file *files;
    uint32_t file_cap;
    struct map noted;  /* paths of files */
    struct str *names; /* of all nodes, then general names: made when first needed */
};

/* ---- report.c: memory and reading of single values; all report what they refuse ---- */

void *flow_keep_array(struct session *s, size_t count, size_t size_bytes);
void *flow_scratch_array(struct session *s, size_t count, size_t size_bytes);
#define KEEP(s, count, type) ((type *)flow_keep_array((s), (count), sizeof(type)))
#define SCRATCH(s, count, type) ((type *)flow_scratch_array((s), (count), sizeof(type)))
/* Doubles *cap and moves the items (in arena); false when out of memory. */
bool flow_array_grow(struct session *s, struct arena *arena, void *items_at, uint32_t *cap,
                     size_t size_bytes);
struct str flow_keep_str(struct session *s, struct str text);
bool flow_keep_value(struct session *s, const struct yaml_node *n, struct value *out);
/* yaml_describe, and "nothing" for a key without a value. */
const char *flow_node_describe(const struct yaml_node *n);
struct diag_item *flow_type_refuse(struct unit *u, const struct yaml_node *n, const char *what,
                                   const char *expected);
/* A constant that could only fail at run time, as it is not of this type, is refused. */
void flow_constant_check(struct unit *u, struct mark mark, const char *what, struct value v,
                         enum value_type wanted);
/* False, and reported, when a name is too long. */
bool flow_name_fits(struct unit *u, struct str name, struct mark mark, const char *what);
bool flow_text_get(struct unit *u, const struct yaml_node *n, const char *what, struct str *out);
bool flow_int_get(struct unit *u, const struct yaml_node *n, const char *what,
                  const int64_t range[2], int64_t *out);
bool flow_double_get(struct unit *u, const struct yaml_node *n, const char *what,
                     const double range[2], double *out);
bool flow_duration_get(struct unit *u, const struct yaml_node *n, const char *what, int64_t *out);
/* Index into the NULL-terminated words. */
bool flow_word_get(struct unit *u, const struct yaml_node *n, const char *what,
                   const char *const *words, int *out);
bool flow_map_get(struct unit *u, const struct yaml_node *n, const char *what);
/* A list of texts, or one text. */
bool flow_texts_get(struct unit *u, const struct yaml_node *n, const char *what,
                    const struct str **out, uint32_t *out_count);
/* A name that expressions may use: the rule, no reserved word. */
bool flow_name_get(struct unit *u, struct str name, struct mark mark, const char *what);
/* Every key is one of words (NULL-terminated); a key in later is not available yet. */
void flow_keys_check(struct unit *u, const struct yaml_node *map, const char *what,
                     const char *const *words, const char *const *later);
struct diag_item *flow_key_refuse(struct unit *u, const struct yaml_node *key, const char *what,
                                  const struct str *known, size_t known_count);
void flow_later_refuse(struct unit *u, const struct yaml_node *key);
/* A key without a value. */
bool flow_is_empty(const struct yaml_node *n);
/* "did you mean", else the list of what is known. */
void flow_suggest(struct unit *u, struct diag_item *item, struct str word, const struct str *known,
                  size_t known_count);
/* "a, b, c" in scratch, at most some 200 bytes. */
struct str flow_words_join(struct session *s, const struct str *words, size_t count);
/* At most max_bytes of s, cut between characters: for messages. */
struct str flow_text_clip(struct str s, size_t max_bytes);
/* The content mark of a scalar, the mark of anything else. */
struct mark flow_text_mark(const struct yaml_node *n);
void flow_subject_set(struct unit *u, struct diag_item *item, enum rank rank, uint32_t order,
                      struct str subject);
bool flow_schema_compile(struct unit *u, const struct yaml_node *n, const char *what,
                         struct value *out_source, const struct schema **out);

/* ---- the steps, in this order; false only when out of memory or nothing more can be said ---- */

bool flow_unit_init(struct unit *u, struct session *s, struct plan *plan, struct str entry);
/* Reads the file of u (mark: who asks for it) and compiles what is in it. */
bool flow_unit_compile(struct unit *u, struct mark mark);
bool flow_unit_compile_tree(struct unit *u, const struct yaml_node *tree);
/* What the file says, in whatever format it is: u->def. */
bool flow_definition_read(struct unit *u, const struct yaml_node *tree);
bool flow_top_read(struct unit *u);    /* top.c */
bool flow_agents_read(struct unit *u); /* agents.c */
bool flow_budget_read(struct unit *u); /* budget.c */
/* agent_text.c: text as written becomes a template over the inputs if there is a {{ in it. */
void flow_agent_text_compile(struct unit *u, const struct yaml_node *n, const char *key,
                             struct str *text, const struct tmpl **out);
bool flow_nodes_open(struct unit *u);                   /* nodes.c */
bool flow_common_read(struct unit *u, struct draft *d); /* common.c */
bool flow_fields_read(struct unit *u, struct draft *d); /* fields.c */
bool flow_draft_check(struct unit *u, struct draft *d); /* check.c */
/* roles.c: nodes that others name: who they belong to; after the graph, what they may not have. */
void flow_role_claim(struct unit *u, enum node_role role, uint32_t owner,
                     const struct yaml_node *name, const char *what);
bool flow_roles_read(struct unit *u);
bool flow_roles_check(struct unit *u);
/* The text names no node. */
void flow_unknown_refuse(struct unit *u, const struct yaml_node *n, const char *what);
bool flow_approvals_check(struct unit *u); /* approve.c: after the expressions */
bool flow_graph_build(struct unit *u);     /* graph.c: edges, and who is wrong about them */
bool flow_graph_order(struct unit *u);     /* order.c: components, dominators, back edges, order */
bool flow_dominators_find(struct unit *u); /* dominators.c */
bool flow_loops_find(struct unit *u);      /* loops.c */
struct scope;
bool flow_common_compile(struct scope *scope, struct draft *d);
bool flow_fields_compile(struct scope *scope, struct draft *d);
bool flow_foreach_read(struct unit *u, struct draft *d);       /* items.c */
bool flow_items_compile(struct scope *scope, struct draft *d); /* items.c */
bool flow_cache_compile(struct scope *scope, struct draft *d); /* cache.c */
void flow_cache_read(struct unit *u, struct draft *d);
bool flow_cache_check(struct unit *u, struct draft *d);
/* The node is made of these bytes, too. */
void flow_contents_mix(struct unit *u, struct plan_node *n, struct str bytes);
void flow_contents_mix_value(struct unit *u, struct plan_node *n, struct value v);
bool flow_in_compile(struct scope *scope, struct draft *d);  /* in.c */
bool flow_vars_read(struct unit *u);                         /* vars.c: their names */
bool flow_vars_compile(struct scope *scope);                 /* vars.c: initial values */
bool flow_set_compile(struct scope *scope, struct draft *d); /* vars.c */
/* Index of a variable or -1; all their names in scratch, NULL when out of memory. */
int64_t flow_var_find(const struct plan *p, struct str name);
struct str *flow_var_names(struct unit *u);
bool flow_outputs_compile(struct scope *scope); /* top.c */
bool flow_unit_lint(struct unit *u);            /* lint.c */

/* Reports 0, leaves *out alone when refused. */
void flow_timeout_get(struct unit *u, const struct yaml_node *n, int64_t *out);
bool flow_retry_read(struct unit *u, const struct yaml_node *n, struct retry_policy *policy);

/* recover.c: a list of entries; that of a node, or the workflow's; one that is never needed. */
bool flow_recover_read(struct unit *u, const struct yaml_node *n, const struct plan_recover **out,
                       uint32_t *out_count);
bool flow_node_recover_read(struct unit *u, struct draft *d);
void flow_recover_lint(struct unit *u, const struct draft *d);
/* Targets of rollbacks, when all nodes are known. */
void flow_recover_check(struct unit *u);

/* files.c: text of a file of the workflow, read once; reports at mark and returns false. */
bool flow_file_read(struct unit *u, struct str path, struct mark mark, struct str *out);
/* Path in the source's folder, from one written in the workflow. */
bool flow_file_resolve(struct unit *u, struct str written, struct mark mark, struct str *out);
/* The unit keeps that file (for its hash and the store). */
bool flow_file_note(struct unit *u, const struct plan_file *file);
const char *flow_file_display(struct session *s, struct str path);

/* child.c */
bool flow_child_compile(struct unit *u, struct draft *d, const struct yaml_node *n);
/* The keys of `inputs` against what the sub-workflow of the node declares. */
void flow_child_inputs_check(struct unit *u, struct draft *d, const struct yaml_node *given);
/* The same compiled: constants among them must fit. */
void flow_child_values_check(struct unit *u, struct draft *d, const struct yaml_node *given,
                             const struct pval *v);

/* ---- graph questions ---- */

bool flow_graph_reaches(struct unit *u, uint32_t from, uint32_t to, uint32_t *stamps,
                        uint32_t stamp);
static inline bool graph_dominates(const struct fgraph *g, uint32_t a, uint32_t b) {
    return g->dom_pre[a] <= g->dom_pre[b] && g->dom_pre[b] < g->dom_pre[a] + g->dom_size[a];
}
static inline uint32_t in_from(const struct fgraph *g, uint32_t node) { return g->in_start[node]; }
static inline uint32_t in_to(const struct fgraph *g, uint32_t node) {
    return g->in_start[node + 1];
}
/* Names for "did you mean": of all nodes (count of the plan), then those of FLOW_GENERAL_NAMES
 * general ones (inputs, nodes ...). NULL when out of memory. */
#define FLOW_GENERAL_NAMES 7
struct str *flow_names_get(struct unit *u);
/* "b needs a.true" and the like; c.* for any handle. */
struct str flow_edge_text(struct unit *u, const struct plan_edge *e);

/* ---- scope.c: names in expressions ---- */

enum scope_flag {
    SCOPE_ITEM = 1 << 0,   /* item, index, the name given by `as` */
    SCOPE_IN = 1 << 1,     /* the node's own `in` names */
    SCOPE_IT = 1 << 2,     /* it */
    SCOPE_SECRET = 1 << 3, /* secrets.NAME */
    SCOPE_ALL = 1 << 4,    /* every node by name: outputs */
    SCOPE_SELF = 1 << 5,   /* the node's own name is its body: set */
    SCOPE_GIVEN = 1 << 6,  /* nothing but inputs and env: initial values of vars */
    SCOPE_TRIAL = 1 << 7,  /* only to see whether a text compiles: nothing is kept or warned of */
};

/* How a node's needs lead to another node. */
enum need_flag { NEED_NORMAL = 1, NEED_ERROR = 2 };

struct scope {
    struct unit *u;
    uint32_t node; /* NONE in outputs */
    uint32_t root; /* the node whose needs count: of an auxiliary node the one it runs for */
    bool finally;  /* it runs when all else is final */
    uint32_t flags;
    const struct draft *draft;
    struct mark mark;  /* where the text being compiled stands */
    uint32_t *need_of; /* by node: stamp << 2 | need flags */
    uint32_t *seen;    /* by node: stamp of the last search */
    uint32_t stamp;
    uint32_t search;
    const char *const *own; /* the only names there are, a kind's; else NULL */
    uint32_t linted;        /* node that got the last warning about fields */
    uint8_t *sure;          /* by node: it surely runs and has a body */
};

bool flow_scope_open(struct unit *u, struct scope *scope);
/* Warns when the body of node, whose field is read, may be null there. */
void flow_field_lint(struct scope *scope, uint32_t node);
/* Warns when a constant text reads like an expression. */
void flow_text_lint(struct scope *scope, struct str text);
void flow_scope_enter(struct scope *scope, uint32_t node);
struct expr_scope flow_scope_view(struct scope *scope);
/* Notes that the workflow mentions a secret; false when out of memory. */
bool flow_secret_note(struct unit *u, struct str name);
/* Marks nodes with secrets, and notes those of sub-workflows. */
bool flow_secrets_collect(struct unit *u);
/* Which nodes surely complete by their one normal handle (lint.c). */
bool flow_sure_lint(struct unit *u, uint8_t *sure);

/* Compiles a text or structure; findings are reported, *out is then PVAL_NONE. */
enum leaf { LEAF_EXPRESSION, LEAF_TEMPLATE, LEAF_TEXT };
bool flow_pval_compile(struct scope *scope, const struct yaml_node *n, enum leaf leaf,
                       struct pval *out);
bool flow_expression_compile(struct scope *scope, const struct yaml_node *n,
                             const struct expr **out);
/* Gives findings from number `from` on, in the text of block scalar n, the columns of the file. */
void flow_columns_shift(struct diag *d, uint32_t from, const struct yaml_node *n);

#endif
