/* Reading a value as another type, see coerce.h. Pure; refuses whatever would lose something, so
 * that a value that got through is the one that was meant.
 */
#include "flow/coerce.h"

const char *const coercion_words[] = {
#define COERCION(id, name) name,
#include "flow/coercions.def"
#undef COERCION
    NULL};

/* Sets *out; ERR_INVALID: it is not to be read so. */
typedef enum err (*coerce_fn)(struct value v, struct arena *a, struct value *out);

static bool is_lossy(struct value v) { return v.type == VALUE_DOUBLE && (v.flags & VALUE_LOSSY); }

static enum err keep_as(enum value_type type, struct value v, struct value *out) {
    *out = v;
    return v.type == type ? OK : ERR_INVALID;
}

/* A JSON text of one of the types that JSON has. */
static enum err read_json(struct value v, struct arena *a, struct value *out) {
    struct error e;
    return v.type == VALUE_TEXT ? value_parse_json(a, value_str(v), out, &e) : ERR_INVALID;
}

static enum err to_string(struct value v, struct arena *a, struct value *out) {
    switch ((enum value_type)v.type) {
    case VALUE_TEXT: *out = v; return OK;
    case VALUE_BYTES:
        *out = value_text(value_str(v));
        return str_is_utf8(value_str(v)) ? OK : ERR_INVALID;
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: break;
    case VALUE_NULL:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_TYPE:
    case VALUE_OPTIONAL: return ERR_INVALID;
    }
    if (is_lossy(v)) {
        return ERR_INVALID;
    }
    struct buf text;
    buf_init(&text, 0);
    value_print_text(v, &text);
    struct str kept = buf_ok(&text) ? arena_str(a, buf_str(&text)) : (struct str){0};
    buf_fini(&text);
    *out = value_text(kept);
    return kept.ptr ? OK : ERR_NOMEM;
}

static enum err to_number(struct value v, struct arena *a, struct value *out) {
    struct value number = v;
    enum err err = v.type == VALUE_TEXT ? read_json(v, a, &number) : OK;
    if (err) {
        return err;
    }
    *out = number;
    bool is_number =
        number.type == VALUE_INT || number.type == VALUE_UINT || number.type == VALUE_DOUBLE;
    return is_number && !is_lossy(number) ? OK : ERR_INVALID;
}

static enum err to_integer(struct value v, struct arena *a, struct value *out) {
    struct value number;
    enum err err = to_number(v, a, &number);
    if (err) {
        return err;
    }
    if (number.type != VALUE_DOUBLE) {
        *out = number;
        return OK;
    }
    double d = number.real;
    if (!(d >= -0x1p63 && d < 0x1p63) || (double)(int64_t)d != d) {
        return ERR_INVALID;
    }
    *out = value_int((int64_t)d);
    return OK;
}

static enum err to_boolean(struct value v, struct arena *a, struct value *out) {
    (void)a;
    if (v.type == VALUE_TEXT && (str_is(value_str(v), "true") || str_is(value_str(v), "false"))) {
        *out = value_bool(str_is(value_str(v), "true"));
        return OK;
    }
    return keep_as(VALUE_BOOL, v, out);
}

static enum err to_array(struct value v, struct arena *a, struct value *out) {
    struct value read = v;
    enum err err = v.type == VALUE_TEXT ? read_json(v, a, &read) : OK;
    return err ? err : keep_as(VALUE_LIST, read, out);
}

static enum err to_object(struct value v, struct arena *a, struct value *out) {
    struct value read = v;
    enum err err = v.type == VALUE_TEXT ? read_json(v, a, &read) : OK;
    return err ? err : keep_as(VALUE_MAP, read, out);
}

static enum err to_null(struct value v, struct arena *a, struct value *out) {
    (void)a;
    return keep_as(VALUE_NULL, v, out);
}

static enum err to_timestamp(struct value v, struct arena *a, struct value *out) {
    int64_t seconds;
    int32_t nanos;
    (void)a;
    if (v.type == VALUE_TEXT && time_parse_rfc3339(value_str(v), &seconds, &nanos)) {
        *out = value_timestamp(seconds, nanos);
        return OK;
    }
    return keep_as(VALUE_TIMESTAMP, v, out);
}

static enum err to_duration(struct value v, struct arena *a, struct value *out) {
    int64_t us;
    (void)a;
    if (v.type != VALUE_TEXT) {
        return keep_as(VALUE_DURATION, v, out);
    }
    struct str text = value_str(v);
    bool negative = text.len && text.ptr[0] == '-';
    if (!time_parse_duration(str_sub(text, negative, text.len), &us)) {
        return ERR_INVALID;
    }
    us = negative ? -us : us;
    *out = value_duration(us / 1000000, (int32_t)(us % 1000000 * 1000));
    return OK;
}

static enum err to_bytes(struct value v, struct arena *a, struct value *out) {
    (void)a;
    if (v.type == VALUE_TEXT) {
        *out = value_bytes(value_str(v));
        return OK;
    }
    return keep_as(VALUE_BYTES, v, out);
}

enum err coercion_apply(enum coercion type, struct value v, struct arena *a, struct value *out,
                        struct error *e) {
    static const coerce_fn table[] = {
        [COERCE_STRING] = to_string,     [COERCE_INTEGER] = to_integer,
        [COERCE_NUMBER] = to_number,     [COERCE_BOOLEAN] = to_boolean,
        [COERCE_ARRAY] = to_array,       [COERCE_OBJECT] = to_object,
        [COERCE_NULL] = to_null,         [COERCE_TIMESTAMP] = to_timestamp,
        [COERCE_DURATION] = to_duration, [COERCE_BYTES] = to_bytes,
    };
    struct value read;
    if (type == COERCE_NONE) {
        *out = v;
        return OK;
    }
    enum err err = table[type](v, a, &read);
    if (err == OK) {
        *out = read;
        return OK;
    }
    if (err == ERR_NOMEM) {
        return error_nomem(e);
    }
    struct buf text;
    buf_init(&text, 0);
    value_print_short(v, 60, &text);
    error_set(e, ERR_INVALID, "expected %s, got %s %.*s", coercion_words[type - 1],
              value_type_name((enum value_type)v.type), STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return ERR_INVALID;
}
