/* `vars` of the workflow and `set` of nodes: values that steps change when they complete.
 *
 * The initial values are structures over inputs and env, which are recorded, so a fold finds the
 * same. A name that no `vars` declares is an error wherever it stands.
 */
#include "flow/flow_priv.h"

bool flow_vars_read(struct unit *u) {
    const struct yaml_node *n = u->def.vars;
    if (!n || !flow_map_get(u, n, "vars")) {
        return true;
    }
    struct plan_var *vars = KEEP(u->s, n->count, struct plan_var);
    for (uint32_t i = 0; vars && i < n->count; i++) {
        const struct yaml_node *key = n->pairs[i].key;
        flow_name_get(u, key->text, key->mark, "a variable");
        vars[i].name = flow_keep_str(u->s, key->text);
    }
    u->plan->vars = vars;
    u->plan->var_count = vars ? n->count : 0;
    return !u->s->nomem;
}

bool flow_vars_compile(struct scope *scope) {
    struct unit *u = scope->u;
    struct plan_var *vars = (struct plan_var *)(uintptr_t)u->plan->vars;
    flow_scope_enter(scope, NONE);
    scope->flags = SCOPE_GIVEN;
    for (uint32_t i = 0; i < u->plan->var_count; i++) {
        const struct yaml_node *value = u->def.vars->pairs[i].value;
        if (!flow_pval_compile(scope, value, LEAF_TEMPLATE, &vars[i].initial)) {
            return false;
        }
    }
    return true;
}

int64_t flow_var_find(const struct plan *p, struct str name) {
    for (uint32_t i = 0; i < p->var_count; i++) {
        if (str_eq(p->vars[i].name, name)) {
            return i;
        }
    }
    return -1;
}

struct str *flow_var_names(struct unit *u) {
    struct str *names = SCRATCH(u->s, u->plan->var_count, struct str);
    for (uint32_t i = 0; names && i < u->plan->var_count; i++) {
        names[i] = u->plan->vars[i].name;
    }
    return names;
}

static void refuse_var(struct unit *u, const struct yaml_node *key) {
    struct diag *d = u->s->diag;
    struct diag_item *item =
        diag_error(d, key->mark, "unknown_var", "the workflow has no variable \"%.*s\"",
                   STR_ARG(flow_text_clip(key->text, 60)));
    struct str *names = flow_var_names(u);
    if (names) {
        flow_suggest(u, item, key->text, names, u->plan->var_count);
    }
    if (!u->plan->var_count) {
        diag_help(d, item, "declare it at the top: vars: {%.*s: its first value}",
                  STR_ARG(flow_text_clip(key->text, 60)));
    }
}

bool flow_set_compile(struct scope *scope, struct draft *d) {
    struct unit *u = scope->u;
    const struct yaml_node *n = d->common[COMMON_SET];
    if (!n || !flow_map_get(u, n, "set")) {
        return true;
    }
    struct plan_set *sets = KEEP(u->s, n->count, struct plan_set);
    uint32_t count = 0;
    for (uint32_t i = 0; sets && i < n->count; i++) {
        const struct yaml_node *key = n->pairs[i].key;
        const struct yaml_node *value = n->pairs[i].value;
        int64_t var = flow_var_find(u->plan, key->text);
        if (var < 0) {
            refuse_var(u, key);
            continue;
        }
        struct plan_set *set = &sets[count++];
        set->var = (uint32_t)var;
        if (flow_is_empty(value)) {
            flow_type_refuse(u, value, u->plan->vars[var].name.ptr, "an expression");
        } else if (!flow_pval_compile(scope, value, LEAF_EXPRESSION, &set->value)) {
            return false;
        }
    }
    d->node->sets = sets;
    d->node->set_count = count;
    return !u->s->nomem;
}
