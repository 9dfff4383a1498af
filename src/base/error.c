/* Filling struct error: codes, marks and messages.
 *
 * Invariants: message and file are NUL-terminated UTF-8 whatever went into them (bytes that are
 * none become '?'), for they end up in values and on terminals; a long message is cut at a
 * character border with "..."; the file name is copied, so that an error outlives the document
 * it speaks of. Arguments may point into the very error that is being filled.
 */
#include "base/error.h"

#include <stdio.h>

struct code_row {
    const char *name;
    int exit_code;
};

static const struct code_row code_rows[ERR_COUNT] = {
    [OK] = {"ok", 0},
#define ERR(id, name, exit_code, doc) [ERR_##id] = {name, exit_code},
#include "base/errors.def"
#undef ERR
};

_Static_assert(ERR_NOMEM == 1, "error_nomem in error.h relies on it");

static const struct code_row *row(enum err code) {
    ASSERT((unsigned)code < ERR_COUNT);
    return &code_rows[code];
}

const char *err_name(enum err code) { return row(code)->name; }

int err_exit_code(enum err code) { return row(code)->exit_code; }

/* Ends text of `cap` bytes, which did not fit, with "..." after the last whole character. */
static void cut(char *text, size_t cap) {
    size_t len = cap - 4;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80) {
        len--;
    }
    memcpy(text + len, "...", 4);
}

static void repair(char *text) {
    struct str s = str_from(text);
    for (size_t pos = 0; pos < s.len;) {
        size_t from = pos;
        if (str_utf8_next(s, &pos) == 0xFFFD && pos == from + 1) {
            text[from] = '?';
        }
    }
}

static void format_message(char out[ERROR_MESSAGE_BYTES], const char *fmt, va_list ap)
    PRINTF_LIKE(2, 0);

static void format_message(char out[ERROR_MESSAGE_BYTES], const char *fmt, va_list ap) {
    int len = vsnprintf(out, ERROR_MESSAGE_BYTES, fmt, ap);
    if (len < 0) {
        out[0] = '\0';
    } else if (len >= ERROR_MESSAGE_BYTES) {
        cut(out, ERROR_MESSAGE_BYTES);
    }
    repair(out);
}

/* Of a path that is too long the end is kept: that is the part people know. */
static void copy_file(struct error *e, const char *file) {
    size_t len = file ? strlen(file) : 0;
    size_t cap = sizeof e->file;
    if (len < cap) {
        memmove(e->file, file ? file : "", len);
        e->file[len] = '\0';
        return;
    }
    size_t from = len - (cap - 4);
    while (((unsigned char)file[from] & 0xC0) == 0x80) {
        from++;
    }
    memcpy(e->file, "...", 3);
    memcpy(e->file + 3, file + from, len - from + 1);
}

enum err error_vset(struct error *e, enum err code, struct mark mark, const char *fmt, va_list ap) {
    ASSERT((unsigned)code < ERR_COUNT);
    if (!e) {
        return code;
    }
    char message[ERROR_MESSAGE_BYTES];
    format_message(message, fmt, ap);
    copy_file(e, mark.file);
    repair(e->file);
    e->code = code;
    e->mark = mark;
    memcpy(e->message, message, strlen(message) + 1);
    return code;
}

enum err error_set(struct error *e, enum err code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)error_vset(e, code, (struct mark){0}, fmt, ap);
    va_end(ap);
    return code;
}

enum err error_at(struct error *e, enum err code, struct mark mark, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)error_vset(e, code, mark, fmt, ap);
    va_end(ap);
    return code;
}

enum err error_wrap(struct error *e, enum err code, const char *fmt, ...) {
    if (!e) {
        return code;
    }
    char prefix[ERROR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    format_message(prefix, fmt, ap);
    va_end(ap);
    char whole[2 * ERROR_MESSAGE_BYTES + 2];
    int len = snprintf(whole, sizeof whole, "%s: %s", prefix, e->message);
    if (len < 0) {
        return code;
    }
    if (len >= ERROR_MESSAGE_BYTES) {
        cut(whole, ERROR_MESSAGE_BYTES);
    }
    memcpy(e->message, whole, strlen(whole) + 1);
    return code;
}
