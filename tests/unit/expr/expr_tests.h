/* The groups of src/expr's tests, each returning how many of its tests failed, and a small world
 * to compile and evaluate in: the names in scope are the keys of a map, dots included.
 */
#ifndef CAIRN_TESTS_EXPR_H
#define CAIRN_TESTS_EXPR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "expr/expr.h"
#include "support/jsonl.h"

int run_basics(void);
int run_limits(void);
int run_templates(void);
int run_secrets(void);
int run_cases(void);
int run_conformance(void);
int run_docs(void);

struct world {
    struct arena arena;
    struct diag diag;
    struct expr_scope scope;
    struct expr_env env;
    struct error error;
    struct value vars;  /* name -> value */
    uint32_t gets;      /* how often a slot was fetched */
    enum err get_error; /* what get returns, unless OK */
};

/* cap_bytes bounds the arena, 0 for its default. vars_json may be NULL. */
void world_init(struct world *w, const char *vars_json, size_t cap_bytes);
void world_fini(struct world *w);

/* Compile at line 1, column 1 of test.yaml, then evaluate. */
enum err world_expr(struct world *w, struct str text, struct value *out);
enum err world_template(struct world *w, struct str text, struct value *out);

/* The JSON of a value, or "line:column: message" of the first finding or of the error; help
 * follows in brackets. In the world's arena. */
const char *shown(struct world *w, enum err err, struct value v);
const char *eval_shown(struct world *w, const char *text);
const char *template_shown(struct world *w, const char *text);

/* The same types and values; NaN is itself; the order of maps does not matter. */
bool same(struct value a, struct value b);

/* A path below the project's tests folder (or that of CAIRN_TESTS). */
const char *tests_path(struct world *w, const char *name);

#endif
