/* Fields and structures: compiling them to trees of constants, expressions and templates, and
 * evaluating those. A tree without an expression in it becomes one constant.
 *
 * Depth is bounded by that of the YAML tree (200), so walking by recursion is safe.
 */
#include "flow/flow_priv.h"

/* Findings in a block scalar: the text has lost its indentation, the columns get it back. */
void flow_columns_shift(struct diag *d, uint32_t from, const struct yaml_node *n) {
    uint32_t indent = n->block && n->content.column ? n->content.column - 1 : 0;
    for (uint32_t i = from; indent && i < d->count; i++) {
        if (d->items[i].mark.line > n->content.line) {
            d->items[i].mark.column += indent;
        }
    }
}

/* What a compiler of the expr module returned: ERR_INVALID was reported by it. */
static bool understood(struct scope *scope, const struct yaml_node *n, enum err err,
                       uint32_t items_before) {
    struct session *s = scope->u->s;
    flow_columns_shift(s->diag, items_before, n);
    if (err && err != ERR_INVALID) {
        s->nomem |= err == ERR_NOMEM;
        if (!s->nomem && s->diag->count == items_before) {
            diag_error(s->diag, flow_text_mark(n), "expression", "the expression is too large");
        }
    }
    return err == OK;
}

static struct str lasting(struct scope *scope, const struct yaml_node *n) {
    scope->mark = flow_text_mark(n);
    return flow_keep_str(scope->u->s, n->text);
}

bool flow_expression_compile(struct scope *scope, const struct yaml_node *n,
                             const struct expr **out) {
    struct session *s = scope->u->s;
    struct str text = lasting(scope, n);
    if (!text.ptr) {
        return false;
    }
    struct expr_scope view = flow_scope_view(scope);
    uint32_t before = s->diag->count;
    const struct expr *x = NULL;
    enum err err = expr_compile(s->keep, text, scope->mark, &view, &x, s->diag);
    if (understood(scope, n, err, before)) {
        *out = x;
    }
    return !s->nomem;
}

static void constant(struct pval *out, struct value v) {
    out->type = PVAL_CONST;
    out->constant = v;
}

static bool compile_expression(struct scope *scope, const struct yaml_node *n, struct pval *out) {
    const struct expr *x = NULL;
    struct value v;
    if (!flow_expression_compile(scope, n, &x) || !x) {
        return !scope->u->s->nomem;
    }
    if (expr_constant(x, &v)) {
        constant(out, v);
    } else {
        out->type = PVAL_EXPR;
        out->expr = x;
    }
    return true;
}

static bool compile_template(struct scope *scope, const struct yaml_node *n, enum leaf leaf,
                             struct pval *out) {
    struct session *s = scope->u->s;
    struct str text = lasting(scope, n);
    if (!text.ptr) {
        return false;
    }
    if (str_find(text, STR("{{"), 0) == SIZE_MAX) {
        flow_text_lint(scope, text);
        constant(out, value_text(text));
        return true;
    }
    struct expr_scope view = flow_scope_view(scope);
    uint32_t before = s->diag->count;
    const struct tmpl *t = NULL;
    struct value v;
    enum err err = tmpl_compile(s->keep, text, scope->mark, &view, &t, s->diag);
    if (!understood(scope, n, err, before)) {
        return !s->nomem;
    }
    if (tmpl_constant(t, &v)) {
        constant(out, v);
    } else {
        out->type = leaf == LEAF_TEXT ? PVAL_TEXT : PVAL_TMPL;
        out->tmpl = t;
    }
    return true;
}

static bool compile_scalar(struct scope *scope, const struct yaml_node *n, enum leaf leaf,
                           struct pval *out) {
    if (n->value.type != VALUE_TEXT) {
        constant(out, n->value);
        return true;
    }
    if (leaf == LEAF_EXPRESSION) {
        return compile_expression(scope, n, out);
    }
    return compile_template(scope, n, leaf, out);
}

static bool fold_list(struct session *s, struct pval *out) {
    struct value *items = KEEP(s, out->count, struct value);
    if (!items) {
        return false;
    }
    for (uint32_t i = 0; i < out->count; i++) {
        items[i] = out->items[i].constant;
    }
    constant(out, value_list(items, out->count));
    return true;
}

static bool fold_map(struct session *s, struct pval *out) {
    struct value_builder b;
    value_builder_init(&b, s->keep);
    for (uint32_t i = 0; i < out->count; i++) {
        value_map_add(&b, out->keys[i], out->items[i].constant);
    }
    constant(out, value_map_done(&b));
    s->nomem |= !b.ok;
    return b.ok;
}

static bool compile_branch(struct scope *scope, const struct yaml_node *n, enum leaf leaf,
                           struct pval *out) {
    struct session *s = scope->u->s;
    bool is_map = n->type == YAML_MAP;
    struct pval *items = KEEP(s, n->count, struct pval);
    struct str *keys = is_map ? KEEP(s, n->count, struct str) : NULL;
    if (!items || (is_map && !keys)) {
        return false;
    }
    out->type = is_map ? PVAL_MAP : PVAL_LIST;
    out->count = n->count;
    out->items = items;
    out->keys = keys;
    bool all_constant = true;
    for (uint32_t i = 0; i < n->count; i++) {
        if (is_map) {
            keys[i] = flow_keep_str(s, n->pairs[i].key->text);
        }
        const struct yaml_node *item = is_map ? n->pairs[i].value : n->items[i];
        if (!flow_pval_compile(scope, item, leaf, &items[i]) || s->nomem) {
            return false;
        }
        all_constant &= items[i].type == PVAL_CONST;
    }
    if (!all_constant) {
        return true;
    }
    return is_map ? fold_map(s, out) : fold_list(s, out);
}

bool flow_pval_compile(struct scope *scope, const struct yaml_node *n, enum leaf leaf,
                       struct pval *out) {
    *out = (struct pval){.type = PVAL_NONE, .mark = flow_text_mark(n)};
    if (n->type == YAML_SCALAR) {
        return compile_scalar(scope, n, leaf, out);
    }
    return compile_branch(scope, n, leaf, out);
}

/* ---- evaluating ---- */

static enum err eval_branch(const struct pval *v, struct expr_env *env, struct value *out,
                            struct error *e) {
    struct value_builder b;
    value_builder_init(&b, env->arena);
    for (uint32_t i = 0; i < v->count; i++) {
        struct value item;
        enum err err = pval_eval(&v->items[i], env, &item, e);
        if (err) {
            return err;
        }
        if (v->type == PVAL_MAP) {
            value_map_add(&b, v->keys[i], item);
        } else {
            value_list_add(&b, item);
        }
    }
    struct value done = v->type == PVAL_MAP ? value_map_done(&b) : value_list_done(&b);
    if (!b.ok) {
        return error_set(e, ERR_LIMIT, "the value is larger than the memory of one evaluation");
    }
    *out = done;
    return OK;
}

enum err pval_eval(const struct pval *v, struct expr_env *env, struct value *out, struct error *e) {
    switch (v->type) {
    case PVAL_NONE: *out = value_null(); return OK;
    case PVAL_CONST: *out = v->constant; return OK;
    case PVAL_EXPR: return expr_eval(v->expr, env, out, e);
    case PVAL_TEXT: return tmpl_eval_text(v->tmpl, env, out, e);
    case PVAL_TMPL: return tmpl_eval_value(v->tmpl, env, out, e);
    case PVAL_LIST:
    case PVAL_MAP: return eval_branch(v, env, out, e);
    }
    return OK;
}
