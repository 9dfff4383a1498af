/* Checking a value: the rules of a node one after the other, errors collected with their place.
 *
 * A rule returns false when the value breaks it or when the run was stopped (x->err); a stopped
 * run ends at once and is an error of the check, never a verdict. Nodes applied to the same value
 * collect what they evaluated apart and hand it over only when they pass.
 */
#include <stdio.h>

#include "schema/schema_priv.h"

bool schema_stop(struct schema_run *x, enum err err) {
    if (x->err == OK) {
        x->err = err;
    }
    return false;
}

bool schema_step(struct schema_run *x, uint64_t steps) {
    x->steps += steps;
    if (x->steps > SCHEMA_MAX_STEPS && x->err == OK) {
        x->err = error_set(x->error, ERR_LIMIT,
                           "checking against the schema takes more than "
                           "%llu steps",
                           SCHEMA_MAX_STEPS);
    }
    return x->err == OK;
}

/* --- messages --- */

static void print_place(const struct schema_place *p, struct buf *out) {
    if (!p) {
        return;
    }
    print_place(p->outer, out);
    if (!p->key.ptr) {
        buf_printf(out, "/%zu", p->index);
        return;
    }
    buf_append_char(out, '/');
    for (size_t i = 0; i < p->key.len; i++) {
        char c = p->key.ptr[i];
        if (c == '~' || c == '/') {
            buf_append_cstr(out, c == '~' ? "~0" : "~1");
        } else {
            buf_append_char(out, c);
        }
    }
}

static struct str pointer(struct arena *a, const struct schema_place *p) {
    struct buf b;
    buf_init(&b, 0);
    print_place(p, &b);
    struct str s = buf_ok(&b) ? arena_str(a, buf_str(&b)) : (struct str){0};
    buf_fini(&b);
    return s;
}

bool schema_fail(struct schema_run *x, const struct schema_frame *f, const struct schema_rule *r,
                 const char *fmt, ...) {
    if (x->err != OK) {
        return false;
    }
    if (!schema_keeps_errors(x)) {
        x->sink->count++;
        return false;
    }
    char text[ERROR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    while (len && ((unsigned char)text[len - 1] & 0xc0) == 0x80 && (size_t)n >= sizeof text) {
        len--; /* cut: not within a character */
    }
    struct schema_error *e = &x->sink->errors[x->sink->count];
    e->instance = pointer(x->arena, f->place);
    e->keyword = str_from(r ? r->keyword->name : "false");
    e->message = arena_str(x->arena, (struct str){text, len});
    if (!e->instance.ptr || !e->message.ptr) {
        return schema_stop(x, error_nomem(x->error));
    }
    x->sink->count++;
    return false;
}

const char *schema_describe(struct schema_run *x, struct value v) {
    if (!schema_keeps_errors(x)) {
        return "";
    }
    if (v.type == VALUE_MAP) {
        return "a map";
    }
    if (v.type == VALUE_LIST) {
        return "a list";
    }
    struct buf b;
    buf_init(&b, 0);
    buf_append_cstr(&b, v.type == VALUE_TEXT ? "text " : "");
    value_print_short(v, 80, &b);
    struct str s = buf_ok(&b) ? arena_str(&x->scratch, buf_str(&b)) : (struct str){0};
    buf_fini(&b);
    if (!s.ptr) {
        schema_stop(x, error_nomem(x->error));
    }
    return s.ptr ? s.ptr : "";
}

bool schema_search(struct schema_run *x, const struct regex *regex, struct str text) {
    bool found = false;
    arena_reset(&x->search);
    enum err err = regex_search(regex, text, &x->search, &found, x->error);
    if (err != OK) {
        schema_stop(x, err);
    }
    return found && schema_step(x, 1 + text.len / 16);
}

/* --- what was evaluated --- */

enum err schema_no_room(struct schema_run *x) {
    return x->scratch.starved ? error_nomem(x->error)
                              : error_set(x->error, ERR_LIMIT, "checking takes too much memory");
}

void schema_mark_seen(struct schema_run *x, const struct schema_frame *f, size_t index) {
    struct schema_seen *s = f->seen;
    if (!s || s->all || index >= s->count) {
        return;
    }
    if (!s->bits) {
        s->bits = arena_alloc(&x->scratch, s->count);
    }
    if (s->bits) {
        s->bits[index] = 1;
    } else {
        schema_stop(x, schema_no_room(x));
    }
}

void schema_mark_all(const struct schema_frame *f) {
    if (f->seen) {
        f->seen->all = true;
    }
}

bool schema_is_seen(const struct schema_frame *f, size_t index) {
    const struct schema_seen *s = f->seen;
    return s && (s->all || (s->bits && s->bits[index]));
}

static void hand_over(struct schema_run *x, const struct schema_frame *f,
                      const struct schema_seen *from) {
    if (from->all) {
        schema_mark_all(f);
    }
    for (uint32_t i = 0; from->bits && i < from->count; i++) {
        if (from->bits[i]) {
            schema_mark_seen(x, f, i);
        }
    }
    if (from->bits) {
        schema_step(x, from->count / 8);
    }
}

/* --- applying nodes --- */

static bool run_rules(struct schema_run *x, struct schema_frame *f) {
    const struct schema_node *n = f->node;
    struct schema_scope scope = {f->scope, n->resource};
    if (!f->scope || f->scope->resource != n->resource) {
        f->scope = &scope;
    }
    bool good = true;
    for (uint32_t i = 0; i < n->rule_count && schema_step(x, 1); i++) {
        const struct schema_rule *r = &n->rules[i];
        good = r->keyword->check(x, f, r) && good;
        if (!good && x->sink->cap == 0) {
            return false; /* only the verdict is wanted */
        }
    }
    return good && x->err == OK;
}

static bool apply(struct schema_run *x, struct schema_frame *f) {
    if (f->node->never) {
        return schema_fail(x, f, NULL, "no value is allowed here");
    }
    if (f->node->rule_count == 0) {
        return x->err == OK;
    }
    if (x->depth == SCHEMA_MAX_DEPTH) {
        return schema_stop(x, error_set(x->error, ERR_LIMIT,
                                        "the value is nested too deeply, or "
                                        "the schema refers to itself"));
    }
    x->depth++;
    bool good = run_rules(x, f);
    x->depth--;
    return good;
}

static uint32_t parts(struct value v) {
    return v.type == VALUE_LIST || v.type == VALUE_MAP ? (uint32_t)value_count(v) : 0;
}

bool schema_apply_child(struct schema_run *x, const struct schema_frame *f,
                        const struct schema_node *n, struct value v, struct schema_place place) {
    struct schema_seen seen = {.count = parts(v)};
    struct schema_frame child = {.node = n, .v = v, .place = &place, .scope = f->scope};
    child.seen = x->schema->tracks ? &seen : NULL;
    return apply(x, &child);
}

bool schema_apply_same(struct schema_run *x, const struct schema_frame *f,
                       const struct schema_node *n) {
    struct schema_seen seen = {.count = parts(f->v)};
    struct schema_frame same = *f;
    same.node = n;
    same.seen = f->seen ? &seen : NULL;
    bool good = apply(x, &same);
    if (good && f->seen) {
        hand_over(x, f, &seen);
    }
    return good;
}

bool schema_test_same(struct schema_run *x, const struct schema_frame *f,
                      const struct schema_node *n) {
    struct schema_sink none = {0}, *kept = x->sink;
    x->sink = &none;
    bool good = schema_apply_same(x, f, n);
    x->sink = kept;
    return good;
}

bool schema_test_child(struct schema_run *x, const struct schema_frame *f,
                       const struct schema_node *n, struct value v, struct schema_place place) {
    struct schema_sink none = {0}, *kept = x->sink;
    x->sink = &none;
    bool good = schema_apply_child(x, f, n, v, place);
    x->sink = kept;
    return good;
}

struct str schema_explain(struct schema_run *x, const struct schema_frame *f,
                          const struct schema_node *n) {
    struct schema_error error = {0};
    struct schema_sink one = {.errors = &error, .cap = 1}, *kept = x->sink;
    x->sink = &one;
    x->explaining = true;
    struct schema_frame alone = *f;
    struct schema_seen seen = {.count = parts(f->v)};
    alone.seen = f->seen ? &seen : NULL;
    schema_apply_same(x, &alone, n);
    x->explaining = false;
    x->sink = kept;
    struct str here = pointer(&x->scratch, f->place);
    struct str inside = str_sub(error.instance, here.len, error.instance.len);
    if (inside.len) {
        return arena_printf(&x->scratch, "%.*s: %.*s", STR_ARG(inside), STR_ARG(error.message));
    }
    return error.message;
}

enum err schema_check(const struct schema *s, struct value v, struct arena *a,
                      struct schema_result *out, struct error *e) {
    struct schema_result result = {0};
    struct schema_sink sink = {.errors = result.errors, .cap = SCHEMA_MAX_ERRORS};
    struct schema_run x = {.schema = s, .arena = a, .sink = &sink, .error = e};
    arena_init(&x.scratch, (size_t)256 << 20);
    arena_init(&x.search, 0);
    struct schema_seen seen = {.count = parts(v)};
    struct schema_frame f = {.node = s->root, .v = v};
    f.seen = s->tracks ? &seen : NULL;
    result.valid = apply(&x, &f);
    result.count = sink.count < SCHEMA_MAX_ERRORS ? sink.count : SCHEMA_MAX_ERRORS;
    if (x.err == OK && (x.scratch.starved || a->starved)) { /* some message may be cut */
        x.err = error_nomem(e);
    }
    arena_fini(&x.scratch);
    arena_fini(&x.search);
    if (x.err != OK) {
        return x.err;
    }
    *out = result;
    return OK;
}
