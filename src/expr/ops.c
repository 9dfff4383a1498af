/* The operators: arithmetic, comparison, equality, `in`.
 *
 * Numbers promote (the documented extension): with a double the result is a double; an int with a
 * uint is computed exactly and is an int where it fits, else a uint. Overflow is a fault, never a
 * wrapped number.
 */
#include "expr/run_priv.h"

#include <math.h>

#define UNORDERED 2

static const char *const symbols[] = {
    [OP_ADD] = "+", [OP_SUB] = "-", [OP_MUL] = "*", [OP_DIV] = "/", [OP_MOD] = "%", [OP_LT] = "<",
    [OP_LE] = "<=", [OP_GT] = ">",  [OP_GE] = ">=", [OP_EQ] = "==", [OP_NE] = "!=", [OP_IN] = "in",
};

const char *op_symbol(enum op op) { return symbols[op]; }

static enum err no_operator(struct run *r, enum op op, struct value a, struct value b) {
    const char *sign = symbols[op];
    if (a.type == VALUE_NULL || b.type == VALUE_NULL) {
        return run_mismatch(r, "the %s side of %s is null", a.type == VALUE_NULL ? "left" : "right",
                            sign);
    }
    if (a.type == VALUE_OPTIONAL || b.type == VALUE_OPTIONAL) {
        return run_mismatch(r, "%s does not take %s and %s; take the value with orValue(...)", sign,
                            type_phrase(a), type_phrase(b));
    }
    bool text = a.type == VALUE_TEXT || b.type == VALUE_TEXT;
    bool number = is_number(a) || is_number(b);
    const char *help = !text || !number ? ""
                       : op == OP_ADD   ? "; write string(...) around the number"
                                        : "; write int(...) or double(...) around the string";
    return run_mismatch(r, "%s does not take %s and %s%s", sign, type_phrase(a), type_phrase(b),
                        help);
}

static enum err overflow(struct run *r, enum op op, struct value a, struct value b) {
    struct buf text;
    buf_init(&text, 200);
    value_print_short(a, 40, &text);
    buf_printf(&text, " %s ", symbols[op]);
    value_print_short(b, 40, &text);
    enum err err = run_fault(r, "%.*s is outside the range of an integer", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return err;
}

static enum err by_zero(struct run *r, enum op op) {
    return run_fault(r, op == OP_DIV ? "division by zero" : "remainder of a division by zero");
}

static enum err ints(struct run *r, enum op op, struct value a, struct value b, struct value *out) {
    int64_t result = 0;
    bool bad = false;
    switch ((int)op) {
    case OP_ADD: bad = __builtin_add_overflow(a.num, b.num, &result); break;
    case OP_SUB: bad = __builtin_sub_overflow(a.num, b.num, &result); break;
    case OP_MUL: bad = __builtin_mul_overflow(a.num, b.num, &result); break;
    default:
        if (b.num == 0) {
            return by_zero(r, op);
        }
        bad = a.num == INT64_MIN && b.num == -1;
        if (!bad) {
            result = op == OP_DIV ? a.num / b.num : a.num % b.num;
        }
    }
    if (bad) {
        return overflow(r, op, a, b);
    }
    *out = value_int(result);
    return OK;
}

__extension__ typedef __int128 wide;

static wide widen(struct value v) { return v.type == VALUE_INT ? (wide)v.num : (wide)v.unum; }

/* At least one uint; two of them give a uint. */
static enum err mixed(struct run *r, enum op op, struct value a, struct value b,
                      struct value *out) {
    wide x = widen(a);
    wide y = widen(b);
    wide result = 0;
    switch ((int)op) {
    case OP_ADD: result = x + y; break;
    case OP_SUB: result = x - y; break;
    case OP_MUL:
        if (__builtin_mul_overflow(x, y, &result)) {
            return overflow(r, op, a, b);
        }
        break;
    default:
        if (y == 0) {
            return by_zero(r, op);
        }
        result = op == OP_DIV ? x / y : x % y;
    }
    bool both_uint = a.type == b.type;
    if (result > (wide)UINT64_MAX || result < (wide)(both_uint ? 0 : INT64_MIN)) {
        return overflow(r, op, a, b);
    }
    *out = both_uint || result > (wide)INT64_MAX ? value_uint((uint64_t)result)
                                                 : value_int((int64_t)result);
    return OK;
}

static double to_double(struct value v) {
    return v.type == VALUE_DOUBLE ? v.real : v.type == VALUE_INT ? (double)v.num : (double)v.unum;
}

static enum err doubles(struct run *r, enum op op, struct value a, struct value b,
                        struct value *out) {
    double x = to_double(a);
    double y = to_double(b);
    switch ((int)op) {
    case OP_ADD: *out = value_double(x + y); return OK;
    case OP_SUB: *out = value_double(x - y); return OK;
    case OP_MUL: *out = value_double(x * y); return OK;
    case OP_DIV: *out = value_double(x / y); return OK;
    default: return run_mismatch(r, "%% takes two integers, not a double");
    }
}

static bool is_time(struct value v) {
    return v.type == VALUE_TIMESTAMP || v.type == VALUE_DURATION;
}

static enum err arithmetic(struct run *r, enum op op, struct value a, struct value b,
                           struct value *out) {
    if (a.type == VALUE_INT && b.type == VALUE_INT) {
        return ints(r, op, a, b, out);
    }
    if (is_number(a) && is_number(b)) {
        bool real = a.type == VALUE_DOUBLE || b.type == VALUE_DOUBLE;
        return real ? doubles(r, op, a, b, out) : mixed(r, op, a, b, out);
    }
    if ((op == OP_ADD || op == OP_SUB) && is_time(a) && is_time(b) &&
        (a.type == VALUE_DURATION || b.type == VALUE_DURATION || op == OP_SUB) &&
        (b.type == VALUE_DURATION || op == OP_ADD || a.type == VALUE_TIMESTAMP)) {
        return time_add(r, a, b, op == OP_ADD ? 1 : -1, out);
    }
    return no_operator(r, op, a, b);
}

static int compare_reals(double x, double y) {
    return isnan(x) || isnan(y) ? UNORDERED : (x > y) - (x < y);
}

/* An integer and a double compare as doubles, once the double is known to be in the integer's
 * range (CEL: "Numeric comparisons across types"). */
static int compare_double(struct value v, double d) {
    double low = v.type == VALUE_INT ? -0x1p63 : 0;
    double high = v.type == VALUE_INT ? 0x1p63 : 0x1p64;
    return d < low ? 1 : d > high ? -1 : compare_reals(to_double(v), d);
}

static int compare_numbers(struct value a, struct value b) {
    if (a.type == VALUE_DOUBLE && b.type == VALUE_DOUBLE) {
        return compare_reals(a.real, b.real);
    }
    if (b.type == VALUE_DOUBLE) {
        return compare_double(a, b.real);
    }
    if (a.type == VALUE_DOUBLE) {
        int c = compare_double(b, a.real);
        return c == UNORDERED ? c : -c;
    }
    wide x = widen(a);
    wide y = widen(b);
    return (x > y) - (x < y);
}

static int compare_times(struct value a, struct value b) {
    if (a.num != b.num) {
        return a.num < b.num ? -1 : 1;
    }
    int32_t x = (int32_t)a.extra;
    int32_t y = (int32_t)b.extra;
    return (x > y) - (x < y);
}

static enum err order(struct run *r, enum op op, struct value a, struct value b,
                      struct value *out) {
    int c;
    if (is_number(a) && is_number(b)) {
        c = compare_numbers(a, b);
    } else if (a.type != b.type) {
        return no_operator(r, op, a, b);
    } else if (a.type == VALUE_TEXT || a.type == VALUE_BYTES) {
        if (run_charge_bytes(r, a.extra < b.extra ? a.extra : b.extra)) {
            return ERR_LIMIT;
        }
        c = str_cmp(value_str(a), value_str(b));
    } else if (is_time(a)) {
        c = compare_times(a, b);
    } else if (a.type == VALUE_BOOL) {
        c = (int)a.boolean - (int)b.boolean;
    } else {
        return no_operator(r, op, a, b);
    }
    bool less = op == OP_LT || op == OP_LE;
    bool or_equal = op == OP_LE || op == OP_GE;
    *out = value_bool(c != UNORDERED && ((less ? c < 0 : c > 0) || (or_equal && c == 0)));
    return OK;
}

/* Metered, unlike value_equal. */
static enum err equal(struct run *r, struct value a, struct value b, uint32_t depth, bool *out);

static enum err equal_lists(struct run *r, struct value a, struct value b, uint32_t depth,
                            bool *out) {
    enum err err = OK;
    *out = a.extra == b.extra;
    for (uint32_t i = 0; !err && *out && i < a.extra; i++) {
        err = equal(r, a.items[i], b.items[i], depth + 1, out);
    }
    return err;
}

static enum err equal_maps(struct run *r, struct value a, struct value b, uint32_t depth,
                           bool *out) {
    enum err err = OK;
    *out = a.extra == b.extra;
    for (uint32_t i = 0; !err && *out && i < a.extra; i++) {
        const struct value *other = value_get_key(b, a.pairs[i].key);
        *out = other != NULL;
        if (other) {
            err = equal(r, a.pairs[i].val, *other, depth + 1, out);
        }
    }
    return err;
}

static enum err equal(struct run *r, struct value a, struct value b, uint32_t depth, bool *out) {
    enum err err = run_charge(r, 1);
    if (err) {
        return err;
    }
    if (is_number(a) && is_number(b)) {
        *out = compare_numbers(a, b) == 0;
        return OK;
    }
    *out = false;
    if (a.type != b.type) {
        return OK;
    }
    switch (a.type) {
    case VALUE_TEXT:
    case VALUE_BYTES:
        *out = str_eq(value_str(a), value_str(b));
        return run_charge_bytes(r, a.extra);
    case VALUE_LIST:
    case VALUE_MAP:
        if (depth > VALUE_MAX_DEPTH) {
            return run_limit(r, "lists and maps nested deeper than %d", VALUE_MAX_DEPTH);
        }
        return a.type == VALUE_LIST ? equal_lists(r, a, b, depth, out)
                                    : equal_maps(r, a, b, depth, out);
    case VALUE_OPTIONAL:
        *out = a.items == b.items;
        return a.items && b.items ? equal(r, *a.items, *b.items, depth + 1, out) : OK;
    default: *out = value_equal(a, b); return OK;
    }
}

static enum err is_in(struct run *r, struct value a, struct value b, struct value *out) {
    bool found = false;
    enum err err = OK;
    if (b.type == VALUE_MAP) {
        found = value_get_key(b, a) != NULL;
    } else if (b.type == VALUE_LIST) {
        for (uint32_t i = 0; !err && !found && i < b.extra; i++) {
            err = equal(r, a, b.items[i], 0, &found);
        }
    } else {
        return run_mismatch(r, "the right side of in is a list or a map, this is %s%s",
                            type_phrase(b),
                            b.type == VALUE_TEXT ? "; write text.contains(part)" : "");
    }
    *out = value_bool(found);
    return err;
}

enum err op_apply(struct run *r, enum op op, struct value a, struct value b, struct value *out) {
    bool same = false;
    enum err err;
    switch (op) {
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MOD: return arithmetic(r, op, a, b, out);
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE: return order(r, op, a, b, out);
    case OP_EQ:
    case OP_NE:
        err = equal(r, a, b, 0, &same);
        *out = value_bool(same == (op == OP_EQ));
        return err;
    case OP_IN: return is_in(r, a, b, out);
    case OP_NONE: break;
    }
    ASSERT(false);
    return ERR_EXPRESSION;
}

enum err op_negate(struct run *r, struct value v, struct value *out) {
    if (v.type == VALUE_DOUBLE) {
        *out = value_double(-v.real);
        return OK;
    }
    if (v.type != VALUE_INT) {
        return run_mismatch(r, "- does not take %s%s", type_phrase(v),
                            v.type == VALUE_UINT ? "; write int(...) around it" : "");
    }
    if (v.num == INT64_MIN) {
        return run_fault(r, "-(%lld) is outside the range of an integer", (long long)v.num);
    }
    *out = value_int(-v.num);
    return OK;
}
