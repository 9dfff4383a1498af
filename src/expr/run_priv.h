/* One evaluation under way: its limits, its variables and how it reports what went wrong.
 *
 * Every loop over something sized by data charges steps before it runs, so each evaluation ends.
 * A fault of the expression is ERR_EXPRESSION and may be absorbed by && and ||; limits and errors
 * of the environment never are.
 */
#ifndef CAIRN_EXPR_RUN_PRIV_H
#define CAIRN_EXPR_RUN_PRIV_H

#include "expr/expr_priv.h"
#include "value/regex.h"

struct run {
    struct expr_env *env;
    struct arena *arena;
    const struct expr *x; /* whose text and place messages cite */
    struct error *e;
    struct value *locals;
    uint64_t max_steps;
    size_t max_bytes;   /* for messages */
    size_t cap_bytes;   /* of the arena, when this is over */
    uint32_t at;        /* offset of the operation under way */
    uint32_t fault_at;  /* and of the one that e speaks of */
    bool quiet;         /* an earlier fault is kept in e: don't write another over it */
    bool faulted;       /* e was written */
    bool mismatch;      /* the last fault was one of types */
    bool built;         /* lists, maps or optionals were made */
    bool folding;       /* no slots; messages don't repeat the expression */
    struct str pattern; /* the last regular expression compiled in this run */
    const struct regex *regex;
};

/* Until run_end the arena gives what this evaluation may use, and no more. */
struct run run_start(struct expr_env *env, struct error *e, const struct expr *x);
void run_end(const struct run *r);
/* Room for count variables. */
enum err run_locals(struct run *r, uint32_t count);
/* run.c. These return the code, so: return run_fault(r, "..."). */
enum err run_fault(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A fault that other values of the same types would have too. */
enum err run_mismatch(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* ERR_LIMIT, never absorbed. */
enum err run_limit(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum err run_steps_exceeded(struct run *r);
enum err run_memory_exceeded(struct run *r);

static inline enum err run_charge(struct run *r, uint64_t steps) {
    r->env->steps += steps;
    return r->env->steps > r->max_steps ? run_steps_exceeded(r) : OK;
}

/* Bytes are cheaper than nodes. */
static inline enum err run_charge_bytes(struct run *r, uint64_t bytes) {
    return run_charge(r, bytes / 16);
}

static inline void *run_alloc(struct run *r, size_t count, size_t size_bytes) {
    return arena_array(r->arena, count, size_bytes);
}

/* Copies s into the arena as a text value. */
enum err run_text(struct run *r, struct str s, struct value *out);
/* Charges steps for every part of v, refuses one deeper than VALUE_MAX_DEPTH; *inner turns true
 * when it has parts that only expressions know: optionals, types, keys that are not text. */
enum err run_weigh(struct run *r, struct value v, uint32_t depth, bool *inner);
/* What leaves the module: weighed, optionals unwrapped, types and keys as text. */
enum err run_finish(struct run *r, struct value v, struct value *out);

/* "an int", "a string", "null" */
const char *type_phrase(struct value v);
/* The CEL name of v's type: "google.protobuf.Timestamp". */
struct str type_name(struct value v);
/* A type value; name must be static. */
struct value type_value(struct str name);
bool type_find(struct str name, struct value *out);

static inline struct value optional_none(void) { return (struct value){.type = VALUE_OPTIONAL}; }
enum err optional_some(struct run *r, struct value v, struct value *out);

/* args.c: the arguments of a function, args[0] being the receiver of a method. */
enum err arg_text(struct run *r, const char *fn, const struct value *args, uint32_t i,
                  struct str *out);
enum err arg_int(struct run *r, const char *fn, const struct value *args, uint32_t i, int64_t *out);
/* The fault that argument i is not what fn takes: "a string", "a list". */
enum err arg_wrong(struct run *r, const char *fn, const struct value *args, uint32_t i,
                   const char *takes);
/* A buffer bounded by what the arena has left; text_done moves its content into the arena. */
void text_start(struct run *r, struct buf *b);
enum err text_done(struct run *r, struct buf *b, struct value *out);
/* Code points of s. */
size_t text_length(struct str s);
/* The byte where code point number index begins, s.len when that is the end, SIZE_MAX beyond. */
size_t text_offset(struct str s, int64_t index);

/* eval.c */
enum err eval_node(struct run *r, const struct node *n, struct value *out);
enum err eval_bool(struct run *r, const struct node *n, const char *role, bool *out);

/* macro.c */
enum err eval_macro(struct run *r, const struct step *s, struct value v, struct value *out);

/* select.c */
enum err select_field(struct run *r, const struct step *s, struct value v, struct value *out);
enum err select_index(struct run *r, const struct step *s, struct value v, struct value key,
                      struct value *out);
enum err select_has(struct run *r, struct value v, struct str name, struct value *out);

/* ops.c */
enum err op_apply(struct run *r, enum op op, struct value a, struct value b, struct value *out);
enum err op_negate(struct run *r, struct value v, struct value *out);
const char *op_symbol(enum op op);
static inline bool is_number(struct value v) {
    return v.type == VALUE_INT || v.type == VALUE_UINT || v.type == VALUE_DOUBLE;
}

/* fn_time.c */
enum err time_add(struct run *r, struct value a, struct value b, int sign, struct value *out);

#define FN(name, form, min, max, impl, signature, doc, example, result) \
    enum err impl(struct run *r, const struct value *args, uint32_t count, struct value *out);
#define MACRO(name, form, macro, min, max, signature, doc, example, result)
#include "expr/functions.def"
#undef FN
#undef MACRO

#endif
