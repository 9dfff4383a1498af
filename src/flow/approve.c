/* Asks that approve: `approves` of an ask names the node whose arguments it shows and binds. What
 * must hold for that is checked: the node has an effect, it needs an answer of the ask, and all
 * that its arguments read is known when the ask begins.
 *
 * Variables are let through: whether they change before the node begins is seen when it does.
 */
#include "flow/flow_priv.h"

struct approval {
    struct unit *u;
    const struct draft *ask;
    const struct plan_node *target;
    struct mark mark; /* of what is looked at: a text of the target */
    uint8_t *ended;   /* by node: it has surely ended when the ask begins */
    uint32_t *todo;
};

static struct str name_of(const struct approval *a, uint32_t node) {
    return a->u->plan->nodes[node].name;
}

static struct str ask_name(const struct approval *a) { return a->ask->node->name; }

static void refuse(const struct approval *a, struct mark mark, struct str message,
                   const char *help) {
    struct diag *d = a->u->s->diag;
    struct diag_item *item =
        diag_error(d, mark, "bad_approval", "%.*s", STR_ARG(message.ptr ? message : STR("")));
    a->u->s->nomem |= !message.ptr;
    diag_help(d, item, "%s", help);
}

#define TEXT(a, ...) arena_printf(&(a)->u->s->scratch, __VA_ARGS__)

/* ---- the two nodes ---- */

static bool check_ask(const struct approval *a) {
    const struct plan_node *ask = a->ask->node;
    if (!ask->role) {
        return true;
    }
    refuse(a, a->ask->approves->mark,
           TEXT(a, "\"%.*s\" is started by no need, and none of its answers starts \"%.*s\"",
                STR_ARG(ask->name), STR_ARG(a->target->name)),
           "remove \"approves\": the on_timeout of an ask shows what that one approves");
    return false;
}

static bool check_target(const struct approval *a) {
    const struct plan_node *t = a->target;
    struct mark mark = a->ask->approves->mark;
    if (t == a->ask->node) {
        refuse(a, mark, TEXT(a, "\"%.*s\" cannot approve itself", STR_ARG(t->name)),
               "name the node that runs when it was approved");
    } else if (t->pure || t->kind->wait) {
        refuse(a, mark,
               TEXT(a, "\"%.*s\" (%s) has no effect that could be approved", STR_ARG(t->name),
                    t->kind->name),
               "name the node with the effect");
    } else if (t->foreach.present) {
        refuse(a, mark,
               TEXT(a, "\"%.*s\" runs for each of several items: one answer cannot approve them",
                    STR_ARG(t->name)),
               "put it into a sub-workflow, and approve the node that runs that");
    } else {
        return true;
    }
    return false;
}

/* ---- how the one leads to the other ---- */

static bool check_need(const struct approval *a, const struct plan_edge *e) {
    const struct plan_node *ask = a->ask->node;
    struct str handle = plan_handle_name(ask, e->handle);
    bool nobody =
        e->handle == HANDLE_ERROR || e->handle == HANDLE_LIMIT || str_is(handle, "timeout");
    if (nobody) {
        refuse(a, e->mark,
               TEXT(a,
                    "\"%.*s\" would start without an answer: by \"%.*s\" of \"%.*s\" nobody "
                    "has approved anything",
                    STR_ARG(a->target->name), STR_ARG(handle), STR_ARG(ask->name)),
               "let another node need that exit");
    } else if (e->handle == HANDLE_ANY && ask->handle_count > 1) {
        refuse(a, e->mark,
               TEXT(a, "\"%.*s\" would start whatever \"%.*s\" is answered",
                    STR_ARG(a->target->name), STR_ARG(ask->name)),
               "name the choice that approves it");
    } else {
        return true;
    }
    return false;
}

static bool check_needs(const struct approval *a) {
    const struct plan_node *t = a->target, *ask = a->ask->node;
    uint32_t direct = 0, back = 0;
    for (uint32_t i = 0; i < t->in_count_edges; i++) {
        const struct plan_edge *e = &a->u->plan->edges[t->in_edges[i]];
        if (e->source == ask->index && !check_need(a, e)) {
            return false;
        }
        direct += e->source == ask->index;
    }
    for (uint32_t i = 0; i < t->back_count; i++) {
        back += a->u->plan->edges[t->back_edges[i]].source == ask->index;
    }
    if (!direct) {
        refuse(a, a->ask->approves->mark,
               back
                   ? TEXT(a, "\"%.*s\" leads to \"%.*s\" only on the way round a loop",
                          STR_ARG(ask->name), STR_ARG(t->name))
                   : TEXT(a, "\"%.*s\" does not need \"%.*s\", so it would not wait for its answer",
                          STR_ARG(t->name), STR_ARG(ask->name)),
               "the node must need the ask directly, by the choice that approves it");
    } else if (t->join == JOIN_ANY && direct < t->in_count_edges) {
        refuse(a, a->ask->approves->mark,
               TEXT(a, "\"%.*s\" has join: any, so it could start before \"%.*s\" is answered",
                    STR_ARG(t->name), STR_ARG(ask->name)),
               "leave join out, or let it need the ask alone");
        return false;
    }
    return direct > 0;
}

static bool in_loop(const struct plan_node *n, uint32_t loop) {
    for (uint32_t i = 0; i < n->loop_count; i++) {
        if (n->loops[i] == loop) {
            return true;
        }
    }
    return false;
}

/* Behind a loop that the ask is in, the node runs once, as its last answer says. */
static bool check_loops(const struct approval *a) {
    const struct plan_node *t = a->target;
    for (uint32_t i = 0; i < t->loop_count; i++) {
        if (!in_loop(a->ask->node, t->loops[i])) {
            const struct plan_loop *l = &a->u->plan->loops[t->loops[i]];
            refuse(a, a->ask->approves->mark,
                   TEXT(a,
                        "\"%.*s\" is in the loop of \"%.*s\" and \"%.*s\" is not: one answer "
                        "cannot approve each time it runs",
                        STR_ARG(t->name), STR_ARG(name_of(a, l->header)), STR_ARG(ask_name(a))),
                   "ask in the loop, too");
            return false;
        }
    }
    return true;
}

/* ---- what has ended when the ask begins ---- */

static void add_ended(const struct approval *a, uint32_t node, uint32_t *count) {
    if (node < a->u->graph.n && !a->ended[node]) {
        a->ended[node] = 1;
        a->todo[(*count)++] = node;
    }
}

/* Every need of a node that waits for all of them; of one that waits for any, what is on every
 * way to it. */
static bool find_ended(struct approval *a) {
    const struct plan *p = a->u->plan;
    uint32_t count = 0;
    a->ended = SCRATCH(a->u->s, a->u->graph.n, uint8_t);
    a->todo = SCRATCH(a->u->s, a->u->graph.n + 1u, uint32_t);
    if (!a->ended || !a->todo) {
        return false;
    }
    a->todo[count++] = a->ask->node->index;
    while (count) {
        const struct plan_node *n = &p->nodes[a->todo[--count]];
        bool all = n->join == JOIN_ALL || n->in_count_edges == 1;
        for (uint32_t i = 0; all && i < n->in_count_edges; i++) {
            add_ended(a, p->edges[n->in_edges[i]].source, &count);
        }
        if (!all) {
            add_ended(a, a->u->graph.idom[n->index], &count);
        }
    }
    return true;
}

/* ---- what the arguments read ---- */

static bool sets(const struct plan_node *n, const struct plan_ref *r) {
    for (uint32_t i = 0; i < n->set_count; i++) {
        if (r->type == REF_VARS || n->sets[i].var == r->node) {
            return true;
        }
    }
    return false;
}

static void check_node_ref(const struct approval *a, uint32_t node) {
    if (node == a->ask->node->index) {
        refuse(a, a->mark,
               TEXT(a,
                    "\"%.*s\" is given the answer of \"%.*s\", which is not known when that "
                    "asks for approval",
                    STR_ARG(a->target->name), STR_ARG(ask_name(a))),
               "ask for the value in a node of its own before, and approve what it came to");
    } else if (node != a->target->index && !a->ended[node]) {
        refuse(a, a->mark,
               TEXT(a,
                    "\"%.*s\" is given \"%.*s\", which need not have ended when \"%.*s\" asks "
                    "for approval",
                    STR_ARG(a->target->name), STR_ARG(name_of(a, node)), STR_ARG(ask_name(a))),
               "let the ask need that node");
    }
}

static void check_ref(const struct approval *a, const struct plan_ref *r) {
    switch (r->type) {
    case REF_BODY:
    case REF_NODE:
    case REF_NODE_PART:
    case REF_ERROR: check_node_ref(a, r->node); break;
    case REF_EXECUTION:
        if (r->name.len) {
            refuse(a, a->mark,
                   TEXT(a, "\"%.*s\" is given execution.now, which is later when it begins",
                        STR_ARG(a->target->name)),
                   "keep the time in a node before the ask, and use that");
        }
        break;
    case REF_VARS:
    case REF_VAR:
        if (sets(a->ask->node, r)) {
            refuse(a, a->mark,
                   TEXT(a, "\"%.*s\" is given a variable that \"%.*s\" sets when it is answered",
                        STR_ARG(a->target->name), STR_ARG(ask_name(a))),
                   "set it in another node, or use another variable");
        }
        break;
    case REF_INPUTS:
    case REF_INPUT:
    case REF_ITEM:
    case REF_INDEX:
    case REF_ITERATION:
    case REF_IN:
    case REF_ENV:
    case REF_IT:
    case REF_STEP:
    case REF_SELF: break;
    }
}

static void check_slots(const struct approval *a, const uint32_t *slots, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        check_ref(a, &a->u->plan->refs[slots[i]]);
    }
}

static void check_expr(struct approval *a, struct mark mark, const struct expr *x) {
    uint32_t count = 0;
    const uint32_t *slots = x ? expr_slots(x, &count) : NULL;
    a->mark = mark;
    check_slots(a, slots, count);
}

static void check_pval(struct approval *a, const struct pval *v) {
    uint32_t count = 0;
    const uint32_t *slots;
    switch (v->type) {
    case PVAL_EXPR: check_expr(a, v->mark, v->expr); break;
    case PVAL_TEXT:
    case PVAL_TMPL:
        slots = tmpl_slots(v->tmpl, &count);
        a->mark = v->mark;
        check_slots(a, slots, count);
        break;
    case PVAL_LIST:
    case PVAL_MAP:
        for (uint32_t i = 0; i < v->count; i++) {
            check_pval(a, &v->items[i]);
        }
        break;
    case PVAL_NONE:
    case PVAL_CONST: break;
    }
}

/* A program sees its needs by name, whatever it does with them; of asks that approve it, the answer
 * is no argument. */
static void check_scope(struct approval *a) {
    const struct plan_node *t = a->target;
    const struct plan *p = a->u->plan;
    for (uint32_t i = 0; i < t->in_count_edges + t->back_count; i++) {
        const struct plan_edge *e =
            &p->edges[i < t->in_count_edges ? t->in_edges[i]
                                            : t->back_edges[i - t->in_count_edges]];
        a->mark = e->mark;
        if (p->nodes[e->source].approves != (int32_t)t->index) {
            check_node_ref(a, e->source);
        }
    }
}

static void check_arguments(struct approval *a) {
    const struct plan_node *t = a->target;
    for (size_t i = 0; i < t->kind->field_count; i++) {
        check_pval(a, &t->fields[i]);
    }
    for (uint32_t i = 0; i < t->in_count; i++) {
        check_pval(a, &t->ins[i].from);
        check_pval(a, &t->ins[i].default_value);
        for (uint32_t k = 0; k < t->ins[i].transform_count; k++) {
            check_expr(a, t->ins[i].from.mark, t->ins[i].transforms[k]);
        }
    }
    if (t->kind->flags & KIND_SCOPE) {
        check_scope(a);
    }
}

/* A need that is met whatever is answered starts the node, which then fails. */
static void lint_bypass(const struct approval *a) {
    const struct plan_node *t = a->target;
    struct diag *d = a->u->s->diag;
    for (uint32_t i = 0; i < t->in_count_edges && a->ask->node->handle_count > 1; i++) {
        const struct plan_edge *e = &a->u->plan->edges[t->in_edges[i]];
        if (a->ended[e->source]) {
            struct diag_item *item =
                diag_add(d, DIAG_WARNING, e->mark, "approval_bypassed",
                         "\"%.*s\" also needs \"%.*s\": it starts whatever \"%.*s\" is answered, "
                         "and fails when that does not approve it",
                         STR_ARG(t->name), STR_ARG(name_of(a, e->source)), STR_ARG(ask_name(a)));
            diag_help(
                d, item,
                "remove this need: fields and \"in\" can read what led to the ask without it");
        }
    }
}

/* ---- all of them ---- */

static void find_target(struct unit *u, struct draft *d) {
    const struct yaml_node *n = d->approves;
    bool text = n->type == YAML_SCALAR && n->value.type == VALUE_TEXT;
    int64_t node = text ? plan_node_find(u->plan, n->text) : -1;
    if (text && node < 0) {
        flow_unknown_refuse(u, n, "approves");
    } else if (text) {
        d->node->approves = (int32_t)node;
    }
}

static bool check_one(struct unit *u, const struct draft *d) {
    struct plan_node *target = &u->plan->nodes[d->node->approves];
    struct approval a = {.u = u, .ask = d, .target = target};
    bool known = !u->drafts[target->index].broken && !u->graph.doubtful[target->index];
    if (!known || !check_target(&a) || !check_ask(&a) || !check_needs(&a) || !check_loops(&a)) {
        return !u->s->nomem;
    }
    target->approved = true;
    if (!find_ended(&a)) {
        return false;
    }
    check_arguments(&a);
    lint_bypass(&a);
    return !u->s->nomem;
}

bool flow_approvals_check(struct unit *u) {
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        if (u->drafts[i].approves) {
            find_target(u, &u->drafts[i]);
        }
    }
    for (uint32_t i = 0; u->graph.reducible && i < u->plan->node_count; i++) {
        if (u->plan->nodes[i].approves >= 0 && !check_one(u, &u->drafts[i])) {
            return false;
        }
    }
    return !u->s->nomem;
}
