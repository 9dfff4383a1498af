/* Timestamps and durations: 0001-01-01 to the end of 9999, and about 292 years either way (what
 * 64 bits of nanoseconds hold). Zones are UTC and fixed offsets; named zones would need a file.
 */
#include "expr/run_priv.h"

#define NANOS 1000000000
#define FIRST_SECOND (-62135596800)
#define LAST_SECOND 253402300799
#define MAX_DURATION_S 9223372036
#define DAY_S 86400

static enum err make_timestamp(struct run *r, int64_t seconds, int64_t nanos, struct value *out) {
    if (seconds < FIRST_SECOND || seconds > LAST_SECOND) {
        return run_fault(r, "the timestamp is outside the years 1 to 9999");
    }
    *out = value_timestamp(seconds, (int32_t)nanos);
    return OK;
}

/* nanos may have another sign than seconds, but is below a second. */
static enum err make_duration(struct run *r, int64_t seconds, int64_t nanos, struct value *out) {
    if (seconds > 0 && nanos < 0) {
        seconds--;
        nanos += NANOS;
    } else if (seconds < 0 && nanos > 0) {
        seconds++;
        nanos -= NANOS;
    }
    if (seconds >= MAX_DURATION_S || seconds <= -MAX_DURATION_S) {
        return run_fault(r, "the duration is outside the range of 292 years");
    }
    *out = value_duration(seconds, (int32_t)nanos);
    return OK;
}

/* timestamp +- duration, duration +- duration, duration + timestamp, timestamp - timestamp */
enum err time_add(struct run *r, struct value a, struct value b, int sign, struct value *out) {
    int64_t seconds = a.num + sign * b.num;
    int64_t nanos = (int64_t)(int32_t)a.extra + (int64_t)sign * (int32_t)b.extra;
    seconds += nanos / NANOS;
    nanos %= NANOS;
    if ((a.type == VALUE_TIMESTAMP) == (b.type == VALUE_TIMESTAMP)) {
        return make_duration(r, seconds, nanos, out);
    }
    if (nanos < 0) {
        nanos += NANOS;
        seconds--;
    }
    return make_timestamp(r, seconds, nanos, out);
}

static enum err not_readable(struct run *r, const char *fn, struct value v, const char *example) {
    struct buf text;
    buf_init(&text, 200);
    value_print_short(v, 60, &text);
    enum err err = run_fault(r, "%s() cannot read %.*s; it is written as %s", fn,
                             STR_ARG(buf_str(&text)), example);
    buf_fini(&text);
    return err;
}

enum err fn_timestamp(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    int64_t seconds = 0;
    int32_t nanos = 0;
    switch (args[0].type) {
    case VALUE_TIMESTAMP: *out = args[0]; return OK;
    case VALUE_INT: return make_timestamp(r, args[0].num, 0, out);
    case VALUE_TEXT:
        if (!time_parse_rfc3339(value_str(args[0]), &seconds, &nanos)) {
            return not_readable(r, "timestamp", args[0], "\"2026-11-21T08:45:23Z\"");
        }
        return make_timestamp(r, seconds, nanos, out);
    default: return arg_wrong(r, "timestamp", args, 0, "a string or an int");
    }
}

/* Reads a unit at *pos: its nanoseconds, 0 for none. */
static int64_t read_unit(struct str s, size_t *pos) {
    static const struct {
        const char *name;
        int64_t nanos;
    } units[] = {{"ns", 1},
                 {"us", 1000},
                 {"\u00b5s", 1000},
                 {"ms", 1000000},
                 {"s", NANOS},
                 {"m", 60 * (int64_t)NANOS},
                 {"h", 3600 * (int64_t)NANOS}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct str name = str_from(units[i].name);
        if (str_starts(str_sub(s, *pos, s.len), name)) {
            *pos += name.len;
            return units[i].nanos;
        }
    }
    return 0;
}

static bool is_digit(struct str s, size_t pos) {
    return pos < s.len && s.ptr[pos] >= '0' && s.ptr[pos] <= '9';
}

__extension__ typedef __int128 wide;

/* One number with its unit, added to *total in nanoseconds. */
static bool read_part(struct str s, size_t *pos, wide *total) {
    wide whole = 0;
    wide fraction = 0;
    wide scale = 1;
    bool digits = is_digit(s, *pos);
    for (; is_digit(s, *pos) && whole < INT64_MAX; (*pos)++) {
        whole = whole * 10 + (s.ptr[*pos] - '0');
    }
    if (*pos < s.len && s.ptr[*pos] == '.') {
        (*pos)++;
        digits |= is_digit(s, *pos);
        for (; is_digit(s, *pos); (*pos)++) {
            if (scale < NANOS * (wide)1000000) {
                fraction = fraction * 10 + (s.ptr[*pos] - '0');
                scale *= 10;
            }
        }
    }
    int64_t unit = digits ? read_unit(s, pos) : 0;
    *total += whole * unit + fraction * unit / scale;
    return unit > 0 && *total < (wide)INT64_MAX * NANOS;
}

/* [+-] then one or more <number><unit>, or 0. */
static bool read_duration(struct str s, wide *out) {
    size_t pos = 0;
    bool negative = s.len && s.ptr[0] == '-';
    pos += negative || (s.len && s.ptr[0] == '+');
    wide total = 0;
    if (s.len == pos + 1 && s.ptr[pos] == '0') {
        *out = 0;
        return true;
    }
    if (pos == s.len) {
        return false;
    }
    while (pos < s.len) {
        if (!read_part(s, &pos, &total)) {
            return false;
        }
    }
    *out = negative ? -total : total;
    return true;
}

enum err fn_duration(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    wide nanos = 0;
    if (args[0].type == VALUE_DURATION) {
        *out = args[0];
        return OK;
    }
    if (args[0].type != VALUE_TEXT) {
        return arg_wrong(r, "duration", args, 0, "a string");
    }
    if (!read_duration(value_str(args[0]), &nanos)) {
        return not_readable(r, "duration", args[0], "\"1h30m\" or \"2.5s\"");
    }
    return make_duration(r, (int64_t)(nanos / NANOS), (int64_t)(nanos % NANOS), out);
}

/* "UTC", "Z", "+02:00", "-08:30", "02:00" */
static bool read_zone(struct str s, int64_t *out_s) {
    if (str_is(s, "UTC") || str_is(s, "Z")) {
        *out_s = 0;
        return true;
    }
    bool negative = s.len && s.ptr[0] == '-';
    struct str t = str_sub(s, negative || (s.len && s.ptr[0] == '+'), s.len);
    if (t.len != 5 || t.ptr[2] != ':' || !is_digit(t, 0) || !is_digit(t, 1) || !is_digit(t, 3) ||
        !is_digit(t, 4)) {
        return false;
    }
    int64_t hours = (t.ptr[0] - '0') * 10 + (t.ptr[1] - '0');
    int64_t minutes = (t.ptr[3] - '0') * 10 + (t.ptr[4] - '0');
    *out_s = (hours * 3600 + minutes * 60) * (negative ? -1 : 1);
    return hours < 24 && minutes < 60;
}

/* The local seconds since 1970 that a getter looks at. */
static enum err local_seconds(struct run *r, const char *fn, const struct value *args,
                              uint32_t count, int64_t *out) {
    struct str zone = STR("UTC");
    int64_t offset = 0;
    if (args[0].type != VALUE_TIMESTAMP) {
        return arg_wrong(r, fn, args, 0, "a timestamp");
    }
    enum err err = count > 1 ? arg_text(r, fn, args, 1, &zone) : OK;
    if (err) {
        return err;
    }
    if (!read_zone(zone, &offset)) {
        return run_fault(r, "%s(): zone \"%.*s\" is neither UTC nor an offset such as \"+02:00\"",
                         fn, STR_ARG(zone));
    }
    *out = args[0].num + offset;
    return OK;
}

static int64_t day_of(int64_t seconds) { return seconds / DAY_S - (seconds % DAY_S < 0); }

struct date {
    int64_t days;
    int64_t year;
    int month;
    int day;
};

static enum err get_date(struct run *r, const char *fn, const struct value *args, uint32_t count,
                         struct date *out) {
    int64_t seconds = 0;
    enum err err = local_seconds(r, fn, args, count, &seconds);
    *out = (struct date){.days = day_of(seconds)};
    time_civil_from_days(out->days, &out->year, &out->month, &out->day);
    return err;
}

enum err fn_get_full_year(struct run *r, const struct value *args, uint32_t count,
                          struct value *out) {
    struct date d;
    enum err err = get_date(r, "getFullYear", args, count, &d);
    *out = value_int(d.year);
    return err;
}

enum err fn_get_month(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    struct date d;
    enum err err = get_date(r, "getMonth", args, count, &d);
    *out = value_int(d.month - 1);
    return err;
}

enum err fn_get_date(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    struct date d;
    enum err err = get_date(r, "getDate", args, count, &d);
    *out = value_int(d.day);
    return err;
}

enum err fn_get_day_of_month(struct run *r, const struct value *args, uint32_t count,
                             struct value *out) {
    struct date d;
    enum err err = get_date(r, "getDayOfMonth", args, count, &d);
    *out = value_int(d.day - 1);
    return err;
}

/* 1970-01-01 was a Thursday. */
enum err fn_get_day_of_week(struct run *r, const struct value *args, uint32_t count,
                            struct value *out) {
    struct date d;
    enum err err = get_date(r, "getDayOfWeek", args, count, &d);
    *out = value_int(((d.days + 4) % 7 + 7) % 7);
    return err;
}

enum err fn_get_day_of_year(struct run *r, const struct value *args, uint32_t count,
                            struct value *out) {
    struct date d;
    enum err err = get_date(r, "getDayOfYear", args, count, &d);
    *out = value_int(d.days - time_days_from_civil(d.year, 1, 1));
    return err;
}

struct clock_part {
    const char *fn;
    int64_t unit;   /* seconds in what is asked for */
    int64_t within; /* and in what holds it, for timestamps */
};

static enum err get_clock(struct run *r, const struct clock_part *part, const struct value *args,
                          uint32_t count, struct value *out) {
    int64_t seconds = 0;
    if (args[0].type == VALUE_DURATION && count == 1) {
        *out = value_int(args[0].num / part->unit);
        return OK;
    }
    enum err err = local_seconds(r, part->fn, args, count, &seconds);
    *out = value_int((seconds - day_of(seconds) * DAY_S) % part->within / part->unit);
    return err;
}

enum err fn_get_hours(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    static const struct clock_part hours = {"getHours", 3600, DAY_S};
    return get_clock(r, &hours, args, count, out);
}

enum err fn_get_minutes(struct run *r, const struct value *args, uint32_t count,
                        struct value *out) {
    static const struct clock_part minutes = {"getMinutes", 60, 3600};
    return get_clock(r, &minutes, args, count, out);
}

enum err fn_get_seconds(struct run *r, const struct value *args, uint32_t count,
                        struct value *out) {
    static const struct clock_part seconds = {"getSeconds", 1, 60};
    return get_clock(r, &seconds, args, count, out);
}

enum err fn_get_milliseconds(struct run *r, const struct value *args, uint32_t count,
                             struct value *out) {
    if (args[0].type != VALUE_DURATION) {
        int64_t seconds = 0;
        enum err err = local_seconds(r, "getMilliseconds", args, count, &seconds);
        *out = value_int(args[0].extra / 1000000);
        return err;
    }
    *out = value_int((int32_t)args[0].extra / 1000000);
    return OK;
}
