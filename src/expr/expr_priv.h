/* Inside the expression module: the tree that parser, checker and evaluator share.
 *
 * The parser makes a tree of nodes; the checker resolves its names, binds its functions, folds its
 * constants in place; from then on it is immutable and is what the evaluator walks. Operators of
 * one level and the steps after a value (.a.b[0].f()) are arrays, not nested nodes, so a long chain
 * costs no C stack: recursion is bounded by EXPR_MAX_NESTING. Places are byte offsets into the
 * text; they become line and column only when a message needs them.
 */
#ifndef CAIRN_EXPR_EXPR_PRIV_H
#define CAIRN_EXPR_EXPR_PRIV_H

#include "expr/expr.h"

struct run;

/* A function of functions.def. args[0] is the receiver of a method. Sets *out on OK. */
typedef enum err (*expr_fn)(struct run *r, const struct value *args, uint32_t count,
                            struct value *out);

enum fn_form {
    FN_GLOBAL = 1, /* f(x) */
    FN_METHOD = 2, /* x.f() */
    FN_BOTH = 3,   /* x.f() and f(x) */
};

enum macro {
    MACRO_NONE,
    MACRO_HAS,
    MACRO_ALL,
    MACRO_EXISTS,
    MACRO_EXISTS_ONE,
    MACRO_MAP,
    MACRO_FILTER,
    MACRO_OPT_MAP,
    MACRO_OPT_FLAT_MAP,
    MACRO_OR,
    MACRO_OR_VALUE,
};

#define FN_MAX_ARGS 4u /* with the receiver */

struct function {
    struct str name;
    uint8_t form; /* enum fn_form */
    uint8_t macro;
    uint8_t min_args; /* without the receiver */
    uint8_t max_args;
    expr_fn call;
};

enum node_kind {
    NODE_BAD, /* an error was reported here: its parents stay silent */
    NODE_CONST,
    NODE_NAME, /* until checked */
    NODE_SLOT,
    NODE_LOCAL,
    NODE_CHAIN, /* first op operand op operand..., left to right */
    NODE_AND,
    NODE_OR,
    NODE_NOT,
    NODE_NEGATE,
    NODE_TERNARY,
    NODE_LIST,
    NODE_MAP,
    NODE_CALL,
    NODE_HAS,
    NODE_POSTFIX,
};

enum op {
    OP_NONE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_EQ,
    OP_NE,
    OP_IN,
};

struct node;

struct link {
    uint8_t op; /* enum op */
    uint32_t offset;
    struct node *operand;
};

enum step_kind { STEP_FIELD, STEP_INDEX, STEP_CALL, STEP_MACRO };

struct step {
    uint8_t kind;
    bool optional; /* .? or [? */
    uint8_t macro;
    bool quoted; /* .`name` */
    uint32_t offset;
    uint32_t local; /* macro: slot of the variable */
    uint32_t count; /* args */
    struct str name;
    struct node **args; /* index: one; macro: variable, then one or two bodies */
    const struct function *fn;
};

struct item {
    bool optional;
    struct node *key; /* maps only */
    struct node *val;
};

struct node {
    uint8_t kind;
    bool fixed;    /* reads no slot, no variable of an enclosing macro and calls nothing opaque */
    bool absolute; /* name: .x, never a local */
    uint32_t offset;
    uint32_t count; /* links, steps, items or args */
    union {
        struct value value;   /* const */
        struct str name;      /* name */
        uint32_t slot;        /* slot, local */
        struct node *operand; /* not, negate */
        struct {
            struct node *first;
            union {
                struct link *links; /* chain, and, or */
                struct step *steps; /* postfix */
            };
        };
        struct {
            struct node *cond;
            struct node *yes;
            struct node *no;
        };
        struct item *items; /* list, map */
        struct {
            struct str fn_name;
            struct node **args;
            const struct function *fn;
        };
        struct {
            struct node *of;
            struct str field;
        }; /* has */
    };
};

struct expr {
    struct str text; /* all of it: that of a template when part of one */
    struct mark at;
    uint32_t from, to; /* this expression in text */
    struct node *root;
    uint32_t *slots;
    uint32_t slot_count;
    uint32_t local_count; /* variables that may live at once */
};

/* The variables in reach of an expression, innermost first. */
struct local {
    struct str name;
    uint32_t index;
    const struct local *outer;
};

/* What compiling carries around. One per expression, or per template. */
struct compiler {
    struct arena *arena;
    const struct expr_scope *scope;
    struct diag *diag;
    const char *code; /* of findings */
    struct str text;
    struct mark at;
    uint32_t *slots;
    uint32_t slot_count;
    uint32_t local_count;
    uint32_t depth;
    bool failed;
    bool nomem;
};

/* compile.c */
struct mark expr_mark(struct str text, struct mark at, size_t offset);
struct diag_item *compile_error(struct compiler *c, uint32_t offset, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void *compile_alloc(struct compiler *c, size_t count, size_t size_bytes);
/* Room for one more item: a new array when count is 0 or a power of two, else items itself. */
void *compile_grow(struct compiler *c, void *items, uint32_t count, size_t size_bytes);
uint32_t compile_slot(struct compiler *c, uint32_t slot);
/* Compiles bytes [from, to) of c->text; NULL when something was reported. */
struct expr *compile_part(struct compiler *c, uint32_t from, uint32_t to,
                          const struct local *locals);
/* Checks size and encoding, then copies the text into the arena. */
bool compile_accepts(struct compiler *c, const char *what, size_t max_bytes);

/* parse.c, check.c, fold.c */
struct node *expr_parse(struct compiler *c, uint32_t from, uint32_t to);
void expr_check(struct compiler *c, struct node *root, const struct local *locals);
void expr_fold(struct compiler *c, struct expr *x);
/* lint.c: warnings about a checked tree. */
void expr_lint(struct compiler *c, const struct node *n);

/* tmpl.c: where the }} of an expression that begins at i stands, not in a string and not inside a
 * map; SIZE_MAX when there is none. */
size_t tmpl_find_close(struct str s, size_t i);

/* functions.c */
const struct function *function_find(struct str name, enum fn_form form);
/* The function that other languages call so, or NULL. */
const struct function *function_alias(struct str name);
/* The nearest name of that form, or an empty slice. */
struct str function_nearest(struct str name, enum fn_form form);
/* The names of all functions of that form, with commas. */
struct str function_names(enum fn_form form, struct arena *a);
const char *function_signature(const struct function *fn);

#endif
