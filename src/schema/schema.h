/* JSON Schema 2020-12: inputs, outputs, forms, structured answers. Pure; regular expressions and
 * formats included; remote references are refused (nothing is fetched).
 *
 * format: a schema that names its dialect ($schema) gets what the standard says, an annotation.
 * Without $schema, as inputs and forms are written, date-time, date, time, duration, email,
 * hostname, ipv4, ipv6, uri and uuid are checked; other formats never are. $vocabulary is ignored.
 */
#ifndef CAIRN_SCHEMA_SCHEMA_H
#define CAIRN_SCHEMA_SCHEMA_H

#include "base/base.h"
#include "value/value.h"

struct schema; /* compiled, immutable, in its arena */

#define SCHEMA_MAX_ERRORS 20

struct schema_error {
    struct str instance; /* JSON Pointer into the value, "" for the whole */
    struct str keyword;  /* "type", "required" ... */
    struct str message;  /* "expected integer, got text \"x\"" */
};

struct schema_result {
    bool valid;
    uint32_t count;
    struct schema_error errors[SCHEMA_MAX_ERRORS];
};

/* Compiles a schema (map or bool). Borrows from source, which must outlive it. ERR_INVALID with a
 * JSON Pointer in the message for a malformed schema. */
enum err schema_compile(struct arena *a, struct value source, const struct schema **out,
                        struct error *e) MUST_USE;
/* Checks v; messages go to the arena. ERR_LIMIT when the work is out of bounds. */
enum err schema_check(const struct schema *s, struct value v, struct arena *a,
                      struct schema_result *out, struct error *e) MUST_USE;
/* v with the defaults of missing properties filled in, recursively. */
enum err schema_fill(const struct schema *s, struct value v, struct arena *a, struct value *out,
                     struct error *e) MUST_USE;
/* Reads text the way the schema's type wants it: "3" for integer, "true" for boolean, JSON for
 * array and object, text otherwise. ERR_INVALID with what was expected. */
enum err schema_read_text(const struct schema *s, struct str text, struct arena *a,
                          struct value *out, struct error *e) MUST_USE;

#endif
