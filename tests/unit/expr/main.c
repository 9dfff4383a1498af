/* Runs the groups of src/expr's tests and holds what they share. */
#include "expr_tests.h"

#include <math.h>
#include <stdlib.h>

static enum err find(void *ctx, const struct str *path, uint32_t count, struct expr_ref *out,
                     struct error *e) {
    struct world *w = ctx;
    for (uint32_t used = count; used > 0; used--) {
        struct str name = path[0];
        for (uint32_t i = 1; i < used; i++) {
            name = arena_printf(&w->arena, "%.*s.%.*s", STR_ARG(name), STR_ARG(path[i]));
        }
        for (uint32_t i = 0; i < value_count(w->vars); i++) {
            if (str_eq(value_str(w->vars.pairs[i].key), name)) {
                *out = (struct expr_ref){i, used};
                return OK;
            }
        }
    }
    return error_set(e, ERR_NOT_FOUND, "unknown name \"%.*s\"", STR_ARG(path[0]));
}

static enum err get(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    struct world *w = ctx;
    w->gets++;
    if (w->get_error) {
        return error_set(e, w->get_error, "the getter says no");
    }
    *out = w->vars.pairs[slot].val;
    return OK;
}

void world_init(struct world *w, const char *vars_json, size_t cap_bytes) {
    *w = (struct world){.scope = {.find = find}};
    arena_init(&w->arena, cap_bytes);
    diag_init(&w->diag, &w->arena);
    w->scope.ctx = w;
    w->env = (struct expr_env){.ctx = w, .get = get, .arena = &w->arena};
    if (vars_json) {
        assert_int_equal(value_parse_json(&w->arena, str_from(vars_json), &w->vars, &w->error), OK);
    }
}

void world_fini(struct world *w) { arena_fini(&w->arena); }

enum err world_expr(struct world *w, struct str text, struct value *out) {
    const struct expr *x = NULL;
    struct mark at = {"test.yaml", 1, 1};
    enum err err = expr_compile(&w->arena, text, at, &w->scope, &x, &w->diag);
    return err ? err : expr_eval(x, &w->env, out, &w->error);
}

enum err world_template(struct world *w, struct str text, struct value *out) {
    const struct tmpl *t = NULL;
    struct mark at = {"test.yaml", 1, 1};
    enum err err = tmpl_compile(&w->arena, text, at, &w->scope, &t, &w->diag);
    return err ? err : tmpl_eval_value(t, &w->env, out, &w->error);
}

const char *shown(struct world *w, enum err err, struct value v) {
    if (w->diag.count) {
        const struct diag_item *i = &w->diag.items[0];
        return arena_printf(&w->arena, "%u:%u: %.*s%s%.*s%s", i->mark.line, i->mark.column,
                            STR_ARG(i->message), i->help.len ? " [" : "", STR_ARG(i->help),
                            i->help.len ? "]" : "")
            .ptr;
    }
    if (err) {
        return arena_printf(&w->arena, "%s: %u:%u: %s", err_name(err), w->error.mark.line,
                            w->error.mark.column, w->error.message)
            .ptr;
    }
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    struct str s = arena_str(&w->arena, buf_str(&b));
    buf_fini(&b);
    return s.ptr;
}

const char *eval_shown(struct world *w, const char *text) {
    struct value v = value_null();
    w->diag.count = 0;
    enum err err = world_expr(w, str_from(text), &v);
    return shown(w, err, v);
}

const char *template_shown(struct world *w, const char *text) {
    struct value v = value_null();
    w->diag.count = 0;
    enum err err = world_template(w, str_from(text), &v);
    return shown(w, err, v);
}

static bool same_maps(struct value a, struct value b) {
    for (size_t i = 0; i < value_count(a); i++) {
        const struct value *other = value_get_key(b, a.pairs[i].key);
        if (!other || !same(a.pairs[i].val, *other)) {
            return false;
        }
    }
    return true;
}

bool same(struct value a, struct value b) {
    bool deep = a.type == VALUE_LIST || a.type == VALUE_MAP;
    if (a.type != b.type || (deep && value_count(a) != value_count(b))) {
        return false;
    }
    if (a.type == VALUE_DOUBLE) {
        return isnan(a.real) ? isnan(b.real) : a.unum == b.unum;
    }
    if (a.type == VALUE_MAP) {
        return same_maps(a, b);
    }
    for (size_t i = 0; deep && i < value_count(a); i++) {
        if (!same(a.items[i], b.items[i])) {
            return false;
        }
    }
    return deep || value_equal(a, b);
}

const char *tests_path(struct world *w, const char *name) {
    const char *folder = getenv("CAIRN_TESTS");
    return arena_printf(&w->arena, "%s/%s", folder ? folder : "tests", name).ptr;
}

int main(void) {
    int failed = run_basics();
    failed += run_limits();
    failed += run_templates();
    failed += run_secrets();
    failed += run_cases();
    failed += run_conformance();
    failed += run_docs();
    return failed ? 1 : 0;
}
