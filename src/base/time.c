/* Dates, RFC 3339 and durations as arithmetic on numbers: no clock, no time zone data, no locale.
 *
 * The civil calendar is the proleptic Gregorian one; the day number formulas work on years that
 * begin in March, so that the leap day is the last (the well-known era/day-of-era method).
 * What is printed here parses back to the same instant, cut to what the form can show.
 */
#include "base/time.h"

#include <stdio.h>

#include "base/assert.h"

#define US_PER_S INT64_C(1000000)
#define S_PER_DAY INT64_C(86400)
#define DAYS_PER_ERA INT64_C(146097)  /* 400 years */
#define FIRST_S INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define LAST_S INT64_C(253402300799)  /* 9999-12-31T23:59:59Z */
#define DURATION_MAX_US (INT64_C(36525) * S_PER_DAY * US_PER_S)

__extension__ typedef unsigned __int128 wide;

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

int64_t time_days_from_civil(int64_t year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - 719468;
}

void time_civil_from_days(int64_t days, int64_t *year, int *month, int *day) {
    int64_t z = days + 719468;
    int64_t era = floor_div(z, DAYS_PER_ERA);
    int64_t doe = z - era * DAYS_PER_ERA;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t month_from_march = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * month_from_march + 2) / 5 + 1);
    *month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

/* n as `width` digits. */
static char *put_digits(char *out, int64_t n, int width) {
    for (int i = width - 1; i >= 0; i--, n /= 10) {
        out[i] = (char)('0' + n % 10);
    }
    return out + width;
}

void time_print_rfc3339(wall_us t, char out[TIME_RFC3339_BYTES]) {
    int64_t s = floor_div(t.us, US_PER_S);
    int64_t us = t.us - s * US_PER_S;
    if (s < FIRST_S) {
        s = FIRST_S, us = 0;
    }
    if (s > LAST_S) {
        s = LAST_S, us = US_PER_S - 1;
    }
    int64_t days = floor_div(s, S_PER_DAY);
    int64_t rest = s - days * S_PER_DAY;
    int64_t year;
    int month, day;
    time_civil_from_days(days, &year, &month, &day);
    const int64_t fields[] = {year, month, day, rest / 3600, rest / 60 % 60, rest % 60, us / 1000};
    static const char ends[] = "--T::.Z";
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        out = put_digits(out, fields[i], i == 0 ? 4 : i == 6 ? 3 : 2);
        *out++ = ends[i];
    }
    *out = '\0';
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* `width` digits at *pos, at most max. */
static bool take_digits(struct str s, size_t *pos, size_t width, int max, int *out) {
    int n = 0;
    if (s.len - *pos < width) {
        return false;
    }
    for (size_t end = *pos + width; *pos < end; ++*pos) {
        if (!is_digit(s.ptr[*pos])) {
            return false;
        }
        n = n * 10 + (s.ptr[*pos] - '0');
    }
    *out = n;
    return n <= max;
}

static bool take_char(struct str s, size_t *pos, char c) {
    if (*pos >= s.len || (s.ptr[*pos] | 0x20) != (c | 0x20)) {
        return false;
    }
    ++*pos;
    return true;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static bool take_date(struct str s, size_t *pos, int64_t *out_days) {
    int year, month, day;
    if (!take_digits(s, pos, 4, 9999, &year) || *pos >= s.len || s.ptr[(*pos)++] != '-' ||
        !take_digits(s, pos, 2, 12, &month) || *pos >= s.len || s.ptr[(*pos)++] != '-' ||
        !take_digits(s, pos, 2, 31, &day)) {
        return false;
    }
    if (month < 1 || day < 1 || day > days_in_month(year, month)) {
        return false;
    }
    *out_days = time_days_from_civil(year, month, day);
    return true;
}

/* hh:mm:ss as seconds of the day; 60 seconds pass here and are judged in UTC later. */
static bool take_clock(struct str s, size_t *pos, int *out_s, bool *out_leap) {
    int h, m, sec;
    if (!take_digits(s, pos, 2, 23, &h) || *pos >= s.len || s.ptr[(*pos)++] != ':' ||
        !take_digits(s, pos, 2, 59, &m) || *pos >= s.len || s.ptr[(*pos)++] != ':' ||
        !take_digits(s, pos, 2, 60, &sec)) {
        return false;
    }
    *out_s = h * 3600 + m * 60 + sec;
    *out_leap = sec == 60;
    return true;
}

static bool take_fraction(struct str s, size_t *pos, int32_t *out_ns) {
    int32_t ns = 0;
    if (*pos >= s.len || s.ptr[*pos] != '.') {
        *out_ns = 0;
        return true;
    }
    int32_t unit = 100000000;
    size_t from = ++*pos;
    for (; *pos < s.len && is_digit(s.ptr[*pos]); ++*pos, unit /= 10) {
        ns += (s.ptr[*pos] - '0') * unit;
    }
    *out_ns = ns;
    return *pos > from && *pos - from <= 9;
}

static bool take_offset(struct str s, size_t *pos, int *out_s) {
    *out_s = 0;
    if (take_char(s, pos, 'Z')) {
        return true;
    }
    if (*pos >= s.len || (s.ptr[*pos] != '+' && s.ptr[*pos] != '-')) {
        return false;
    }
    int sign = s.ptr[(*pos)++] == '-' ? -1 : 1;
    int h, m;
    if (!take_digits(s, pos, 2, 23, &h) || *pos >= s.len || s.ptr[(*pos)++] != ':' ||
        !take_digits(s, pos, 2, 59, &m)) {
        return false;
    }
    *out_s = sign * (h * 3600 + m * 60);
    return true;
}

bool time_parse_rfc3339(struct str s, int64_t *out_s, int32_t *out_ns) {
    size_t pos = 0;
    int64_t days;
    int clock_s, offset_s;
    int32_t ns;
    bool leap;
    if (!take_date(s, &pos, &days) || !take_char(s, &pos, 'T') ||
        !take_clock(s, &pos, &clock_s, &leap) || !take_fraction(s, &pos, &ns) ||
        !take_offset(s, &pos, &offset_s) || pos != s.len) {
        return false;
    }
    int64_t t = days * S_PER_DAY + clock_s - offset_s;
    /* A leap second exists only as 23:59:60 UTC; it is counted as the second after it. */
    if (t < FIRST_S || t > LAST_S || (leap && t % S_PER_DAY != 0)) {
        return false;
    }
    *out_s = t;
    *out_ns = ns;
    return true;
}

struct unit {
    char name[3];
    int64_t us;
};

/* Longer names before their prefixes. */
static const struct unit units[] = {
    {"ms", 1000},         {"us", 1},       {"d", S_PER_DAY *US_PER_S}, {"h", 3600 * US_PER_S},
    {"m", 60 * US_PER_S}, {"s", US_PER_S},
};

static const struct unit *take_unit(struct str s, size_t *pos) {
    struct str rest = str_sub(s, *pos, s.len);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct str name = str_from(units[i].name);
        if (str_starts(rest, name)) {
            *pos += name.len;
            return &units[i];
        }
    }
    return NULL;
}

/* The digits at *pos, at least one, at most max_digits; *out_scale is 10 to their number. */
static bool take_number(struct str s, size_t *pos, size_t max_digits, uint64_t *out,
                        uint64_t *out_scale) {
    uint64_t n = 0, scale = 1;
    size_t from = *pos;
    for (; *pos < s.len && is_digit(s.ptr[*pos]); ++*pos) {
        if (*pos - from >= max_digits) {
            return false;
        }
        n = n * 10 + (uint64_t)(s.ptr[*pos] - '0');
        scale *= 10;
    }
    *out = n;
    *out_scale = scale;
    return *pos > from;
}

/* One <number><unit>, in microseconds, what is below them cut off. */
static bool take_part(struct str s, size_t *pos, wide *out_us) {
    uint64_t whole, fraction = 0, scale = 1, ignored;
    if (!take_number(s, pos, 18, &whole, &ignored)) {
        return false;
    }
    if (*pos < s.len && s.ptr[*pos] == '.') {
        ++*pos;
        if (!take_number(s, pos, 18, &fraction, &scale)) {
            return false;
        }
    }
    const struct unit *unit = take_unit(s, pos);
    if (!unit) {
        return false;
    }
    *out_us = (wide)whole * (uint64_t)unit->us + (wide)fraction * (uint64_t)unit->us / scale;
    return true;
}

bool time_parse_duration(struct str s, int64_t *out_us) {
    wide total = 0;
    size_t pos = 0;
    do {
        wide part;
        if (!take_part(s, &pos, &part)) {
            return false;
        }
        total += part;
        if (total > (wide)DURATION_MAX_US) {
            return false;
        }
    } while (pos < s.len);
    *out_us = (int64_t)total;
    return true;
}

/* <n/unit> with as many decimals as needed; unit is a power of ten. */
static size_t print_decimal(char *out, uint64_t n, uint64_t unit, const char *name) {
    int len = snprintf(out, 32, "%llu", (unsigned long long)(n / unit));
    uint64_t rest = n % unit;
    size_t at = (size_t)len;
    if (rest) {
        out[at++] = '.';
    }
    while (rest) {
        rest *= 10;
        out[at++] = (char)('0' + rest / unit);
        rest %= unit;
    }
    for (; *name; name++) {
        out[at++] = *name;
    }
    return at;
}

static size_t print_parts(char *out, uint64_t us) {
    static const struct unit large[] = {
        {"d", S_PER_DAY * US_PER_S}, {"h", 3600 * US_PER_S}, {"m", 60 * US_PER_S}};
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(large); i++) {
        uint64_t unit = (uint64_t)large[i].us;
        if (us >= unit) {
            at += print_decimal(out + at, us / unit, 1, large[i].name);
        }
        us %= unit;
    }
    if (us == 0 && at > 0) {
        return at;
    }
    if (us == 0 || us >= (uint64_t)US_PER_S) {
        return at + print_decimal(out + at, us, (uint64_t)US_PER_S, "s");
    }
    if (us >= 1000) {
        return at + print_decimal(out + at, us, 1000, "ms");
    }
    return at + print_decimal(out + at, us, 1, "us");
}

size_t time_print_duration(int64_t us, char *out, size_t out_bytes) {
    char text[160];
    size_t len = 0;
    if (us < 0) {
        text[len++] = '-';
    }
    len += print_parts(text + len, us < 0 ? 0 - (uint64_t)us : (uint64_t)us);
    if (out_bytes == 0) {
        return 0;
    }
    if (len > out_bytes - 1) {
        len = out_bytes - 1;
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return len;
}
