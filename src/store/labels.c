/* Finding a label in the text of a flat JSON map ({"team": "blue"}), for lists. One matcher for
 * every backend, so that they cannot differ. Text that is no such map has no labels; this never
 * fails and never reads past the text.
 */
#include "store/store_priv.h"

struct scan {
    struct str text;
    size_t at;
};

static void skip_space(struct scan *s) {
    while (s->at < s->text.len && strchr(" \t\r\n", s->text.ptr[s->at]) && s->text.ptr[s->at]) {
        s->at++;
    }
}

static bool take(struct scan *s, char c) {
    skip_space(s);
    if (s->at >= s->text.len || s->text.ptr[s->at] != c) {
        return false;
    }
    s->at++;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex4(struct scan *s, uint32_t *out) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        int digit = s->at < s->text.len ? hex_digit(s->text.ptr[s->at]) : -1;
        if (digit < 0) {
            return false;
        }
        value = value * 16 + (uint32_t)digit;
    }
    *out = value;
    return true;
}

static size_t utf8_encode(uint32_t c, char out[4]) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6) {
        out[i] = (char)(0x80 | (c & 0x3F));
    }
    out[0] = (char)((len == 2 ? 0xC0u : len == 3 ? 0xE0u : 0xF0u) | c);
    return len;
}

/* After a backslash. The length of the decoded bytes, 0 when malformed. */
static size_t take_escape(struct scan *s, char out[4]) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s->at >= s->text.len) {
        return 0;
    }
    char c = s->text.ptr[s->at++];
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        out[0] = to[known - from];
        return 1;
    }
    uint32_t high, low;
    if (c != 'u' || !take_hex4(s, &high)) {
        return 0;
    }
    if (high < 0xD800 || high > 0xDBFF) {
        return utf8_encode(high, out);
    }
    if (s->at + 1 >= s->text.len || s->text.ptr[s->at] != '\\' || s->text.ptr[s->at + 1] != 'u') {
        return 0;
    }
    s->at += 2;
    if (!take_hex4(s, &low) || low < 0xDC00 || low > 0xDFFF) {
        return 0;
    }
    return utf8_encode(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), out);
}

/* Reads a JSON text; *out_same tells whether it is `want`. False when malformed. */
static bool take_text(struct scan *s, struct str want, bool *out_same) {
    bool same = true;
    size_t matched = 0;
    if (!take(s, '"')) {
        return false;
    }
    while (s->at < s->text.len && s->text.ptr[s->at] != '"') {
        char piece[4] = {s->text.ptr[s->at++]};
        size_t len = piece[0] == '\\' ? take_escape(s, piece) : 1;
        if (len == 0) {
            return false;
        }
        same = same && matched + len <= want.len && memcmp(want.ptr + matched, piece, len) == 0;
        matched += len;
    }
    *out_same = same && matched == want.len;
    return take(s, '"');
}

bool store_label_has(struct str labels, struct str key, struct str value) {
    struct scan s = {labels, 0};
    if (!take(&s, '{')) {
        return false;
    }
    do {
        bool same_key, same_value;
        if (!take_text(&s, key, &same_key) || !take(&s, ':') ||
            !take_text(&s, value, &same_value)) {
            return false;
        }
        if (same_key) {
            return same_value;
        }
    } while (take(&s, ','));
    return false;
}
