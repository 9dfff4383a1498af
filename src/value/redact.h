/* Taking secrets out of what the outside tells: "[secret NAME]" stands wherever one stood.
 *
 * A secret is also found as JSON, a URL and base64 write it (redact_forms.c). What overlaps is
 * taken out as a whole, under the name of the longest secret in it. The time is linear in the text,
 * however many secrets there are. Secrets are only added, never forgotten before redactor_free.
 */
#ifndef CAIRN_VALUE_REDACT_H
#define CAIRN_VALUE_REDACT_H

#include "value/value.h"

#define SECRET_MIN_BYTES 6u /* shorter ones would be found everywhere */
#define SECRET_MAX_BYTES 65536u

struct redactor;
struct redact_stream;

/* NULL when out of memory. */
struct redactor *redactor_new(void);
/* Overwrites what it knows. */
void redactor_free(struct redactor *r);
/* The secret has SECRET_MIN_BYTES to SECRET_MAX_BYTES. False when out of memory: then nothing that
 * may hold it must be let through. A name may have several secrets. */
bool redactor_add(struct redactor *r, struct str name, struct str secret) MUST_USE;

/* A copy in a, redacted, of a text that may quote what came from outside and cut it off (as a
 * message does): the first half of a secret, or more of it, counts as the secret. False when out of
 * memory. */
bool redact_message(const struct redactor *r, struct arena *a, struct str text, struct str *out)
    MUST_USE;
/* A deep copy of v in a: texts, bytes and keys redacted; a number that reads like a secret becomes
 * its text. False when out of memory. */
bool redact_value(const struct redactor *r, struct arena *a, struct value v, struct value *out)
    MUST_USE;

/* Text that comes in pieces. What may be the beginning of a secret is held back until it is clear.
 * Secrets that are added meanwhile count from then on. The redactor must outlive the stream. */
struct redact_stream *redact_stream_new(const struct redactor *r);
void redact_stream_free(struct redact_stream *s);
/* Appends to out what of the text so far can be told; with flush all of it. False when out of
 * memory: nothing of the stream may be told any more. */
bool redact_stream_feed(struct redact_stream *s, struct str piece, bool flush, struct buf *out)
    MUST_USE;

#endif
