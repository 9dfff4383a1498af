/* Errors. Fallible functions return enum err (0 is OK) and fill the struct error they get last.
 * Classes: a bug asserts; the others are returned. Only the host retries (transient).
 * An error says what, where (mark), and, in the message, what to do where that is known.
 */
#ifndef CAIRN_BASE_ERROR_H
#define CAIRN_BASE_ERROR_H

#include <stdarg.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/str.h"

enum err {
    OK = 0,
#define ERR(id, name, exit_code, doc) ERR_##id,
#include "base/errors.def"
#undef ERR
    ERR_COUNT
};

/* A place in a text file: line and column from 1 (0: unknown), column in code points. */
struct mark {
    const char *file; /* lives as long as the document it marks; may be NULL */
    uint32_t line;
    uint32_t column;
};

#define ERROR_MESSAGE_BYTES 1000

struct error {
    enum err code;
    struct mark mark;
    char message[ERROR_MESSAGE_BYTES]; /* cut at a character border, with "..." */
    char file[256];                    /* mark.file is copied here so that an error outlives it */
};

/* The name of a code as it stands in errors.def: "invalid", "not_found"... */
const char *err_name(enum err code);
/* The exit status that a command ends with for it (interfaces.md). */
int err_exit_code(enum err code);

/* Fills e (which may be NULL) and returns code, so: return error_set(e, ERR_LIMIT, "..."). */
enum err error_set(struct error *e, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum err error_at(struct error *e, enum err code, struct mark mark, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
enum err error_vset(struct error *e, enum err code, struct mark mark, const char *fmt, va_list ap)
    PRINTF_LIKE(4, 0);
/* Puts "prefix: " before the message and returns the code unchanged. */
enum err error_wrap(struct error *e, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);
static inline enum err error_nomem(struct error *e) {
    return error_set(e, (enum err)1 /* ERR_NOMEM, the first row */, "out of memory");
}

#endif
