/* Any text as a template: compiling and rendering must end, within memory and steps, without a
 * crash. Checked: a text without {{ renders to itself; rendered text is UTF-8; findings and errors
 * have a message and a place. A broken promise aborts.
 */
#include "expr/expr.h"

#define MEMORY_BYTES (8u << 20)
#define STEPS 200000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

static void check_template(const struct tmpl *t, struct str text) {
    struct arena arena;
    struct error e = {0};
    struct value v;
    struct value constant;
    arena_init(&arena, MEMORY_BYTES);
    struct expr_env env = {.get = get, .arena = &arena, .max_steps = STEPS};
    enum err err = tmpl_eval_text(t, &env, &v, &e);
    if (err) {
        ASSERT(err == ERR_EXPRESSION || err == ERR_LIMIT);
        ASSERT(e.message[0] && e.mark.line > 0 && str_is_utf8(str_from(e.message)));
    } else {
        ASSERT(v.type == VALUE_TEXT && str_is_utf8(value_str(v)));
        bool plain = str_find(text, STR("{{"), 0) == SIZE_MAX;
        ASSERT(!plain || str_eq(value_str(v), text));
        ASSERT(!tmpl_constant(t, &constant) || value_identical(constant, v));
    }
    env.steps = 0;
    err = tmpl_eval_value(t, &env, &v, &e);
    ASSERT(err == OK || err == ERR_EXPRESSION || err == ERR_LIMIT);
    arena_fini(&arena);
}

static void check_findings(const struct diag *diag) {
    ASSERT(diag->errors > 0);
    for (uint32_t i = 0; i < diag->count; i++) {
        ASSERT(diag->items[i].message.len > 0 && str_is_utf8(diag->items[i].message));
        ASSERT(diag->items[i].mark.line > 0 && diag->items[i].mark.column > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct diag diag;
    struct error e;
    const struct tmpl *t = NULL;
    const struct expr_scope scope = {.find = find};
    struct mark at = {"fuzz", 1, 1};
    arena_init(&arena, 0);
    diag_init(&diag, &arena);
    ASSERT(value_parse_json(&arena,
                            STR("{\"m\": {\"a\": 1, \"b\": {\"c\": 2.5}}, \"l\": [1, 2, 3], "
                                "\"s\": \"h\xc3\xa9{{ s }}\", \"n\": null, \"t\": true}"),
                            &vars, &e) == OK);
    struct str text = {(const char *)data, size};
    if (tmpl_compile(&arena, text, at, &scope, &t, &diag) == OK) {
        check_template(t, text);
    } else {
        check_findings(&diag);
    }
    arena_fini(&arena);
    return 0;
}
