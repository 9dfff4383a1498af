/* Functions of optionals, but for those whose argument may stay unevaluated (macro.c: or, orValue,
 * optMap, optFlatMap). What ofNonZeroValue takes for none: null, false, 0, and what is empty.
 */
#include "expr/run_priv.h"

static enum err arg_optional(struct run *r, const char *fn, const struct value *args) {
    return args[0].type == VALUE_OPTIONAL ? OK : arg_wrong(r, fn, args, 0, "an optional");
}

enum err fn_has_value(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    *out = value_bool(args[0].items != NULL);
    return arg_optional(r, "hasValue", args);
}

enum err fn_value(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    enum err err = arg_optional(r, "value", args);
    if (err) {
        return err;
    }
    if (!args[0].items) {
        return run_fault(r, "value(): the optional has no value; orValue(...) gives another");
    }
    *out = *args[0].items;
    return OK;
}

enum err fn_optional_of(struct run *r, const struct value *args, uint32_t count,
                        struct value *out) {
    (void)count;
    return optional_some(r, args[0], out);
}

enum err fn_optional_none(struct run *r, const struct value *args, uint32_t count,
                          struct value *out) {
    (void)r;
    (void)args;
    (void)count;
    *out = optional_none();
    return OK;
}

static bool is_zero(struct value v) {
    switch (v.type) {
    case VALUE_NULL: return true;
    case VALUE_BOOL: return !v.boolean;
    case VALUE_INT:
    case VALUE_UINT: return v.unum == 0;
    case VALUE_DOUBLE: return !(v.real < 0 || v.real > 0) && v.real == v.real;
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_LIST:
    case VALUE_MAP: return v.extra == 0;
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: return v.num == 0 && v.extra == 0;
    case VALUE_OPTIONAL: return !v.items;
    default: return false;
    }
}

enum err fn_optional_of_non_zero(struct run *r, const struct value *args, uint32_t count,
                                 struct value *out) {
    (void)count;
    if (!is_zero(args[0])) {
        return optional_some(r, args[0], out);
    }
    *out = optional_none();
    return OK;
}
