/* Auxiliary nodes: those that a node names as its fallback, on_timeout or compensate, and those
 * that the workflow lists under `finally`. The graph never starts them.
 *
 * Invariant: such a node belongs to one owner in one role, needs nothing and is needed by nobody,
 * and owners form no cycle, so whoever asks for the root of a node comes to an end.
 */
#include "flow/flow_priv.h"

enum {
    MOST_OWNERS = 32,                     /* of a chain: the engine goes along it by calls */
    FINALLY_TIMEOUT_US = 5 * 60 * 1000000 /* of a node of finally that says nothing */
};

static struct str name_of(const struct unit *u, uint32_t node) { return u->plan->nodes[node].name; }

/* "the fallback of "pay"", "listed under finally". */
static const char *role_text(struct unit *u, enum node_role role, int32_t owner) {
    if (role == ROLE_FINALLY || owner < 0) {
        return "listed under \"finally\"";
    }
    struct str text = arena_printf(&u->s->scratch, "the %s of \"%.*s\"", plan_role_name(role),
                                   STR_ARG(name_of(u, (uint32_t)owner)));
    u->s->nomem |= !text.ptr;
    return text.ptr ? text.ptr : "";
}

static struct diag_item *refuse(struct unit *u, struct mark mark, const char *code, uint32_t node,
                                struct str message) {
    struct diag_item *item =
        diag_error(u->s->diag, mark, code, "%.*s", STR_ARG(message.ptr ? message : STR("")));
    u->s->nomem |= !message.ptr;
    flow_subject_set(u, item, RANK_ROLES, node, name_of(u, node));
    return item;
}

void flow_unknown_refuse(struct unit *u, const struct yaml_node *n, const char *what) {
    struct diag_item *item =
        diag_error(u->s->diag, n->mark, "unknown_node", "\"%s\": there is no node called \"%.*s\"",
                   what, STR_ARG(flow_text_clip(n->text, 60)));
    struct str *names = flow_names_get(u);
    if (names) {
        flow_suggest(u, item, n->text, names, u->plan->node_count);
    }
}

static void refuse_second(struct unit *u, enum node_role role, int32_t owner, uint32_t node,
                          struct mark mark) {
    const struct plan_node *n = &u->plan->nodes[node];
    const char *first = role_text(u, n->role, n->owner);
    const char *second = role_text(u, role, owner);
    struct diag_item *item =
        refuse(u, mark, "two_roles", node,
               arena_printf(&u->s->scratch, "\"%.*s\" is %s already, so it cannot be %s",
                            STR_ARG(n->name), first, second));
    diag_help(u->s->diag, item,
              "it belongs to one node in one role, given in line %u: write another node",
              u->drafts[node].role_mark.line);
}

static bool give_role(struct unit *u, enum node_role role, int32_t owner,
                      const struct yaml_node *name, const char *what, uint32_t *out) {
    struct str text;
    if (!flow_text_get(u, name, what, &text)) {
        return false;
    }
    int64_t found = plan_node_find(u->plan, text);
    if (found < 0) {
        flow_unknown_refuse(u, name, what);
        return false;
    }
    struct plan_node *n = &u->plan->nodes[found];
    if (n->role) {
        refuse_second(u, role, owner, (uint32_t)found, name->mark);
        return false;
    }
    n->role = role;
    n->owner = owner;
    u->drafts[found].role_mark = name->mark;
    *out = (uint32_t)found;
    return true;
}

void flow_role_claim(struct unit *u, enum node_role role, uint32_t owner,
                     const struct yaml_node *name, const char *what) {
    uint32_t node;
    if (give_role(u, role, (int32_t)owner, name, what, &node)) {
        u->plan->nodes[owner].aux[role] = (int32_t)node;
    }
}

static void read_fallback(struct unit *u, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_FALLBACK];
    if (n && n->type == YAML_MAP && yaml_get(n, STR("value"))) {
        struct diag_item *item = flow_type_refuse(u, n, "fallback", "the name of a node");
        diag_help(u->s->diag, item, "a value instead of a failure is \"on_error: {value: ...}\"");
    } else if (n) {
        flow_role_claim(u, ROLE_FALLBACK, d->node->index, n, "fallback");
    }
}

static void read_compensate(struct unit *u, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_COMPENSATE];
    if (n && !d->broken && d->node->pure) {
        struct diag_item *item =
            diag_error(u->s->diag, n->mark, "nothing_to_undo",
                       "\"%.*s\" (%s) has no effect that \"compensate\" could undo",
                       STR_ARG(d->node->name), d->node->kind->name);
        diag_help(u->s->diag, item, "remove it, or give it to the node with the effect");
    } else if (n) {
        flow_role_claim(u, ROLE_COMPENSATE, d->node->index, n, "compensate");
    }
}

static bool read_finally(struct unit *u) {
    const struct yaml_node *n = u->def.finally;
    struct plan *p = u->plan;
    bool empty = n && n->type == YAML_LIST && !n->count;
    if (!n || n->type == YAML_MAP || empty) {
        if (n) {
            flow_type_refuse(u, n, "finally", "a node or a list of nodes");
        }
        return true;
    }
    uint32_t count = n->type == YAML_LIST ? n->count : 1;
    uint32_t *nodes = KEEP(u->s, count, uint32_t);
    for (uint32_t i = 0; nodes && i < count; i++) {
        const struct yaml_node *name = n->type == YAML_LIST ? n->items[i] : n;
        p->finally_count +=
            give_role(u, ROLE_FINALLY, -1, name, "finally", &nodes[p->finally_count]);
    }
    p->finally = nodes;
    return nodes != NULL;
}

bool flow_roles_read(struct unit *u) {
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        read_fallback(u, &u->drafts[i]);
        read_compensate(u, &u->drafts[i]);
    }
    return read_finally(u) && !u->s->nomem;
}

/* ---- what an auxiliary node may not have ---- */

static void refuse_key(struct unit *u, const struct draft *d, const struct yaml_node *key,
                       const char *what, const char *why) {
    const char *role = role_text(u, d->node->role, d->node->owner);
    refuse(u, key->mark, "auxiliary", d->node->index,
           arena_printf(&u->s->scratch, "\"%.*s\" is %s: %s cannot be given, %s",
                        STR_ARG(d->node->name), role, what, why));
}

static void check_keys(struct unit *u, const struct draft *d) {
    const struct plan_node *n = d->node;
    const struct yaml_node *const *given = d->common;
    bool stands_in = n->role == ROLE_FALLBACK || n->role == ROLE_ON_TIMEOUT;
    if (given[COMMON_NEEDS]) {
        refuse_key(u, d, given[COMMON_NEEDS], "needs", "since the graph never starts it");
    }
    if (given[COMMON_RECOVER]) {
        refuse_key(u, d, given[COMMON_RECOVER], "recover",
                   n->role == ROLE_FINALLY      ? "since it must come to an end by itself"
                   : n->role == ROLE_COMPENSATE ? "since the execution waits when it fails"
                                                : "since its failure is that of its node");
    }
    if (given[COMMON_ON_ERROR] && n->on_error == ON_ERROR_CONTINUE && stands_in) {
        refuse_key(u, d, given[COMMON_ON_ERROR], "on_error: continue",
                   "since its failure is that of its node");
    }
    enum node_role root = u->plan->nodes[plan_node_root(u->plan, n->index)].role;
    if (given[COMMON_COMPENSATE] && (n->role == ROLE_COMPENSATE || root == ROLE_FINALLY)) {
        refuse_key(u, d, given[COMMON_COMPENSATE], "compensate", "since nothing undoes it");
    }
    if (!d->broken && ((n->kind->flags & KIND_END) || str_is(str_from(n->kind->name), "start"))) {
        refuse(u, n->mark, "auxiliary", n->index,
               arena_printf(&u->s->scratch, "\"%.*s\" is %s: it cannot be of kind %s",
                            STR_ARG(n->name), role_text(u, n->role, n->owner), n->kind->name));
    }
}

/* The chain of owners of a node, which must end. */
static bool check_chain(struct unit *u, struct draft *d) {
    const struct plan *p = u->plan;
    struct plan_node *n = d->node;
    int32_t at = n->owner;
    uint32_t length = 1;
    while (at >= 0 && at != (int32_t)n->index && length <= MOST_OWNERS) {
        at = p->nodes[at].owner;
        length++;
    }
    if (at == (int32_t)n->index) {
        refuse(u, d->role_mark, "role_cycle", n->index,
               arena_printf(&u->s->scratch, "\"%.*s\" would stand in for itself: it is %s",
                            STR_ARG(n->name), role_text(u, n->role, n->owner)));
    } else if (at >= 0) {
        refuse(u, d->role_mark, "too_deep", n->index,
               arena_printf(&u->s->scratch,
                            "\"%.*s\" is the end of more than %d nodes of which each is named by "
                            "the one before",
                            STR_ARG(n->name), MOST_OWNERS));
    }
    n->owner = at >= 0 ? -1 : n->owner; /* names are looked up along owners: that must end */
    return at < 0;
}

static void check_edges(struct unit *u) {
    for (uint32_t i = 0; i < u->plan->edge_count; i++) {
        const struct plan_edge *e = &u->plan->edges[i];
        const struct plan_node *source = &u->plan->nodes[e->source];
        if (source->role) {
            refuse(u, e->mark, "auxiliary", e->target,
                   arena_printf(&u->s->scratch,
                                "\"%.*s\" cannot need \"%.*s\", which is %s: the graph never "
                                "starts it",
                                STR_ARG(name_of(u, e->target)), STR_ARG(source->name),
                                role_text(u, source->role, source->owner)));
        }
    }
}

bool flow_roles_check(struct unit *u) {
    bool good = true;
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        good = (!u->plan->nodes[i].role || check_chain(u, &u->drafts[i])) && good;
    }
    for (uint32_t i = 0; good && i < u->plan->node_count; i++) {
        if (u->plan->nodes[i].role) {
            u->plan->nodes[i].recover_count = 0; /* nor the workflow's */
            check_keys(u, &u->drafts[i]);
        }
    }
    check_edges(u);
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        struct plan_node *n = &u->plan->nodes[i];
        const struct plan_node *root = &u->plan->nodes[plan_node_root(u->plan, i)];
        if (root->role == ROLE_FINALLY && !n->pure && !n->timeout_us) {
            n->timeout_us = FINALLY_TIMEOUT_US;
        }
    }
    return !u->s->nomem;
}
