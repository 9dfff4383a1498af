/* Loops on their way into the plan: what loops.c finds, loop_store.c writes down and checks, and
 * lint.c warns about. All of it is scratch but the lists of back edges; no other file may see it.
 */
#ifndef CAIRN_FLOW_LOOPS_PRIV_H
#define CAIRN_FLOW_LOOPS_PRIV_H

#include "flow/flow_priv.h"

struct wloop {
    uint32_t header;
    uint32_t *backs; /* kept by the plan */
    uint32_t back_count;
    uint32_t *cycle, cycle_count; /* the header first */
    uint32_t *body, body_count;   /* the cycle first */
    bool way_out;                 /* a decision, an error edge or a guard can end it */
    bool unsure; /* an edge with an unknown handle starts in it, a need of nothing may lead to it */
    bool limit_inside; /* the header's limit leads into the cycle */
};

struct loops {
    struct unit *u;
    struct wloop *items;
    uint32_t count;
    uint64_t members; /* of all cycles and bodies */
    bool too_large;
    /* by node: */
    uint32_t *list, *in_cycle, *in_body; /* stamps */
    uint32_t *credit, *credit_stamp, *forward;
    uint32_t *outermost, *innermost; /* cycle, or NONE */
    uint32_t *into;                  /* by handle */
    uint32_t stamp, handle_stamp;
    uint32_t visit, steps; /* lint.c: stamp and work of its searches */
};

/* Sorts the loops and writes them, and what nodes and edges know of them, into the plan. */
bool flow_loops_store(struct loops *ls);
/* limit_not_on_header, unknown_handle for limit, endless_loop. */
bool flow_loops_check(struct loops *ls);
/* Warnings about loops (lint.c). */
void flow_loops_lint(struct loops *ls);

#endif
