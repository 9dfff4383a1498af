/* The text of single scalars as JSON needs it: quoted strings, base64, times.
 *
 * What is written is always valid inside a JSON document: control characters are escaped and
 * bytes that are no UTF-8 become U+FFFD. Nothing here may look at the locale.
 */
#include "value/value_priv.h"

#define S_PER_DAY INT64_C(86400)

static bool is_special(unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; }

static void append_escaped(unsigned char c, struct buf *out) {
    static const char short_forms[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char letter = c < 0x20 ? short_forms[c] : (char)c;
    if (letter) {
        buf_append(out, (struct str){(const char[]){'\\', letter}, 2});
        return;
    }
    char text[7] = "\\u00";
    hex_encode(&c, 1, text + 4);
    buf_append(out, (struct str){text, 6});
}

/* s is well-formed UTF-8: runs without anything special are copied whole. */
static void append_clean(struct str s, struct buf *out) {
    size_t run = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (!is_special(c)) {
            continue;
        }
        buf_append(out, str_sub(s, run, i));
        append_escaped(c, out);
        run = i + 1;
    }
    buf_append(out, str_sub(s, run, s.len));
}

static void append_repaired(struct str s, struct buf *out) {
    size_t pos = 0;
    while (pos < s.len) {
        size_t from = pos;
        uint32_t c = str_utf8_next(s, &pos);
        if (c == 0xFFFD) {
            buf_append(out, STR("\xEF\xBF\xBD"));
        } else {
            append_clean(str_sub(s, from, pos), out);
        }
    }
}

void value_print_quoted(struct str s, struct buf *out) {
    buf_append_char(out, '"');
    if (str_is_utf8(s)) {
        append_clean(s, out);
    } else {
        append_repaired(s, out);
    }
    buf_append_char(out, '"');
}

/* RFC 4648, section 4, with padding. */
void value_print_base64(struct str s, struct buf *out) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = (const uint8_t *)s.ptr;
    char *p = buf_reserve(out, (s.len + 2) / 3 * 4);
    if (!p) {
        return;
    }
    out->len += (s.len + 2) / 3 * 4;
    for (size_t i = 0; i < s.len; i += 3) {
        size_t n = s.len - i < 3 ? s.len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16;
        if (n > 1) {
            bits |= (uint32_t)in[i + 1] << 8;
        }
        if (n > 2) {
            bits |= in[i + 2];
        }
        *p++ = alphabet[bits >> 18];
        *p++ = alphabet[(bits >> 12) & 63];
        *p++ = n > 1 ? alphabet[(bits >> 6) & 63] : '=';
        *p++ = n > 2 ? alphabet[bits & 63] : '=';
    }
}

/* ".5", ".123456789" or nothing. */
static void append_nanos(uint32_t nanos, struct buf *out) {
    char digits[10];
    size_t len = 9;
    if (nanos == 0) {
        return;
    }
    for (size_t i = 9; i > 0; i--, nanos /= 10) {
        digits[i] = (char)('0' + nanos % 10);
    }
    digits[0] = '.';
    while (digits[len] == '0') {
        len--;
    }
    buf_append(out, (struct str){digits, len + 1});
}

/* RFC 3339 in UTC with as much of a fraction as there is. */
void value_print_timestamp(struct value v, struct buf *out) {
    int rest = (int)(v.num % S_PER_DAY);
    int64_t days = v.num / S_PER_DAY - (rest < 0);
    int64_t year;
    int month, day;
    if (rest < 0) {
        rest += (int)S_PER_DAY;
    }
    time_civil_from_days(days, &year, &month, &day);
    buf_printf(out, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)year, month, day, rest / 3600,
               rest / 60 % 60, rest % 60);
    append_nanos(v.extra, out);
    buf_append_char(out, 'Z');
}

void value_print_duration(struct value v, struct buf *out) {
    int32_t nanos = (int32_t)v.extra;
    bool negative = v.num < 0 || nanos < 0;
    if (negative) {
        buf_append_char(out, '-');
    }
    value_print_uint64(v.num < 0 ? 0 - (uint64_t)v.num : (uint64_t)v.num, out);
    append_nanos((uint32_t)(nanos < 0 ? -nanos : nanos), out);
    buf_append_char(out, 's');
}
