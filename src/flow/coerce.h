/* `type` in a value of `in`: reads a value as another type where nothing is lost by it.
 *
 *   string     a number, bool, time or duration as it prints; bytes that are UTF-8
 *   integer    a double without a fraction; the text of such a number
 *   number     the text of a number
 *   boolean    the texts true and false
 *   array      the text of a JSON array        object     the text of a JSON object
 *   timestamp  an RFC 3339 text                duration   a text as 1h30m or -1.5s
 *   bytes      a text, as its UTF-8 bytes      null       nothing else
 *
 * What is of the type already stays. All else is refused: 1 is not true, x is not [x].
 */
#ifndef CAIRN_FLOW_COERCE_H
#define CAIRN_FLOW_COERCE_H

#include "base/base.h"
#include "value/value.h"

enum coercion {
    COERCE_NONE,
#define COERCION(id, name) COERCE_##id,
#include "flow/coercions.def"
#undef COERCION
};

/* The words for `type`, in order of the enum without COERCE_NONE; NULL-terminated. */
extern const char *const coercion_words[];
/* ERR_INVALID says what was expected and what came. The result may borrow from v. */
enum err coercion_apply(enum coercion type, struct value v, struct arena *a, struct value *out,
                        struct error *e) MUST_USE;

#endif
