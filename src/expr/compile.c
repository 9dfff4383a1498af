/* The public face: compiling and evaluating one expression, and what compiling shares.
 *
 * A compiled expression is never changed, so any number of evaluations may use it. Every finding
 * goes to the caller's diag with the place of its first byte.
 */
#include "expr/run_priv.h"

#include <stdarg.h>
#include <stdio.h>

/* Lines after the first are taken to start at the column where the text starts: true for block
 * text in YAML, whose indentation is not part of it, and for files. */
struct mark expr_mark(struct str text, struct mark at, size_t offset) {
    uint32_t first = at.column ? at.column : 1;
    struct mark m = {at.file, at.line ? at.line : 1, first};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\n') {
            m.line++;
            m.column = first;
        } else if ((c & 0xc0) != 0x80) {
            m.column++;
        }
    }
    return m;
}

struct diag_item *compile_error(struct compiler *c, uint32_t offset, const char *fmt, ...) {
    char text[ERROR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->failed = true;
    return diag_error(c->diag, expr_mark(c->text, c->at, offset), c->code, "%s", n < 0 ? "" : text);
}

void *compile_alloc(struct compiler *c, size_t count, size_t size_bytes) {
    void *p = arena_array(c->arena, count, size_bytes);
    if (!p) {
        c->nomem = true;
    }
    return p;
}

void *compile_grow(struct compiler *c, void *items, uint32_t count, size_t size_bytes) {
    if (count & (count - 1)) {
        return items;
    }
    void *grown = compile_alloc(c, count ? (size_t)count * 2 : 1, size_bytes);
    if (grown && count) {
        memcpy(grown, items, count * size_bytes);
    }
    return grown;
}

uint32_t compile_slot(struct compiler *c, uint32_t slot) {
    for (uint32_t i = 0; i < c->slot_count; i++) {
        if (c->slots[i] == slot) {
            return slot;
        }
    }
    uint32_t *slots = compile_grow(c, c->slots, c->slot_count, sizeof *slots);
    if (slots) {
        c->slots = slots;
        c->slots[c->slot_count++] = slot;
    }
    return slot;
}

struct expr *compile_part(struct compiler *c, uint32_t from, uint32_t to,
                          const struct local *locals) {
    if (to - from > EXPR_MAX_TEXT) {
        compile_error(c, from, "the expression has %u bytes; the limit is %u", to - from,
                      EXPR_MAX_TEXT);
        return NULL;
    }
    bool failed_before = c->failed;
    c->failed = false;
    struct expr *x = compile_alloc(c, 1, sizeof *x);
    if (x) {
        *x = (struct expr){.text = c->text, .at = c->at, .from = from, .to = to};
        x->root = expr_parse(c, from, to);
    }
    if (x && x->root && !c->failed && !c->nomem) {
        expr_check(c, x->root, locals);
        x->local_count = c->local_count;
        if (!c->failed && !c->nomem) {
            expr_lint(c, x->root);
        }
        expr_fold(c, x);
    }
    bool ok = x && !c->failed && !c->nomem;
    c->failed |= failed_before;
    return ok ? x : NULL;
}

/* Without white space, and without one enclosing pair of {{ }}. */
static void trim(struct str text, uint32_t *from, uint32_t *to) {
    struct str s = str_trim(text);
    if (s.len >= 4 && str_starts(s, STR("{{")) && tmpl_find_close(s, 2) == s.len - 2) {
        s = str_trim(str_sub(s, 2, s.len - 2));
    }
    *from = s.len ? (uint32_t)(s.ptr - text.ptr) : 0;
    *to = *from + (uint32_t)s.len;
}

/* False, and a finding, when text cannot be compiled at all. */
bool compile_accepts(struct compiler *c, const char *what, size_t max_bytes) {
    if (c->text.len > max_bytes) {
        compile_error(c, 0, "the %s has %zu bytes; the limit is %zu", what, c->text.len, max_bytes);
        return false;
    }
    if (!str_is_utf8(c->text)) {
        compile_error(c, 0, "the %s is not UTF-8 text", what);
        return false;
    }
    c->text = arena_str(c->arena, c->text);
    c->nomem = !c->text.ptr;
    return !c->nomem;
}

enum err expr_compile(struct arena *a, struct str text, struct mark at,
                      const struct expr_scope *scope, const struct expr **out, struct diag *diag) {
    struct compiler c = {
        .arena = a, .scope = scope, .diag = diag, .code = "expression", .text = text, .at = at};
    struct expr *x = NULL;
    if (compile_accepts(&c, "expression", EXPR_MAX_TEXT)) {
        uint32_t from = 0;
        uint32_t to = 0;
        trim(c.text, &from, &to);
        x = compile_part(&c, from, to, NULL);
    }
    if (!x) {
        return c.nomem ? ERR_NOMEM : ERR_INVALID;
    }
    x->slots = c.slots;
    x->slot_count = c.slot_count;
    *out = x;
    return OK;
}

enum err expr_eval(const struct expr *x, struct expr_env *env, struct value *out, struct error *e) {
    struct run r = run_start(env, e, x);
    struct value v;
    enum err err = run_locals(&r, x->local_count);
    if (!err) {
        err = eval_node(&r, x->root, &v);
    }
    err = err ? err : run_finish(&r, v, out);
    run_end(&r);
    return err;
}

enum err expr_eval_bool(const struct expr *x, struct expr_env *env, bool *out, struct error *e) {
    struct run r = run_start(env, e, x);
    enum err err = run_locals(&r, x->local_count);
    err = err ? err : eval_bool(&r, x->root, "the expression must give", out);
    run_end(&r);
    return err;
}

const uint32_t *expr_slots(const struct expr *x, uint32_t *out_count) {
    *out_count = x->slot_count;
    return x->slots;
}

struct str expr_text(const struct expr *x) {
    return str_sub(x->text, x->from, x->to);
}

bool expr_constant(const struct expr *x, struct value *out) {
    if (x->root->kind != NODE_CONST) {
        return false;
    }
    struct value v = x->root->value;
    if (v.type == VALUE_OPTIONAL) {
        v = v.items ? v.items[0] : value_null();
    }
    *out = v.type == VALUE_TYPE ? value_text((struct str){v.ptr, v.extra}) : v;
    return true;
}
