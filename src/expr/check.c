/* The checker: resolves names through variables, scope and type names, binds functions, checks
 * the number of arguments and the form of macros. Goes on after an error, so that one pass reports
 * all of them. It notes which parts are fixed, that is, depend on nothing outside: fold.c's input.
 */
#include "expr/run_priv.h"

#include <stdio.h>

#define NO_LOCAL UINT32_MAX

/* What a part depends on. */
struct deps {
    bool open;       /* reads a slot or calls something that is never folded */
    uint32_t lowest; /* the outermost variable it reads */
};

static const struct deps nothing = {false, NO_LOCAL};

struct checker {
    struct compiler *c;
    const struct local *locals;
};

static struct deps check(struct checker *k, struct node *n);

static void join(struct deps *d, struct deps with) {
    d->open |= with.open;
    d->lowest = with.lowest < d->lowest ? with.lowest : d->lowest;
}

static const struct local *local_find(const struct local *locals, struct str name) {
    while (locals && !str_eq(locals->name, name)) {
        locals = locals->outer;
    }
    return locals;
}

static void suggest_name(struct checker *k, struct diag_item *item, struct str name) {
    struct str near[EXPR_MAX_NESTING];
    size_t count = 0;
    for (const struct local *l = k->locals; l && count < ARRAY_LEN(near); l = l->outer) {
        near[count++] = l->name;
    }
    diag_suggest(k->c->diag, item, name, near, count);
    if (!item->help.len && function_find(name, FN_GLOBAL)) {
        diag_help(k->c->diag, item, "%.*s is a function: write %.*s(...)", STR_ARG(name),
                  STR_ARG(name));
    }
}

static void unknown_name(struct checker *k, struct node *n, const struct error *e) {
    struct str name = n->name;
    n->kind = NODE_BAD;
    if (e->message[0]) {
        struct diag_item *item = compile_error(k->c, n->offset, "%s", e->message);
        suggest_name(k, item, name);
        return;
    }
    suggest_name(k, compile_error(k->c, n->offset, "unknown name \"%.*s\"", STR_ARG(name)), name);
}

/* How many of the steps after a name may belong to it: plain fields. */
static uint32_t path_of(const struct node *name, const struct step *steps, uint32_t count,
                        struct str *path) {
    uint32_t n = 0;
    path[n++] = name->name;
    for (uint32_t i = 0; i < count && n < EXPR_MAX_PATH; i++) {
        if (steps[i].kind != STEP_FIELD || steps[i].optional || steps[i].quoted) {
            break;
        }
        path[n++] = steps[i].name;
    }
    return n;
}

/* The type that a path names; *used says how many names of the path that took. */
static bool type_path(const struct str *path, uint32_t count, struct value *out, uint32_t *used) {
    static const char *const times[] = {"Timestamp", "Duration"};
    *used = 1;
    if (type_find(path[0], out)) {
        return true;
    }
    if (count < 3 || !str_is(path[0], "google") || !str_is(path[1], "protobuf")) {
        return false;
    }
    *used = 3;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        if (str_is(path[2], times[i])) {
            *out =
                type_value(i ? STR("google.protobuf.Duration") : STR("google.protobuf.Timestamp"));
            return true;
        }
    }
    return false;
}

/* Resolves a name with the steps after it; returns how many of them it took in. */
static uint32_t resolve(struct checker *k, struct node *n, const struct step *steps, uint32_t count,
                        struct deps *out) {
    const struct local *l = n->absolute ? NULL : local_find(k->locals, n->name);
    *out = nothing;
    if (l) {
        n->kind = NODE_LOCAL;
        n->slot = l->index;
        out->lowest = l->index;
        return 0;
    }
    struct str path[EXPR_MAX_PATH];
    uint32_t length = path_of(n, steps, count, path);
    struct expr_ref ref = {0};
    struct error e;
    e.message[0] = '\0';
    const struct expr_scope *scope = k->c->scope;
    uint32_t used = 0;
    if (scope && scope->find(scope->ctx, path, length, &ref, &e) == OK) {
        ASSERT(ref.consumed >= 1 && ref.consumed <= length);
        n->kind = NODE_SLOT;
        n->slot = compile_slot(k->c, ref.slot);
        out->open = true;
        return ref.consumed - 1;
    }
    struct value type;
    if (type_path(path, length, &type, &used)) {
        n->kind = NODE_CONST;
        n->value = type;
        return used - 1;
    }
    unknown_name(k, n, &e);
    return 0;
}

/* receiver: 1 where it stands among the arguments, as in size(x). */
static void wrong_count(struct checker *k, uint32_t offset, const struct function *fn,
                        uint32_t receiver, uint32_t given) {
    uint32_t min = fn->min_args + receiver;
    uint32_t max = fn->max_args + receiver;
    char takes[40];
    if (min == max) {
        snprintf(takes, sizeof takes, "%u argument%s", min, min == 1 ? "" : "s");
    } else {
        snprintf(takes, sizeof takes, "%u to %u arguments", min, max);
    }
    struct diag_item *item =
        compile_error(k->c, offset, "%.*s() takes %s, not %u", STR_ARG(fn->name), takes, given);
    diag_help(k->c->diag, item, "%s", function_signature(fn));
}

static void unknown_function(struct checker *k, uint32_t offset, struct str name,
                             enum fn_form form) {
    struct diag_item *item =
        compile_error(k->c, offset, "unknown function \"%.*s\"", STR_ARG(name));
    const struct function *other = function_find(name, form == FN_METHOD ? FN_GLOBAL : FN_METHOD);
    struct str near = function_nearest(name, form);
    other = other ? other : function_alias(name);
    if (other) {
        diag_help(k->c->diag, item, "it is written %s", function_signature(other));
    } else if (near.len) {
        diag_help(k->c->diag, item, "did you mean %.*s()?", STR_ARG(near));
    } else {
        struct str all = function_names(form, k->c->arena);
        diag_help(k->c->diag, item,
                  form == FN_METHOD
                      ? "behind a value there are %.*s"
                      : "there are %.*s; more stand behind a value: list.map(x, value)",
                  STR_ARG(all));
    }
}

static bool bad_has(struct checker *k, struct node *n) {
    struct diag_item *item =
        compile_error(k->c, n->offset, "has() takes a field of a value, as in has(order.price)");
    const struct node *arg = n->args[0];
    const struct step *last = arg->kind == NODE_POSTFIX ? &arg->steps[arg->count - 1] : NULL;
    if (last && last->kind == STEP_INDEX) {
        diag_help(k->c->diag, item, "for an index write key in map, or map[?key].hasValue()");
    } else if (last && last->optional) {
        diag_help(k->c->diag, item, "write has(a.b), or a.?b.hasValue()");
    }
    n->kind = NODE_BAD;
    return false;
}

/* has(a.b): the last field is taken off and asked for. */
static bool shape_has(struct checker *k, struct node *n) {
    struct node *arg = n->args[0];
    if (arg->kind != NODE_POSTFIX) {
        return bad_has(k, n);
    }
    struct step *last = &arg->steps[arg->count - 1];
    if (last->kind != STEP_FIELD || last->optional) {
        return bad_has(k, n);
    }
    struct node *of = --arg->count ? arg : arg->first;
    n->kind = NODE_HAS;
    n->offset = last->offset;
    n->of = of;
    n->field = last->name;
    return true;
}

static struct deps check_args(struct checker *k, struct node **args, uint32_t count) {
    struct deps d = nothing;
    for (uint32_t i = 0; i < count; i++) {
        join(&d, check(k, args[i]));
    }
    return d;
}

static struct deps check_call(struct checker *k, struct node *n) {
    const struct function *fn = function_find(n->fn_name, FN_GLOBAL);
    if (!fn) {
        unknown_function(k, n->offset, n->fn_name, FN_GLOBAL);
        check_args(k, n->args, n->count);
        n->kind = NODE_BAD;
        return nothing;
    }
    uint32_t receiver = fn->form == FN_BOTH; /* f(x) of x.f() */
    if (n->count < fn->min_args + receiver || n->count > fn->max_args + receiver) {
        wrong_count(k, n->offset, fn, receiver, n->count);
        check_args(k, n->args, n->count);
        n->kind = NODE_BAD;
        return nothing;
    }
    if (fn->macro == MACRO_HAS) {
        return shape_has(k, n) ? check(k, n->of) : nothing;
    }
    n->fn = fn;
    struct deps d = check_args(k, n->args, n->count);
    d.open |= fn->call == fn_dyn;
    return d;
}

/* A macro with a variable: args[0] is its name, the others are evaluated with it in reach. */
static struct deps check_variable(struct checker *k, struct step *s) {
    const struct node *name = s->args[0];
    if (name->kind != NODE_NAME || name->absolute) {
        compile_error(k->c, name->offset,
                      "the first argument of %.*s() is the name of a variable, as in "
                      "list.%.*s(x, ...)",
                      STR_ARG(s->name), STR_ARG(s->name));
        s->count = 0;
        return nothing;
    }
    const struct local *outer = k->locals;
    struct local own = {name->name, outer ? outer->index + 1 : 0, outer};
    s->local = own.index;
    if (own.index >= k->c->local_count) {
        k->c->local_count = own.index + 1;
    }
    k->locals = &own;
    struct deps d = check_args(k, s->args + 1, s->count - 1);
    k->locals = outer;
    if (d.lowest >= own.index) {
        d.lowest = NO_LOCAL;
    }
    return d;
}

static struct deps check_method(struct checker *k, struct step *s) {
    const struct function *fn = function_find(s->name, FN_METHOD);
    if (!fn || s->count < fn->min_args || s->count > fn->max_args) {
        if (fn) {
            wrong_count(k, s->offset, fn, 0, s->count);
        } else {
            unknown_function(k, s->offset, s->name, FN_METHOD);
        }
        s->count = 0; /* what stands inside may use variables that do not exist */
        return nothing;
    }
    if (!fn->macro) {
        s->fn = fn;
        return check_args(k, s->args, s->count);
    }
    s->kind = STEP_MACRO;
    s->macro = fn->macro;
    if (fn->macro == MACRO_OR || fn->macro == MACRO_OR_VALUE) {
        return check_args(k, s->args, s->count);
    }
    return check_variable(k, s);
}

/* optional.of(x): a function whose name has a dot. */
static void shape_dotted(struct checker *k, struct node *n) {
    struct node *base = n->first;
    struct step *s = &n->steps[0];
    if (base->kind != NODE_NAME || !str_is(base->name, "optional") || s->kind != STEP_CALL ||
        local_find(k->locals, base->name)) {
        return;
    }
    struct str name = arena_printf(k->c->arena, "optional.%.*s", STR_ARG(s->name));
    struct node call = {.kind = NODE_CALL, .offset = base->offset, .count = s->count};
    call.fn_name = name;
    call.args = s->args;
    *base = call;
    n->steps++;
    n->count--;
}

static struct deps check_postfix(struct checker *k, struct node *n) {
    struct deps d = nothing;
    shape_dotted(k, n);
    if (n->first->kind == NODE_NAME) {
        uint32_t used = resolve(k, n->first, n->steps, n->count, &d);
        n->first->fixed = !d.open && d.lowest == NO_LOCAL;
        n->steps += used;
        n->count -= used;
    } else {
        d = check(k, n->first);
    }
    for (uint32_t i = 0; i < n->count; i++) {
        struct step *s = &n->steps[i];
        if (s->kind == STEP_CALL) {
            join(&d, check_method(k, s));
        } else if (s->kind == STEP_INDEX) {
            join(&d, check_args(k, s->args, s->count));
        }
    }
    if (n->count == 0) {
        struct node base = *n->first;
        *n = base;
    }
    return d;
}

static struct deps check_links(struct checker *k, struct node *n) {
    struct deps d = check(k, n->first);
    for (uint32_t i = 0; i < n->count; i++) {
        join(&d, check(k, n->links[i].operand));
    }
    return d;
}

static struct deps check_items(struct checker *k, struct node *n) {
    struct deps d = nothing;
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->items[i].key) {
            join(&d, check(k, n->items[i].key));
        }
        join(&d, check(k, n->items[i].val));
    }
    return d;
}

/* A chain a ? b : c ? d : e ... is a list along `no`. */
static struct deps check_ternary(struct checker *k, struct node *n) {
    struct deps d = nothing;
    struct node *last = n;
    for (; last->kind == NODE_TERNARY; last = last->no) {
        join(&d, check(k, last->cond));
        join(&d, check(k, last->yes));
    }
    join(&d, check(k, last));
    /* One that is not fixed as a whole may end in one that is: not worth a second pass. */
    for (struct node *part = n->no; part->kind == NODE_TERNARY; part = part->no) {
        part->fixed = !d.open && d.lowest == NO_LOCAL;
    }
    return d;
}

static struct deps check_kind(struct checker *k, struct node *n) {
    struct deps d = nothing;
    switch (n->kind) {
    case NODE_NAME: resolve(k, n, NULL, 0, &d); return d;
    case NODE_CHAIN:
    case NODE_AND:
    case NODE_OR: return check_links(k, n);
    case NODE_NOT:
    case NODE_NEGATE: return check(k, n->operand);
    case NODE_TERNARY: return check_ternary(k, n);
    case NODE_LIST:
    case NODE_MAP: return check_items(k, n);
    case NODE_CALL: return check_call(k, n);
    case NODE_POSTFIX: return check_postfix(k, n);
    default: return nothing;
    }
}

static struct deps check(struct checker *k, struct node *n) {
    struct deps d = check_kind(k, n);
    n->fixed = !d.open && d.lowest == NO_LOCAL;
    return d;
}

void expr_check(struct compiler *c, struct node *root, const struct local *locals) {
    struct checker k = {.c = c, .locals = locals};
    check(&k, root);
}
