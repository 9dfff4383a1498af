/* Pictures of a workflow: what is drawn, and one function per format.
 *
 * All of it is a function of the plan: the same file gives the same bytes. A plan that was compiled
 * can be drawn in every format, whatever its size; only the text picture may give up, and then a
 * list stands in for it. Labels come from the file: each format escapes them by its own rules.
 */
#ifndef CAIRN_CLI_GRAPH_H
#define CAIRN_CLI_GRAPH_H

#include "flow/plan.h"

struct graph_node {
    struct str name, label; /* label: for people, or empty */
    struct str kind;        /* with its marks: "agent, foreach", "workflow greet" */
    bool decides, foreach, child;
};

struct graph_edge {
    uint32_t source, target;
    struct str label; /* the handle; empty for the only one */
    bool back, error;
    bool named; /* the target runs when the source needs it: a fallback and the like */
};

struct graph {
    struct arena *arena;
    struct str name;
    const struct graph_node *nodes;
    uint32_t node_count;
    const struct graph_edge *edges;
    uint32_t edge_count;
};

/* Texts are cleaned of control characters. ERR_NOMEM. */
enum err graph_make(const struct plan *p, struct arena *a, struct graph *out) MUST_USE;

/* Each appends a whole document. ERR_NOMEM. */
enum err graph_dot(const struct graph *g, struct buf *out) MUST_USE;
enum err graph_mermaid(const struct graph *g, struct buf *out) MUST_USE;
enum err graph_svg(const struct graph *g, struct buf *out) MUST_USE;
/* Boxes and lines where they fit into GRAPH_COLUMNS and stay readable, else graph_list. */
enum err graph_ascii(const struct graph *g, struct buf *out) MUST_USE;
enum err graph_list(const struct graph *g, struct buf *out) MUST_USE;
#define GRAPH_COLUMNS 80

#endif
