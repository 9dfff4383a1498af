/* Layered layout of a graph: ranks by the longest path, long edges cut into pieces from rank to
 * rank, an order within each rank that saves crossings, then places.
 *
 * Whole numbers only, no hash and no chance: the same graph gives the same layout everywhere. A
 * back edge is laid out from its target down to its source, so that it passes the boxes between
 * them like any other line; only the arrow says where it leads.
 */
#ifndef CAIRN_CLI_LAYOUT_H
#define CAIRN_CLI_LAYOUT_H

#include "cli/graph.h"

#define LAYOUT_NONE UINT32_MAX

/* A box, or the place where the line of an edge passes a rank. */
struct layout_point {
    uint32_t rank, order; /* order within the rank, from 0 */
    uint32_t node;        /* LAYOUT_NONE: a line passes */
    uint32_t edge;        /* then, which */
    int64_t x, width;     /* left border */
};

/* Where lines enter or leave a point, offset from its left border. Forward edges enter a box at
 * one place and leave it at one place per handle; back edges have places of their own. */
struct layout_port {
    uint32_t point;
    bool below; /* at the lower border */
    uint32_t first_edge;
    int64_t offset, label_width;
    int64_t pull; /* sum and number of the orders at the other ends */
    uint32_t count;
};

/* A line from rank to rank + 1. */
struct layout_piece {
    uint32_t edge, upper, lower;             /* points */
    uint32_t upper_port, lower_port;         /* ports */
    bool starts_upper_node, ends_lower_node; /* its ends are boxes */
};

struct layout {
    const struct graph *graph;
    struct layout_point *points; /* by rank, then order, once ordered */
    uint32_t point_count;
    uint32_t *rank_first; /* [rank]: first point; one more than ranks */
    uint32_t rank_count;
    struct layout_piece *pieces; /* by rank of upper */
    uint32_t piece_count;
    uint32_t *rank_pieces; /* [rank]: first piece; one more than ranks */
    struct layout_port *ports;
    uint32_t port_count;
    bool *loose; /* [edge]: not cut into pieces, there would be too many */
    bool any_loose;
    int64_t width; /* of all */
};

/* Sizes in the drawing's own units. */
struct layout_sizes {
    const int64_t *nodes;  /* [node]: least width of its box */
    const int64_t *labels; /* [edge]: width of its label, 0 for none */
    int64_t port_gap;      /* between places on one border */
    int64_t box_gap;       /* between boxes and lines of one rank */
    int64_t line;          /* width of a line that passes, odd */
};

/* ERR_NOMEM. */
enum err layout_make(const struct graph *g, const struct layout_sizes *sizes, struct layout *out)
    MUST_USE;
/* Ranks alone: [node]. */
enum err layout_ranks(const struct graph *g, uint32_t *ranks, uint32_t *out_count) MUST_USE;
/* The column of a piece's ends. */
int64_t layout_upper_x(const struct layout *l, const struct layout_piece *p);
int64_t layout_lower_x(const struct layout *l, const struct layout_piece *p);

/* Items 0..count-1 by their key, equal ones in their order; first[k] is where those of k begin. */
struct layout_groups {
    uint32_t *items, *first;
};
enum err layout_group(struct arena *a, const uint32_t *keys, uint32_t count, uint32_t groups,
                      struct layout_groups *out) MUST_USE;

/* ---- the steps of layout_make ---- */

enum err layout_cut(struct layout *l) MUST_USE;   /* layout_cut.c: points and pieces */
enum err layout_order(struct layout *l) MUST_USE; /* layout_order.c */
enum err layout_ports(struct layout *l, const struct layout_sizes *sizes) MUST_USE;
enum err layout_place(struct layout *l, const struct layout_sizes *sizes) MUST_USE;

#endif
