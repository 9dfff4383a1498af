/* Approvals as the journal tells them: what an ask has shown of the node that it approves, and with
 * what that node is then begun.
 *
 * What must hold: no step of such a node begins before its ask of the same iteration has completed
 * with a question, and with nothing else than that question showed last. The model compares what
 * was shown with what was recorded; it knows no hashes.
 */
#include "sim.h"

struct seen_approval {
    struct seen_approval *next;
    struct str ask, node;
    uint32_t iteration; /* of both, as they are in the same loops */
    struct str note;
    bool answered;
};

static struct seen_approval *find(struct seen_execution *x, struct str ask, uint32_t iteration) {
    struct seen_approval *s = x->approvals;
    while (s && !(str_eq(s->ask, ask) && s->iteration == iteration)) {
        s = s->next;
    }
    return s;
}

/* Of that node, in its iteration; where other workflows gave the two different ones, in any. */
static const struct seen_approval *of_node(struct seen_execution *x, struct str ask,
                                           struct str node, uint32_t iteration) {
    const struct seen_approval *found = NULL;
    for (const struct seen_approval *s = x->approvals; s; s = s->next) {
        bool fits = str_eq(s->ask, ask) && str_eq(s->node, node);
        found = fits && (!found || s->iteration == iteration) ? s : found;
    }
    return found;
}

static struct str text_in(const struct value *map, const char *key) {
    const struct value *v = map ? value_get(*map, str_from(key)) : NULL;
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}

static void shown(struct world *w, struct seen_execution *x, const struct plan_node *ask,
                  const struct event *ev) {
    const struct value *approves = value_get(ev->body, STR("approves"));
    const struct value *arguments = approves ? value_get(*approves, STR("arguments")) : NULL;
    struct str node = text_in(approves, "node");
    struct seen_approval *s = find(x, ask->name, ev->step.iteration);
    if ((ask->approves >= 0) != (arguments != NULL) ||
        (arguments && !str_eq(node, x->plan->nodes[ask->approves].name))) {
        world_fail(w, "%.*s shows other approvals than it has", STR_ARG(ask->name));
    }
    if (!arguments) {
        return;
    }
    if (!s) {
        s = arena_alloc(&w->arena, sizeof *s);
        *s = (struct seen_approval){.next = x->approvals,
                                    .ask = arena_str(&w->arena, ask->name),
                                    .iteration = ev->step.iteration};
        x->approvals = s;
    }
    s->node = arena_str(&w->arena, node);
    s->note = arena_str(&w->arena, text_in(arguments, "note"));
}

/* What was evaluated is recorded with the first schedule, a constant stands in the workflow; false
 * when neither tells. */
static bool note_of(const struct plan_node *n, const struct event *ev, struct str *out) {
    const struct value *fields = value_get(ev->inputs, STR("fields"));
    const struct pval *field = &n->fields[0];
    bool constant = field->type == PVAL_CONST && field->constant.type == VALUE_TEXT;
    *out = constant ? value_str(field->constant) : text_in(fields, "note");
    return out->len > 0;
}

static void begun(struct world *w, struct seen_execution *x, const struct plan_node *n,
                  const struct event *ev) {
    struct str note;
    for (uint32_t i = 0; i < n->in_count_edges; i++) {
        const struct plan_node *ask = &x->plan->nodes[x->plan->edges[n->in_edges[i]].source];
        if (ask->approves != (int32_t)n->index) {
            continue;
        }
        const struct seen_approval *s = of_node(x, ask->name, n->name, ev->step.iteration);
        if (!s || !s->answered) {
            world_fail(w, "%.*s begins, %.*s has not approved it", STR_ARG(n->name),
                       STR_ARG(ask->name));
        } else if (note_of(n, ev, &note) && !str_eq(s->note, note)) {
            world_fail(w, "%.*s begins with \"%.*s\", approved is \"%.*s\"", STR_ARG(n->name),
                       STR_ARG(note), STR_ARG(s->note));
        }
    }
    world_tally(w, TALLY_APPROVED, ev->attempt == 1);
}

void approvals_event(struct world *w, struct seen_execution *x, const struct event *ev) {
    const struct plan_node *n = ev->has_step ? &x->plan->nodes[ev->step.node] : NULL;
    if (!n || w->recipe->example.len) {
        return;
    }
    if (ev->kind == EVENT_STEP_WAITING && (n->kind->flags & KIND_ASKS)) {
        shown(w, x, n, ev);
    } else if (ev->kind == EVENT_STEP_COMPLETED && n->approves >= 0) {
        struct seen_approval *s = find(x, n->name, ev->step.iteration);
        if (s) {
            s->answered = true;
        }
    } else if (ev->kind == EVENT_STEP_SCHEDULED && n->approved) {
        begun(w, x, n, ev);
    }
    bool refused = ev->kind == EVENT_STEP_FAILED && (str_is(ev->error_type, "not_approved") ||
                                                     str_is(ev->error_type, "approval_changed"));
    world_tally(w, TALLY_APPROVAL_REFUSED, refused);
}
