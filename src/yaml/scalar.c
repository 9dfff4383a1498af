/* The core schema of YAML 1.2 (section 10.3.2): what a plain scalar is, and the core tags.
 *
 * Never guesses: yes, no, on, off, dates and sexagesimal numbers are text. Integers become int,
 * then uint, then a double marked VALUE_LOSSY; numbers that no double can hold are refused.
 */
#include <math.h>
#include <stdlib.h>

#include "yaml/yaml_priv.h"

enum yaml_tag yaml_tag_parse(const char *tag) {
    static const struct {
        const char *name;
        enum yaml_tag tag;
    } tags[] = {
        {"str", TAG_STR},   {"int", TAG_INT}, {"float", TAG_FLOAT}, {"bool", TAG_BOOL},
        {"null", TAG_NULL}, {"seq", TAG_SEQ}, {"map", TAG_MAP},
    };
    static const char prefix[] = "tag:yaml.org,2002:";
    if (!tag) {
        return TAG_NONE;
    }
    if (strncmp(tag, prefix, sizeof prefix - 1) != 0) {
        return TAG_OTHER;
    }
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        if (strcmp(tag + sizeof prefix - 1, tags[i].name) == 0) {
            return tags[i].tag;
        }
    }
    return TAG_OTHER;
}

static bool one_of(struct str s, const char *a, const char *b, const char *c) {
    return str_is(s, a) || str_is(s, b) || str_is(s, c);
}

static bool read_null(struct str s, struct value *out) {
    *out = value_null();
    return s.len == 0 || str_is(s, "~") || one_of(s, "null", "Null", "NULL");
}

static bool read_bool(struct str s, struct value *out) {
    bool yes = one_of(s, "true", "True", "TRUE");
    *out = value_bool(yes);
    return yes || one_of(s, "false", "False", "FALSE");
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int digit_of(char c) {
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

static bool finite_lossy(double d, struct value *out) {
    *out = value_double(d);
    out->flags |= VALUE_LOSSY;
    return isfinite(d);
}

/* Digits of a base without a sign: 0o17, 0xff. */
static bool read_based(struct str digits, unsigned base, struct value *out) {
    uint64_t n = 0;
    double wide = 0;
    bool fits = true;
    for (size_t i = 0; i < digits.len; i++) {
        unsigned d = (unsigned)digit_of(digits.ptr[i]);
        if (d >= base) {
            return false;
        }
        fits = fits && !__builtin_mul_overflow(n, (uint64_t)base, &n) &&
               !__builtin_add_overflow(n, (uint64_t)d, &n);
        wide = wide * base + d;
    }
    if (digits.len == 0) {
        return false;
    }
    if (!fits) {
        return finite_lossy(wide, out);
    }
    *out = n <= INT64_MAX ? value_int((int64_t)n) : value_uint(n);
    return true;
}

static bool read_decimal(struct str s, struct value *out) {
    bool negative = s.ptr[0] == '-';
    uint64_t n = 0;
    bool fits = true;
    size_t first = negative || s.ptr[0] == '+' ? 1 : 0;
    for (size_t i = first; i < s.len; i++) {
        if (!is_digit(s.ptr[i])) {
            return false;
        }
        fits = fits && !__builtin_mul_overflow(n, (uint64_t)10, &n) &&
               !__builtin_add_overflow(n, (uint64_t)(s.ptr[i] - '0'), &n);
    }
    if (first == s.len) {
        return false;
    }
    if (!fits || (negative && n > (uint64_t)INT64_MAX + 1)) {
        return finite_lossy(strtod(s.ptr, NULL), out);
    }
    if (negative) {
        *out = value_int((int64_t)(0 - n));
    } else {
        *out = n <= INT64_MAX ? value_int((int64_t)n) : value_uint(n);
    }
    return true;
}

static bool is_integer(struct str s) {
    if (s.len > 2 && s.ptr[0] == '0' && (s.ptr[1] == 'o' || s.ptr[1] == 'x')) {
        int base = s.ptr[1] == 'o' ? 8 : 16;
        for (size_t i = 2; i < s.len; i++) {
            if (digit_of(s.ptr[i]) >= base) {
                return false;
            }
        }
        return true;
    }
    size_t i = s.len > 1 && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;
    for (; i < s.len && is_digit(s.ptr[i]);) {
        i++;
    }
    return s.len > 0 && i == s.len && is_digit(s.ptr[s.len - 1]);
}

static bool read_integer(struct str s, struct value *out) {
    if (s.len > 2 && s.ptr[0] == '0' && (s.ptr[1] == 'o' || s.ptr[1] == 'x')) {
        return read_based(str_sub(s, 2, s.len), s.ptr[1] == 'o' ? 8 : 16, out);
    }
    return s.len > 0 && read_decimal(s, out);
}

static size_t skip_digits(struct str s, size_t at) {
    while (at < s.len && is_digit(s.ptr[at])) {
        at++;
    }
    return at;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(struct str s) {
    size_t first = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;
    size_t at = skip_digits(s, first);
    size_t whole = at - first;
    if (at < s.len && s.ptr[at] == '.') {
        size_t end = skip_digits(s, at + 1);
        if (!whole && end == at + 1) {
            return false;
        }
        at = end;
    } else if (!whole) {
        return false;
    }
    if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
        size_t sign = at + 1 < s.len && (s.ptr[at + 1] == '-' || s.ptr[at + 1] == '+') ? 1 : 0;
        size_t digits = at + 1 + sign;
        at = skip_digits(s, digits);
        if (at == digits) {
            return false;
        }
    }
    return at == s.len;
}

static bool read_special(struct str s, struct value *out) {
    if (one_of(s, ".nan", ".NaN", ".NAN")) {
        *out = value_double((double)NAN);
        return true;
    }
    bool sign = s.len > 1 && (s.ptr[0] == '-' || s.ptr[0] == '+');
    if (!one_of(str_sub(s, sign, s.len), ".inf", ".Inf", ".INF")) {
        return false;
    }
    *out = value_double(s.ptr[0] == '-' ? -HUGE_VAL : HUGE_VAL);
    return true;
}

static bool read_float(struct str s, struct value *out) {
    if (read_special(s, out)) {
        return true;
    }
    if (is_float(s)) {
        *out = value_double(strtod(s.ptr, NULL));
        return isfinite(out->real);
    }
    return false;
}

static bool could_be_number(char c) { return is_digit(c) || c == '-' || c == '+' || c == '.'; }

static bool resolve_plain(struct str s, struct value *out) {
    if (read_null(s, out) || read_bool(s, out)) {
        return true;
    }
    if (could_be_number(s.ptr[0])) {
        if (is_integer(s)) {
            return read_integer(s, out);
        }
        if (is_float(s) || read_special(s, out)) {
            return read_float(s, out);
        }
    }
    *out = value_text(s);
    return true;
}

static bool resolve_float(struct str s, struct value *out) {
    if (is_integer(s) && read_integer(s, out)) {
        if (out->type == VALUE_INT) {
            *out = value_double((double)out->num);
        } else if (out->type == VALUE_UINT) {
            *out = value_double((double)out->unum);
        }
        return true;
    }
    return read_float(s, out);
}

bool yaml_scalar_resolve(struct str text, bool plain, enum yaml_tag tag, struct value *out) {
    switch (tag) {
    case TAG_STR: *out = value_text(text); return true;
    case TAG_INT: return is_integer(text) && read_integer(text, out);
    case TAG_FLOAT: return resolve_float(text, out);
    case TAG_BOOL: return read_bool(text, out);
    case TAG_NULL: return read_null(text, out);
    case TAG_NONE:
        if (plain) {
            return resolve_plain(text, out);
        }
        *out = value_text(text);
        return true;
    case TAG_SEQ:
    case TAG_MAP:
    case TAG_OTHER: break;
    }
    return false;
}

const char *yaml_library_version(void) { return yaml_get_version_string(); }
