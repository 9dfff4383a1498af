/* Constant folding, and the errors that constants show before anything runs.
 *
 * The largest fixed parts are evaluated once, with the evaluator itself, in a small arena; what
 * they give replaces them. A fault of types is reported always; another fault (1/0, a missing
 * key) only where it cannot be avoided at run time, not behind &&, ||, ?: or in a macro.
 */
#include "expr/run_priv.h"

#define FOLD_MAX_BYTES (1u << 20)
#define FOLD_MAX_STEPS 100000u

struct folder {
    struct compiler *c;
    const struct expr *x;
    struct arena arena;
};

static void fold(struct folder *f, struct node *n, bool guarded);

static void replace(struct folder *f, struct node *n, struct value v) {
    struct value kept = v;
    if (v.type != VALUE_TYPE && !value_copy(f->c->arena, v, &kept)) {
        return;
    }
    struct node folded = {.kind = NODE_CONST, .fixed = true, .offset = n->offset, .value = kept};
    *n = folded;
}

static void evaluate(struct folder *f, struct node *n, bool guarded) {
    struct error e;
    struct expr_env env = {.arena = &f->arena, .max_steps = FOLD_MAX_STEPS};
    arena_reset(&f->arena);
    struct run r = run_start(&env, &e, f->x);
    r.folding = true;
    struct value v;
    bool inner = false;
    enum err err = run_locals(&r, f->x->local_count);
    err = err ? err : eval_node(&r, n, &v);
    if (err == OK) {
        err = run_weigh(&r, v, 0, &inner);
        if (!err && (!inner || v.type == VALUE_TYPE)) {
            replace(f, n, v);
        }
    } else if (err == ERR_EXPRESSION && (r.mismatch || !guarded)) {
        compile_error(f->c, r.fault_at, "%s", e.message);
        n->kind = NODE_BAD;
    }
}

static void fold_args(struct folder *f, struct node **args, uint32_t count, bool guarded) {
    for (uint32_t i = 0; i < count; i++) {
        fold(f, args[i], guarded);
    }
}

/* A constant where only a bool can stand. */
static void expect_bool(struct folder *f, const struct node *n, const char *role) {
    if (n->kind == NODE_CONST && n->value.type != VALUE_BOOL) {
        compile_error(f->c, n->offset, "%s a bool, this is %s", role, type_phrase(n->value));
    }
}

static void fold_logic(struct folder *f, struct node *n) {
    const char *role = n->kind == NODE_AND ? "&& needs" : "|| needs";
    for (uint32_t i = 0; i <= n->count; i++) {
        struct node *operand = i ? n->links[i - 1].operand : n->first;
        fold(f, operand, true);
        expect_bool(f, operand, role);
    }
}

static void fold_ternary(struct folder *f, struct node *n, bool guarded) {
    for (; n->kind == NODE_TERNARY && !n->fixed; n = n->no) {
        fold(f, n->cond, guarded);
        expect_bool(f, n->cond, "the condition before ? must be");
        fold(f, n->yes, true);
        guarded = true;
    }
    fold(f, n, true);
}

/* Whether op can take v with some other operand that is not known yet. */
static bool accepts(enum op op, struct value v) {
    bool number = is_number(v);
    bool time = v.type == VALUE_TIMESTAMP || v.type == VALUE_DURATION;
    bool text = v.type == VALUE_TEXT || v.type == VALUE_BYTES;
    switch ((int)op) {
    case OP_ADD: return number || time || text || v.type == VALUE_LIST;
    case OP_SUB: return number || time;
    case OP_MUL:
    case OP_DIV:
    case OP_MOD: return number;
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE: return number || time || text || v.type == VALUE_BOOL;
    default: return true;
    }
}

static void expect_operand(struct folder *f, const struct node *n, const struct link *l) {
    if (n->kind == NODE_CONST && !accepts((enum op)l->op, n->value)) {
        compile_error(f->c, n->offset, "%s does not take %s", op_symbol((enum op)l->op),
                      type_phrase(n->value));
    }
}

static void fold_chain(struct folder *f, struct node *n, bool guarded) {
    fold(f, n->first, guarded);
    expect_operand(f, n->first, &n->links[0]);
    for (uint32_t i = 0; i < n->count; i++) {
        fold(f, n->links[i].operand, guarded);
        expect_operand(f, n->links[i].operand, &n->links[i]);
    }
}

/* A pattern that is a constant is tried now, not when the step runs. */
static void expect_pattern(struct folder *f, const struct function *fn, const struct node *n) {
    const struct regex *re = NULL;
    struct error e;
    bool constant = fn->call == fn_matches && n->kind == NODE_CONST && n->value.type == VALUE_TEXT;
    if (constant) {
        arena_reset(&f->arena);
        if (regex_compile(&f->arena, value_str(n->value), &re, &e) == ERR_INVALID) {
            compile_error(f->c, n->offset, "matches(): %s", e.message);
        }
    }
}

static void fold_call(struct folder *f, struct node *n, bool guarded) {
    fold_args(f, n->args, n->count, guarded);
    if (n->count == 2) {
        expect_pattern(f, n->fn, n->args[1]);
    }
}

static void fold_postfix(struct folder *f, struct node *n, bool guarded) {
    fold(f, n->first, guarded);
    for (uint32_t i = 0; i < n->count; i++) {
        struct step *s = &n->steps[i];
        bool lazy = s->macro == MACRO_OR || s->macro == MACRO_OR_VALUE;
        if (s->kind == STEP_MACRO && !lazy && s->count) {
            fold_args(f, s->args + 1, s->count - 1, true);
        } else {
            fold_args(f, s->args, s->count, guarded || lazy);
            if (s->kind == STEP_CALL && s->count == 1) {
                expect_pattern(f, s->fn, s->args[0]);
            }
        }
    }
}

static void fold_items(struct folder *f, struct node *n, bool guarded) {
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->items[i].key) {
            fold(f, n->items[i].key, guarded);
        }
        fold(f, n->items[i].val, guarded);
    }
}

static void fold(struct folder *f, struct node *n, bool guarded) {
    if (n->fixed && n->kind != NODE_CONST && n->kind != NODE_BAD) {
        evaluate(f, n, guarded);
        return;
    }
    switch (n->kind) {
    case NODE_CHAIN: fold_chain(f, n, guarded); return;
    case NODE_AND:
    case NODE_OR: fold_logic(f, n); return;
    case NODE_NOT:
    case NODE_NEGATE: fold(f, n->operand, guarded); return;
    case NODE_TERNARY: fold_ternary(f, n, guarded); return;
    case NODE_LIST:
    case NODE_MAP: fold_items(f, n, guarded); return;
    case NODE_CALL: fold_call(f, n, guarded); return;
    case NODE_HAS: fold(f, n->of, guarded); return;
    case NODE_POSTFIX: fold_postfix(f, n, guarded); return;
    default: return;
    }
}

/* Only for trees without errors: unresolved parts cannot be evaluated. */
void expr_fold(struct compiler *c, struct expr *x) {
    struct folder f = {.c = c, .x = x};
    if (c->failed || c->nomem) {
        return;
    }
    arena_init(&f.arena, FOLD_MAX_BYTES);
    fold(&f, x->root, false);
    arena_fini(&f.arena);
}
