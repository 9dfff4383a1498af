/* Numbers of a schema: exact order between int, uint and double, and multiples in decimal.
 *
 * 0.0075 is a multiple of 0.0001 for everyone but binary doubles. So both numbers are taken as
 * the shortest decimals that stand for them (digits x 10^exponent) and the remainder is computed
 * in integers; digits fit in 64 bits, products in 128.
 */
#include <math.h>
#include <stdlib.h>

#include "schema/schema_priv.h"

__extension__ typedef unsigned __int128 uint128;

bool schema_is_number(struct value v) {
    return v.type == VALUE_INT || v.type == VALUE_UINT || v.type == VALUE_DOUBLE;
}

static int order(bool less, bool greater) { return less ? -1 : greater ? 1 : 0; }

static int cmp_int_double(int64_t i, double d) {
    if (d >= 9223372036854775808.0 || isnan(d)) {
        return -1;
    }
    if (d < -9223372036854775808.0) {
        return 1;
    }
    int64_t whole = (int64_t)d; /* toward zero */
    if (i != whole) {
        return i < whole ? -1 : 1;
    }
    double rest = d - (double)whole;
    return order(rest > 0, rest < 0);
}

static int cmp_uint_double(uint64_t u, double d) {
    if (d >= 18446744073709551616.0 || isnan(d)) {
        return -1;
    }
    if (d < 0) {
        return 1;
    }
    uint64_t whole = (uint64_t)d;
    if (u != whole) {
        return u < whole ? -1 : 1;
    }
    return d > (double)whole ? -1 : 0;
}

static int cmp_double(struct value v, double d) {
    if (v.type == VALUE_INT) {
        return cmp_int_double(v.num, d);
    }
    if (v.type == VALUE_UINT) {
        return cmp_uint_double(v.unum, d);
    }
    if (isnan(v.real) || isnan(d)) {
        return order(!isnan(v.real), !isnan(d));
    }
    return order(v.real<d, v.real> d);
}

int schema_number_cmp(struct value a, struct value b) {
    if (b.type == VALUE_DOUBLE) {
        return cmp_double(a, b.real);
    }
    if (a.type == VALUE_DOUBLE) {
        return -cmp_double(b, a.real);
    }
    if (a.type == b.type) {
        return a.type == VALUE_INT ? order(a.num<b.num, a.num> b.num)
                                   : order(a.unum<b.unum, a.unum> b.unum);
    }
    if (a.type == VALUE_INT) {
        return a.num < 0 ? -1 : order((uint64_t)a.num<b.unum, (uint64_t)a.num> b.unum);
    }
    return b.num < 0 ? 1 : order(a.unum<(uint64_t)b.num, a.unum>(uint64_t) b.num);
}

bool schema_number_is_integer(struct value v) {
    if (v.type == VALUE_DOUBLE) {
        return isfinite(v.real) && trunc(v.real) == v.real;
    }
    return v.type == VALUE_INT || v.type == VALUE_UINT;
}

/* A number without its sign: digits x 10^exponent. */
struct decimal {
    uint64_t digits;
    int exponent;
};

static struct decimal decimal_of_text(const char *s) {
    struct decimal d = {0};
    bool fraction = false;
    for (; *s && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            fraction = true;
        } else if (*s >= '0' && *s <= '9' && d.digits < UINT64_MAX / 10 - 1) {
            d.digits = d.digits * 10 + (uint64_t)(*s - '0');
            d.exponent -= fraction;
        } else if (*s >= '0' && *s <= '9') {
            d.exponent += !fraction;
        }
    }
    if (*s) {
        d.exponent += (int)strtol(s + 1, NULL, 10);
    }
    return d;
}

static struct decimal decimal_of(struct value v) {
    if (v.type == VALUE_INT) {
        return (struct decimal){v.num < 0 ? 0 - (uint64_t)v.num : (uint64_t)v.num, 0};
    }
    if (v.type == VALUE_UINT) {
        return (struct decimal){v.unum, 0};
    }
    char text[32];
    size_t len = value_print_double(v.real, text);
    text[len < sizeof text ? len : sizeof text - 1] = '\0';
    return decimal_of_text(text);
}

static uint64_t power_of_ten_mod(int exponent, uint64_t m) {
    uint128 result = 1 % m, base = 10 % m;
    for (int e = exponent; e > 0; e >>= 1) {
        if (e & 1) {
            result = result * base % m;
        }
        base = base * base % m;
    }
    return (uint64_t)result;
}

bool schema_number_is_multiple(struct value v, struct value m) {
    if (v.type == VALUE_DOUBLE && !isfinite(v.real)) {
        return false;
    }
    struct decimal a = decimal_of(v), b = decimal_of(m);
    if (a.digits == 0 || b.digits == 0) {
        return a.digits == 0;
    }
    int shift = a.exponent - b.exponent;
    if (shift >= 0) {
        return (uint128)(a.digits % b.digits) * power_of_ten_mod(shift, b.digits) % b.digits == 0;
    }
    uint128 divisor = b.digits;
    for (; shift < 0; shift++) {
        divisor *= 10;
        if (divisor > a.digits) {
            return false;
        }
    }
    return a.digits % divisor == 0;
}
