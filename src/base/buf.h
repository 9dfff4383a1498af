/* A growing byte buffer that states its maximum. After a failed append the buffer keeps `failed`
 * set and ignores further appends, so a writer checks once at the end (buf_ok).
 */
#ifndef CAIRN_BASE_BUF_H
#define CAIRN_BASE_BUF_H

#include "base/assert.h"
#include "base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max_bytes;
    bool failed;  /* an append did not fit or found no memory, */
    bool starved; /* and it was memory that there was none of */
};

/* Empty; max_bytes 0 means 1 GiB. */
void buf_init(struct buf *b, size_t max_bytes);
void buf_fini(struct buf *b);
/* Length 0, memory kept, failed cleared. */
void buf_reset(struct buf *b);
void buf_append(struct buf *b, struct str s);
void buf_append_char(struct buf *b, char c);
void buf_append_cstr(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Room for n more bytes to be written by the caller at ptr + len, or NULL. */
char *buf_reserve(struct buf *b, size_t n);
static inline bool buf_ok(const struct buf *b) { return !b->failed; }
static inline struct str buf_str(const struct buf *b) { return (struct str){b->ptr, b->len}; }
/* Hands the memory (malloc'd, NUL-terminated) to the caller and empties b; NULL if failed. */
char *buf_take(struct buf *b, size_t *out_len);

#endif
