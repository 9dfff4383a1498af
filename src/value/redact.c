/* Redacting texts, values and streams with the automaton of redact_match.c.
 *
 * Invariant of a stream: what it holds back is no longer than the longest form of a secret, and
 * nothing of what was told is part of a find that comes later.
 */
#include "value/redact.h"

#include <stdlib.h>

#include "value/redact_priv.h"

/* ---- the secrets ---- */

struct redactor *redactor_new(void) {
    return calloc(1, sizeof(struct redactor));
}

void redactor_free(struct redactor *r) {
    if (!r) {
        return;
    }
    for (uint32_t i = 0; i < r->secret_count; i++) {
        free((char *)(uintptr_t)r->secrets[i].name.ptr);
    }
    if (r->nodes) {
        explicit_bzero(r->nodes, r->cap * sizeof *r->nodes);
    }
    free(r->nodes);
    free(r->secrets);
    free(r);
}

static bool is_numeric(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (!strchr("0123456789+-.eE", s.ptr[i]) || !s.ptr[i]) {
            return false;
        }
    }
    return true;
}

bool redactor_add(struct redactor *r, struct str name, struct str secret) {
    ASSERT(secret.len >= SECRET_MIN_BYTES && secret.len <= SECRET_MAX_BYTES);
    struct redact_secret *secrets =
        r->secret_count < UINT16_MAX ? realloc(r->secrets, (r->secret_count + 1u) * sizeof *secrets)
                                     : NULL;
    char *kept = secrets ? malloc(name.len + 1) : NULL;
    r->secrets = secrets ? secrets : r->secrets;
    if (!kept) {
        return false;
    }
    memcpy(kept, name.ptr, name.len);
    uint16_t number = (uint16_t)r->secret_count++;
    secrets[number] = (struct redact_secret){{kept, name.len}, secret.len};
    r->numeric |= is_numeric(secret);
    r->version++;
    return redact_insert_forms(r, secret, number) && redact_link(r);
}

/* ---- texts ---- */

/* Appends bytes [from, to) of text with covers in place of what they cover. */
static void append_covered(const struct redactor *r, struct str text, const struct covers *c,
                           struct buf *out) {
    size_t from = 0;
    for (size_t i = 0; i < c->count; i++) {
        buf_append(out, str_sub(text, from, c->items[i].from));
        redact_mark(r, c->items[i].secret, out);
        from = c->items[i].to;
    }
    buf_append(out, str_sub(text, from, text.len));
}

/* *out is text itself when there is nothing to take out, else in a. */
static bool take_out(const struct redactor *r, struct arena *a, struct str text,
                     struct covers *found, struct str *out) {
    struct buf b;
    *out = text;
    if (!found->count && !found->failed) {
        return true;
    }
    buf_init(&b, VALUE_MAX_TEXT);
    append_covered(r, text, found, &b);
    *out = buf_ok(&b) && !found->failed ? arena_str(a, buf_str(&b)) : (struct str){0};
    a->starved = a->starved || b.starved || found->failed;
    covers_fini(found);
    buf_fini(&b);
    return out->ptr != NULL;
}

static bool redact(const struct redactor *r, struct arena *a, struct str text, struct str *out) {
    struct covers found = {0};
    uint32_t state = 0;
    redact_match(r, &state, text, 0, &found);
    return take_out(r, a, text, &found, out);
}

static bool keep_copy(struct arena *a, struct str text, struct str *out) {
    if (out->ptr == text.ptr && text.len) {
        *out = arena_str(a, text);
    }
    return out->ptr || !text.len;
}

static bool redact_text(const struct redactor *r, struct arena *a, struct str text,
                        struct str *out) {
    return redact(r, a, text, out) && keep_copy(a, text, out);
}

bool redact_message(const struct redactor *r, struct arena *a, struct str text, struct str *out) {
    struct covers found = {0};
    redact_match_halves(r, text, &found);
    return take_out(r, a, text, &found, out) && keep_copy(a, text, out);
}

/* ---- values ---- */

static bool redact_bytes(const struct redactor *r, struct arena *a, struct value v,
                         struct value *out) {
    struct str text;
    if (!redact_text(r, a, value_str(v), &text)) {
        return false;
    }
    *out = v.type == VALUE_TEXT ? value_text(text) : value_bytes(text);
    return true;
}

static bool redact_number(const struct redactor *r, struct arena *a, struct value v,
                          struct value *out) {
    struct buf b;
    struct str text;
    buf_init(&b, 0);
    value_print_text(v, &b);
    bool ok = buf_ok(&b) && redact(r, a, buf_str(&b), &text);
    a->starved = a->starved || b.starved;
    *out = ok && text.ptr != b.ptr ? value_text(text) : v;
    buf_fini(&b);
    return ok;
}

static bool redact_list(const struct redactor *r, struct arena *a, struct value v,
                        struct value *out) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (size_t i = 0; i < value_count(v); i++) {
        struct value item;
        if (!redact_value(r, a, v.items[i], &item)) {
            return false;
        }
        value_list_add(&b, item);
    }
    *out = value_list_done(&b);
    return b.ok;
}

/* Of keys that become the same, the last counts. */
static bool redact_map(const struct redactor *r, struct arena *a, struct value v,
                       struct value *out) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (size_t i = 0; i < value_count(v); i++) {
        struct value key, val;
        if (!redact_value(r, a, v.pairs[i].key, &key) ||
            !redact_value(r, a, v.pairs[i].val, &val)) {
            return false;
        }
        value_map_add_value(&b, key, val);
    }
    *out = value_map_done(&b);
    return b.ok;
}

bool redact_value(const struct redactor *r, struct arena *a, struct value v, struct value *out) {
    switch ((enum value_type)v.type) {
    case VALUE_TEXT:
    case VALUE_BYTES: return redact_bytes(r, a, v, out);
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
        if (r->numeric) {
            return redact_number(r, a, v, out);
        }
        *out = v;
        return true;
    case VALUE_LIST: return redact_list(r, a, v, out);
    case VALUE_MAP: return redact_map(r, a, v, out);
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION:
    case VALUE_TYPE:
    case VALUE_OPTIONAL: break;
    }
    *out = v; /* types and optionals never leave an expression */
    return true;
}

/* ---- streams ---- */

struct redact_stream {
    const struct redactor *r;
    struct buf held;      /* bytes not yet told */
    struct covers covers; /* places in held; of the first one the beginning may be gone */
    uint32_t state;
    uint32_t version; /* of the redactor, that state belongs to */
};

struct redact_stream *redact_stream_new(const struct redactor *r) {
    struct redact_stream *s = calloc(1, sizeof *s);
    if (s) {
        s->r = r;
        s->version = r->version;
        buf_init(&s->held, 0);
    }
    return s;
}

void redact_stream_free(struct redact_stream *s) {
    if (!s) {
        return;
    }
    if (s->held.ptr) {
        explicit_bzero(s->held.ptr, s->held.cap);
    }
    buf_fini(&s->held);
    covers_fini(&s->covers);
    free(s);
}

/* There is another secret: what is held back is read again. Only a cover whose beginning is gone
 * would not be found again; it stands at the very start. */
static void read_again(struct redact_stream *s) {
    bool keep = s->covers.count && s->covers.items[0].from == 0;
    s->covers.count = keep;
    s->state = 0;
    s->version = s->r->version;
    redact_match(s->r, &s->state, buf_str(&s->held), 0, &s->covers);
}

/* Tells held[0, upto); no find to come begins before that. */
static void tell(struct redact_stream *s, size_t upto, struct buf *out) {
    struct covers *c = &s->covers;
    struct str held = buf_str(&s->held);
    size_t from = 0, done = 0;
    while (done < c->count && c->items[done].to <= upto) {
        buf_append(out, str_sub(held, from, c->items[done].from));
        redact_mark(s->r, c->items[done].secret, out);
        from = c->items[done++].to;
    }
    bool open = done < c->count && c->items[done].from < upto; /* it may still become longer */
    buf_append(out, str_sub(held, from, open ? c->items[done].from : upto));
    memmove(s->held.ptr, s->held.ptr + upto, s->held.len - upto);
    s->held.len -= upto;
    c->count -= done;
    for (size_t i = 0; i < c->count; i++) {
        struct cover moved = c->items[i + done];
        moved.from = moved.from > upto ? moved.from - upto : 0;
        moved.to -= upto;
        c->items[i] = moved;
    }
}

bool redact_stream_feed(struct redact_stream *s, struct str piece, bool flush, struct buf *out) {
    if (s->version != s->r->version) {
        read_again(s);
    }
    size_t before = s->held.len;
    buf_append(&s->held, piece);
    if (!buf_ok(&s->held)) {
        return false;
    }
    redact_match(s->r, &s->state, piece, before, &s->covers);
    if (s->covers.failed) {
        return false;
    }
    size_t open = s->r->count && !flush ? s->r->nodes[s->state].depth : 0;
    ASSERT(open <= s->held.len);
    if (s->held.len > open) {
        tell(s, s->held.len - open, out);
    }
    if (flush) {
        s->state = 0;
    }
    return buf_ok(out);
}
