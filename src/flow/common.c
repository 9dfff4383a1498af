/* What every node understands: reading the common fields of a node, first what needs no expression,
 * then, when the graph is known, its guard and value on error. items.c reads `foreach`, in.c `in`,
 * vars.c `set`.
 */
#include <stdio.h>

#include "flow/flow_priv.h"

static const int64_t priority_range[2] = {-1000000, 1000000};
static const int64_t iterations_range[2] = {1, 1000000};

static void read_texts(struct unit *u, struct draft *d) {
    struct plan_node *n = d->node;
    if (d->common[COMMON_LABEL] && flow_text_get(u, d->common[COMMON_LABEL], "label", &n->label)) {
        n->label = flow_keep_str(u->s, n->label);
    }
    const struct yaml_node *description = d->common[COMMON_DESCRIPTION];
    if (description && flow_text_get(u, description, "description", &n->description)) {
        n->description = flow_keep_str(u->s, n->description);
    }
}

static void read_checkpoint(struct unit *u, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_CHECKPOINT];
    struct str name;
    if (n && flow_text_get(u, n, "checkpoint", &name) &&
        flow_name_get(u, name, n->mark, "a checkpoint")) {
        d->node->checkpoint = flow_keep_str(u->s, name);
    }
}

static void read_words(struct unit *u, struct draft *d) {
    static const char *const joins[] = {"all", "any", NULL};
    static const char *const deliveries[] = {"at_least_once", "at_most_once", NULL};
    static const char *const limits[] = {"fail", "exit", NULL};
    int word;
    if (d->common[COMMON_JOIN] && flow_word_get(u, d->common[COMMON_JOIN], "join", joins, &word)) {
        d->node->join = (enum join_mode)word;
    }
    const struct yaml_node *delivery = d->common[COMMON_DELIVERY];
    if (delivery && flow_word_get(u, delivery, "delivery", deliveries, &word)) {
        d->node->delivery = (enum delivery_mode)word;
    }
    const struct yaml_node *limit = d->common[COMMON_ON_LIMIT];
    if (limit && flow_word_get(u, limit, "on_limit", limits, &word)) {
        d->exit_on_limit = word == ON_LIMIT_EXIT;
    }
}

static void read_numbers(struct unit *u, struct draft *d) {
    const struct yaml_node *priority = d->common[COMMON_PRIORITY];
    const struct yaml_node *iterations = d->common[COMMON_MAX_ITERATIONS];
    int64_t number;
    d->max_iterations = FLOW_MAX_ITERATIONS;
    if (priority && flow_int_get(u, priority, "priority", priority_range, &number)) {
        d->node->priority = (int32_t)number;
    }
    if (iterations && flow_int_get(u, iterations, "max_iterations", iterations_range, &number)) {
        d->max_iterations = (uint32_t)number;
    }
}

static bool read_limits(struct unit *u, struct draft *d) {
    struct plan_node *n = d->node;
    bool reaches = d->broken || !(n->kind->flags & KIND_NO_TIMEOUT);
    n->timeout_us = reaches ? u->timeout_us : 0;
    n->retry = u->retry;
    if (d->common[COMMON_TIMEOUT]) {
        flow_timeout_get(u, d->common[COMMON_TIMEOUT], &n->timeout_us);
    }
    if (d->common[COMMON_RETRY] && !flow_retry_read(u, d->common[COMMON_RETRY], &n->retry)) {
        return false;
    }
    n->retry.attempts = n->retry.attempts ? n->retry.attempts : 1;
    return true;
}

static void read_on_error(struct unit *u, struct draft *d) {
    static const char *const words[] = {"fail", "continue", NULL};
    static const char *const keys[] = {"value", NULL};
    const struct yaml_node *n = d->common[COMMON_ON_ERROR];
    int word;
    if (!n) {
        return;
    }
    if (n->type == YAML_SCALAR) {
        if (flow_word_get(u, n, "on_error", words, &word)) {
            d->node->on_error = (enum on_error_mode)word;
        } else {
            d->node->on_error = ON_ERROR_CONTINUE;
        }
        return;
    }
    if (n->type != YAML_MAP || !yaml_get(n, STR("value"))) {
        struct diag_item *item =
            flow_type_refuse(u, n, "on_error", "fail, continue or {value: ...}");
        diag_help(u->s->diag, item, "{value: expression} completes the node with that value");
        return;
    }
    flow_keys_check(u, n, "on_error", keys, NULL);
    d->node->on_error = ON_ERROR_VALUE;
}

bool flow_common_read(struct unit *u, struct draft *d) {
    read_texts(u, d);
    read_checkpoint(u, d);
    read_words(u, d);
    read_numbers(u, d);
    read_on_error(u, d);
    const struct yaml_node *schema = d->common[COMMON_OUTPUT_SCHEMA];
    struct value source;
    if (schema) {
        if (flow_schema_compile(u, schema, "output_schema", &source, &d->node->output_schema)) {
            flow_contents_mix_value(u, d->node, source);
        }
    }
    flow_cache_read(u, d);
    return flow_foreach_read(u, d) && read_limits(u, d) && flow_node_recover_read(u, d) &&
           !u->s->nomem;
}

/* ---- what needs the graph ---- */

static bool compile_guard(struct scope *scope, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_IF];
    if (!n) {
        return true;
    }
    if (n->type != YAML_SCALAR || flow_is_empty(n) ||
        (n->value.type != VALUE_TEXT && n->value.type != VALUE_BOOL)) {
        struct diag_item *item = flow_type_refuse(scope->u, n, "if", "an expression");
        diag_help(scope->u->s->diag, item, "for example: inputs.count > 0");
        return true;
    }
    struct value v;
    if (!flow_expression_compile(scope, n, &d->node->guard)) {
        return false;
    }
    if (d->node->guard && expr_constant(d->node->guard, &v)) {
        flow_constant_check(scope->u, n->mark, "if", v, VALUE_BOOL);
    }
    return true;
}

/* A node that decides names the handle to take; it was checked with the graph. */
static bool compile_on_error(struct scope *scope, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_ON_ERROR];
    if (d->node->on_error != ON_ERROR_VALUE || d->broken) {
        return true;
    }
    const struct yaml_node *value = yaml_get(n, STR("value"));
    if (!plan_node_decides(d->node)) {
        if (flow_is_empty(value)) {
            flow_type_refuse(scope->u, value, "value", "an expression");
            return true;
        }
        return flow_pval_compile(scope, value, LEAF_EXPRESSION, &d->node->on_error_value);
    }
    if (value->type == YAML_SCALAR) {
        d->node->on_error_value = (struct pval){.type = PVAL_CONST, .mark = value->mark};
        d->node->on_error_value.constant = value_text(flow_keep_str(scope->u->s, value->text));
    }
    return !scope->u->s->nomem;
}

bool flow_common_compile(struct scope *scope, struct draft *d) {
    scope->flags = 0;
    if (!compile_guard(scope, d) || !flow_items_compile(scope, d) || !compile_on_error(scope, d)) {
        return false;
    }
    uint32_t item = d->node->foreach.present ? SCOPE_ITEM : 0;
    scope->flags = item | SCOPE_SELF;
    if (!flow_set_compile(scope, d)) {
        return false;
    }
    scope->flags = item;
    if (!flow_in_compile(scope, d)) {
        return false;
    }
    scope->flags = item | SCOPE_IN;
    return flow_cache_compile(scope, d);
}
