/* Loops: natural loops of the back edges, their bodies (side branches included), and what leads out
 * of them (docs/workflow-format.md, "Loops").
 *
 * Cycles of a reducible graph are nested or apart. The work is that of the result: every loop lists
 * its body, so the sum of all bodies is capped (FLOW_MAX_MEMBERS).
 */
#include "flow/flow_priv.h"
#include "flow/loops_priv.h"

/* ---- headers and cycles ---- */

static bool find_headers(struct loops *ls) {
    struct unit *u = ls->u;
    uint32_t *count = SCRATCH(u->s, u->graph.n, uint32_t);
    if (!count) {
        return false;
    }
    for (uint32_t e = 0; e < u->plan->edge_count; e++) {
        const struct plan_edge *edge = &u->plan->edges[e];
        ls->count += edge->back_of >= 0 && count[edge->target]++ == 0;
    }
    ls->items = SCRATCH(u->s, ls->count, struct wloop);
    if (!ls->items) {
        return false;
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < u->graph.n; i++) {
        if (!count[i]) {
            continue;
        }
        struct wloop *l = &ls->items[at++];
        l->header = i;
        l->backs = KEEP(u->s, count[i], uint32_t);
        for (uint32_t e = in_from(&u->graph, i); l->backs && e < in_to(&u->graph, i); e++) {
            if (u->plan->edges[e].back_of >= 0) {
                l->backs[l->back_count++] = e;
            }
        }
    }
    return !u->s->nomem;
}

static bool keep_members(struct loops *ls, const uint32_t *from, uint32_t count, uint32_t **out) {
    ls->members += count;
    if (ls->members > FLOW_MAX_MEMBERS) {
        ls->too_large = true;
        return false;
    }
    *out = SCRATCH(ls->u->s, count, uint32_t);
    if (*out) {
        memcpy(*out, from, count * sizeof **out);
    }
    return *out != NULL;
}

/* Backward from the back edges to the header, inner back edges included. */
static bool find_cycle(struct loops *ls, struct wloop *l) {
    struct unit *u = ls->u;
    uint32_t stamp = ++ls->stamp, count = 0;
    ls->list[count++] = l->header;
    ls->in_cycle[l->header] = stamp;
    for (uint32_t b = 0; b < l->back_count; b++) {
        uint32_t source = u->plan->edges[l->backs[b]].source;
        if (ls->in_cycle[source] != stamp) {
            ls->in_cycle[source] = stamp;
            ls->list[count++] = source;
        }
    }
    for (uint32_t at = 1; at < count; at++) {
        uint32_t node = ls->list[at];
        for (uint32_t e = in_from(&u->graph, node); e < in_to(&u->graph, node); e++) {
            uint32_t source = u->plan->edges[e].source;
            if (ls->in_cycle[source] != stamp) {
                ls->in_cycle[source] = stamp;
                ls->list[count++] = source;
            }
        }
    }
    l->cycle_count = count;
    return keep_members(ls, ls->list, count, &l->cycle);
}

/* The outermost and the innermost cycle of every node. */
static void place_nodes(struct loops *ls) {
    for (uint32_t i = 0; i < ls->count; i++) {
        const struct wloop *l = &ls->items[i];
        for (uint32_t k = 0; k < l->cycle_count; k++) {
            uint32_t *outer = &ls->outermost[l->cycle[k]], *inner = &ls->innermost[l->cycle[k]];
            if (*outer == NONE || ls->items[*outer].cycle_count < l->cycle_count) {
                *outer = i;
            }
            if (*inner == NONE || ls->items[*inner].cycle_count > l->cycle_count) {
                *inner = i;
            }
        }
    }
}

/* ---- bodies ---- */

/* Exit handles of a cycle node are its normal handles without an edge into the cycle, and `limit`.
 * into[h] equals stamp when handle h leads into the cycle. */
static bool mark_handles(struct loops *ls, uint32_t node, bool *out_limit_inside) {
    struct unit *u = ls->u;
    const struct plan_node *n = &u->plan->nodes[node];
    uint32_t stamp = ++ls->handle_stamp, inside = 0;
    *out_limit_inside = false;
    for (uint32_t i = 0; i < n->out_count; i++) {
        const struct plan_edge *e = &u->plan->edges[n->out_edges[i]];
        if (ls->in_cycle[e->target] != ls->stamp || e->handle == HANDLE_ERROR) {
            continue;
        }
        if (e->handle == HANDLE_LIMIT) {
            *out_limit_inside = true;
        } else if (e->handle == HANDLE_ANY) {
            inside = n->handle_count;
            for (uint16_t h = 0; h < n->handle_count; h++) {
                ls->into[h] = stamp;
            }
        } else if (ls->into[e->handle] != stamp) {
            ls->into[e->handle] = stamp;
            inside++;
        }
    }
    return inside < n->handle_count;
}

static bool is_exit(const struct loops *ls, const struct plan_edge *e, bool any_exit,
                    bool limit_inside) {
    switch (e->handle) {
    case HANDLE_ERROR: return false;
    case HANDLE_LIMIT: return !limit_inside;
    case HANDLE_ANY: return any_exit;
    default: return ls->into[e->handle] != ls->handle_stamp;
    }
}

static bool blocked(const struct loops *ls, const struct wloop *l, uint32_t node) {
    const struct wloop *outer = &ls->items[ls->outermost[l->header]];
    return outer != l && ls->outermost[node] == ls->outermost[l->header];
}

/* A body node leads to target otherwise than by an exit; when all its forward in-edges do, it is in
 * the body too. */
static void credit(struct loops *ls, const struct wloop *l, uint32_t target, uint32_t *count) {
    if (ls->in_body[target] == ls->stamp) {
        return;
    }
    if (ls->credit_stamp[target] != ls->stamp) {
        ls->credit_stamp[target] = ls->stamp;
        ls->credit[target] = 0;
    }
    if (++ls->credit[target] == ls->forward[target] && !blocked(ls, l, target)) {
        ls->in_body[target] = ls->stamp;
        ls->list[(*count)++] = target;
    }
}

static void spread(struct loops *ls, struct wloop *l, uint32_t node, bool is_cycle,
                   uint32_t *count) {
    struct unit *u = ls->u;
    const struct plan_node *n = &u->plan->nodes[node];
    bool limit_inside = false;
    bool any_exit = is_cycle && mark_handles(ls, node, &limit_inside);
    if (is_cycle) {
        l->way_out |= any_exit || u->drafts[node].common[COMMON_IF];
        l->unsure |= u->drafts[node].broken || u->graph.doubtful[node];
        l->limit_inside |= limit_inside && node == l->header;
    }
    for (uint32_t i = 0; i < n->out_count; i++) {
        const struct plan_edge *e = &u->plan->edges[n->out_edges[i]];
        bool inside = ls->in_cycle[e->target] == ls->stamp;
        l->unsure |= is_cycle && u->graph.odd[n->out_edges[i]];
        l->way_out |= is_cycle && e->handle == HANDLE_ERROR && !inside;
        bool leaves = is_cycle && is_exit(ls, e, any_exit, limit_inside);
        if (e->back_of < 0 && !inside && !leaves) {
            credit(ls, l, e->target, count);
        }
    }
}

static bool find_body(struct loops *ls, struct wloop *l) {
    uint32_t stamp = ++ls->stamp, count = l->cycle_count;
    memcpy(ls->list, l->cycle, count * sizeof *ls->list);
    for (uint32_t i = 0; i < count; i++) {
        ls->in_cycle[ls->list[i]] = ls->in_body[ls->list[i]] = stamp;
    }
    for (uint32_t at = 0; at < count; at++) {
        spread(ls, l, ls->list[at], at < l->cycle_count, &count);
    }
    l->body_count = count;
    return keep_members(ls, ls->list, count, &l->body);
}

/* ---- driver ---- */

static bool allocate(struct loops *ls) {
    struct unit *u = ls->u;
    uint32_t n = u->graph.n;
    uint32_t **arrays[] = {&ls->list,         &ls->in_cycle, &ls->in_body,   &ls->credit,
                           &ls->credit_stamp, &ls->forward,  &ls->outermost, &ls->innermost};
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        *arrays[i] = SCRATCH(u->s, n, uint32_t);
    }
    uint32_t handles = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t count = u->plan->nodes[i].handle_count;
        handles = count > handles ? count : handles;
    }
    ls->into = SCRATCH(u->s, handles, uint32_t);
    if (u->s->nomem) {
        return false;
    }
    memset(ls->outermost, 0xff, n * sizeof *ls->outermost);
    memset(ls->innermost, 0xff, n * sizeof *ls->innermost);
    for (uint32_t e = 0; e < u->plan->edge_count; e++) {
        ls->forward[u->plan->edges[e].target] += u->plan->edges[e].back_of < 0;
    }
    return true;
}

static bool refuse_size(struct loops *ls) {
    if (ls->too_large) {
        struct unit *u = ls->u;
        const struct plan_node *n = &u->plan->nodes[ls->items[0].header];
        struct diag_item *item =
            diag_error(u->s->diag, n->mark, "too_large",
                       "the loops of this workflow are nested too deep: their bodies have more "
                       "than %u nodes together",
                       FLOW_MAX_MEMBERS);
        diag_help(u->s->diag, item, "move inner loops into sub-workflows");
    }
    return !ls->u->s->nomem;
}

/* Forward in-edges of every node, for the engine. */
static bool list_in_edges(struct unit *u) {
    struct plan *p = u->plan;
    uint32_t *forward = KEEP(u->s, p->edge_count, uint32_t);
    uint32_t *back = KEEP(u->s, p->edge_count, uint32_t);
    if (!forward || !back) {
        return false;
    }
    for (uint32_t i = 0; i < p->node_count; i++) {
        struct plan_node *n = &p->nodes[i];
        n->in_edges = forward;
        n->back_edges = back;
        for (uint32_t e = in_from(&u->graph, i); e < in_to(&u->graph, i); e++) {
            if (p->edges[e].back_of < 0) {
                *forward++ = e;
                n->in_count_edges++;
            } else {
                *back++ = e;
                n->back_count++;
            }
        }
    }
    return true;
}

bool flow_loops_find(struct unit *u) {
    struct loops ls = {.u = u};
    if (!list_in_edges(u)) {
        return false;
    }
    if (!u->graph.reducible) {
        return true;
    }
    if (!find_headers(&ls) || !allocate(&ls)) {
        return false;
    }
    for (uint32_t i = 0; i < ls.count; i++) {
        if (!find_cycle(&ls, &ls.items[i])) {
            return refuse_size(&ls);
        }
    }
    place_nodes(&ls);
    for (uint32_t i = 0; i < ls.count; i++) {
        if (!find_body(&ls, &ls.items[i])) {
            return refuse_size(&ls);
        }
    }
    if (!flow_loops_store(&ls)) {
        return refuse_size(&ls);
    }
    return flow_loops_check(&ls);
}
