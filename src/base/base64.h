/* Reading base64 (RFC 4648).
 *
 * Writing it is part of printing a value (value/value.h), the one place that needs it so far.
 */
#ifndef CAIRN_BASE_BASE64_H
#define CAIRN_BASE_BASE64_H

#include "base/str.h"

/* out has room for s.len / 4 * 3 bytes. False when s is malformed (RFC 4648, padding required). */
bool base64_decode(struct str s, char *out, size_t *out_len);

#endif
