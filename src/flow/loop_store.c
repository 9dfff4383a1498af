/* Loops into the plan: sorted inner first, bodies in file order, the loops of every node, the loops
 * that every edge leaves; then the rules that only show when all loops are known.
 */
#include <stdlib.h>

#include "flow/loops_priv.h"

static int compare(const void *a, const void *b) {
    const struct wloop *l = a, *m = b;
    if (l->body_count != m->body_count) {
        return l->body_count < m->body_count ? -1 : 1;
    }
    return l->header < m->header ? -1 : l->header > m->header;
}

/* After sorting: which loop a node heads, and whose back edge an edge is. */
static void number_loops(struct loops *ls) {
    struct plan *p = ls->u->plan;
    for (uint32_t i = 0; i < ls->count; i++) {
        p->nodes[ls->items[i].header].heads = (int32_t)i;
        for (uint32_t b = 0; b < ls->items[i].back_count; b++) {
            p->edges[ls->items[i].backs[b]].back_of = (int32_t)i;
        }
    }
}

/* By node: loops ascending; then by loop: nodes ascending. Two transpositions, no sorting. */
static bool store_bodies(struct loops *ls, uint32_t members) {
    struct session *s = ls->u->s;
    struct plan *p = ls->u->plan;
    uint32_t *of_node = KEEP(s, members, uint32_t), *of_loop = KEEP(s, members, uint32_t);
    uint32_t **at = SCRATCH(s, p->node_count, uint32_t *);
    if (s->nomem) {
        return false;
    }
    for (uint32_t i = 0; i < ls->count; i++) {
        for (uint32_t k = 0; k < ls->items[i].body_count; k++) {
            p->nodes[ls->items[i].body[k]].loop_count++;
        }
    }
    for (uint32_t i = 0; i < p->node_count; i++) {
        p->nodes[i].loops = at[i] = of_node;
        of_node += p->nodes[i].loop_count;
    }
    for (uint32_t i = 0; i < ls->count; i++) {
        for (uint32_t k = 0; k < ls->items[i].body_count; k++) {
            *at[ls->items[i].body[k]]++ = i;
        }
    }
    for (uint32_t i = 0; i < ls->count; i++) {
        p->loops[i].body = of_loop;
        p->loops[i].body_count = ls->items[i].body_count;
        ls->items[i].body = of_loop;
        of_loop += ls->items[i].body_count;
    }
    uint32_t **fill = SCRATCH(s, ls->count, uint32_t *);
    for (uint32_t i = 0; fill && i < ls->count; i++) {
        fill[i] = ls->items[i].body;
    }
    for (uint32_t i = 0; fill && i < p->node_count; i++) {
        for (uint32_t k = 0; k < p->nodes[i].loop_count; k++) {
            *fill[p->nodes[i].loops[k]]++ = i;
        }
    }
    return fill != NULL;
}

/* Loops of a that are none of b: both ascending. out may be NULL. */
static uint32_t difference(const struct plan_node *a, const struct plan_node *b, uint32_t *out) {
    uint32_t count = 0, k = 0;
    for (uint32_t i = 0; i < a->loop_count; i++) {
        while (k < b->loop_count && b->loops[k] < a->loops[i]) {
            k++;
        }
        if (k < b->loop_count && b->loops[k] == a->loops[i]) {
            continue;
        }
        if (out) {
            out[count] = a->loops[i];
        }
        count++;
    }
    return count;
}

static bool count_leaves(struct loops *ls, uint32_t *out_total) {
    struct plan *p = ls->u->plan;
    uint64_t total = 0, work = 0;
    for (uint32_t e = 0; e < p->edge_count; e++) {
        struct plan_edge *edge = &p->edges[e];
        const struct plan_node *from = &p->nodes[edge->source], *to = &p->nodes[edge->target];
        work += from->loop_count + to->loop_count;
        if (work > FLOW_MAX_MEMBERS * 8ull) {
            ls->too_large = true;
            return false;
        }
        edge->leaves_count = difference(from, to, NULL);
        total += edge->leaves_count;
    }
    ls->too_large = total > FLOW_MAX_MEMBERS;
    *out_total = (uint32_t)total;
    return !ls->too_large;
}

static bool store_leaves(struct loops *ls) {
    struct session *s = ls->u->s;
    struct plan *p = ls->u->plan;
    uint32_t total = 0;
    if (!count_leaves(ls, &total)) {
        return false;
    }
    uint32_t *leaves = KEEP(s, total, uint32_t), *leaving = KEEP(s, total, uint32_t);
    uint32_t **fill = SCRATCH(s, p->loop_count, uint32_t *);
    if (s->nomem) {
        return false;
    }
    for (uint32_t e = 0; e < p->edge_count; e++) {
        struct plan_edge *edge = &p->edges[e];
        difference(&p->nodes[edge->source], &p->nodes[edge->target], leaves);
        edge->leaves = leaves;
        leaves += edge->leaves_count;
        for (uint32_t i = 0; i < edge->leaves_count; i++) {
            p->loops[edge->leaves[i]].leaving_count++;
        }
    }
    for (uint32_t i = 0; i < p->loop_count; i++) {
        p->loops[i].leaving = fill[i] = leaving;
        leaving += p->loops[i].leaving_count;
    }
    for (uint32_t e = 0; e < p->edge_count; e++) {
        for (uint32_t i = 0; i < p->edges[e].leaves_count; i++) {
            *fill[p->edges[e].leaves[i]]++ = e;
        }
    }
    return true;
}

static bool store_inner(struct loops *ls) {
    struct session *s = ls->u->s;
    struct plan *p = ls->u->plan;
    uint64_t total = 0;
    for (uint32_t i = 0; i < p->loop_count; i++) {
        const struct plan_node *header = &p->nodes[p->loops[i].header];
        total += header->loop_count;
        for (uint32_t k = 0; k < header->loop_count; k++) {
            p->loops[header->loops[k]].inner_count += header->loops[k] != i;
        }
    }
    uint32_t *inner = KEEP(s, total, uint32_t);
    uint32_t **fill = SCRATCH(s, p->loop_count, uint32_t *);
    if (s->nomem) {
        return false;
    }
    for (uint32_t i = 0; i < p->loop_count; i++) {
        p->loops[i].inner = fill[i] = inner;
        inner += p->loops[i].inner_count;
    }
    for (uint32_t i = 0; i < p->loop_count; i++) {
        const struct plan_node *header = &p->nodes[p->loops[i].header];
        for (uint32_t k = 0; k < header->loop_count; k++) {
            if (header->loops[k] != i) {
                *fill[header->loops[k]]++ = i;
            }
        }
    }
    return true;
}

bool flow_loops_store(struct loops *ls) {
    struct unit *u = ls->u;
    struct plan *p = u->plan;
    p->loops = KEEP(u->s, ls->count, struct plan_loop);
    if (!p->loops) {
        return false;
    }
    for (uint32_t i = 0; i < u->graph.n; i++) {
        uint32_t inner = ls->innermost[i];
        ls->innermost[i] = inner == NONE ? NONE : ls->items[inner].header;
    }
    if (ls->count) {
        qsort(ls->items, ls->count, sizeof *ls->items, compare);
    }
    number_loops(ls);
    p->loop_count = ls->count;
    uint32_t members = 0;
    for (uint32_t i = 0; i < ls->count; i++) {
        const struct wloop *l = &ls->items[i];
        const struct draft *d = &u->drafts[l->header];
        members += l->body_count;
        p->loops[i] =
            (struct plan_loop){.header = l->header,
                               .max_iterations = d->max_iterations,
                               .on_limit = d->exit_on_limit ? ON_LIMIT_EXIT : ON_LIMIT_FAIL,
                               .backs = l->backs,
                               .back_count = l->back_count};
    }
    return store_bodies(ls, members) && store_leaves(ls) && store_inner(ls);
}

/* ---- rules ---- */

static void check_limit(struct loops *ls, uint32_t index) {
    struct unit *u = ls->u;
    const struct draft *d = &u->drafts[index];
    const struct yaml_node *given = d->common[COMMON_MAX_ITERATIONS];
    const char *key = given ? "max_iterations" : "on_limit";
    given = given ? given : d->common[COMMON_ON_LIMIT];
    if (!given || d->node->heads >= 0 || u->graph.missing) {
        return;
    }
    uint32_t header = ls->innermost[index];
    struct diag *diag = u->s->diag;
    struct diag_item *item;
    if (header == NONE) {
        item = diag_error(diag, given->mark, "limit_not_on_header",
                          "\"%s\" on \"%.*s\", which is in no loop", key, STR_ARG(d->node->name));
        diag_help(diag, item, "it belongs to the header of a loop: remove it here");
    } else {
        struct str name = u->plan->nodes[header].name;
        item = diag_error(diag, given->mark, "limit_not_on_header",
                          "\"%s\" on \"%.*s\", but the header of its loop is \"%.*s\"", key,
                          STR_ARG(d->node->name), STR_ARG(name));
        diag_help(diag, item, "move it to \"%.*s\", where the loop starts", STR_ARG(name));
    }
    flow_subject_set(u, item, RANK_LIMIT, index, d->node->name);
}

static void check_limit_edge(struct loops *ls, uint32_t index) {
    struct unit *u = ls->u;
    const struct plan_edge *e = &u->plan->edges[index];
    const struct plan_node *source = &u->plan->nodes[e->source];
    const struct plan_node *target = &u->plan->nodes[e->target];
    struct diag *diag = u->s->diag;
    struct diag_item *item;
    if (source->heads < 0) {
        if (u->graph.missing) {
            return;
        }
        item = diag_error(diag, e->mark, "unknown_handle",
                          "node \"%.*s\" has no exit \"limit\": it heads no loop",
                          STR_ARG(source->name));
        diag_help(diag, item, "only the header of a loop with \"on_limit: exit\" has it");
    } else if (!u->drafts[e->source].exit_on_limit) {
        item = diag_error(diag, e->mark, "unknown_handle",
                          "node \"%.*s\" has no exit \"limit\": at its limit it fails",
                          STR_ARG(source->name));
        diag_help(diag, item, "write \"on_limit: exit\" on \"%.*s\"", STR_ARG(source->name));
    } else if (ls->items[source->heads].limit_inside && ls->in_cycle[e->target] == ls->stamp) {
        item = diag_error(diag, e->mark, "unknown_handle",
                          "the exit \"limit\" of \"%.*s\" leads to \"%.*s\" inside the same loop",
                          STR_ARG(source->name), STR_ARG(target->name));
        diag_help(diag, item, "it is taken when the loop is over: lead it out of the loop");
    } else {
        return;
    }
    struct str subject = arena_printf(&u->s->scratch, "%.*s needs %.*s.limit",
                                      STR_ARG(target->name), STR_ARG(source->name));
    flow_subject_set(u, item, RANK_LIMIT_EDGE, index, subject);
}

static void check_limit_edges(struct loops *ls) {
    const struct plan *p = ls->u->plan;
    for (uint32_t e = 0; e < p->edge_count; e++) {
        const struct plan_node *source = &p->nodes[p->edges[e].source];
        if (p->edges[e].handle != HANDLE_LIMIT) {
            continue;
        }
        ls->stamp++;
        if (source->heads >= 0 && ls->items[source->heads].limit_inside) {
            const struct wloop *l = &ls->items[source->heads];
            for (uint32_t i = 0; i < l->cycle_count; i++) {
                ls->in_cycle[l->cycle[i]] = ls->stamp;
            }
        }
        check_limit_edge(ls, e);
    }
}

static void check_endless(struct loops *ls, uint32_t index) {
    struct unit *u = ls->u;
    const struct wloop *l = &ls->items[index];
    if (l->way_out || l->unsure || u->drafts[l->header].exit_on_limit) {
        return;
    }
    struct buf text;
    buf_init(&text, 0);
    for (uint32_t i = 0; i < l->back_count; i++) {
        const struct plan_edge *e = &u->plan->edges[l->backs[i]];
        struct str source = flow_edge_text(u, e);
        buf_printf(&text, "%s%.*s->%.*s", i ? ", " : "", STR_ARG(source),
                   STR_ARG(u->plan->nodes[e->target].name));
    }
    u->s->nomem |= !buf_ok(&text);
    const struct plan_edge *first = &u->plan->edges[l->backs[0]];
    struct diag_item *item = diag_error(
        u->s->diag, first->mark, "endless_loop",
        "the loop of \"%.*s\" can never end: no condition leads out of it (%.*s)",
        STR_ARG(u->plan->nodes[l->header].name), STR_ARG(flow_text_clip(buf_str(&text), 300)));
    flow_subject_set(u, item, RANK_ENDLESS, index, buf_str(&text));
    diag_help(u->s->diag, item,
              "let a condition in it have an exit that does not lead back, or write \"on_limit: "
              "exit\" and max_iterations on \"%.*s\" to repeat it so many times",
              STR_ARG(u->plan->nodes[l->header].name));
    buf_fini(&text);
}

bool flow_loops_check(struct loops *ls) {
    for (uint32_t i = 0; i < ls->u->plan->node_count; i++) {
        check_limit(ls, i);
    }
    check_limit_edges(ls);
    for (uint32_t i = 0; i < ls->count && !ls->u->graph.missing_error; i++) {
        check_endless(ls, i);
    }
    flow_loops_lint(ls);
    return !ls->u->s->nomem;
}
