/* The ways in which a secret is written by those who got it: as it is, inside JSON, inside a URL,
 * in base64 (as the Authorization header of a service that echoes its request).
 *
 * Each form is fixed text for the automaton. Not found are: hashes, encryption, compression, a
 * secret cut into parts that are told apart from each other, two of these forms at once.
 */
#include <stdio.h>

#include "value/redact_priv.h"
#include "value/value_priv.h"

static bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* RFC 3986 section 2.1; some leave '/' as it is, some write a space as '+', digits differ. */
struct url_style {
    const char *format;
    bool keep_slash, plus;
};

static void print_url(struct str s, const struct url_style *style, struct buf *out) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (is_unreserved(c) || (c == '/' && style->keep_slash)) {
            buf_append_char(out, c);
        } else if (c == ' ' && style->plus) {
            buf_append_char(out, '+');
        } else {
            char text[4];
            snprintf(text, sizeof text, style->format[1] == 'X' ? "%%%02X" : "%%%02x",
                     (unsigned)(unsigned char)c);
            buf_append_cstr(out, text);
        }
    }
}

static bool insert_urls(struct redactor *r, struct str text, uint16_t secret, struct buf *b) {
    static const struct url_style styles[] = {
        {"%X", false, false}, {"%x", false, false}, {"%X", true, false}, {"%x", true, false},
        {"%X", false, true},  {"%x", false, true},  {"%X", true, true},  {"%x", true, true},
    };
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(styles) && ok; i++) {
        buf_reset(b);
        print_url(text, &styles[i], b);
        ok = buf_ok(b) && redact_insert(r, buf_str(b), secret);
    }
    return ok;
}

/* Code points beyond ASCII as \uXXXX, in UTF-16 (RFC 8259 section 7). */
static void print_escaped(uint32_t c, struct buf *out) {
    if (c >= 0x10000) {
        buf_printf(out, "\\u%04x", 0xd800 + ((c - 0x10000) >> 10));
        c = 0xdc00 + ((c - 0x10000) & 0x3ff);
    }
    buf_printf(out, "\\u%04x", c);
}

/* s is well-formed UTF-8 with a first byte of at least 0xc2 at *i. */
static uint32_t code_point(struct str s, size_t *i) {
    unsigned char c = (unsigned char)s.ptr[(*i)++];
    uint32_t point = c >= 0xf0 ? c & 7u : c >= 0xe0 ? c & 15u : c & 31u;
    while (*i < s.len && ((unsigned char)s.ptr[*i] & 0xc0) == 0x80) {
        point = point << 6 | ((unsigned char)s.ptr[(*i)++] & 0x3f);
    }
    return point;
}

/* JSON text made of JSON text: with every '/' as \/, or every other than ASCII as \uXXXX. */
static void print_more_escaped(struct str json, bool slash, bool ascii, struct buf *out) {
    for (size_t i = 0; i < json.len;) {
        if (ascii && (unsigned char)json.ptr[i] >= 0xc2) {
            print_escaped(code_point(json, &i), out);
            continue;
        }
        if (slash && json.ptr[i] == '/') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, json.ptr[i++]);
    }
}

static bool insert_json(struct redactor *r, struct str text, uint16_t secret, struct buf *b) {
    struct buf json;
    buf_init(&json, 0);
    value_print_quoted(text, &json);
    struct str inner = str_sub(buf_str(&json), 1, json.len ? json.len - 1 : 0);
    bool ok = buf_ok(&json) && redact_insert(r, inner, secret);
    for (int i = 1; i < 4 && ok; i++) {
        buf_reset(b);
        print_more_escaped(inner, i & 1, i & 2, b);
        ok = buf_ok(b) && redact_insert(r, buf_str(b), secret);
    }
    if (json.ptr) {
        explicit_bzero(json.ptr, json.len);
    }
    buf_fini(&json);
    return ok;
}

/* Base64 of a text that holds the secret `skip` bytes after a border of three: those digits that
 * depend on the secret alone (RFC 4648). */
static bool insert_base64_at(struct redactor *r, struct str text, size_t skip, uint16_t secret,
                             struct buf *b) {
    struct buf padded;
    buf_init(&padded, 0);
    buf_append(&padded, str_sub(STR("\0\0"), 0, skip));
    buf_append(&padded, text);
    buf_reset(b);
    value_print_base64(buf_str(&padded), b);
    bool ok = buf_ok(&padded) && buf_ok(b);
    size_t from = (skip * 8 + 5) / 6, to = padded.len * 8 / 6;
    ok = ok && redact_insert(r, str_sub(buf_str(b), from, to), secret);
    for (size_t i = 0; i < b->len && ok; i++) {
        b->ptr[i] = b->ptr[i] == '+' ? '-' : b->ptr[i] == '/' ? '_' : b->ptr[i];
    }
    ok = ok && redact_insert(r, str_sub(buf_str(b), from, to), secret);
    if (padded.ptr) {
        explicit_bzero(padded.ptr, padded.len);
    }
    buf_fini(&padded);
    return ok;
}

bool redact_insert_forms(struct redactor *r, struct str text, uint16_t secret) {
    struct buf b;
    buf_init(&b, 0);
    bool ok = redact_insert(r, text, secret) && insert_json(r, text, secret, &b) &&
              insert_urls(r, text, secret, &b);
    for (size_t skip = 0; skip < 3 && ok; skip++) {
        ok = insert_base64_at(r, text, skip, secret, &b);
    }
    if (b.ptr) {
        explicit_bzero(b.ptr, b.cap);
    }
    buf_fini(&b);
    return ok;
}
