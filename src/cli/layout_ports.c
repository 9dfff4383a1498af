/* Where lines leave and enter a box: places on its borders, in the order of where they lead, wide
 * enough apart for the labels beside them. Boxes grow to hold them.
 *
 * Invariant: lines that part below a box never meet others before they end. So what joins can be
 * told from what parts, and a picture can be read in one way only.
 */
#include <stdlib.h>

#include "cli/layout.h"

/* Ends of pieces that meet in one place have the same key. */
struct end {
    uint32_t point, piece;
    bool below;
    uint32_t key; /* of the edge that stands for the place */
    int64_t pull;
    uint32_t port;
};

static int by_key(const void *a, const void *b) {
    const struct end *x = a, *y = b;
    if (x->point != y->point) {
        return x->point < y->point ? -1 : 1;
    }
    if (x->below != y->below) {
        return x->below ? 1 : -1;
    }
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return x->piece < y->piece ? -1 : x->piece > y->piece;
}

static int by_pull(const void *a, const void *b) {
    const struct layout_port *x = a, *y = b;
    int64_t left = x->pull * y->count, right = y->pull * x->count;
    if (left != right) {
        return left < right ? -1 : 1;
    }
    return x->first_edge < y->first_edge ? -1 : x->first_edge > y->first_edge;
}

/* Lines that enter a box share one place; of those that leave it the first stands for all of the
 * same handle, unless it has to be alone. */
static uint32_t key_of(const struct graph *g, const uint32_t *stands, uint32_t edge, bool below) {
    if (g->edges[edge].back) {
        return edge + 1;
    }
    return below ? stands[edge] + 1 : 0;
}

/* Others enter the box right below, which it leads to. */
static bool joins(const struct layout *l, const struct layout_piece *p, const uint32_t *entering) {
    return p->starts_upper_node && p->ends_lower_node && entering[l->points[p->lower].node] > 1;
}

/* [edge]: it leads into a box that others enter, too. */
static enum err find_joining(struct layout *l, bool *joining) {
    const struct graph *g = l->graph;
    uint32_t *entering = ARENA_ARRAY(g->arena, g->node_count + 1u, uint32_t);
    if (!entering) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        entering[g->edges[i].target] += !g->edges[i].back;
    }
    for (uint32_t i = 0; i < l->piece_count; i++) {
        joining[l->pieces[i].edge] |= joins(l, &l->pieces[i], entering);
    }
    return OK;
}

/* [edge]: the first edge with its source and label; itself when it joins others. */
static enum err find_first(struct layout *l, uint32_t *stands) {
    const struct graph *g = l->graph;
    uint32_t *sources = ARENA_ARRAY(g->arena, g->edge_count + 1u, uint32_t);
    bool *joining = ARENA_ARRAY(g->arena, g->edge_count + 1u, bool);
    struct layout_groups groups;
    if (!sources || !joining || find_joining(l, joining)) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        sources[i] = g->edges[i].source;
    }
    if (layout_group(g->arena, sources, g->edge_count, g->node_count, &groups)) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        uint32_t first = groups.first[sources[i]];
        while (groups.items[first] != i &&
               (g->edges[groups.items[first]].back || joining[groups.items[first]] || joining[i] ||
                !str_eq(g->edges[groups.items[first]].label, g->edges[i].label))) {
            first++;
        }
        stands[i] = groups.items[first];
    }
    return OK;
}

static void make_ports(struct layout *l, struct end *ends, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        bool same = i && ends[i].point == ends[i - 1].point && ends[i].below == ends[i - 1].below &&
                    ends[i].key == ends[i - 1].key;
        if (!same) {
            l->ports[l->port_count++] =
                (struct layout_port){.point = ends[i].point,
                                     .below = ends[i].below,
                                     .first_edge = l->pieces[ends[i].piece].edge};
        }
        struct layout_port *port = &l->ports[l->port_count - 1];
        port->pull += ends[i].pull;
        port->count++;
    }
}

/* Spreads the places of one border and returns the width that the box needs for it. */
static int64_t spread(struct layout *l, uint32_t first, uint32_t count,
                      const struct layout_sizes *sizes) {
    int64_t at = 0, label = 0;
    for (uint32_t i = first; i < first + count; i++) {
        if (i > first) {
            at += label > sizes->port_gap ? label + sizes->port_gap / 2 : sizes->port_gap;
        }
        l->ports[i].offset = at;
        label = l->ports[i].label_width;
    }
    return at + 2 * (label + sizes->port_gap / 2);
}

static void centre(struct layout *l, uint32_t first, uint32_t count) {
    int64_t span = l->ports[first + count - 1].offset;
    int64_t left = (l->points[l->ports[first].point].width - 1 - span) / 2;
    for (uint32_t i = first; i < first + count; i++) {
        l->ports[i].offset += left;
    }
}

/* A label stands where its edge leaves its source: below the box, of a back edge above. */
static void label_ports(struct layout *l, const struct layout_sizes *sizes) {
    for (uint32_t i = 0; i < l->port_count; i++) {
        struct layout_port *port = &l->ports[i];
        bool source = l->graph->edges[port->first_edge].back != port->below;
        bool box = l->points[port->point].node != LAYOUT_NONE;
        port->label_width = source && box ? sizes->labels[port->first_edge] : 0;
    }
}

static void size_points(struct layout *l, const struct layout_sizes *sizes) {
    for (uint32_t i = 0; i < l->point_count; i++) {
        uint32_t node = l->points[i].node;
        l->points[i].width = node == LAYOUT_NONE ? sizes->line : sizes->nodes[node];
    }
    for (int pass = 0; pass < 2; pass++) { /* the widths first, for both borders share them */
        uint32_t count;
        for (uint32_t first = 0; first < l->port_count; first += count) {
            struct layout_point *point = &l->points[l->ports[first].point];
            count = 1;
            while (first + count < l->port_count &&
                   l->ports[first + count].point == l->ports[first].point &&
                   l->ports[first + count].below == l->ports[first].below) {
                count++;
            }
            if (pass == 1) {
                centre(l, first, count);
            } else if (point->node != LAYOUT_NONE) {
                qsort(&l->ports[first], count, sizeof *l->ports, by_pull);
                int64_t need = spread(l, first, count, sizes);
                point->width = need > point->width ? need : point->width;
            }
        }
    }
}

/* Which port each end has: ports are sorted within their border, so those of a border are tried. */
static void connect(struct layout *l, const struct end *ends, uint32_t count,
                    const uint32_t *stands) {
    uint32_t border = 0;
    for (uint32_t i = 0; i < count; i++) {
        while (l->ports[border].point != ends[i].point || l->ports[border].below != ends[i].below) {
            border++;
        }
        uint32_t port = border;
        while (key_of(l->graph, stands, l->ports[port].first_edge, ends[i].below) != ends[i].key) {
            port++;
        }
        struct layout_piece *p = &l->pieces[ends[i].piece];
        *(ends[i].below ? &p->upper_port : &p->lower_port) = port;
    }
}

enum err layout_ports(struct layout *l, const struct layout_sizes *sizes) {
    struct arena *a = l->graph->arena;
    uint32_t count = 0;
    struct end *ends = ARENA_ARRAY(a, l->piece_count * 2u + 1, struct end);
    uint32_t *stands = ARENA_ARRAY(a, l->graph->edge_count + 1u, uint32_t);
    l->ports = ARENA_ARRAY(a, l->piece_count * 2u + 1, struct layout_port);
    if (!ends || !stands || !l->ports || find_first(l, stands)) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < l->piece_count; i++) {
        const struct layout_piece *p = &l->pieces[i];
        ends[count++] = (struct end){.point = p->upper,
                                     .piece = i,
                                     .below = true,
                                     .key = key_of(l->graph, stands, p->edge, true),
                                     .pull = l->points[p->lower].order};
        ends[count++] = (struct end){.point = p->lower,
                                     .piece = i,
                                     .key = key_of(l->graph, stands, p->edge, false),
                                     .pull = l->points[p->upper].order};
    }
    qsort(ends, count, sizeof *ends, by_key);
    make_ports(l, ends, count);
    label_ports(l, sizes);
    size_points(l, sizes);
    connect(l, ends, count, stands);
    return OK;
}
