/* Conversions between the types. What is outside the range of the result, or is no text of that
 * type, is a fault: nothing is cut off, wrapped around or guessed. Only int() and uint() of a
 * double lose something on purpose, the fraction.
 */
#include "expr/run_priv.h"

#include <stdlib.h>

static enum err not_readable(struct run *r, const char *fn, struct value v) {
    struct buf text;
    buf_init(&text, 200);
    value_print_short(v, 60, &text);
    enum err err = run_fault(r, "%s() cannot read %.*s", fn, STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return err;
}

static enum err out_of_range(struct run *r, const char *fn, struct value v) {
    struct buf text;
    buf_init(&text, 200);
    value_print_short(v, 60, &text);
    enum err err =
        run_fault(r, "%s(%.*s): outside the range of %s", fn, STR_ARG(buf_str(&text)), fn);
    buf_fini(&text);
    return err;
}

enum err fn_int(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    int64_t i = 0;
    switch (args[0].type) {
    case VALUE_INT: *out = args[0]; return OK;
    case VALUE_UINT:
        *out = value_int(args[0].num);
        return args[0].num < 0 ? out_of_range(r, "int", args[0]) : OK;
    case VALUE_DOUBLE:
        if (!(args[0].real > -0x1p63 && args[0].real < 0x1p63)) {
            return out_of_range(r, "int", args[0]);
        }
        *out = value_int((int64_t)args[0].real);
        return OK;
    case VALUE_TEXT:
        if (!str_to_int64(value_str(args[0]), &i)) {
            return not_readable(r, "int", args[0]);
        }
        *out = value_int(i);
        return OK;
    case VALUE_TIMESTAMP: *out = value_int(args[0].num); return OK;
    default: return arg_wrong(r, "int", args, 0, "a number, a string or a timestamp");
    }
}

enum err fn_uint(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    uint64_t u = 0;
    switch (args[0].type) {
    case VALUE_UINT: *out = args[0]; return OK;
    case VALUE_INT:
        *out = value_uint(args[0].unum);
        return args[0].num < 0 ? out_of_range(r, "uint", args[0]) : OK;
    case VALUE_DOUBLE:
        if (!(args[0].real > -1 && args[0].real < 0x1p64)) {
            return out_of_range(r, "uint", args[0]);
        }
        *out = value_uint((uint64_t)args[0].real);
        return OK;
    case VALUE_TEXT:
        if (!str_to_uint64(value_str(args[0]), &u)) {
            return not_readable(r, "uint", args[0]);
        }
        *out = value_uint(u);
        return OK;
    default: return arg_wrong(r, "uint", args, 0, "a number or a string");
    }
}

/* Decimal notation, or NaN, Infinity, -Infinity. */
static bool read_double(struct str s, double *out) {
    char text[400];
    bool special = str_is(s, "NaN") || str_is(s, "Infinity") || str_is(s, "-Infinity");
    if (s.len == 0 || s.len >= sizeof text) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!special && (!s.ptr[i] || !strchr("0123456789+-.eE", s.ptr[i]))) {
            return false;
        }
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    char *end = NULL;
    *out = strtod(text, &end);
    return end == text + s.len;
}

enum err fn_double(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    double d = 0;
    switch (args[0].type) {
    case VALUE_DOUBLE: *out = args[0]; return OK;
    case VALUE_INT: *out = value_double((double)args[0].num); return OK;
    case VALUE_UINT: *out = value_double((double)args[0].unum); return OK;
    case VALUE_TEXT:
        if (!read_double(value_str(args[0]), &d)) {
            return not_readable(r, "double", args[0]);
        }
        *out = value_double(d);
        return OK;
    default: return arg_wrong(r, "double", args, 0, "a number or a string");
    }
}

enum err fn_string(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    struct buf b;
    switch (args[0].type) {
    case VALUE_TEXT: *out = args[0]; return OK;
    case VALUE_BYTES:
        if (!str_is_utf8(value_str(args[0]))) {
            return run_fault(r, "string(): the bytes are not UTF-8 text");
        }
        *out = value_text(value_str(args[0]));
        return run_charge_bytes(r, args[0].extra);
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION:
        text_start(r, &b);
        value_print_text(args[0], &b);
        return text_done(r, &b, out);
    default:
        return arg_wrong(r, "string", args, 0,
                         "a string, number, bool, bytes, timestamp or duration");
    }
}

enum err fn_bytes(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    if (args[0].type == VALUE_BYTES || args[0].type == VALUE_TEXT) {
        *out = value_bytes(value_str(args[0]));
        return OK;
    }
    return arg_wrong(r, "bytes", args, 0, "a string");
}

enum err fn_bool(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    static const char *const words[] = {"true",  "TRUE",  "True",  "t", "1",
                                        "false", "FALSE", "False", "f", "0"};
    (void)count;
    if (args[0].type == VALUE_BOOL) {
        *out = args[0];
        return OK;
    }
    if (args[0].type != VALUE_TEXT) {
        return arg_wrong(r, "bool", args, 0, "a string or a bool");
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_is(value_str(args[0]), words[i])) {
            *out = value_bool(i < ARRAY_LEN(words) / 2);
            return OK;
        }
    }
    return not_readable(r, "bool", args[0]);
}

enum err fn_type(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)r;
    (void)count;
    *out = type_value(type_name(args[0]));
    return OK;
}

enum err fn_dyn(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)r;
    (void)count;
    *out = args[0];
    return OK;
}
