/* The table of functions, made of functions.def: for the checker and for documentation.
 *
 * Two arrays in the same order: what the evaluator needs, and what people read.
 */
#include "expr/run_priv.h"

#define FN(fn_name, fn_form, min, max, impl, fn_signature, fn_doc, fn_example, fn_result) \
    {.name = {fn_name, sizeof fn_name - 1},                                               \
     .form = fn_form,                                                                     \
     .min_args = min,                                                                     \
     .max_args = max,                                                                     \
     .call = impl},
#define MACRO(fn_name, fn_form, fn_macro, min, max, fn_signature, fn_doc, fn_example, fn_result) \
    {.name = {fn_name, sizeof fn_name - 1},                                                      \
     .form = fn_form,                                                                            \
     .macro = fn_macro,                                                                          \
     .min_args = min,                                                                            \
     .max_args = max},
static const struct function functions[] = {
#include "expr/functions.def"
};
#undef FN
#undef MACRO

#define FN(fn_name, fn_form, min, max, impl, ...) {fn_name, __VA_ARGS__},
#define MACRO(fn_name, fn_form, fn_macro, min, max, ...) {fn_name, __VA_ARGS__},
static const struct expr_function descriptions[] = {
#include "expr/functions.def"
};
#undef FN
#undef MACRO

const struct function *function_find(struct str name, enum fn_form form) {
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if ((functions[i].form & form) && str_eq(functions[i].name, name)) {
            return &functions[i];
        }
    }
    return NULL;
}

/* What other languages call it. */
const struct function *function_alias(struct str name) {
    static const struct {
        const char *theirs;
        const char *ours;
    } known[] = {
        {"len", "size"},
        {"length", "size"},
        {"count", "size"},
        {"upper", "upperAscii"},
        {"toUpperCase", "upperAscii"},
        {"lower", "lowerAscii"},
        {"toLowerCase", "lowerAscii"},
        {"strip", "trim"},
        {"includes", "contains"},
        {"str", "string"},
        {"float", "double"},
        {"any", "exists"},
        {"some", "exists"},
        {"every", "all"},
        {"default", "orValue"},
        {"regex", "matches"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_is(name, known[i].theirs)) {
            return function_find(str_from(known[i].ours), FN_BOTH);
        }
    }
    return NULL;
}

struct str function_nearest(struct str name, enum fn_form form) {
    struct str candidates[ARRAY_LEN(functions)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (functions[i].form & form) {
            candidates[count++] = functions[i].name;
        }
    }
    return str_nearest(name, candidates, count);
}

struct str function_names(enum fn_form form, struct arena *a) {
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (functions[i].form & form) {
            buf_append_cstr(&b, b.len ? ", " : "");
            buf_append(&b, functions[i].name);
        }
    }
    struct str names = buf_ok(&b) ? arena_str(a, buf_str(&b)) : STR("");
    buf_fini(&b);
    return names;
}

const char *function_signature(const struct function *fn) {
    return descriptions[fn - functions].signature;
}

const struct expr_function *expr_functions(size_t *out_count) {
    *out_count = ARRAY_LEN(descriptions);
    return descriptions;
}
