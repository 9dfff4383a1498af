/* Numbers as text: integers by hand, doubles as the shortest text that reads back the same.
 *
 * Few decimals are found by exact arithmetic; otherwise the C library is asked with growing
 * precision until its reader returns the same bits (up to 15 digits its text is the shortest).
 * Whatever the locale's decimal point is, '.' is
 * written. An integral double keeps ".0" or an exponent, so that it never reads as an integer.
 */
#include "value/value_priv.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static size_t uint_digits(uint64_t n, char out[20]) {
    char reversed[20];
    size_t len = 0;
    do {
        reversed[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    for (size_t i = 0; i < len; i++) {
        out[i] = reversed[len - 1 - i];
    }
    return len;
}

void value_print_uint64(uint64_t n, struct buf *out) {
    char digits[20];
    buf_append(out, (struct str){digits, uint_digits(n, digits)});
}

void value_print_int64(int64_t n, struct buf *out) {
    char text[21] = "-";
    size_t sign = n < 0;
    size_t len = uint_digits(n < 0 ? 0 - (uint64_t)n : (uint64_t)n, text + sign);
    buf_append(out, (struct str){text, sign + len});
}

static size_t put_cstr(char out[32], const char *s) {
    size_t len = strlen(s);
    memcpy(out, s, len + 1);
    return len;
}

static bool reads_back(const char *text, double d) { return strtod(text, NULL) == d; }

static void shortest(double d, char out[64]) {
    int first = fabs(d) < DBL_MIN ? 1 : DBL_DIG; /* subnormals have fewer digits */
    for (int digits = first; digits <= 17; digits++) {
        (void)snprintf(out, 64, "%.*g", digits, d);
        if (reads_back(out, d)) {
            return;
        }
    }
}

static bool is_part(char c) { return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e'; }

/* "1e+05" to "1e5", a foreign decimal point to ".", and ".0" where nothing shows a double. */
static size_t tidy(const char *in, char out[32]) {
    size_t len = 0;
    bool real = false;
    for (const char *p = in; *p; p++) {
        if (!is_part(*p)) {
            if (!real) {
                out[len++] = '.';
            }
            real = true;
            continue;
        }
        out[len++] = *p;
        if (*p != 'e') {
            continue;
        }
        real = true;
        if (p[1] == '-') {
            out[len++] = '-';
        }
        p++;
        while (p[1] == '0') {
            p++;
        }
    }
    if (!real) {
        out[len++] = '.';
        out[len++] = '0';
    }
    out[len] = '\0';
    return len;
}

static size_t print_integral(double d, char out[32]) {
    size_t sign = signbit(d) ? 1 : 0;
    out[0] = '-';
    size_t len = sign + uint_digits((uint64_t)fabs(d), out + sign);
    memcpy(out + len, ".0", 3);
    return len + 2;
}

/* n / 10^decimals == d, as a rounded division of two exact numbers, means that the text of at most
 * 15 digits reads back as d; the first number of decimals that does gives the shortest. */
static size_t print_few_decimals(double d, char out[32]) {
    double scale = 10;
    for (size_t decimals = 1; decimals <= 6; decimals++, scale *= 10) {
        double n = round(fabs(d) * scale);
        if (n >= 1e15) {
            return 0;
        }
        if (n / scale != fabs(d)) {
            continue;
        }
        size_t sign = d < 0;
        out[0] = '-';
        size_t len = sign + uint_digits((uint64_t)n / (uint64_t)scale, out + sign);
        out[len] = '.';
        uint64_t rest = (uint64_t)n % (uint64_t)scale;
        for (size_t i = decimals; i > 0; i--, rest /= 10) {
            out[len + i] = (char)('0' + rest % 10);
        }
        out[len + 1 + decimals] = '\0';
        return len + 1 + decimals;
    }
    return 0;
}

size_t value_print_double(double d, char out[32]) {
    char text[64];
    if (isnan(d)) {
        return put_cstr(out, "NaN");
    }
    if (isinf(d)) {
        return put_cstr(out, d < 0 ? "-Infinity" : "Infinity");
    }
    if (fabs(d) < 1e15 && d == trunc(d)) {
        return print_integral(d, out);
    }
    size_t len = fabs(d) >= 1e-4 ? print_few_decimals(d, out) : 0;
    if (len) {
        return len;
    }
    shortest(d, text);
    return tidy(text, out);
}

void value_print_real(double d, struct buf *out) {
    char text[32];
    size_t len = value_print_double(d, text);
    buf_append(out, (struct str){text, len});
}
