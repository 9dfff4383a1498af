/* Reading base64 (RFC 4648): the alphabet with + and /, padding required, no white space.
 *
 * Must never accept what is malformed: a text that only looks like base64 stays a text.
 */
#include "base/base64.h"

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct str s, char *out, size_t *out_len) {
    size_t len = 0;
    uint32_t bits = 0;
    int count = 0;
    if (s.len % 4 != 0) {
        return false;
    }
    while (s.len > 0 && s.ptr[s.len - 1] == '=') {
        s.len--;
    }
    for (size_t i = 0; i < s.len; i++) {
        int digit = base64_digit(s.ptr[i]);
        if (digit < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)digit;
        if (++count % 4 != 1) {
            out[len++] = (char)(bits >> (count % 4 == 0 ? 0 : count % 4 == 3 ? 2 : 4));
        }
    }
    *out_len = len;
    return s.len % 4 != 1;
}
