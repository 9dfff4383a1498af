/* The formats that are assertions: date-time date time duration (RFC 3339), email (RFC 5321),
 * hostname (RFC 1123), ipv4, ipv6 (RFC 4291), uri (RFC 3986), uuid (RFC 4122). Every other format
 * is only an annotation. All scan once, without allocation.
 */
#include "schema/schema_priv.h"

/* A reader over the text; every function returns false and stays anywhere when it does not fit. */
struct cursor {
    struct str s;
    size_t at;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static char peek(const struct cursor *c) { return c->at < c->s.len ? c->s.ptr[c->at] : '\0'; }

static bool take(struct cursor *c, char a, char b) {
    if (c->at < c->s.len && (c->s.ptr[c->at] == a || c->s.ptr[c->at] == b)) {
        c->at++;
        return true;
    }
    return false;
}

static bool number(struct cursor *c, int digits, int *out) {
    *out = 0;
    for (int i = 0; i < digits; i++, c->at++) {
        if (!is_digit(peek(c))) {
            return false;
        }
        *out = *out * 10 + (peek(c) - '0');
    }
    return true;
}

static bool full_date(struct cursor *c) {
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!number(c, 4, &year) || !take(c, '-', '-') || !number(c, 2, &month) || !take(c, '-', '-') ||
        !number(c, 2, &day)) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month < 1 || month > 12 || day < 1 || day > days[month - 1]) {
        return false;
    }
    return month != 2 || day != 29 || leap;
}

static bool full_time(struct cursor *c) {
    int hour, minute, second, zone_hour = 0, zone_minute = 0;
    if (!number(c, 2, &hour) || !take(c, ':', ':') || !number(c, 2, &minute) ||
        !take(c, ':', ':') || !number(c, 2, &second)) {
        return false;
    }
    if (take(c, '.', '.')) {
        size_t start = c->at;
        while (is_digit(peek(c))) {
            c->at++;
        }
        if (c->at == start) {
            return false;
        }
    }
    int sign = peek(c) == '-' ? -1 : 1;
    if (!take(c, 'Z', 'z') && (!take(c, '+', '-') || !number(c, 2, &zone_hour) ||
                               !take(c, ':', ':') || !number(c, 2, &zone_minute))) {
        return false;
    }
    if (hour > 23 || minute > 59 || second > 60 || zone_hour > 23 || zone_minute > 59) {
        return false;
    }
    int utc = hour * 60 + minute - sign * (zone_hour * 60 + zone_minute);
    return second < 60 || (utc + 2 * 1440) % 1440 == 1439; /* a leap second ends a UTC day */
}

static bool is_date(struct str s) {
    struct cursor c = {s, 0};
    return full_date(&c) && c.at == s.len;
}

static bool is_time(struct str s) {
    struct cursor c = {s, 0};
    return full_time(&c) && c.at == s.len;
}

static bool is_date_time(struct str s) {
    struct cursor c = {s, 0};
    return full_date(&c) && take(&c, 'T', 't') && full_time(&c) && c.at == s.len;
}

/* One or more <digits><unit>, units in the given order, each at most once, without gaps. */
static bool duration_units(struct cursor *c, const char *units) {
    bool any = false;
    const char *next = units;
    while (is_digit(peek(c))) {
        while (is_digit(peek(c))) {
            c->at++;
        }
        const char *unit = peek(c) ? strchr(next, peek(c)) : NULL;
        if (!unit || (any && unit != next)) {
            return false;
        }
        next = unit + 1;
        any = true;
        c->at++;
    }
    return any;
}

/* RFC 3339, appendix A. */
static bool is_duration(struct str s) {
    struct cursor c = {s, 0};
    if (!take(&c, 'P', 'P')) {
        return false;
    }
    size_t start = c.at;
    while (is_digit(peek(&c))) {
        c.at++;
    }
    if (c.at > start && take(&c, 'W', 'W')) {
        return c.at == s.len;
    }
    c.at = start;
    bool date = is_digit(peek(&c)) && duration_units(&c, "YMD");
    if (take(&c, 'T', 'T')) {
        return (date || c.at == start + 1) && duration_units(&c, "HMS") && c.at == s.len;
    }
    return date && c.at == s.len;
}

static bool is_label_char(char c) { return is_alpha(c) || is_digit(c) || c == '-'; }

static bool is_hostname(struct str s) {
    size_t label = 0;
    if (s.len == 0 || s.len > 253) {
        return false;
    }
    for (size_t i = 0; i <= s.len; i++) {
        if (i < s.len && s.ptr[i] != '.') {
            if (!is_label_char(s.ptr[i])) {
                return false;
            }
            continue;
        }
        if (i == label || i - label > 63 || s.ptr[label] == '-' || s.ptr[i - 1] == '-') {
            return false;
        }
        /* "--" in places 3 and 4 is kept for encoded names, which are not decoded here */
        bool reserved = i - label >= 4 && s.ptr[label + 2] == '-' && s.ptr[label + 3] == '-';
        if (reserved && (s.ptr[label] | 0x20) != 'x') {
            return false;
        }
        label = i + 1;
    }
    return true;
}

static bool octet(struct cursor *c) {
    size_t start = c->at;
    int n = 0;
    while (is_digit(peek(c)) && c->at - start < 3) {
        n = n * 10 + (peek(c) - '0');
        c->at++;
    }
    size_t len = c->at - start;
    return len > 0 && n <= 255 && (len == 1 || c->s.ptr[start] != '0');
}

static bool is_ipv4(struct str s) {
    struct cursor c = {s, 0};
    for (int i = 0; i < 4; i++) {
        if ((i && !take(&c, '.', '.')) || !octet(&c)) {
            return false;
        }
    }
    return c.at == s.len;
}

static bool is_ipv6(struct str s) {
    struct cursor c = {s, 0};
    int groups = 0;
    bool gap = false;
    if (str_starts(s, STR("::"))) {
        gap = true;
        c.at = 2;
    }
    while (c.at < s.len) {
        size_t start = c.at;
        while (is_hex(peek(&c)) && c.at - start < 4) {
            c.at++;
        }
        if (peek(&c) == '.') {
            return is_ipv4(str_sub(s, start, s.len)) && (gap ? groups <= 5 : groups == 6);
        }
        if (c.at == start || ++groups > 8) {
            return false;
        }
        if (c.at == s.len) {
            break;
        }
        if (!take(&c, ':', ':') || c.at == s.len) {
            return false;
        }
        if (peek(&c) == ':') {
            if (gap) {
                return false;
            }
            gap = true;
            c.at++;
        }
    }
    return gap ? groups < 8 : groups == 8;
}

static bool is_uuid(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.ptr[i] != '-' : !is_hex(s.ptr[i])) {
            return false;
        }
    }
    return s.len == 36;
}

static bool is_atom_char(char c) {
    return is_alpha(c) || is_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_local_part(struct str s) {
    if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"') {
        for (size_t i = 1; i + 1 < s.len; i++) {
            bool escape = s.ptr[i] == '\\';
            i += escape;
            if (i + 1 >= s.len || s.ptr[i] < ' ' || s.ptr[i] > '~' ||
                (!escape && s.ptr[i] == '"')) {
                return false;
            }
        }
        return true;
    }
    for (size_t i = 0; i < s.len; i++) {
        bool dot = s.ptr[i] == '.';
        if (dot ? i == 0 || i + 1 == s.len || s.ptr[i - 1] == '.' : !is_atom_char(s.ptr[i])) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_email(struct str s) {
    size_t at = s.len;
    while (at > 0 && s.ptr[at - 1] != '@') {
        at--;
    }
    if (at == 0 || at - 1 > 64 || !is_local_part(str_sub(s, 0, at - 1))) {
        return false;
    }
    struct str domain = str_sub(s, at, s.len);
    if (domain.len > 2 && domain.ptr[0] == '[' && domain.ptr[domain.len - 1] == ']') {
        struct str address = str_sub(domain, 1, domain.len - 1);
        return str_starts(address, STR("IPv6:")) ? is_ipv6(str_sub(address, 5, address.len))
                                                 : is_ipv4(address);
    }
    return is_hostname(domain);
}

static bool is_uri_char(char c) {
    return is_alpha(c) || is_digit(c) || (c && strchr("-._~:/?@!$&'()*+,;=", c));
}

static size_t find_char(struct str s, char c) {
    size_t at = 0;
    while (at < s.len && s.ptr[at] != c) {
        at++;
    }
    return at;
}

/* userinfo@host:port */
static bool is_authority(struct str s) {
    size_t at = find_char(s, '@');
    struct str host = at == s.len ? s : str_sub(s, at + 1, s.len);
    struct str user = str_sub(s, 0, s.len - host.len);
    if (find_char(host, '@') < host.len || find_char(user, '[') < user.len ||
        find_char(user, ']') < user.len) {
        return false;
    }
    size_t port = 0;
    if (host.len && host.ptr[0] == '[') {
        port = find_char(host, ']');
        if (port == host.len || !is_ipv6(str_sub(host, 1, port))) {
            return false;
        }
        port++;
    } else {
        port = find_char(host, ':');
        if (find_char(host, '[') < host.len || find_char(host, ']') < host.len) {
            return false;
        }
    }
    if (port < host.len && host.ptr[port] != ':') {
        return false;
    }
    for (size_t i = port + 1; i < host.len; i++) {
        if (!is_digit(host.ptr[i])) {
            return false;
        }
    }
    return true;
}

static bool is_uri(struct str s) {
    size_t colon = 0;
    while (colon < s.len && (is_alpha(s.ptr[colon]) ||
                             (colon && (is_digit(s.ptr[colon]) || strchr("+-.", s.ptr[colon]))))) {
        colon++;
    }
    if (colon == 0 || colon >= s.len || s.ptr[colon] != ':') {
        return false;
    }
    struct str rest = str_sub(s, colon + 1, s.len);
    size_t start = 0;
    if (str_starts(rest, STR("//"))) {
        start = 2;
        while (start < rest.len && !strchr("/?#", rest.ptr[start])) {
            start++;
        }
        if (!is_authority(str_sub(rest, 2, start))) {
            return false;
        }
    }
    bool fragment = false;
    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.ptr[i];
        bool bracket = (c == '[' || c == ']') && i < start;
        bool hash = c == '#' && !fragment;
        bool percent =
            c == '%' && i + 2 < rest.len && is_hex(rest.ptr[i + 1]) && is_hex(rest.ptr[i + 2]);
        fragment = fragment || hash;
        if (!bracket && !hash && !percent && !is_uri_char(c)) {
            return false;
        }
    }
    return true;
}

schema_format_fn *schema_format_find(struct str name) {
    static const struct {
        const char *name;
        schema_format_fn *check;
    } formats[] = {
        {"date-time", is_date_time}, {"date", is_date},   {"time", is_time},
        {"duration", is_duration},   {"email", is_email}, {"hostname", is_hostname},
        {"ipv4", is_ipv4},           {"ipv6", is_ipv6},   {"uri", is_uri},
        {"uuid", is_uuid},
    };
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (str_is(name, formats[i].name)) {
            return formats[i].check;
        }
    }
    return NULL;
}
