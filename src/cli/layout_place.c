/* Places from left to right: every rank is moved to where its neighbours would have it, as near as
 * the order and the gaps allow. The nearest such places are found by pooling: points that push
 * against each other move as one block to the mean of their wishes.
 */
#include "cli/layout.h"

enum { SWEEPS = 12, FINE = 16, WEIGHT_LINE = 8, WEIGHT_BOX = 2, WEIGHT_ALONE = 1 };

/* Wishes in 1/FINE of a unit, gaps taken off: points may then stand at equal places. */
struct block {
    int64_t sum; /* weighted */
    int64_t weight;
    uint32_t points;
};

struct placing {
    struct layout *l;
    int64_t box_gap;
    int64_t *x;     /* [point], in 1/FINE */
    int64_t *sum;   /* [point] wishes of its lines */
    int64_t *count; /* [point] weights of them */
    struct block *blocks;
};

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && a < 0); }

static void wish(struct placing *p, const struct layout_piece *piece, bool down) {
    const struct layout *l = p->l;
    uint32_t mine = down ? piece->lower : piece->upper;
    uint32_t other = down ? piece->upper : piece->lower;
    int64_t upper = l->ports[piece->upper_port].offset * FINE;
    int64_t lower = l->ports[piece->lower_port].offset * FINE;
    bool lines = l->points[mine].node == LAYOUT_NONE && l->points[other].node == LAYOUT_NONE;
    int64_t weight = lines ? WEIGHT_LINE : WEIGHT_BOX;
    p->sum[mine] += weight * (p->x[other] + (down ? upper - lower : lower - upper));
    p->count[mine] += weight;
}

static void merge_back(struct block *blocks, uint32_t *count) {
    while (*count > 1) {
        struct block *last = &blocks[*count - 1], *before = last - 1;
        if (floor_div(before->sum, before->weight) < floor_div(last->sum, last->weight)) {
            return;
        }
        before->sum += last->sum;
        before->weight += last->weight;
        before->points += last->points;
        (*count)--;
    }
}

/* whole: to whole units, so that what hangs straight below stands straight below. */
static void place_rank(struct placing *p, uint32_t rank, bool whole) {
    struct layout *l = p->l;
    uint32_t first = l->rank_first[rank], end = l->rank_first[rank + 1], count = 0;
    int64_t taken = 0; /* by the points and gaps before */
    for (uint32_t i = first; i < end; i++) {
        int64_t weight = p->count[i] ? p->count[i] : WEIGHT_ALONE;
        int64_t at = p->count[i] ? p->sum[i] : p->x[i];
        p->blocks[count++] = (struct block){at - weight * taken, weight, 1};
        merge_back(p->blocks, &count);
        taken += (l->points[i].width + p->box_gap) * FINE;
        p->sum[i] = p->count[i] = 0;
    }
    taken = 0;
    uint32_t at = first;
    for (uint32_t b = 0; b < count; b++) {
        int64_t place = floor_div(p->blocks[b].sum, p->blocks[b].weight);
        place = whole ? floor_div(place + FINE / 2, FINE) * FINE : place;
        for (uint32_t i = 0; i < p->blocks[b].points; i++, at++) {
            p->x[at] = place + taken;
            taken += (l->points[at].width + p->box_gap) * FINE;
        }
    }
}

static void sweep(struct placing *p, bool down, bool whole) {
    const struct layout *l = p->l;
    for (uint32_t i = 0; i < l->rank_count; i++) {
        uint32_t rank = down ? i : l->rank_count - 1 - i;
        uint32_t from = down ? rank - 1 : rank; /* of the pieces that join it with the one before */
        bool any = down ? rank > 0 : rank + 1 < l->rank_count;
        for (uint32_t k = any ? l->rank_pieces[from] : 0; any && k < l->rank_pieces[from + 1];
             k++) {
            wish(p, &l->pieces[k], down);
        }
        place_rank(p, rank, whole);
    }
}

static void settle(struct placing *p) {
    struct layout *l = p->l;
    int64_t left = INT64_MAX;
    for (uint32_t i = 0; i < l->point_count; i++) {
        l->points[i].x = floor_div(p->x[i], FINE);
        left = l->points[i].x < left ? l->points[i].x : left;
    }
    for (uint32_t i = 0; i < l->point_count; i++) {
        struct layout_point *point = &l->points[i];
        point->x -= left;
        l->width = point->x + point->width > l->width ? point->x + point->width : l->width;
    }
}

enum err layout_place(struct layout *l, const struct layout_sizes *sizes) {
    struct arena *a = l->graph->arena;
    struct placing p = {.l = l, .box_gap = sizes->box_gap};
    p.x = ARENA_ARRAY(a, l->point_count + 1u, int64_t);
    p.sum = ARENA_ARRAY(a, l->point_count + 1u, int64_t);
    p.count = ARENA_ARRAY(a, l->point_count + 1u, int64_t);
    p.blocks = ARENA_ARRAY(a, l->point_count + 1u, struct block);
    if (!p.x || !p.sum || !p.count || !p.blocks) {
        return ERR_NOMEM;
    }
    for (int i = 0; i < SWEEPS; i++) {
        sweep(&p, i % 2 == 0, false);
    }
    sweep(&p, true, true);
    settle(&p);
    return OK;
}
