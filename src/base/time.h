/* Two kinds of time that must not be mixed. wall_us: microseconds since 1970 UTC, stored and
 * shown, may jump. mono_ns: nanoseconds of a steady clock, never stored. Reading them is io's.
 */
#ifndef CAIRN_BASE_TIME_H
#define CAIRN_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct {
    int64_t us;
} wall_us;

typedef struct {
    int64_t ns;
} mono_ns;

#define TIME_RFC3339_BYTES 25 /* "2026-11-21T08:45:23.123Z" + NUL */

/* RFC 3339 UTC with milliseconds. */
void time_print_rfc3339(wall_us t, char out[TIME_RFC3339_BYTES]);
/* Parses RFC 3339 with any offset and up to 9 digits of fraction: seconds since 1970 and the
 * nanoseconds; false when malformed or a field is out of range. */
bool time_parse_rfc3339(struct str s, int64_t *out_s, int32_t *out_ns);
/* Parses a workflow duration: one or more of <number><unit>, units d h m s ms us, fractions
 * allowed ("1h30m", "1.5s"). False when malformed, negative or over 100 years. */
bool time_parse_duration(struct str s, int64_t *out_us);
/* Prints microseconds as the shortest such text: "1h30m", "250ms", "0s". Returns the length. */
size_t time_print_duration(int64_t us, char *out, size_t out_bytes);
/* Days since 1970-01-01 of a Gregorian date (month 1..12), and back. */
int64_t time_days_from_civil(int64_t year, int month, int day);
void time_civil_from_days(int64_t days, int64_t *year, int *month, int *day);

#endif
