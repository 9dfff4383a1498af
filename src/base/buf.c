/* A byte buffer that doubles up to its stated maximum.
 *
 * Invariants: len <= cap, len <= max_bytes; once `failed` is set nothing is appended any more, so
 * the content is a prefix of what was meant and buf_take refuses to hand it out. What is appended
 * must never lie inside the buffer itself: growing moves it.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_MAX_BYTES ((size_t)1 << 30)
#define FIRST_CAP_BYTES 128u
#define LARGEST_CAP_BYTES (SIZE_MAX / 4) /* doubling it does not wrap around */

void buf_init(struct buf *b, size_t max_bytes) {
    *b = (struct buf){.max_bytes = max_bytes ? max_bytes : DEFAULT_MAX_BYTES};
}

void buf_fini(struct buf *b) {
    if (!b) {
        return;
    }
    free(b->ptr);
    *b = (struct buf){.max_bytes = b->max_bytes};
}

void buf_reset(struct buf *b) {
    b->len = 0;
    b->failed = false;
    b->starved = false;
}

/* Memory for `need` bytes in all; one more is kept for the NUL of buf_take. */
static bool grow(struct buf *b, size_t need) {
    size_t cap = b->cap ? b->cap : FIRST_CAP_BYTES;
    if (need > LARGEST_CAP_BYTES) {
        return false;
    }
    while (cap < need) {
        cap *= 2;
    }
    if (cap > b->max_bytes) {
        cap = b->max_bytes;
    }
    char *p = realloc(b->ptr, cap + 1);
    if (!p) {
        b->starved = true;
        return false;
    }
    b->ptr = p;
    b->cap = cap;
    return true;
}

char *buf_reserve(struct buf *b, size_t n) {
    if (b->failed) {
        return NULL;
    }
    if (b->ptr && n <= b->cap - b->len) {
        return b->ptr + b->len;
    }
    if (b->len > b->max_bytes || n > b->max_bytes - b->len || !grow(b, b->len + n)) {
        b->failed = true;
        return NULL;
    }
    return b->ptr + b->len;
}

void buf_append(struct buf *b, struct str s) {
    char *p = s.len ? buf_reserve(b, s.len) : NULL;
    if (!p) {
        return;
    }
    memcpy(p, s.ptr, s.len);
    b->len += s.len;
}

void buf_append_char(struct buf *b, char c) {
    char *p = buf_reserve(b, 1);
    if (!p) {
        return;
    }
    *p = c;
    b->len++;
}

void buf_append_cstr(struct buf *b, const char *s) { buf_append(b, str_from(s)); }

void buf_printf(struct buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char small[256];
    int len = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (len < 0) {
        b->failed = true;
        return;
    }
    if ((size_t)len < sizeof small) {
        buf_append(b, (struct str){small, (size_t)len});
        return;
    }
    char *p = buf_reserve(b, (size_t)len);
    if (!p) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)len + 1, fmt, ap); /* the NUL falls on the spare byte */
    va_end(ap);
    b->len += (size_t)len;
}

char *buf_take(struct buf *b, size_t *out_len) {
    if (b->failed || (!b->ptr && !grow(b, 0))) {
        return NULL;
    }
    char *p = b->ptr;
    p[b->len] = '\0';
    if (out_len) {
        *out_len = b->len;
    }
    *b = (struct buf){.max_bytes = b->max_bytes};
    return p;
}
