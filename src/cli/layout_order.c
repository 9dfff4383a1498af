/* The order of points within their ranks: a few sweeps down and up, in each a point goes to the
 * mean place of its neighbours in the rank before. Points are then renumbered by rank and order.
 */
#include <stdlib.h>

#include "cli/layout.h"

enum { SWEEPS = 8, FINE = 1024 };

struct seat {
    int64_t wish;
    uint32_t order, point;
};

static int by_wish(const void *a, const void *b) {
    const struct seat *x = a, *y = b;
    if (x->wish != y->wish) {
        return x->wish < y->wish ? -1 : 1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

struct ordering {
    struct layout *l;
    struct seat *seats;   /* by rank */
    int64_t *sum;         /* [point] */
    uint32_t *neighbours; /* [point] */
};

/* What the neighbours of a rank's points wish: those above, or below. */
static void gather(struct ordering *o, uint32_t rank, bool above) {
    struct layout *l = o->l;
    uint32_t from = above ? rank - 1 : rank;
    for (uint32_t i = l->rank_pieces[from]; i < l->rank_pieces[from + 1]; i++) {
        const struct layout_piece *p = &l->pieces[i];
        uint32_t mine = above ? p->lower : p->upper;
        uint32_t other = above ? p->upper : p->lower;
        o->sum[mine] += (int64_t)l->points[other].order * FINE;
        o->neighbours[mine]++;
    }
}

static void sort_rank(struct ordering *o, uint32_t rank) {
    struct layout *l = o->l;
    uint32_t first = l->rank_first[rank], count = l->rank_first[rank + 1] - first;
    for (uint32_t i = first; i < first + count; i++) {
        struct seat *s = &o->seats[i];
        uint32_t n = o->neighbours[s->point];
        s->order = l->points[s->point].order;
        s->wish = n ? o->sum[s->point] / n : (int64_t)s->order * FINE;
        o->sum[s->point] = 0;
        o->neighbours[s->point] = 0;
    }
    qsort(&o->seats[first], count, sizeof *o->seats, by_wish);
    for (uint32_t i = 0; i < count; i++) {
        l->points[o->seats[first + i].point].order = i;
    }
}

static void sweep(struct ordering *o, bool down) {
    uint32_t ranks = o->l->rank_count;
    for (uint32_t i = 1; i < ranks; i++) {
        uint32_t rank = down ? i : ranks - 1 - i;
        gather(o, rank, down);
        sort_rank(o, rank);
    }
}

/* Points in the order of their seats; pieces follow. */
static enum err renumber(struct ordering *o) {
    struct layout *l = o->l;
    struct layout_point *sorted =
        ARENA_ARRAY(l->graph->arena, l->point_count + 1u, struct layout_point);
    uint32_t *now = ARENA_ARRAY(l->graph->arena, l->point_count + 1u, uint32_t);
    if (!sorted || !now) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < l->point_count; i++) {
        sorted[i] = l->points[o->seats[i].point];
        now[o->seats[i].point] = i;
    }
    for (uint32_t i = 0; i < l->piece_count; i++) {
        l->pieces[i].upper = now[l->pieces[i].upper];
        l->pieces[i].lower = now[l->pieces[i].lower];
    }
    l->points = sorted;
    return OK;
}

enum err layout_order(struct layout *l) {
    struct arena *a = l->graph->arena;
    uint32_t *ranks = ARENA_ARRAY(a, l->point_count + 1u, uint32_t);
    struct ordering o = {.l = l};
    struct layout_groups groups;
    o.seats = ARENA_ARRAY(a, l->point_count + 1u, struct seat);
    o.sum = ARENA_ARRAY(a, l->point_count + 1u, int64_t);
    o.neighbours = ARENA_ARRAY(a, l->point_count + 1u, uint32_t);
    if (!ranks || !o.seats || !o.sum || !o.neighbours) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < l->point_count; i++) {
        ranks[i] = l->points[i].rank;
    }
    if (layout_group(a, ranks, l->point_count, l->rank_count, &groups)) {
        return ERR_NOMEM;
    }
    l->rank_first = groups.first;
    for (uint32_t i = 0; i < l->point_count; i++) {
        uint32_t point = groups.items[i];
        o.seats[i] = (struct seat){.point = point};
        l->points[point].order = i - l->rank_first[ranks[point]];
    }
    for (int i = 0; i < SWEEPS; i++) {
        sweep(&o, i % 2 == 0);
    }
    return renumber(&o);
}
