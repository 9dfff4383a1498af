/* JSON to values: jansson reads (RFC 8259, UTF-8, duplicate keys refused), its tree is converted.
 *
 * jansson recurses, so a scan over the text first refuses what is nested deeper than
 * VALUE_MAX_DEPTH. It also counts the bytes of strings and finds the numbers of LONG_BYTES or more:
 * jansson refuses integers beyond 64 bits, and out of memory it leaves bytes out of long strings
 * and numbers without a word (2.14). If there are any such numbers, jansson gets a copy with "0"
 * and spaces in their place, and the conversion, which meets numbers in the same order as the scan
 * did, puts the real ones back; the count of bytes is compared. The scan decides nothing about
 * validity: it is exact for valid JSON, and jansson still refuses everything else. jansson is used
 * in no other file. One thing RFC 8259 allows is refused, for jansson cannot hold it: \u0000 in a
 * key.
 */
#include "value/value.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "value/value_priv.h"

#define LONG_BYTES 15u
#define DOUBLE_MAX_DIGITS 309u /* an integer with more digits is beyond every double */

/* A number that jansson does not get to see. */
struct long_number {
    size_t ordinal; /* how many numbers stand before it */
    size_t pos;
    size_t len;
    bool real; /* has a fraction or an exponent */
};

struct scan {
    struct str in;
    size_t numbers;
    size_t text_bytes; /* that all strings take */
    size_t depth;
    char *copy;                /* second pass: what jansson reads */
    struct long_number *longs; /* second pass: filled */
    size_t longs_count;
};

struct converter {
    struct arena *arena;
    char *text; /* room for what is left of all strings, */
    const char *text_end;
    const struct scan *scan;
    size_t numbers; /* met so far */
    size_t next_long;
    struct error *e;
};

/* Line and column of a byte, both from 1, the column in code points. */
static struct mark mark_of(struct str in, size_t pos) {
    struct mark m = {.line = 1, .column = 1};
    for (size_t i = 0; i < pos && i < in.len; i++) {
        if (in.ptr[i] == '\n') {
            m.line++;
            m.column = 1;
        } else if (((unsigned char)in.ptr[i] & 0xC0) != 0x80) {
            m.column++;
        }
    }
    return m;
}

/* --- scan ----------------------------------------------------------------------------------- */

/* The bytes that \uXXXX takes: of the two halves of a pair each counts 2. */
static size_t unicode_bytes(struct str in, size_t pos) {
    unsigned code = 0;
    for (size_t i = pos; i < pos + 4 && i < in.len; i++) {
        unsigned c = (unsigned char)in.ptr[i];
        code = code * 16 + (c <= '9' ? c - '0' : (c | 0x20u) - 'a' + 10);
    }
    return code < 0x80 ? 1 : code < 0x800 || (code >= 0xD800 && code < 0xE000) ? 2 : 3;
}

/* From the opening quote to behind the closing one (or the end). */
static size_t skip_string(struct scan *s, size_t pos) {
    struct str in = s->in;
    for (pos++; pos < in.len && in.ptr[pos] != '"'; pos++) {
        if (in.ptr[pos] != '\\') {
            s->text_bytes++;
            continue;
        }
        pos++;
        bool coded = pos < in.len && in.ptr[pos] == 'u';
        s->text_bytes += coded ? unicode_bytes(in, pos + 1) : 1;
        pos += coded ? 4 : 0;
    }
    return pos < in.len ? pos + 1 : in.len;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static size_t skip_number(struct str in, size_t pos) {
    while (pos < in.len && (is_digit(in.ptr[pos]) || memchr("+-.eE", in.ptr[pos], 5))) {
        pos++;
    }
    return pos;
}

static size_t skip_digits(struct str s, size_t pos) {
    while (pos < s.len && is_digit(s.ptr[pos])) {
        pos++;
    }
    return pos;
}

/* A number as RFC 8259 has it, of so many bytes that jansson is not to be trusted with it; one that
 * is none is left to jansson to refuse. */
static bool is_long(struct str s, bool *out_real) {
    size_t pos = s.ptr[0] == '-';
    *out_real = false;
    if (s.len < LONG_BYTES || !is_digit(s.ptr[pos])) {
        return false;
    }
    pos = s.ptr[pos] == '0' ? pos + 1 : skip_digits(s, pos);
    if (pos < s.len && s.ptr[pos] == '.') {
        size_t end = skip_digits(s, pos + 1);
        *out_real = end > pos + 1;
        pos = *out_real ? end : pos;
    }
    if (pos < s.len && (s.ptr[pos] | 0x20) == 'e') {
        size_t from = pos + 1;
        from += from < s.len && (s.ptr[from] == '+' || s.ptr[from] == '-');
        size_t end = skip_digits(s, from);
        *out_real = *out_real || end > from;
        pos = end > from ? end : pos;
    }
    return pos == s.len;
}

static size_t scan_number(struct scan *s, size_t pos) {
    size_t end = skip_number(s->in, pos);
    bool real;
    if (is_long(str_sub(s->in, pos, end), &real)) {
        if (s->copy) {
            memset(s->copy + pos, ' ', end - pos);
            s->copy[pos] = '0';
            s->longs[s->longs_count] = (struct long_number){s->numbers, pos, end - pos, real};
        }
        s->longs_count++;
    }
    s->numbers++;
    return end;
}

/* One pass over the text; SIZE_MAX, or where it is nested too deep. */
static size_t scan_text(struct scan *s) {
    s->numbers = s->text_bytes = s->depth = s->longs_count = 0;
    for (size_t pos = 0; pos < s->in.len;) {
        char c = s->in.ptr[pos];
        if (c == '"') {
            pos = skip_string(s, pos);
        } else if (c == '-' || is_digit(c)) {
            pos = scan_number(s, pos);
        } else {
            if ((c == '[' || c == '{') && ++s->depth > VALUE_MAX_DEPTH) {
                return pos;
            }
            if ((c == ']' || c == '}') && s->depth > 0) {
                s->depth--;
            }
            pos++;
        }
    }
    return SIZE_MAX;
}

/* Second pass, only when there are long numbers. */
static enum err hide_longs(struct scan *s, struct error *e) {
    size_t count = s->longs_count;
    s->copy = malloc(s->in.len);
    s->longs = calloc(count, sizeof *s->longs);
    if (!s->copy || !s->longs) {
        return error_nomem(e);
    }
    memcpy(s->copy, s->in.ptr, s->in.len);
    (void)scan_text(s);
    ASSERT(s->longs_count == count);
    return OK;
}

/* --- conversion ----------------------------------------------------------------------------- */

static enum err convert(struct converter *c, json_t *json, struct value *out);

static struct value take_text(struct converter *c, const char *s, size_t len) {
    ASSERT(len <= (size_t)(c->text_end - c->text)); /* less may come: see parse */
    if (len) {
        memcpy(c->text, s, len);
    }
    struct value v = value_text((struct str){c->text, len});
    c->text += len;
    return v;
}

static enum err too_large(struct converter *c, const struct long_number *n) {
    return error_at(c->e, ERR_INVALID, mark_of(c->scan->in, n->pos),
                    "JSON: a number of %zu digits is too large", n->len);
}

static enum err parse_real(struct converter *c, struct str literal, const struct long_number *n,
                           struct value *out) {
    struct str text = arena_str(c->arena, literal); /* strtod wants an end */
    if (!text.ptr) {
        return error_nomem(c->e);
    }
    double d = strtod(text.ptr, NULL);
    *out = value_double(d);
    return isinf(d) ? too_large(c, n) : OK;
}

/* An integer beyond 64 bits: the nearest double, marked lossy. */
static enum err parse_lossy(struct converter *c, const struct long_number *n, struct value *out) {
    char text[DOUBLE_MAX_DIGITS + 2] = "";
    double d = HUGE_VAL;
    if (n->len < sizeof text) {
        memcpy(text, c->scan->in.ptr + n->pos, n->len);
        d = strtod(text, NULL);
    }
    if (isinf(d)) {
        return too_large(c, n);
    }
    *out = value_double(d);
    out->flags = VALUE_LOSSY;
    return OK;
}

static enum err convert_integer(struct converter *c, json_t *json, struct value *out) {
    size_t ordinal = c->numbers++;
    const struct scan *s = c->scan;
    if (c->next_long == s->longs_count || s->longs[c->next_long].ordinal != ordinal) {
        *out = value_int(json_integer_value(json));
        return OK;
    }
    const struct long_number *n = &s->longs[c->next_long++];
    struct str literal = str_sub(s->in, n->pos, n->pos + n->len);
    int64_t i;
    uint64_t u;
    if (n->real) {
        return parse_real(c, literal, n, out);
    }
    if (str_to_int64(literal, &i)) {
        *out = value_int(i);
    } else if (str_to_uint64(literal, &u)) {
        *out = value_uint(u);
    } else {
        return parse_lossy(c, n, out);
    }
    return OK;
}

static enum err check_count(struct converter *c, size_t count) {
    if (count <= VALUE_MAX_COUNT) {
        return OK;
    }
    return error_set(c->e, ERR_LIMIT, "JSON: a list or map has more than %u items",
                     VALUE_MAX_COUNT);
}

static enum err convert_array(struct converter *c, json_t *json, struct value *out) {
    size_t count = json_array_size(json);
    enum err err = check_count(c, count);
    if (err != OK) {
        return err;
    }
    struct value *items = ARENA_ARRAY(c->arena, count, struct value);
    if (!items) {
        return error_nomem(c->e);
    }
    for (size_t i = 0; i < count && err == OK; i++) {
        err = convert(c, json_array_get(json, i), &items[i]);
    }
    *out = value_list(items, count);
    return err;
}

static enum err convert_object(struct converter *c, json_t *json, struct value *out) {
    size_t count = json_object_size(json);
    enum err err = check_count(c, count);
    if (err != OK) {
        return err;
    }
    struct value_pair *pairs = value_pairs_alloc(c->arena, count);
    if (!pairs) {
        return error_nomem(c->e);
    }
    struct value_pair *pair = pairs;
    for (void *it = json_object_iter(json); it && err == OK;
         it = json_object_iter_next(json, it), pair++) {
        pair->key = take_text(c, json_object_iter_key(it), json_object_iter_key_len(it));
        err = convert(c, json_object_iter_value(it), &pair->val);
    }
    if (err != OK) {
        return err;
    }
    bool unique = value_pairs_index(pairs, count);
    ASSERT(unique); /* JSON_REJECT_DUPLICATES */
    *out = value_map_of(pairs, count);
    return OK;
}

/* The scan bounds the depth of this recursion. */
static enum err convert(struct converter *c, json_t *json, struct value *out) {
    switch (json_typeof(json)) {
    case JSON_NULL: *out = value_null(); return OK;
    case JSON_TRUE:
    case JSON_FALSE: *out = value_bool(json_is_true(json)); return OK;
    case JSON_INTEGER: return convert_integer(c, json, out);
    case JSON_REAL:
        c->numbers++;
        *out = value_double(json_real_value(json));
        return OK;
    case JSON_STRING:
        *out = take_text(c, json_string_value(json), json_string_length(json));
        return OK;
    case JSON_ARRAY: return convert_array(c, json, out);
    case JSON_OBJECT: return convert_object(c, json, out);
    }
    return error_set(c->e, ERR_INVALID, "JSON: unknown type");
}

/* --- parsing -------------------------------------------------------------------------------- */

/* jansson tells a lack of memory as an error without a text, or, when it has none for a string, as
 * one of the syntax just behind it, where there can be none: a complete string is a valid token. */
static bool lacks_memory(const json_error_t *je, struct str in) {
    if (json_error_code(je) == json_error_out_of_memory || !je->text[0]) {
        return true;
    }
    bool syntax = str_starts(str_from(je->text), STR("invalid token")) ||
                  str_starts(str_from(je->text), STR("string or '}' expected"));
    size_t behind = je->position > 0 ? (size_t)je->position : 0;
    return syntax && behind && behind <= in.len && in.ptr[behind - 1] == '"';
}

static enum err refuse(const json_error_t *je, struct str in, struct error *e) {
    if (lacks_memory(je, in)) {
        return error_nomem(e);
    }
    struct mark mark = {
        .line = je->line > 0 ? (uint32_t)je->line : 1,
        .column = je->column > 0 ? (uint32_t)je->column : 1,
    };
    return error_at(e, ERR_INVALID, mark, "JSON: %s", je->text);
}

static enum err load_tree(const struct scan *s, json_t **out, struct error *e) {
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t je;
    *out = json_loadb(s->copy ? s->copy : s->in.ptr, s->in.len, flags, &je);
    return *out ? OK : refuse(&je, s->in, e);
}

static enum err parse(struct arena *a, struct scan *s, struct value *out, struct error *e) {
    enum err err = s->longs_count ? hide_longs(s, e) : OK;
    json_t *tree = NULL;
    if (err == OK) {
        err = load_tree(s, &tree, e);
    }
    if (err != OK) {
        return err;
    }
    struct converter c = {.arena = a, .scan = s, .e = e};
    struct value v = value_null();
    char *text = c.text = arena_alloc(a, s->text_bytes);
    c.text_end = text ? text + s->text_bytes : NULL;
    err = text ? convert(&c, tree, &v) : error_nomem(e);
    json_decref(tree);
    if (err == OK && c.text != c.text_end) {
        err = error_nomem(e); /* jansson had no memory for some bytes */
    }
    if (err == OK) {
        *out = v;
    }
    return err;
}

static bool is_blank(struct str in) {
    for (size_t i = 0; i < in.len; i++) {
        if (!memchr(" \t\r\n", in.ptr[i], 4)) {
            return false;
        }
    }
    return true;
}

enum err value_parse_json(struct arena *a, struct str in, struct value *out, struct error *e) {
    struct scan s = {.in = in};
    if (in.len > VALUE_MAX_TEXT) {
        return error_set(e, ERR_LIMIT, "JSON: the text is longer than %u bytes", VALUE_MAX_TEXT);
    }
    if (is_blank(in)) {
        return error_at(e, ERR_INVALID, mark_of(in, in.len), "JSON: the text is empty");
    }
    const char *nul = memchr(in.ptr, '\0', in.len); /* jansson takes it for the end */
    if (nul) {
        return error_at(e, ERR_INVALID, mark_of(in, (size_t)(nul - in.ptr)),
                        "JSON: a NUL byte in the text");
    }
    size_t deep = scan_text(&s);
    if (deep != SIZE_MAX) {
        return error_at(e, ERR_LIMIT, mark_of(in, deep),
                        "JSON: more than %d lists and maps inside one another", VALUE_MAX_DEPTH);
    }
    enum err err = parse(a, &s, out, e);
    free(s.copy);
    free(s.longs);
    return err;
}

const char *value_jansson_version(void) { return JANSSON_VERSION; }
