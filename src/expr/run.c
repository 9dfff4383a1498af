/* What every part of the evaluator uses: faults with their place, limits, and the door through
 * which results leave: nothing that only expressions know gets out (value.h, VALUE_TYPE).
 */
#include "expr/run_priv.h"

#include <stdarg.h>
#include <stdio.h>

#define EXCERPT_BYTES 100

struct run run_start(struct expr_env *env, struct error *e, const struct expr *x) {
    struct arena *a = env->arena;
    struct run r = {.env = env,
                    .arena = a,
                    .x = x,
                    .e = e,
                    .max_steps = env->max_steps ? env->max_steps : EXPR_MAX_STEPS,
                    .max_bytes = a->cap_bytes,
                    .cap_bytes = a->cap_bytes};
    if (env->max_bytes && env->max_bytes < a->cap_bytes - a->used_bytes) {
        r.max_bytes = env->max_bytes;
        a->cap_bytes = a->used_bytes + env->max_bytes;
    }
    return r;
}

void run_end(const struct run *r) { r->arena->cap_bytes = r->cap_bytes; }

enum err run_locals(struct run *r, uint32_t count) {
    if (count) {
        r->locals = run_alloc(r, count, sizeof *r->locals);
        if (!r->locals) {
            return run_memory_exceeded(r);
        }
    }
    return OK;
}

/* The line of the expression that holds the place, cut to EXCERPT_BYTES around it. */
static struct str excerpt(const struct run *r, bool *cut_before, bool *cut_after) {
    struct str text = str_sub(r->x->text, r->x->from, r->x->to);
    size_t at = r->at - r->x->from;
    size_t from = at < text.len ? at : text.len;
    size_t to = from;
    while (from > 0 && text.ptr[from - 1] != '\n' && at - from < EXCERPT_BYTES / 2) {
        from--;
    }
    while (to < text.len && text.ptr[to] != '\n' && to - from < EXCERPT_BYTES) {
        to++;
    }
    while (from < to && ((unsigned char)text.ptr[from] & 0xc0) == 0x80) {
        from++;
    }
    while (to < text.len && to > from && ((unsigned char)text.ptr[to] & 0xc0) == 0x80) {
        to--;
    }
    *cut_before = str_trim(str_sub(text, 0, from)).len > 0;
    *cut_after = str_trim(str_sub(text, to, text.len)).len > 0;
    return str_trim(str_sub(text, from, to));
}

/* Cuts text at a character border so that it has at most max bytes. */
static void shorten(char *text, size_t max) {
    if (strlen(text) > max) {
        while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80) {
            max--;
        }
        text[max] = '\0';
    }
}

/* The message with the part of the expression it is about, and the line that stands in. */
static enum err tell(struct run *r, enum err code, char what[ERROR_MESSAGE_BYTES]) {
    bool before = false;
    bool after = false;
    struct str part = excerpt(r, &before, &after);
    struct mark at = expr_mark(r->x->text, r->x->at, r->at);
    struct str file = str_sub(str_from(at.file), 0, 200);
    char place[260] = ""; /* without a file somebody shows the expression itself */
    if (file.len) {
        snprintf(place, sizeof place, " (%.*s, line %u)", STR_ARG(file), at.line);
    }
    shorten(what, ERROR_MESSAGE_BYTES - EXCERPT_BYTES - 30 - strlen(place));
    return error_at(r->e, code, at, "%s, in `%s%.*s%s`%s", what, before ? "..." : "", STR_ARG(part),
                    after ? "..." : "", place);
}

PRINTF_LIKE(2, 0)
static enum err fault(struct run *r, const char *fmt, va_list ap) {
    if (r->quiet) {
        return ERR_EXPRESSION;
    }
    r->faulted = true;
    r->fault_at = r->at;
    char what[ERROR_MESSAGE_BYTES];
    int n = vsnprintf(what, sizeof what, fmt, ap);
    if (n < 0) {
        what[0] = '\0';
    }
    if (r->folding) {
        return error_set(r->e, ERR_EXPRESSION, "%s", what);
    }
    return tell(r, ERR_EXPRESSION, what);
}

enum err run_fault(struct run *r, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    r->mismatch &= r->quiet;
    enum err err = fault(r, fmt, ap);
    va_end(ap);
    return err;
}

enum err run_mismatch(struct run *r, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    r->mismatch |= !r->quiet;
    enum err err = fault(r, fmt, ap);
    va_end(ap);
    return err;
}

enum err run_limit(struct run *r, const char *fmt, ...) {
    va_list ap;
    char what[ERROR_MESSAGE_BYTES];
    va_start(ap, fmt);
    int n = vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (n < 0) {
        what[0] = '\0';
    }
    return tell(r, ERR_LIMIT, what);
}

enum err run_steps_exceeded(struct run *r) {
    return run_limit(r, "the expression takes more than %llu steps",
                     (unsigned long long)r->max_steps);
}

enum err run_memory_exceeded(struct run *r) {
    if (r->arena->starved) {
        return error_nomem(r->e);
    }
    return run_limit(r, "the expression needs more than the %zu bytes of memory it may use",
                     r->max_bytes);
}

enum err run_text(struct run *r, struct str s, struct value *out) {
    if (s.len > VALUE_MAX_TEXT) {
        return run_memory_exceeded(r);
    }
    struct str copy = arena_str(r->arena, s);
    if (!copy.ptr) {
        return run_memory_exceeded(r);
    }
    *out = value_text(copy);
    return OK;
}

enum err optional_some(struct run *r, struct value v, struct value *out) {
    struct value *held = run_alloc(r, 1, sizeof *held);
    if (!held) {
        return run_memory_exceeded(r);
    }
    r->built = true;
    *held = v;
    *out = (struct value){.type = VALUE_OPTIONAL, .items = held};
    return OK;
}

static enum err weigh_pair(struct run *r, struct value_pair pair, uint32_t depth, bool *inner) {
    *inner |= pair.key.type != VALUE_TEXT;
    enum err err = run_charge_bytes(r, pair.key.type == VALUE_TEXT ? pair.key.extra : 0);
    return err ? err : run_weigh(r, pair.val, depth, inner);
}

enum err run_weigh(struct run *r, struct value v, uint32_t depth, bool *inner) {
    enum err err = run_charge(r, 1);
    if (depth > VALUE_MAX_DEPTH) {
        return run_limit(r, "lists and maps nested deeper than %d", VALUE_MAX_DEPTH);
    }
    switch (v.type) {
    case VALUE_TEXT:
    case VALUE_BYTES: return err ? err : run_charge_bytes(r, v.extra);
    case VALUE_LIST:
        for (uint32_t i = 0; !err && i < v.extra; i++) {
            err = run_weigh(r, v.items[i], depth + 1, inner);
        }
        return err;
    case VALUE_MAP:
        for (uint32_t i = 0; !err && i < v.extra; i++) {
            err = weigh_pair(r, v.pairs[i], depth + 1, inner);
        }
        return err;
    case VALUE_OPTIONAL:
        *inner = true;
        return err || !v.items ? err : run_weigh(r, *v.items, depth + 1, inner);
    case VALUE_TYPE: *inner = true; return err;
    default: return err;
    }
}

static enum err outward(struct run *r, struct value v, struct value *out);

static enum err outward_list(struct run *r, struct value v, struct value *out) {
    struct value *items = run_alloc(r, v.extra, sizeof *items);
    if (v.extra && !items) {
        return run_memory_exceeded(r);
    }
    for (uint32_t i = 0; i < v.extra; i++) {
        enum err err = outward(r, v.items[i], &items[i]);
        if (err) {
            return err;
        }
    }
    *out = value_list(items, v.extra);
    return OK;
}

/* A key that is not text becomes the text that JSON would show. */
static enum err outward_key(struct run *r, struct value key, struct value *out) {
    if (key.type == VALUE_TEXT) {
        *out = key;
        return OK;
    }
    struct buf text;
    buf_init(&text, 64);
    value_print_text(key, &text);
    enum err err = run_text(r, buf_str(&text), out);
    buf_fini(&text);
    return err;
}

static enum err outward_map(struct run *r, struct value v, struct value *out) {
    struct value_builder b;
    value_builder_init(&b, r->arena);
    for (uint32_t i = 0; i < v.extra; i++) {
        struct value key;
        struct value val;
        enum err err = outward_key(r, v.pairs[i].key, &key);
        err = err ? err : outward(r, v.pairs[i].val, &val);
        if (err) {
            return err;
        }
        value_map_add_value(&b, key, val);
    }
    *out = value_map_done(&b);
    if (b.ok && out->extra != v.extra) {
        return run_fault(r, "two keys of the resulting map become the same text");
    }
    return b.ok ? OK : run_memory_exceeded(r);
}

static enum err outward(struct run *r, struct value v, struct value *out) {
    switch (v.type) {
    case VALUE_OPTIONAL:
        if (v.items) {
            return outward(r, *v.items, out);
        }
        *out = value_null();
        return OK;
    case VALUE_TYPE: *out = value_text(value_str(v)); return OK;
    case VALUE_LIST: return outward_list(r, v, out);
    case VALUE_MAP: return outward_map(r, v, out);
    default: *out = v; return OK;
    }
}

enum err run_finish(struct run *r, struct value v, struct value *out) {
    bool inner = v.type == VALUE_OPTIONAL || v.type == VALUE_TYPE;
    struct value result = v;
    enum err err = OK;
    r->at = r->x->root->offset;
    if (r->built) {
        err = run_weigh(r, v, 0, &inner);
    }
    if (!err && inner) {
        err = outward(r, v, &result);
    }
    if (!err) {
        *out = result;
        if (r->faulted && r->e) {
            *r->e = (struct error){0}; /* the fault was absorbed */
        }
    }
    return err;
}
