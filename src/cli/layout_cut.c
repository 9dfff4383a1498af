/* Cuts edges into pieces that go from one rank to the next. An edge over many ranks gets a point on
 * each rank that it passes; past MAX_POINTS edges stay whole (loose) and whoever draws them draws
 * them straight.
 */
#include "cli/layout.h"

enum { MAX_POINTS = 60000 };

struct cut {
    struct layout *l;
    const uint32_t *ranks;
    struct layout_point *points;
    struct layout_piece *pieces;
};

static struct layout_piece *add_piece(struct cut *c, uint32_t edge, uint32_t upper,
                                      uint32_t lower) {
    struct layout_piece *p = &c->pieces[c->l->piece_count++];
    *p = (struct layout_piece){.edge = edge, .upper = upper, .lower = lower};
    return p;
}

/* A back edge hangs from its target. */
static void ends_of(const struct graph_edge *e, uint32_t *upper, uint32_t *lower) {
    *upper = e->back ? e->target : e->source;
    *lower = e->back ? e->source : e->target;
}

static void cut_edge(struct cut *c, uint32_t edge) {
    uint32_t upper, lower;
    ends_of(&c->l->graph->edges[edge], &upper, &lower);
    uint32_t at = upper;
    struct layout_piece *p = NULL;
    for (uint32_t rank = c->ranks[upper] + 1; rank <= c->ranks[lower]; rank++) {
        uint32_t next = lower;
        if (rank < c->ranks[lower]) {
            next = c->l->point_count++;
            c->points[next] =
                (struct layout_point){.rank = rank, .node = LAYOUT_NONE, .edge = edge};
        }
        p = add_piece(c, edge, at, next);
        p->starts_upper_node = at == upper;
        at = next;
    }
    if (p) {
        p->ends_lower_node = true;
    }
}

/* How many points all edges together need; those over the limit are loose, the longest way down
 * the file last. */
static uint32_t count_points(struct layout *l, const uint32_t *ranks, uint32_t *out_pieces) {
    uint32_t points = l->graph->node_count, pieces = 0;
    for (uint32_t i = 0; i < l->graph->edge_count; i++) {
        uint32_t upper, lower;
        ends_of(&l->graph->edges[i], &upper, &lower);
        uint32_t span = ranks[lower] > ranks[upper] ? ranks[lower] - ranks[upper] : 0;
        l->loose[i] = span == 0 || (span > 1 && points + span > MAX_POINTS);
        l->any_loose = l->any_loose || l->loose[i];
        points += l->loose[i] ? 0 : span - 1;
        pieces += l->loose[i] ? 0 : span;
    }
    *out_pieces = pieces;
    return points;
}

/* Pieces by the rank of their upper end. */
static enum err sort_pieces(struct layout *l) {
    struct arena *a = l->graph->arena;
    uint32_t *keys = ARENA_ARRAY(a, l->piece_count + 1u, uint32_t);
    struct layout_piece *sorted = ARENA_ARRAY(a, l->piece_count + 1u, struct layout_piece);
    struct layout_groups groups;
    if (!keys || !sorted) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < l->piece_count; i++) {
        keys[i] = l->points[l->pieces[i].upper].rank;
    }
    if (layout_group(a, keys, l->piece_count, l->rank_count, &groups)) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < l->piece_count; i++) {
        sorted[i] = l->pieces[groups.items[i]];
    }
    l->pieces = sorted;
    l->rank_pieces = groups.first;
    return OK;
}

enum err layout_cut(struct layout *l) {
    const struct graph *g = l->graph;
    uint32_t *ranks = ARENA_ARRAY(g->arena, g->node_count + 1u, uint32_t);
    uint32_t pieces;
    l->loose = ARENA_ARRAY(g->arena, g->edge_count + 1u, bool);
    if (!ranks || !l->loose || layout_ranks(g, ranks, &l->rank_count)) {
        return ERR_NOMEM;
    }
    uint32_t points = count_points(l, ranks, &pieces);
    struct cut c = {.l = l, .ranks = ranks};
    c.points = ARENA_ARRAY(g->arena, points + 1u, struct layout_point);
    c.pieces = ARENA_ARRAY(g->arena, pieces + 1u, struct layout_piece);
    if (!c.points || !c.pieces) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        c.points[i] = (struct layout_point){.rank = ranks[i], .node = i, .edge = LAYOUT_NONE};
    }
    l->point_count = g->node_count;
    for (uint32_t i = 0; i < g->edge_count; i++) {
        if (!l->loose[i]) {
            cut_edge(&c, i);
        }
    }
    l->points = c.points;
    l->pieces = c.pieces;
    return sort_pieces(l);
}
