/* Any text as an expression: compiling and evaluating must end, within memory and steps, without a
 * crash; and what is found must be well told.
 *
 * Checked: findings and errors have a message in UTF-8 and a place; a constant evaluates to itself;
 * evaluating twice gives the same; a result can be written to the journal. A broken promise aborts.
 */
#include "expr/expr.h"

#define MEMORY_BYTES (8u << 20)
#define STEPS 200000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Five names, one for each sort of value: a map, a list, a text, null, and a number. */
static struct value vars;

static enum err find(void *ctx, const struct str *path, uint32_t count, struct expr_ref *out,
                     struct error *e) {
    (void)ctx;
    (void)count;
    for (uint32_t i = 0; i < value_count(vars); i++) {
        if (str_eq(value_str(vars.pairs[i].key), path[0])) {
            *out = (struct expr_ref){i, 1};
            return OK;
        }
    }
    return error_set(e, ERR_NOT_FOUND, "unknown name \"%.*s\"", STR_ARG(path[0]));
}

static enum err get(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    (void)ctx;
    (void)e;
    *out = vars.pairs[slot].val;
    return OK;
}

static void check_findings(const struct diag *diag) {
    ASSERT(diag->errors > 0);
    for (uint32_t i = 0; i < diag->count; i++) {
        ASSERT(diag->items[i].message.len > 0 && str_is_utf8(diag->items[i].message));
        ASSERT(str_is_utf8(diag->items[i].help));
        ASSERT(diag->items[i].mark.line > 0 && diag->items[i].mark.column > 0);
    }
}

static void check_result(const struct expr *x, struct value v) {
    struct value constant;
    struct buf b;
    if (expr_constant(x, &constant)) {
        ASSERT(value_identical(constant, v));
    }
    buf_init(&b, 0);
    value_encode(v, &b);
    ASSERT(buf_ok(&b));
    buf_fini(&b);
}

static enum err evaluate(const struct expr *x, struct arena *a, struct value *out) {
    struct error e = {0};
    struct expr_env env = {.get = get, .arena = a, .max_steps = STEPS};
    enum err err = expr_eval(x, &env, out, &e);
    if (err) {
        ASSERT(err == ERR_EXPRESSION || err == ERR_LIMIT);
        ASSERT(e.code == err && e.message[0] && str_is_utf8(str_from(e.message)));
        ASSERT(e.mark.line > 0 && e.mark.column > 0);
    }
    return err;
}

static void check_expr(const struct expr *x) {
    struct arena first;
    struct arena second;
    struct value a;
    struct value b;
    arena_init(&first, MEMORY_BYTES);
    arena_init(&second, MEMORY_BYTES);
    enum err err = evaluate(x, &first, &a);
    ASSERT(evaluate(x, &second, &b) == err);
    if (err == OK) {
        ASSERT(value_identical(a, b));
        check_result(x, a);
    }
    arena_fini(&first);
    arena_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct diag diag;
    struct error e;
    const struct expr *x = NULL;
    const struct expr_scope scope = {.find = find};
    struct mark at = {"fuzz", 1, 1};
    arena_init(&arena, 0);
    diag_init(&diag, &arena);
    ASSERT(value_parse_json(&arena,
                            STR("{\"m\": {\"a\": 1, \"b\": {\"c\": 2.5}}, \"l\": [1, 2, 3], "
                                "\"s\": \"h\xc3\xa9llo\", \"n\": null, \"i\": 7}"),
                            &vars, &e) == OK);
    struct str text = {(const char *)data, size};
    if (expr_compile(&arena, text, at, &scope, &x, &diag) == OK) {
        check_expr(x);
    } else {
        check_findings(&diag);
    }
    arena_fini(&arena);
    return 0;
}
