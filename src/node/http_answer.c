/* What came: the body as a value, the headers as a map, and how a bad answer is quoted.
 *
 * What a server sends is data: it is never expanded or evaluated. Invariant: a text that is handed
 * on is UTF-8.
 */
#include "node/http_priv.h"

enum { EXCERPT_BYTES = 300 };

/* ---- headers ---- */

static struct str small_letters(struct arena *a, struct str s) {
    struct str copy = arena_str(a, s);
    char *p = copy.ptr ? arena_alloc(a, s.len + 1) : NULL;
    for (size_t i = 0; p && i < s.len; i++) {
        char c = copy.ptr[i];
        p[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return (struct str){p, p ? s.len : 0};
}

/* A value as text; bytes that are no UTF-8 (old servers send Latin-1) become that. */
static struct str utf8_of(struct arena *a, struct str s) {
    if (str_is_utf8(s)) {
        return arena_str(a, s);
    }
    char *p = arena_alloc(a, s.len * 2 + 1);
    size_t n = 0;
    for (size_t i = 0; p && i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x80) {
            p[n++] = (char)c;
        } else {
            p[n++] = (char)(0xC0 | c >> 6);
            p[n++] = (char)(0x80 | (c & 0x3F));
        }
    }
    return (struct str){p, p ? n : 0};
}

/* The values of one name, joined once: each time that one comes would take the square of them. */
struct joined {
    struct str *values;
    size_t count, cap, bytes;
};

static bool add_value(struct arena *a, struct joined *j, struct str value) {
    if (j->count == j->cap) {
        size_t cap = j->cap ? j->cap * 2 : 1;
        struct str *more = ARENA_ARRAY(a, cap, struct str);
        if (!more) {
            return false;
        }
        if (j->count) {
            memcpy(more, j->values, j->count * sizeof *more);
        }
        j->values = more;
        j->cap = cap;
    }
    j->values[j->count++] = value;
    j->bytes += value.len + 2;
    return true;
}

static struct str join(struct arena *a, const struct joined *j) {
    char *text = j->count == 1 ? NULL : arena_alloc(a, j->bytes);
    size_t len = 0;
    if (!text) {
        return j->count == 1 ? j->values[0] : (struct str){0};
    }
    for (size_t i = 0; i < j->count; i++) {
        if (i) {
            memcpy(text + len, ", ", 2);
            len += 2;
        }
        memcpy(text + len, j->values[i].ptr, j->values[i].len);
        len += j->values[i].len;
    }
    return (struct str){text, len};
}

struct value http_headers_value(struct arena *a, const struct net_response *r) {
    struct value_builder b;
    struct map seen;
    value_builder_init(&b, a);
    map_init(&seen, a);
    for (size_t i = 0; i < r->header_count; i++) {
        bool fresh;
        struct str value = utf8_of(a, r->headers[i].value);
        struct map_entry *m = map_put(&seen, small_letters(a, r->headers[i].name), &fresh);
        if (m && fresh) {
            m->ptr = ARENA_NEW(a, struct joined);
        }
        if (!m || !m->ptr || !value.ptr || !add_value(a, m->ptr, value)) {
            return value_null();
        }
    }
    for (uint32_t i = 0; i < seen.count; i++) {
        struct str all = join(a, seen.entries[i].ptr);
        value_map_add(&b, seen.entries[i].key, all.ptr ? value_text(all) : value_null());
    }
    return value_map_done(&b);
}

/* ---- the body ---- */

enum form { FORM_JSON, FORM_TEXT, FORM_BYTES, FORM_UNKNOWN };

static struct str media_type(struct arena *a, const struct net_response *r) {
    const struct str *type = net_header_find(r, "content-type");
    struct str rest;
    return type ? small_letters(a, str_trim(str_split(*type, ';', &rest))) : STR("");
}

static enum form form_of_type(struct str type) {
    static const char *const texts[] = {"application/xml", "application/javascript",
                                        "application/yaml", "application/x-www-form-urlencoded"};
    if (!type.len) {
        return FORM_UNKNOWN;
    }
    if (str_is(type, "application/json") || str_ends(type, STR("+json")) ||
        str_is(type, "text/json")) {
        return FORM_JSON;
    }
    bool text = str_starts(type, STR("text/")) || str_ends(type, STR("+xml"));
    for (size_t i = 0; !text && i < ARRAY_LEN(texts); i++) {
        text = str_is(type, texts[i]);
    }
    return text ? FORM_TEXT : FORM_BYTES;
}

static enum form form_wanted(struct value response) {
    if (response.type != VALUE_TEXT) {
        return FORM_UNKNOWN;
    }
    struct str word = value_str(response);
    return str_is(word, "json") ? FORM_JSON : str_is(word, "text") ? FORM_TEXT : FORM_BYTES;
}

struct str http_excerpt(struct arena *a, struct str body) {
    size_t len = body.len < EXCERPT_BYTES ? body.len : EXCERPT_BYTES;
    while (len < body.len && len > 0 && ((unsigned char)body.ptr[len] & 0xC0) == 0x80) {
        len--;
    }
    char *p = arena_alloc(a, len + 4);
    size_t n = 0;
    if (!p || !str_is_utf8(str_sub(body, 0, len))) {
        return STR("");
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)body.ptr[i];
        bool blank = c <= ' ' || c == 127;
        if (!blank || (n && p[n - 1] != ' ')) {
            p[n++] = blank ? ' ' : (char)c;
        }
    }
    struct str text = str_trim((struct str){p, n});
    return len < body.len ? arena_printf(a, "%.*s...", STR_ARG(text)) : text;
}

/* ": it begins with ...", or how long it is. */
static struct str describe(struct arena *a, struct str body) {
    struct str begin = http_excerpt(a, str_sub(body, 0, 120));
    return begin.len ? arena_printf(a, "%.*s", STR_ARG(begin))
                     : arena_printf(a, "%zu bytes that are no text", body.len);
}

static enum err read_json(const struct step_in *in, struct str type, struct str body,
                          struct value *out, struct error *e) {
    struct error why = {0};
    struct str text = body;
    if (str_starts(text, STR("\xEF\xBB\xBF"))) {
        text = str_sub(text, 3, text.len);
    }
    enum err err = value_parse_json(in->arena, text, out, &why);
    if (err == ERR_NOMEM) {
        return error_nomem(e);
    }
    if (err) {
        return error_set(e, ERR_INVALID,
                         "the answer is not the JSON that was wanted but %.*s: %.*s "
                         "(line %u, column %u: %s)",
                         STR_ARG(type.len ? type : STR("untyped")),
                         STR_ARG(describe(in->arena, body)), why.mark.line, why.mark.column,
                         why.message);
    }
    return OK;
}

static enum err read_text(const struct step_in *in, struct str body, struct value *out,
                          struct error *e) {
    if (!str_is_utf8(body)) {
        return error_set(e, ERR_INVALID,
                         "the answer is no text in UTF-8 but %.*s; response: bytes "
                         "takes it as it is",
                         STR_ARG(describe(in->arena, body)));
    }
    *out = value_text(body);
    return OK;
}

/* A body whose type says nothing: what it can be read as. */
static enum err guess(const struct step_in *in, enum form form, struct str body,
                      struct value *out) {
    struct error ignored;
    if (form == FORM_UNKNOWN && value_parse_json(in->arena, body, out, &ignored) == OK) {
        return OK;
    }
    *out = form != FORM_BYTES && str_is_utf8(body) ? value_text(body) : value_bytes(body);
    return OK;
}

enum err http_body_read(const struct step_in *in, const struct net_response *r, struct value *out,
                        struct error *e) {
    enum form wanted = form_wanted(in->fields[HTTP_RESPONSE]);
    struct str type = media_type(in->arena, r), body = arena_str(in->arena, r->body);
    enum form form = wanted == FORM_UNKNOWN ? form_of_type(type) : wanted;
    if (!body.ptr || body.len > VALUE_MAX_TEXT) {
        return error_nomem(e);
    }
    if (!body.len && wanted != FORM_TEXT && wanted != FORM_BYTES) {
        *out = value_null();
        return OK;
    }
    if (form == FORM_JSON) {
        return read_json(in, type, body, out, e);
    }
    if (wanted == FORM_TEXT) {
        return read_text(in, body, out, e);
    }
    if (wanted == FORM_BYTES) {
        *out = value_bytes(body);
        return OK;
    }
    return guess(in, form, body, out);
}
