/* `foreach`: how it is written (an expression, a list, or a map), and compiling its items: a list,
 * or a matrix whose combinations are the items.
 *
 * `items` is a structure of expressions like all that gives a list. In a matrix a list is what is
 * usually written down, so its texts are templates; a text in place of the list is an expression.
 */
#include "flow/flow_priv.h"

static const int64_t items_range[2] = {1, 1000000};
static const int64_t slots_range[2] = {1, 100000};

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

static void read_key(struct unit *u, struct draft *d, struct str key,
                     const struct yaml_node *value) {
    static const char *const on_item_error[] = {"fail", "collect", NULL};
    struct plan_foreach *f = &d->node->foreach;
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

/* exclude and include belong to a matrix. */
static void check_matrix_keys(struct unit *u, const struct yaml_node *n) {
    static const char *const words[] = {"exclude", "include"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const struct yaml_node *value = yaml_get(n, str_from(words[i]));
        if (value && !yaml_get(n, STR("matrix"))) {
            struct diag_item *item =
                diag_error(u->s->diag, value->mark, "missing_key",
                           "\"%s\" needs the key \"matrix\" beside it", words[i]);
            diag_help(u->s->diag, item, "add \"matrix:\", or remove \"%s:\"", words[i]);
        }
    }
}

static void read_long_foreach(struct unit *u, struct draft *d, const struct yaml_node *n) {
    static const char *const keys[] = {"items",       "matrix",        "exclude",   "include", "as",
                                       "concurrency", "on_item_error", "max_items", NULL};
    const struct yaml_node *items = yaml_get(n, STR("items"));
    const struct yaml_node *matrix = yaml_get(n, STR("matrix"));
    flow_keys_check(u, n, "foreach", keys, NULL);
    for (uint32_t i = 0; i < n->count; i++) {
        read_key(u, d, n->pairs[i].key->text, n->pairs[i].value);
    }
    if (!items && !matrix) {
        struct diag_item *item = diag_error(u->s->diag, n->mark, "missing_key",
                                            "\"foreach\" has neither \"items\" nor \"matrix\"");
        diag_help(u->s->diag, item, "write items: with an expression or a list");
    } else if (items && matrix) {
        struct diag_item *item = diag_error(u->s->diag, matrix->mark, "excludes",
                                            "\"foreach\": exactly one of items, matrix may be "
                                            "given");
        diag_help(u->s->diag, item, "keep one of them");
    }
    check_matrix_keys(u, n);
}

bool flow_foreach_read(struct unit *u, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_FOREACH];
    if (n) {
        d->node->foreach =
            (struct plan_foreach){.present = true, .as = STR("item"), .max_items = FLOW_MAX_ITEMS};
    }
    if (n && is_long_foreach(n)) {
        read_long_foreach(u, d, n);
    }
    return !u->s->nomem;
}

/* ---- what needs the graph ---- */

/* A list, or a text that is an expression; leaf is what the list's texts are. */
static bool compile_list(struct scope *scope, const struct yaml_node *n, const char *what,
                         enum leaf leaf, struct pval *out) {
    bool is_text = n->type == YAML_SCALAR && n->value.type == VALUE_TEXT && !flow_is_empty(n);
    if (n->type != YAML_LIST && !is_text) {
        struct diag_item *item = flow_type_refuse(scope->u, n, what, "an expression or a list");
        diag_help(scope->u->s->diag, item, "for example: inputs.files");
        return true;
    }
    if (!flow_pval_compile(scope, n, is_text ? LEAF_EXPRESSION : leaf, out)) {
        return false;
    }
    if (out->type == PVAL_CONST) {
        flow_constant_check(scope->u, n->mark, what, out->constant, VALUE_LIST);
    }
    return true;
}

static bool compile_matrix(struct scope *scope, const struct yaml_node *n, struct plan_foreach *f) {
    struct unit *u = scope->u;
    if (n->type != YAML_MAP || n->count == 0) {
        struct diag_item *item = flow_type_refuse(u, n, "matrix", "a map of one list or more");
        diag_help(u->s->diag, item, "for example {os: [linux, mac], py: [\"3.11\", \"3.12\"]}");
        return true;
    }
    struct plan_axis *axes = KEEP(u->s, n->count, struct plan_axis);
    if (!axes) {
        return false;
    }
    for (uint32_t i = 0; i < n->count; i++) {
        const struct yaml_node *key = n->pairs[i].key;
        flow_name_get(u, key->text, key->mark, "a list of a matrix");
        axes[i].name = flow_keep_str(u->s, key->text);
        if (!axes[i].name.ptr || !compile_list(scope, n->pairs[i].value, axes[i].name.ptr,
                                               LEAF_TEMPLATE, &axes[i].values)) {
            return false;
        }
    }
    f->axes = axes;
    f->axis_count = n->count;
    return true;
}

static bool compile_long(struct scope *scope, const struct yaml_node *n, struct plan_foreach *f) {
    const struct yaml_node *items = yaml_get(n, STR("items"));
    const struct yaml_node *matrix = yaml_get(n, STR("matrix"));
    const struct yaml_node *exclude = yaml_get(n, STR("exclude"));
    const struct yaml_node *include = yaml_get(n, STR("include"));
    return (!items || compile_list(scope, items, "items", LEAF_EXPRESSION, &f->items)) &&
           (!matrix || compile_matrix(scope, matrix, f)) &&
           (!exclude || compile_list(scope, exclude, "exclude", LEAF_TEMPLATE, &f->exclude)) &&
           (!include || compile_list(scope, include, "include", LEAF_TEMPLATE, &f->include));
}

bool flow_items_compile(struct scope *scope, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_FOREACH];
    struct plan_foreach *f = &d->node->foreach;
    if (n && is_long_foreach(n)) {
        return compile_long(scope, n, f);
    }
    return !n || compile_list(scope, n, "foreach", LEAF_EXPRESSION, &f->items);
}
