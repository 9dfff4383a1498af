/* The graph as one SVG document: no script, no font, no picture from elsewhere. Colours follow the
 * reader's light or dark theme; without one they are readable on both.
 */
#include "cli/graph.h"
#include "cli/layout.h"
#include "cli/text.h"

/* In pixels; CELL is the advance of one character of the monospaced font. */
enum { CELL = 8, LABEL_CELL = 7, MARGIN = 16, BOX = 46, LINE = 18, GAP = 64, PADDING = 24 };

static const char style[] =
    "<style>"
    "text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#555}"
    ".n{font-weight:600;fill:#333}.k,.h{font-size:11px}"
    ".b{fill:#fff;stroke:#777;stroke-width:1.5}.d{stroke:#b7791f}"
    ".w{stroke:#2b6cb0}.e{fill:none;stroke:#888;stroke-width:1.5}.r{stroke:#c53030}"
    ".a{fill:#888}.r.a{fill:#c53030;stroke:none}"
    "@media(prefers-color-scheme:dark){text{fill:#bbb}.n{fill:#eee}"
    ".b{fill:#222;stroke:#999}.d{stroke:#d69e2e}.w{stroke:#63b3ed}.e{stroke:#aaa}.a{fill:#aaa}}"
    "</style>\n";

struct svg {
    const struct graph *g;
    struct layout l;
    int64_t *top;        /* [rank] */
    int64_t box;         /* height of all boxes */
    int64_t *node_point; /* [node]: its point */
    struct buf *out;
};

/* XML text; characters that no XML document may hold become U+FFFD. */
static void put(struct buf *b, struct str text) {
    size_t at = 0;
    while (at < text.len) {
        size_t from = at;
        uint32_t c = str_utf8_next(text, &at);
        switch (c) {
        case '<': buf_append_cstr(b, "&lt;"); break;
        case '>': buf_append_cstr(b, "&gt;"); break;
        case '&': buf_append_cstr(b, "&amp;"); break;
        case '"': buf_append_cstr(b, "&quot;"); break;
        case 0xfffe:
        case 0xffff: buf_append_cstr(b, "\xef\xbf\xbd"); break;
        default: buf_append(b, str_sub(text, from, at));
        }
    }
}

static void put_text(struct svg *s, const char *class, int64_t x, int64_t y, struct str text) {
    if (text.len) {
        buf_printf(s->out, "<text class=\"%s\" x=\"%lld\" y=\"%lld\">", class, (long long)x,
                   (long long)y);
        put(s->out, text);
        buf_append_cstr(s->out, "</text>");
    }
}

static void put_box(struct svg *s, const struct layout_point *p, int64_t shift, const char *class) {
    buf_printf(s->out,
               "<rect class=\"b%s\" x=\"%lld\" y=\"%lld\" width=\"%lld\" height=\"%lld\" "
               "rx=\"6\"/>",
               class, (long long)(MARGIN + p->x + shift), (long long)(s->top[p->rank] + shift),
               (long long)p->width, (long long)s->box);
}

/* A foreach has a second box behind it, a sub-workflow a line on each side. */
static void put_node(struct svg *s, const struct layout_point *p) {
    const struct graph_node *n = &s->g->nodes[p->node];
    const char *class = n->decides ? " d" : n->child ? " w" : "";
    int64_t left = MARGIN + p->x, top = s->top[p->rank], line = top + LINE + 2;
    buf_append_cstr(s->out, "<g>");
    if (n->foreach) {
        put_box(s, p, 5, class);
    }
    put_box(s, p, 0, class);
    if (n->child) {
        buf_printf(s->out, "<path class=\"e w\" d=\"M%lld %lldV%lldM%lld %lldV%lld\"/>",
                   (long long)left + 5, (long long)top, (long long)(top + s->box),
                   (long long)(left + p->width - 5), (long long)top, (long long)(top + s->box));
    }
    put_text(s, "n", left + PADDING / 2, line, n->name);
    if (n->label.len) {
        put_text(s, "l", left + PADDING / 2, line += LINE, n->label);
    }
    put_text(s, "k", left + PADDING / 2, line + LINE, n->kind);
    buf_append_cstr(s->out, "</g>\n");
}

static const char *edge_class(const struct graph_edge *e) { return e->error ? " r" : ""; }

static void put_arrow(struct svg *s, const struct graph_edge *e, int64_t x, int64_t y) {
    int dy = e->back ? 8 : -8;
    buf_printf(s->out, "<path class=\"a%s\" d=\"M%lld %lldl-4 %dh8z\"/>", edge_class(e),
               (long long)x, (long long)y, dy);
}

static void begin_path(struct svg *s, const struct graph_edge *e) {
    buf_printf(s->out, "<path class=\"e%s\"%s d=\"", edge_class(e),
               e->back || e->named ? " stroke-dasharray=\"5 4\"" : "");
}

static void put_piece(struct svg *s, const struct layout_piece *p) {
    const struct graph_edge *e = &s->g->edges[p->edge];
    uint32_t rank = s->l.points[p->upper].rank;
    int64_t x = MARGIN + layout_upper_x(&s->l, p), to = MARGIN + layout_lower_x(&s->l, p);
    int64_t y = s->top[rank] + s->box, bottom = s->top[rank + 1], middle = (y + bottom) / 2;
    begin_path(s, e);
    buf_printf(s->out, "M%lld %lldC%lld %lld %lld %lld %lld %lld", (long long)x, (long long)y,
               (long long)x, (long long)middle, (long long)to, (long long)middle, (long long)to,
               (long long)bottom);
    if (!p->ends_lower_node) {
        buf_printf(s->out, "V%lld", (long long)(bottom + s->box));
    }
    buf_append_cstr(s->out, "\"/>");
    if (p->starts_upper_node && e->back) {
        put_arrow(s, e, x, y);
    } else if (p->starts_upper_node) {
        put_text(s, "h", x + 6, y + 16, e->label);
    }
    if (p->ends_lower_node && e->back) {
        put_text(s, "h", to + 6, bottom - 8, e->label);
    } else if (p->ends_lower_node) {
        put_arrow(s, e, to, bottom);
    }
    buf_append_char(s->out, '\n');
}

/* An edge that was not cut into pieces, as one curve over whatever lies between. */
static void put_loose(struct svg *s, const struct graph_edge *e) {
    const struct layout_point *from = &s->l.points[s->node_point[e->source]];
    const struct layout_point *to = &s->l.points[s->node_point[e->target]];
    int64_t x = MARGIN + from->x + from->width / 2, y = s->top[from->rank] + s->box;
    int64_t end_x = MARGIN + to->x + to->width / 2, end_y = s->top[to->rank];
    begin_path(s, e);
    buf_printf(s->out, "M%lld %lldC%lld %lld %lld %lld %lld %lld\"/>", (long long)x, (long long)y,
               (long long)x, (long long)(y + GAP), (long long)end_x, (long long)(end_y - GAP),
               (long long)end_x, (long long)end_y);
    put_text(s, "h", x + 6, y + 16, e->label);
    put_arrow(s, &(struct graph_edge){.error = e->error}, end_x, end_y);
    buf_append_char(s->out, '\n');
}

static enum err lay_out(struct svg *s) {
    const struct graph *g = s->g;
    int64_t *nodes = ARENA_ARRAY(g->arena, g->node_count + 1u, int64_t);
    int64_t *labels = ARENA_ARRAY(g->arena, g->edge_count + 1u, int64_t);
    bool any_label = false;
    if (!nodes || !labels) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        struct str texts[] = {g->nodes[i].name, g->nodes[i].label, g->nodes[i].kind};
        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            int64_t width = (int64_t)text_width(texts[k]) * CELL + PADDING;
            nodes[i] = width > nodes[i] ? width : nodes[i];
        }
        any_label = any_label || g->nodes[i].label.len;
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        labels[i] = g->edges[i].label.len ? text_width(g->edges[i].label) * LABEL_CELL + 6 : 0;
    }
    struct layout_sizes sizes = {nodes, labels, .port_gap = 24, .box_gap = 24, .line = 1};
    s->box = any_label ? BOX + LINE : BOX;
    return layout_make(g, &sizes, &s->l);
}

static enum err find_places(struct svg *s) {
    const struct layout *l = &s->l;
    s->top = ARENA_ARRAY(s->g->arena, l->rank_count + 1u, int64_t);
    s->node_point = ARENA_ARRAY(s->g->arena, s->g->node_count + 1u, int64_t);
    if (!s->top || !s->node_point) {
        return ERR_NOMEM;
    }
    for (uint32_t rank = 0; rank < l->rank_count; rank++) {
        s->top[rank] = MARGIN + rank * (s->box + GAP);
    }
    for (uint32_t i = 0; i < l->point_count; i++) {
        if (l->points[i].node != LAYOUT_NONE) {
            s->node_point[l->points[i].node] = i;
        }
    }
    return OK;
}

static void put_all(struct svg *s) {
    const struct layout *l = &s->l;
    for (uint32_t i = 0; i < l->piece_count; i++) {
        put_piece(s, &l->pieces[i]);
    }
    for (uint32_t i = 0; i < s->g->edge_count; i++) {
        if (l->loose[i]) {
            put_loose(s, &s->g->edges[i]);
        }
    }
    for (uint32_t i = 0; i < l->point_count; i++) {
        if (l->points[i].node != LAYOUT_NONE) {
            put_node(s, &l->points[i]);
        }
    }
}

enum err graph_svg(const struct graph *g, struct buf *out) {
    struct svg s = {.g = g, .out = out};
    enum err err = lay_out(&s);
    err = err ? err : find_places(&s);
    if (err) {
        return err;
    }
    long long width = s.l.width + 2 * MARGIN;
    long long height = 2 * MARGIN + (long long)s.l.rank_count * (s.box + GAP) - GAP;
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%lld\" height=\"%lld\" "
               "viewBox=\"0 0 %lld %lld\" role=\"img\">\n<title>",
               width, height, width, height);
    put(out, g->name);
    buf_append_cstr(out, "</title>\n");
    buf_append_cstr(out, style);
    put_all(&s);
    buf_append_cstr(out, "</svg>\n");
    return buf_ok(out) ? OK : ERR_NOMEM;
}
