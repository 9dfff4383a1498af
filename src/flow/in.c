/* `in`: names of a node's own for use in its fields. Of a value that is written long, the order is
 * from, default when that is null, type, then each transform with the value so far as `it`.
 * What a constant shows to be wrong is reported here; the rest fails the step.
 */
#include "flow/flow_priv.h"

static bool compile_transforms(struct scope *scope, const struct yaml_node *n, struct plan_in *in) {
    struct unit *u = scope->u;
    uint32_t count = n->type == YAML_LIST ? n->count : 1;
    const struct expr **transforms = KEEP(u->s, count, const struct expr *);
    if (!transforms) {
        return false;
    }
    scope->flags |= SCOPE_IT;
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *step = n->type == YAML_LIST ? n->items[i] : n;
        if (step->type != YAML_SCALAR || flow_is_empty(step)) {
            flow_type_refuse(u, step, "transform", "an expression or a list of expressions");
        } else if (!flow_expression_compile(scope, step, &transforms[i])) {
            return false;
        }
    }
    scope->flags &= ~(uint32_t)SCOPE_IT;
    in->transforms = transforms;
    in->transform_count = count;
    return true;
}

/* A default that can never become the type. */
static void check_default(struct unit *u, const struct plan_in *in, const struct yaml_node *n) {
    struct value read;
    struct error e;
    if (in->type == COERCE_NONE || in->default_value.type != PVAL_CONST) {
        return;
    }
    enum err err = coercion_apply(in->type, in->default_value.constant, &u->s->scratch, &read, &e);
    u->s->nomem |= err == ERR_NOMEM;
    if (err == ERR_INVALID) {
        struct diag_item *item = diag_error(u->s->diag, flow_text_mark(n), "bad_default",
                                            "the default of \"%.*s\" does not fit its type: %s",
                                            STR_ARG(in->name), e.message);
        diag_help(u->s->diag, item, "change the default or the type");
    }
}

static bool compile_long(struct scope *scope, const struct yaml_node *n, struct plan_in *in) {
    static const char *const keys[] = {"from", "default", "type", "transform", NULL};
    const struct yaml_node *given = yaml_get(n, STR("default"));
    const struct yaml_node *type = yaml_get(n, STR("type"));
    const struct yaml_node *transform = yaml_get(n, STR("transform"));
    int word;
    flow_keys_check(scope->u, n, "a value of \"in\"", keys, NULL);
    if (type && flow_word_get(scope->u, type, "type", coercion_words, &word)) {
        in->type = (enum coercion)(word + 1);
    }
    if (!flow_pval_compile(scope, yaml_get(n, STR("from")), LEAF_EXPRESSION, &in->from)) {
        return false;
    }
    in->has_default = given != NULL;
    if (given && !flow_pval_compile(scope, given, LEAF_EXPRESSION, &in->default_value)) {
        return false;
    }
    if (given) {
        check_default(scope->u, in, given);
    }
    return !transform || compile_transforms(scope, transform, in);
}

bool flow_in_compile(struct scope *scope, struct draft *d) {
    struct unit *u = scope->u;
    const struct yaml_node *n = d->common[COMMON_IN];
    if (!n || !flow_map_get(u, n, "in")) {
        return true;
    }
    struct plan_in *ins = KEEP(u->s, n->count, struct plan_in);
    if (!ins) {
        return false;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        const struct yaml_node *key = n->pairs[i].key;
        const struct yaml_node *value = n->pairs[i].value;
        if (!flow_name_get(u, key->text, key->mark, "a value of \"in\"")) {
            continue;
        }
        struct plan_in *in = &ins[count++];
        in->name = flow_keep_str(u->s, key->text);
        if (flow_is_empty(value)) {
            flow_type_refuse(u, value, in->name.ptr ? in->name.ptr : "", "an expression");
            continue;
        }
        bool is_long = value->type == YAML_MAP && yaml_get(value, STR("from"));
        bool good = is_long ? compile_long(scope, value, in)
                            : flow_pval_compile(scope, value, LEAF_EXPRESSION, &in->from);
        if (!good) {
            return false;
        }
    }
    d->node->ins = ins;
    d->node->in_count = count;
    return true;
}
