/* Keywords about one value by itself: type, enum, const, numbers, texts, format. Each ignores
 * values of other types, as the standard says.
 */
#include "schema/schema_priv.h"

typedef struct schema_compiler compiler;
typedef struct schema_node node;
typedef struct schema_rule rule;
typedef struct schema_run run;
typedef struct schema_frame frame;

static const struct {
    const char *name;
    uint32_t bit;
} types[] = {
    {"null", TYPE_NULL},     {"boolean", TYPE_BOOLEAN}, {"integer", TYPE_INTEGER},
    {"number", TYPE_NUMBER}, {"string", TYPE_STRING},   {"array", TYPE_ARRAY},
    {"object", TYPE_OBJECT},
};

/* --- type --- */

static enum err parse_type_name(compiler *c, struct value v, uint32_t *bits) {
    for (size_t i = 0; v.type == VALUE_TEXT && i < ARRAY_LEN(types); i++) {
        if (str_is(value_str(v), types[i].name)) {
            *bits |= types[i].bit;
            return OK;
        }
    }
    struct str got = v.type == VALUE_TEXT ? value_str(v) : STR("this");
    return schema_invalid(c,
                          "\"%.*s\" is no type: expected null, boolean, integer, number, "
                          "string, array or object",
                          STR_ARG(got));
}

static enum err parse_type(compiler *c, node *n, rule *r) {
    if (r->value.type != VALUE_LIST) {
        return parse_type_name(c, r->value, &n->types);
    }
    if (value_count(r->value) == 0) {
        return schema_invalid(c, "expected at least one type");
    }
    for (size_t i = 0; i < value_count(r->value); i++) {
        enum err err = parse_type_name(c, r->value.items[i], &n->types);
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

bool schema_has_type(struct value v, uint32_t bits) {
    switch ((enum value_type)v.type) {
    case VALUE_NULL: return bits & TYPE_NULL;
    case VALUE_BOOL: return bits & TYPE_BOOLEAN;
    case VALUE_INT:
    case VALUE_UINT: return bits & (TYPE_INTEGER | TYPE_NUMBER);
    case VALUE_DOUBLE:
        return (bits & TYPE_NUMBER) || ((bits & TYPE_INTEGER) && schema_number_is_integer(v));
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: return bits & TYPE_STRING; /* that is what they are in JSON */
    case VALUE_LIST: return bits & TYPE_ARRAY;
    case VALUE_MAP: return bits & TYPE_OBJECT;
    case VALUE_TYPE:
    case VALUE_OPTIONAL: break;
    }
    return false;
}

const char *schema_type_names(struct arena *a, uint32_t bits) {
    struct str s = STR("");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (bits & types[i].bit) {
            bits &= ~types[i].bit;
            const char *glue = s.len == 0 ? "" : bits ? ", " : " or ";
            s = arena_printf(a, "%.*s%s%s", STR_ARG(s), glue, types[i].name);
        }
    }
    return s.ptr ? s.ptr : "another type";
}

static bool check_type(run *x, const frame *f, const rule *r) {
    if (schema_has_type(f->v, f->node->types)) {
        return true;
    }
    const char *names =
        schema_keeps_errors(x) ? schema_type_names(&x->scratch, f->node->types) : "";
    return schema_fail(x, f, r, "expected %s, got %s", names, schema_describe(x, f->v));
}

/* --- enum, const --- */

static enum err parse_enum(compiler *c, node *n, rule *r) {
    (void)n;
    return r->value.type == VALUE_LIST ? OK : schema_invalid(c, "expected a list of values");
}

static enum err parse_any(compiler *c, node *n, rule *r) {
    (void)c;
    (void)n;
    (void)r;
    return OK;
}

static const char *choices(run *x, struct value list) {
    if (!schema_keeps_errors(x)) {
        return "";
    }
    struct buf b;
    buf_init(&b, 400);
    for (size_t i = 0; i < value_count(list) && i < 10; i++) {
        buf_append_cstr(&b, i ? ", " : "");
        value_print_short(list.items[i], 40, &b);
    }
    if (value_count(list) > 10) {
        buf_append_cstr(&b, ", ...");
    }
    struct str s = arena_str(&x->scratch, buf_str(&b));
    buf_fini(&b);
    return s.ptr ? s.ptr : "";
}

static bool check_enum(run *x, const frame *f, const rule *r) {
    for (size_t i = 0; i < value_count(r->value); i++) {
        if (!schema_step(x, 1)) {
            return false;
        }
        if (value_equal(f->v, r->value.items[i])) {
            return true;
        }
    }
    return schema_fail(x, f, r, "expected one of %s, got %s", choices(x, r->value),
                       schema_describe(x, f->v));
}

static bool check_const(run *x, const frame *f, const rule *r) {
    if (value_equal(f->v, r->value)) {
        return true;
    }
    if (r->value.type != f->v.type) {
        return schema_fail(x, f, r, "expected %s, got %s", schema_describe(x, r->value),
                           schema_describe(x, f->v));
    }
    struct value one[1] = {r->value}, other[1] = {f->v};
    return schema_fail(x, f, r, "expected %s, got %s", choices(x, value_list(one, 1)),
                       choices(x, value_list(other, 1)));
}

/* --- numbers --- */

static enum err parse_number(compiler *c, node *n, rule *r) {
    (void)n;
    return schema_is_number(r->value) ? OK : schema_invalid(c, "expected a number");
}

static enum err parse_divisor(compiler *c, node *n, rule *r) {
    (void)n;
    bool good = schema_is_number(r->value) && schema_number_cmp(r->value, value_int(0)) > 0;
    return good ? OK : schema_invalid(c, "expected a number greater than 0");
}

static bool check_multiple(run *x, const frame *f, const rule *r) {
    if (!schema_is_number(f->v) || schema_number_is_multiple(f->v, r->value)) {
        return true;
    }
    return schema_fail(x, f, r, "expected a multiple of %s, got %s", schema_describe(x, r->value),
                       schema_describe(x, f->v));
}

static bool check_bound(run *x, const frame *f, const rule *r, bool holds, const char *words) {
    if (holds) {
        return true;
    }
    return schema_fail(x, f, r, "expected %s %s, got %s", words, schema_describe(x, r->value),
                       schema_describe(x, f->v));
}

static bool check_maximum(run *x, const frame *f, const rule *r) {
    bool holds = !schema_is_number(f->v) || schema_number_cmp(f->v, r->value) <= 0;
    return check_bound(x, f, r, holds, "at most");
}

static bool check_exclusive_maximum(run *x, const frame *f, const rule *r) {
    bool holds = !schema_is_number(f->v) || schema_number_cmp(f->v, r->value) < 0;
    return check_bound(x, f, r, holds, "less than");
}

static bool check_minimum(run *x, const frame *f, const rule *r) {
    bool holds = !schema_is_number(f->v) || schema_number_cmp(f->v, r->value) >= 0;
    return check_bound(x, f, r, holds, "at least");
}

static bool check_exclusive_minimum(run *x, const frame *f, const rule *r) {
    bool holds = !schema_is_number(f->v) || schema_number_cmp(f->v, r->value) > 0;
    return check_bound(x, f, r, holds, "more than");
}

/* --- texts --- */

static enum err parse_size(compiler *c, node *n, rule *r) {
    (void)n;
    return schema_size(r->value, &r->limit) ? OK
                                            : schema_invalid(c, "expected an integer, at least 0");
}

static size_t characters(struct str s) {
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++) {
        count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    }
    return count;
}

static bool check_max_length(run *x, const frame *f, const rule *r) {
    if (f->v.type != VALUE_TEXT || value_count(f->v) <= r->limit) {
        return true;
    }
    size_t count = characters(value_str(f->v));
    return count <= r->limit || schema_fail(x, f, r, "expected at most %llu characters, got %zu",
                                            (unsigned long long)r->limit, count);
}

static bool check_min_length(run *x, const frame *f, const rule *r) {
    if (f->v.type != VALUE_TEXT) {
        return true;
    }
    size_t count = characters(value_str(f->v));
    return count >= r->limit || schema_fail(x, f, r, "expected at least %llu characters, got %zu",
                                            (unsigned long long)r->limit, count);
}

static enum err parse_pattern(compiler *c, node *n, rule *r) {
    (void)n;
    if (r->value.type != VALUE_TEXT) {
        return schema_invalid(c, "expected a regular expression as text");
    }
    return schema_regex(c, value_str(r->value), &r->regex);
}

static bool check_pattern(run *x, const frame *f, const rule *r) {
    if (f->v.type != VALUE_TEXT) {
        return true;
    }
    return schema_search(x, r->regex, value_str(f->v)) ||
           schema_fail(x, f, r, "%s does not match the pattern %.*s", schema_describe(x, f->v),
                       STR_ARG(value_str(r->value)));
}

static enum err parse_format(compiler *c, node *n, rule *r) {
    (void)n;
    if (r->value.type != VALUE_TEXT) {
        return schema_invalid(c, "expected the name of a format");
    }
    r->skip = !c->formats || !schema_format_find(value_str(r->value));
    return OK;
}

static bool check_format(run *x, const frame *f, const rule *r) {
    struct str name = value_str(r->value);
    if (f->v.type != VALUE_TEXT || schema_format_find(name)(value_str(f->v))) {
        return true;
    }
    return schema_fail(x, f, r, "%s is no valid %.*s", schema_describe(x, f->v), STR_ARG(name));
}

static const struct schema_keyword keywords[] = {
    {"type", parse_type, check_type},
    {"enum", parse_enum, check_enum},
    {"const", parse_any, check_const},
    {"multipleOf", parse_divisor, check_multiple},
    {"maximum", parse_number, check_maximum},
    {"exclusiveMaximum", parse_number, check_exclusive_maximum},
    {"minimum", parse_number, check_minimum},
    {"exclusiveMinimum", parse_number, check_exclusive_minimum},
    {"maxLength", parse_size, check_max_length},
    {"minLength", parse_size, check_min_length},
    {"pattern", parse_pattern, check_pattern},
    {"format", parse_format, check_format},
};

const struct schema_table schema_value_table = {keywords, ARRAY_LEN(keywords)};
