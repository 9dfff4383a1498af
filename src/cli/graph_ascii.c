/* The graph as boxes and lines of plain text. Between two ranks every place where lines enter a
 * box has a row of its own for what comes from the side; a line that goes straight down needs none.
 *
 * Must never draw a picture that can be read in two ways: where lines would lie upon each other, or
 * it is too wide or too long, the list is printed instead.
 */
#include "cli/canvas.h"
#include "cli/graph.h"
#include "cli/layout.h"
#include "cli/text.h"

enum { MAX_TEXT = 30, MAX_ROWS = 400, PADDING = 4, MAX_NETS = GRAPH_COLUMNS };

/* All lines that enter a box (or pass a rank) at one place. */
struct net {
    uint32_t port;
    int64_t entry, left, right; /* columns */
    bool bent, done;
    uint32_t track;
};

struct gap {
    struct net nets[MAX_NETS];
    uint32_t count, tracks;
};

struct drawing {
    const struct graph *g;
    struct layout l;
    struct gap gap;
    struct canvas canvas;
    uint32_t row; /* where the next rank or gap begins */
    bool draw;    /* false: only counts rows and looks whether it can be read */
};

/* ---- between two ranks ---- */

/* Its index; gap->count when there is none yet. */
static uint32_t net_find(const struct gap *gap, uint32_t port) {
    uint32_t i = 0;
    while (i < gap->count && gap->nets[i].port != port) {
        i++;
    }
    return i;
}

static bool find_nets(struct drawing *d, uint32_t rank) {
    const struct layout *l = &d->l;
    struct gap *gap = &d->gap;
    gap->count = gap->tracks = 0;
    for (uint32_t i = l->rank_pieces[rank]; i < l->rank_pieces[rank + 1]; i++) {
        const struct layout_piece *p = &l->pieces[i];
        int64_t from = layout_upper_x(l, p), to = layout_lower_x(l, p);
        uint32_t at = net_find(gap, p->lower_port);
        if (at == MAX_NETS) {
            return false;
        }
        struct net *n = &gap->nets[at];
        if (at == gap->count) {
            gap->count++;
            *n = (struct net){.port = p->lower_port, .entry = to, .left = to, .right = to};
        }
        n->left = from < n->left ? from : n->left;
        n->right = from > n->right ? from : n->right;
        n->bent = n->bent || from != to;
    }
    return true;
}

/* The upper end of a line of another net stands right above this one's entry: the row of that net
 * must be higher, else the two would share a piece of column. */
static bool must_wait(struct drawing *d, uint32_t rank, const struct net *n) {
    const struct layout *l = &d->l;
    bool own = false, other = false;
    for (uint32_t i = l->rank_pieces[rank]; i < l->rank_pieces[rank + 1]; i++) {
        const struct layout_piece *p = &l->pieces[i];
        if (layout_upper_x(l, p) == n->entry) {
            own = own || p->lower_port == n->port;
            other = other || (p->lower_port != n->port &&
                              !d->gap.nets[net_find(&d->gap, p->lower_port)].done);
        }
    }
    return other && !own;
}

/* The first row from there on, where nothing else is in the way. */
static uint32_t free_track(const struct gap *gap, const struct net *n, uint32_t from) {
    for (uint32_t track = from;; track++) {
        bool taken = false;
        for (uint32_t i = 0; i < gap->count; i++) {
            const struct net *o = &gap->nets[i];
            taken = taken || (o != n && o->bent && o->done && o->track == track &&
                              o->left <= n->right + 2 && n->left <= o->right + 2);
        }
        if (!taken) {
            return track;
        }
    }
}

/* Below those that it waited for, with one between: no corner right below another's. */
static uint32_t lowest_above(const struct drawing *d, uint32_t rank, const struct net *n) {
    const struct layout *l = &d->l;
    uint32_t from = 0;
    for (uint32_t i = l->rank_pieces[rank]; i < l->rank_pieces[rank + 1]; i++) {
        const struct layout_piece *p = &l->pieces[i];
        for (uint32_t k = 0; k < d->gap.count; k++) {
            const struct net *o = &d->gap.nets[k];
            bool above = o != n && o->port == p->lower_port && layout_upper_x(l, p) == n->entry;
            from = above && o->bent && o->done && o->track + 2 > from ? o->track + 2 : from;
        }
    }
    return from;
}

/* False when nets wait for each other in a circle. */
static bool find_tracks(struct drawing *d, uint32_t rank) {
    struct gap *gap = &d->gap;
    for (uint32_t left = gap->count; left > 0; left--) {
        struct net *next = NULL;
        for (uint32_t i = 0; i < gap->count; i++) {
            struct net *n = &gap->nets[i];
            if (!n->done && (!next || n->left < next->left) &&
                !(n->bent && must_wait(d, rank, n))) {
                next = n;
            }
        }
        if (!next) {
            return false;
        }
        if (next->bent) {
            next->track = free_track(gap, next, lowest_above(d, rank, next));
            gap->tracks = next->track + 1 > gap->tracks ? next->track + 1 : gap->tracks;
        }
        next->done = true;
    }
    return true;
}

static void draw_lines(struct drawing *d, uint32_t rank, uint32_t bottom) {
    const struct layout *l = &d->l;
    for (int pass = 0; pass < 3; pass++) { /* across, down, corners: the later ones lie above */
        for (uint32_t i = l->rank_pieces[rank]; i < l->rank_pieces[rank + 1]; i++) {
            const struct layout_piece *p = &l->pieces[i];
            const struct net *n = &d->gap.nets[net_find(&d->gap, p->lower_port)];
            uint32_t from = (uint32_t)layout_upper_x(l, p), to = (uint32_t)n->entry;
            uint32_t track = n->bent ? d->row + 1 + n->track : bottom;
            if (pass == 0 && n->bent) {
                canvas_across(&d->canvas, track, from, to);
            } else if (pass == 1) {
                canvas_down(&d->canvas, from, d->row, track);
                canvas_down(&d->canvas, to, track, bottom);
            } else if (pass == 2 && n->bent) {
                canvas_put(&d->canvas, track, from, STR("+"));
                canvas_put(&d->canvas, track, to, STR("+"));
            }
        }
    }
}

static void draw_ends(struct drawing *d, uint32_t rank, uint32_t bottom) {
    const struct layout *l = &d->l;
    for (uint32_t i = l->rank_pieces[rank]; i < l->rank_pieces[rank + 1]; i++) {
        const struct layout_piece *p = &l->pieces[i];
        const struct graph_edge *e = &d->g->edges[p->edge];
        uint32_t from = (uint32_t)layout_upper_x(l, p), to = (uint32_t)layout_lower_x(l, p);
        if (p->starts_upper_node && e->back) {
            canvas_put(&d->canvas, d->row, from, STR("^"));
        } else if (p->starts_upper_node) {
            canvas_text(&d->canvas, d->row, from + 2, e->label);
        }
        if (p->ends_lower_node && e->back) {
            canvas_text(&d->canvas, bottom, to + 2, e->label);
        } else if (p->ends_lower_node) {
            canvas_put(&d->canvas, bottom, to, STR("v"));
        }
    }
}

static bool pass_gap(struct drawing *d, uint32_t rank) {
    if (!find_nets(d, rank) || !find_tracks(d, rank)) {
        return false;
    }
    uint32_t bottom = d->row + d->gap.tracks + 1;
    if (d->draw) {
        draw_lines(d, rank, bottom);
        draw_ends(d, rank, bottom);
    }
    d->row = bottom + 1;
    return true;
}

/* ---- boxes ---- */

static struct str short_text(struct arena *a, struct str text) {
    struct buf b;
    buf_init(&b, 0);
    text_clip(&b, text, MAX_TEXT);
    struct str s = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return s;
}

static void draw_box(struct drawing *d, const struct layout_point *p, uint32_t height) {
    const struct graph_node *n = &d->g->nodes[p->node];
    uint32_t left = (uint32_t)p->x, right = (uint32_t)(p->x + p->width) - 1;
    uint32_t bottom = d->row + height - 1, row = d->row + 1;
    canvas_across(&d->canvas, d->row, left, right);
    canvas_across(&d->canvas, bottom, left, right);
    canvas_down(&d->canvas, left, d->row, bottom);
    canvas_down(&d->canvas, right, d->row, bottom);
    for (int i = 0; i < 4; i++) {
        canvas_put(&d->canvas, i & 1 ? d->row : bottom, i & 2 ? left : right, STR("+"));
    }
    canvas_text(&d->canvas, row++, left + 2, n->name);
    if (n->label.len) {
        canvas_text(&d->canvas, row++, left + 2, short_text(d->g->arena, n->label));
    }
    canvas_text(&d->canvas, row, left + 2, short_text(d->g->arena, n->kind));
}

static void pass_rank(struct drawing *d, uint32_t rank) {
    const struct layout *l = &d->l;
    uint32_t height = 4;
    for (uint32_t i = l->rank_first[rank]; i < l->rank_first[rank + 1]; i++) {
        uint32_t node = l->points[i].node;
        height = node != LAYOUT_NONE && d->g->nodes[node].label.len ? 5 : height;
    }
    for (uint32_t i = l->rank_first[rank]; d->draw && i < l->rank_first[rank + 1]; i++) {
        const struct layout_point *p = &l->points[i];
        if (p->node != LAYOUT_NONE) {
            draw_box(d, p, height);
        } else {
            canvas_down(&d->canvas, (uint32_t)p->x, d->row, d->row + height - 1);
        }
    }
    d->row += height;
}

/* ---- the whole ---- */

static bool pass_all(struct drawing *d, bool draw) {
    d->draw = draw;
    d->row = 0;
    for (uint32_t rank = 0; rank < d->l.rank_count; rank++) {
        pass_rank(d, rank);
        if (rank + 1 < d->l.rank_count && !pass_gap(d, rank)) {
            return false;
        }
    }
    return d->row <= MAX_ROWS;
}

static enum err lay_out(struct drawing *d) {
    const struct graph *g = d->g;
    int64_t *nodes = ARENA_ARRAY(g->arena, g->node_count + 1u, int64_t);
    int64_t *labels = ARENA_ARRAY(g->arena, g->edge_count + 1u, int64_t);
    if (!nodes || !labels) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        struct str texts[] = {g->nodes[i].name, g->nodes[i].label, g->nodes[i].kind};
        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            uint32_t width = text_width(texts[k]);
            width = (k && width > MAX_TEXT ? MAX_TEXT : width) + PADDING;
            nodes[i] = width > nodes[i] ? width : nodes[i];
        }
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        labels[i] = g->edges[i].label.len ? text_width(g->edges[i].label) + 2 : 0;
    }
    struct layout_sizes sizes = {nodes, labels, .port_gap = 4, .box_gap = 3, .line = 1};
    return layout_make(g, &sizes, &d->l);
}

enum err graph_ascii(const struct graph *g, struct buf *out) {
    struct drawing d = {.g = g};
    enum err err = lay_out(&d);
    if (err) {
        return err;
    }
    if (d.l.any_loose || d.l.width > GRAPH_COLUMNS || !pass_all(&d, false)) {
        return graph_list(g, out);
    }
    err = canvas_open(&d.canvas, g->arena, d.row, (uint32_t)d.l.width);
    if (err) {
        return err;
    }
    (void)pass_all(&d, true); /* the same as before, which was fine */
    canvas_print(&d.canvas, out);
    return buf_ok(out) ? OK : ERR_NOMEM;
}
