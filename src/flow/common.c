/* What every node understands: reading the common fields of a node, first what needs no expression,
 * then, when the graph is known, its guard, inputs, items and value on error.
 */
#include <stdio.h>

#include "flow/flow_priv.h"

static const int64_t priority_range[2] = {-1000000, 1000000};
static const int64_t iterations_range[2] = {1, 1000000};
static const int64_t items_range[2] = {1, 1000000};
static const int64_t slots_range[2] = {1, 100000};

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

/* ---- foreach ---- */

static bool is_long_foreach(const struct yaml_node *n) { return n->type == YAML_MAP; }

static void read_item_name(struct unit *u, struct draft *d, const struct yaml_node *n) {
    struct str name;
    if (!flow_text_get(u, n, "as", &name)) {
        return;
    }
    const struct yaml_node *in = d->common[COMMON_IN];
    if (!str_is(name, "item") && !flow_name_get(u, name, n->mark, "an item")) {
        return;
    }
    if (in && in->type == YAML_MAP && yaml_get(in, name)) {
        struct diag_item *item =
            diag_error(u->s->diag, n->mark, "bad_name",
                       "\"%.*s\" is a name of this node's \"in\" already", STR_ARG(name));
        diag_help(u->s->diag, item, "call the item something else");
        return;
    }
    d->node->foreach.as = flow_keep_str(u->s, name);
}

static void read_long_foreach(struct unit *u, struct draft *d, const struct yaml_node *n) {
    static const char *const keys[] = {"items",         "as",        "concurrency",
                                       "on_item_error", "max_items", NULL};
    static const char *const later[] = {"matrix", NULL};
    static const char *const on_item_error[] = {"fail", "collect", NULL};
    struct plan_foreach *f = &d->node->foreach;
    flow_keys_check(u, n, "foreach", keys, later);
    for (uint32_t i = 0; i < n->count; i++) {
        struct str key = n->pairs[i].key->text;
        const struct yaml_node *value = n->pairs[i].value;
        int64_t number;
        int word;
        if (str_is(key, "as")) {
            read_item_name(u, d, value);
        } else if (str_is(key, "concurrency") &&
                   flow_int_get(u, value, "concurrency", slots_range, &number)) {
            f->concurrency = (uint32_t)number;
        } else if (str_is(key, "max_items") &&
                   flow_int_get(u, value, "max_items", items_range, &number)) {
            f->max_items = (uint32_t)number;
        } else if (str_is(key, "on_item_error") &&
                   flow_word_get(u, value, "on_item_error", on_item_error, &word)) {
            f->collect = word == 1;
        }
    }
    if (!yaml_get(n, STR("items")) && !yaml_get(n, STR("matrix"))) {
        struct diag_item *item =
            diag_error(u->s->diag, n->mark, "missing_key", "\"foreach\" has no key \"items\"");
        diag_help(u->s->diag, item, "write items: with an expression or a list");
    }
}

static void read_foreach(struct unit *u, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_FOREACH];
    if (!n) {
        return;
    }
    d->node->foreach =
        (struct plan_foreach){.present = true, .as = STR("item"), .max_items = FLOW_MAX_ITEMS};
    if (is_long_foreach(n)) {
        read_long_foreach(u, d, n);
    }
}

bool flow_common_read(struct unit *u, struct draft *d) {
    read_texts(u, d);
    read_words(u, d);
    read_numbers(u, d);
    read_on_error(u, d);
    read_foreach(u, d);
    const struct yaml_node *schema = d->common[COMMON_OUTPUT_SCHEMA];
    struct value source;
    if (schema) {
        flow_schema_compile(u, schema, "output_schema", &source, &d->node->output_schema);
    }
    return read_limits(u, d) && !u->s->nomem;
}

/* ---- what needs the graph ---- */

static bool is_empty(const struct yaml_node *n) {
    return n->type == YAML_SCALAR && n->plain && !n->text.len;
}

static bool compile_guard(struct scope *scope, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_IF];
    if (!n) {
        return true;
    }
    if (n->type != YAML_SCALAR || is_empty(n) ||
        (n->value.type != VALUE_TEXT && n->value.type != VALUE_BOOL)) {
        struct diag_item *item = flow_type_refuse(scope->u, n, "if", "an expression");
        diag_help(scope->u->s->diag, item, "for example: inputs.count > 0");
        return true;
    }
    return flow_expression_compile(scope, n, &d->node->guard);
}

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
        if (step->type != YAML_SCALAR || is_empty(step)) {
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

static bool compile_long_in(struct scope *scope, const struct yaml_node *n, struct plan_in *in) {
    static const char *const keys[] = {"from", "default", "transform", NULL};
    static const char *const later[] = {"type", NULL};
    const struct yaml_node *given = yaml_get(n, STR("default"));
    const struct yaml_node *transform = yaml_get(n, STR("transform"));
    flow_keys_check(scope->u, n, "a value of \"in\"", keys, later);
    if (!flow_pval_compile(scope, yaml_get(n, STR("from")), LEAF_EXPRESSION, &in->from)) {
        return false;
    }
    in->has_default = given != NULL;
    if (given && !flow_pval_compile(scope, given, LEAF_EXPRESSION, &in->default_value)) {
        return false;
    }
    return !transform || compile_transforms(scope, transform, in);
}

static bool compile_in(struct scope *scope, struct draft *d) {
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
        if (is_empty(value)) {
            flow_type_refuse(u, value, in->name.ptr ? in->name.ptr : "", "an expression");
            continue;
        }
        bool is_long = value->type == YAML_MAP && yaml_get(value, STR("from"));
        bool good = is_long ? compile_long_in(scope, value, in)
                            : flow_pval_compile(scope, value, LEAF_EXPRESSION, &in->from);
        if (!good) {
            return false;
        }
    }
    d->node->ins = ins;
    d->node->in_count = count;
    return true;
}

static bool compile_items(struct scope *scope, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_FOREACH];
    const struct yaml_node *items = n && is_long_foreach(n) ? yaml_get(n, STR("items")) : n;
    if (!items) {
        return true;
    }
    bool countable =
        items->type == YAML_LIST || (items->type == YAML_SCALAR && items->value.type == VALUE_TEXT);
    if (!countable) {
        struct diag_item *item =
            flow_type_refuse(scope->u, items, "items", "an expression or a list of expressions");
        diag_help(scope->u->s->diag, item, "for example: inputs.files");
        return true;
    }
    return flow_pval_compile(scope, items, LEAF_EXPRESSION, &d->node->foreach.items);
}

/* A node that decides names the handle to take; it was checked with the graph. */
static bool compile_on_error(struct scope *scope, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_ON_ERROR];
    if (d->node->on_error != ON_ERROR_VALUE || d->broken) {
        return true;
    }
    const struct yaml_node *value = yaml_get(n, STR("value"));
    if (!plan_node_decides(d->node)) {
        if (is_empty(value)) {
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
    if (!compile_guard(scope, d) || !compile_items(scope, d) || !compile_on_error(scope, d)) {
        return false;
    }
    scope->flags = d->node->foreach.present ? SCOPE_ITEM : 0;
    return compile_in(scope, d);
}
