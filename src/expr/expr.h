/* CEL expressions and {{ }} templates: compiled once, evaluated many times, pure and bounded.
 *
 * The language is CEL (google/cel-spec) with one extension: arithmetic and comparison between
 * int, uint and double promote. Evaluation does no I/O, always ends, and is limited in steps and
 * memory. This module knows no workflow: names are resolved by the caller's scope when compiled
 * and fetched by the caller's getter when evaluated.
 */
#ifndef CAIRN_EXPR_EXPR_H
#define CAIRN_EXPR_EXPR_H

#include "base/base.h"
#include "value/value.h"

struct expr; /* compiled, immutable, in the arena it was compiled into */
struct tmpl;

/* What a scope knows about a dotted name. */
struct expr_ref {
    uint32_t slot;     /* passed to expr_env.get */
    uint32_t consumed; /* how many segments of the path the slot stands for, at least 1 */
};

#define EXPR_MAX_PATH 3

/* Resolves the head of a chain a.b.c: path holds its 1..EXPR_MAX_PATH first names; the scope
 * takes the longest head it knows. Unknown: ERR_NOT_FOUND and a message, with a suggestion where
 * there is one. In has(a.b) and a.?b the last name is never part of the path. */
struct expr_scope {
    void *ctx;
    enum err (*find)(void *ctx, const struct str *path, uint32_t count, struct expr_ref *out,
                     struct error *e);
    /* A template says {{ secrets.<name> }}: OK when that secret may stand there. NULL: none may.
     * What else is said of "secrets" is a name like any other and goes to find. */
    enum err (*secret)(void *ctx, struct str name, struct error *e);
};

/* One evaluation. get returns the value of a slot; it stays valid while the results are used. */
struct expr_env {
    void *ctx;
    enum err (*get)(void *ctx, uint32_t slot, struct value *out, struct error *e);
    struct arena *arena; /* results and temporaries; its cap bounds the memory */
    size_t max_bytes;    /* of the arena for one evaluation; 0: all that its cap leaves */
    uint64_t max_steps;  /* 0 means EXPR_MAX_STEPS */
    uint64_t steps;      /* counted up; start at 0 */
};

#define EXPR_MAX_STEPS 10000000u
#define EXPR_MAX_TEXT 100000u /* bytes of one expression */
#define EXPR_MAX_NESTING 200u

/* Compiles text, whose first byte stands at mark. Findings (code "expression") go to diag with
 * exact marks; returns ERR_INVALID then. One enclosing {{ }} is accepted. */
enum err expr_compile(struct arena *a, struct str text, struct mark at,
                      const struct expr_scope *scope, const struct expr **out, struct diag *diag)
    MUST_USE;
/* ERR_EXPRESSION with message, place and the expression; ERR_LIMIT for steps and memory. What the
 * environment's getter returns is passed on; of that, && and || absorb only ERR_EXPRESSION. The
 * result may borrow from env.arena and from gotten values. In what was made here no value is of
 * type VALUE_OPTIONAL or VALUE_TYPE (an optional is unwrapped: none is null; a type is its name),
 * and keys of maps are text ({1: x} leaves as {"1": x}). */
enum err expr_eval(const struct expr *x, struct expr_env *env, struct value *out, struct error *e)
    MUST_USE;
/* expr_eval where the result must be a bool. */
enum err expr_eval_bool(const struct expr *x, struct expr_env *env, bool *out, struct error *e)
    MUST_USE;
/* Distinct slots that x reads, in order of first use. */
const uint32_t *expr_slots(const struct expr *x, uint32_t *out_count);
struct str expr_text(const struct expr *x);
/* True, and the value, when x is a constant. */
bool expr_constant(const struct expr *x, struct value *out);

/* Templates: text with {{ expression }}, {{#if e}}..{{#else}}..{{/if}}, {{#each xs as x}}..
 * {{/each}}; \{{ is a literal {{. In {{#each xs as x, i}} i is the index; a map is walked by its
 * keys. A block tag alone on its line takes the line with it. Findings have code "template". */
enum err tmpl_compile(struct arena *a, struct str text, struct mark at,
                      const struct expr_scope *scope, const struct tmpl **out, struct diag *diag)
    MUST_USE;
/* The rendered text. */
enum err tmpl_eval_text(const struct tmpl *t, struct expr_env *env, struct value *out,
                        struct error *e) MUST_USE;
/* The value itself when t is one {{ expression }} and nothing else, otherwise the text. */
enum err tmpl_eval_value(const struct tmpl *t, struct expr_env *env, struct value *out,
                         struct error *e) MUST_USE;
const uint32_t *tmpl_slots(const struct tmpl *t, uint32_t *out_count);
/* True, and the text, when t has no expression in it. */
bool tmpl_constant(const struct tmpl *t, struct value *out);

/* A template with a {{ secrets.NAME }} in it never sees the secret. It gives sealed text: every '['
 * of its own text and of its values is doubled, and [secret NAME] stands where the secret belongs.
 * So what a value holds can never be taken for a secret. */
bool tmpl_has_secrets(const struct tmpl *t);

/* Who knows the secrets when sealed text is opened. */
struct secret_source {
    void *ctx;
    /* What it gives stays as it is until the text is made. */
    enum err (*get)(void *ctx, struct str name, struct str *out, struct error *e);
};
/* Sealed text with the secrets in it; all memory comes from a. ERR_CORRUPT: it is not sealed. */
enum err secret_text_open(struct str sealed, const struct secret_source *source, struct arena *a,
                          struct str *out, struct error *e) MUST_USE;

/* The functions, for documentation and completion: rows of functions.def. */
struct expr_function {
    const char *name;
    const char *signature; /* "string.split(separator) -> list" */
    const char *doc;
    const char *example; /* an expression, */
    const char *result;  /* and its value as JSON: both run as tests */
};
const struct expr_function *expr_functions(size_t *out_count);

#endif
