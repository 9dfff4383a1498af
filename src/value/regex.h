/* Regular expressions that cannot explode: matching time is linear in the text (a set of states is
 * moved over it, nothing is tried again). Used for `matches` in expressions and `pattern` in
 * schemas.
 *
 * The syntax is what RE2 and ECMA-262 have in common, over code points: literals, ., [...] with
 * ranges and \d \w \s (ASCII), \b \B ^ $ \A \z, groups ( ) (?: ) (?<name> ), |, * + ? {n} {n,}
 * {n,m} and their lazy forms, flags (?i) (?s) (?m) also as (?i: ), escapes \t \n \r \f \v \xHH
 * \x{..} \uHHHH \u{..} \cX. Refused with a message: back references, look-around, \p{..},
 * [[:alpha:]], and what the two read differently: [] and [^]. $ without (?m) is the end of the
 * text only. (?i) knows the letters of ASCII, Latin-1, Greek and Cyrillic.
 */
#ifndef CAIRN_VALUE_REGEX_H
#define CAIRN_VALUE_REGEX_H

#include "base/base.h"

struct regex; /* compiled, immutable, in its arena */

#define REGEX_MAX_PATTERN 10000u     /* bytes */
#define REGEX_MAX_PROGRAM 20000u     /* instructions, after {n,m} is written out */
#define REGEX_MAX_REPEAT 1000u       /* n and m of {n,m} */
#define REGEX_MAX_DEPTH 200u         /* groups inside one another */
#define REGEX_MAX_STEPS 400000000ull /* states moved in one search */

/* Compiles pattern, which need not outlive the call. ERR_INVALID says what is wrong and at which
 * character, ERR_LIMIT which limit was reached. */
enum err regex_compile(struct arena *a, struct str pattern, const struct regex **out,
                       struct error *e) MUST_USE;
/* Whether the pattern matches anywhere in text (UTF-8; a bad byte counts as U+FFFD). Takes memory
 * in proportion to the pattern from scratch. ERR_LIMIT after REGEX_MAX_STEPS. */
enum err regex_search(const struct regex *r, struct str text, struct arena *scratch, bool *out,
                      struct error *e) MUST_USE;

#endif
