/* What an answer says about when to come again: Retry-After (RFC 9110 section 10.2.3) in seconds,
 * with a fraction too, or as a date, and retry-after-ms, which some services send beside it.
 *
 * Never here: a clock. Invariant: what is asked for is at most a year; what cannot be read counts
 * as not said.
 */
#include <stdio.h>
#include <strings.h>

#include "net/net.h"

#define US_PER_S INT64_C(1000000)
#define MOST_US (INT64_C(366) * 86400 * US_PER_S)

/* Digits with at most one point; not strtod, which reads as the locale says. */
static bool read_number(struct str s, double unit_us, int64_t *out_us) {
    double number = 0, place = 0;
    s = str_trim(s);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '.' && place == 0) {
            place = 1;
        } else if (c >= '0' && c <= '9') {
            number = number * 10 + (c - '0');
            place *= 10;
        } else {
            return false;
        }
    }
    if (!s.len || s.len > 30) {
        return false;
    }
    double us = number / (place > 0 ? place : 1) * unit_us;
    *out_us = us >= (double)MOST_US ? MOST_US : (int64_t)us;
    return true;
}

/* ---- dates: the three forms of RFC 9110 section 5.6.7 ---- */

struct date {
    int64_t year;
    int month, day, hour, minute, second;
};

static int month_of(const char *name) {
    static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (int i = 0; i < 12; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static bool is_sane(const struct date *d) {
    return d->month >= 1 && d->day >= 1 && d->day <= 31 && d->hour >= 0 && d->hour <= 23 &&
           d->minute >= 0 && d->minute <= 59 && d->second >= 0 && d->second <= 60 &&
           d->year >= 1970 && d->year <= 9999;
}

static bool scan(const char *text, struct date *d) {
    char month[4];
    int year, used = 0;
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &d->day, month, &year,
               &d->hour, &d->minute, &d->second, &used) == 6 &&
        used) {
        d->year = year;
    } else if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &d->day, month,
                      &year, &d->hour, &d->minute, &d->second, &used) == 6 &&
               used) {
        d->year = year + (year < 70 ? 2000 : 1900);
    } else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &d->day,
                      &d->hour, &d->minute, &d->second, &year, &used) == 6 &&
               used) {
        d->year = year;
    } else {
        return false;
    }
    d->month = month_of(month);
    return text[used] == '\0' && is_sane(d);
}

static bool read_date(struct str s, wall_us now, int64_t *out_us) {
    char text[40];
    struct date d;
    s = str_trim(s);
    if (s.len >= sizeof text || memchr(s.ptr, 0, s.len)) {
        return false;
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    if (!scan(text, &d)) {
        return false;
    }
    int64_t days = time_days_from_civil(d.year, d.month, d.day);
    int64_t at_us = (((days * 24 + d.hour) * 60 + d.minute) * 60 + d.second) * US_PER_S;
    int64_t wait_us = at_us - now.us;
    *out_us = wait_us < 0 ? 0 : wait_us > MOST_US ? MOST_US : wait_us;
    return true;
}

int64_t net_retry_after_us(const struct net_response *r, wall_us now) {
    const struct str *ms = net_header_find(r, "retry-after-ms");
    const struct str *s = net_header_find(r, "retry-after");
    int64_t us = 0;
    bool said = ms && read_number(*ms, 1000.0, &us);
    said = said || (s && read_number(*s, (double)US_PER_S, &us));
    said = said || (s && read_date(*s, now, &us));
    return said ? us : 0;
}
