/* How an answer to an ask is written: shown as a command, or asked for field by field.
 *
 * What the schema of a field says is shown and checked where it is typed; the answer as a whole is
 * judged by the host alone.
 */
#ifndef CAIRN_CLI_FORM_H
#define CAIRN_CLI_FORM_H

#include "base/buf.h"
#include "base/error.h"
#include "value/value.h"

/* What stands behind `cairn answer ID STEP`: yes|no, '{"age": INTEGER}' or VALUE. */
void form_put_answer(struct buf *out, struct value request);
/* The choice that a typed line means: by name, or by its number, from 1; else the line. */
struct str form_choice(struct value choices, struct str line);
/* "age (integer, in years; empty: 30)"; the name alone when nothing is known of it. */
void form_put_field(struct buf *out, struct str name, struct value schema);
/* The value of a typed line that fits the field's schema. ERR_INVALID says what was expected. */
enum err form_read_field(struct value schema, struct str line, struct arena *a, struct value *out,
                         struct error *e) MUST_USE;

#endif
