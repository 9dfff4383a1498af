/* A warning about what compiles but is likely not meant: `/` of two integers, which gives an
 * integer. Only where both are surely integers: literals, size(), int() and what is made of those.
 *
 * Runs on the checked tree, before constants are folded away. Recursion is bounded by
 * EXPR_MAX_NESTING, as everywhere.
 */
#include "expr/run_priv.h"

static bool gives_int(const struct node *n);

static bool is_int_function(const struct function *fn) {
    return fn && (str_is(fn->name, "size") || str_is(fn->name, "int"));
}

static bool chain_gives_int(const struct node *n, uint32_t links) {
    bool ints = gives_int(n->first);
    for (uint32_t i = 0; i < links && ints; i++) {
        uint8_t op = n->links[i].op;
        ints = op >= OP_ADD && op <= OP_MOD && gives_int(n->links[i].operand);
    }
    return ints;
}

static bool gives_int(const struct node *n) {
    switch ((enum node_kind)n->kind) {
    case NODE_CONST: return n->value.type == VALUE_INT;
    case NODE_NEGATE: return gives_int(n->operand);
    case NODE_CALL: return is_int_function(n->fn);
    case NODE_CHAIN: return chain_gives_int(n, n->count);
    case NODE_POSTFIX: {
        const struct step *last = n->count ? &n->steps[n->count - 1] : NULL;
        return last && last->kind == STEP_CALL && is_int_function(last->fn);
    }
    case NODE_BAD:
    case NODE_NAME:
    case NODE_SLOT:
    case NODE_LOCAL:
    case NODE_AND:
    case NODE_OR:
    case NODE_NOT:
    case NODE_TERNARY:
    case NODE_LIST:
    case NODE_MAP:
    case NODE_HAS: return false;
    }
    return false;
}

/* A division of literals without a remainder loses nothing. */
static bool is_exact(const struct node *n, uint32_t link) {
    const struct node *by = n->links[link].operand;
    return link == 0 && n->first->kind == NODE_CONST && by->kind == NODE_CONST &&
           (by->value.num == 0 || by->value.num == -1 || n->first->value.num % by->value.num == 0);
}

static void lint_chain(struct compiler *c, const struct node *n) {
    for (uint32_t i = 0; i < n->count; i++) {
        const struct link *l = &n->links[i];
        if (l->op == OP_DIV && gives_int(l->operand) && chain_gives_int(n, i) && !is_exact(n, i)) {
            struct diag_item *item =
                diag_add(c->diag, DIAG_WARNING, expr_mark(c->text, c->at, l->offset),
                         "int_division", "/ of two integers gives an integer: 7 / 2 is 3");
            diag_help(c->diag, item, "for a fraction make one of them a double: double(x) / y");
            return;
        }
    }
}

static void lint_all(struct compiler *c, struct node *const *nodes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        expr_lint(c, nodes[i]);
    }
}

static void lint_links(struct compiler *c, const struct node *n) {
    expr_lint(c, n->first);
    for (uint32_t i = 0; i < n->count; i++) {
        expr_lint(c, n->links[i].operand);
    }
}

static void lint_items(struct compiler *c, const struct node *n) {
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->items[i].key) {
            expr_lint(c, n->items[i].key);
        }
        expr_lint(c, n->items[i].val);
    }
}

void expr_lint(struct compiler *c, const struct node *n) {
    for (; n->kind == NODE_TERNARY; n = n->no) { /* a chain of them may be long */
        expr_lint(c, n->cond);
        expr_lint(c, n->yes);
    }
    switch ((enum node_kind)n->kind) {
    case NODE_CHAIN:
        lint_links(c, n);
        lint_chain(c, n);
        break;
    case NODE_AND:
    case NODE_OR: lint_links(c, n); break;
    case NODE_NOT:
    case NODE_NEGATE: expr_lint(c, n->operand); break;
    case NODE_LIST:
    case NODE_MAP: lint_items(c, n); break;
    case NODE_CALL: lint_all(c, n->args, n->count); break;
    case NODE_HAS: expr_lint(c, n->of); break;
    case NODE_POSTFIX:
        expr_lint(c, n->first);
        for (uint32_t i = 0; i < n->count; i++) {
            lint_all(c, n->steps[i].args, n->steps[i].count);
        }
        break;
    case NODE_BAD:
    case NODE_CONST:
    case NODE_NAME:
    case NODE_SLOT:
    case NODE_LOCAL:
    case NODE_TERNARY: break;
    }
}
