/* Text for people and the streams it goes to. Writes are whole and repeated where the system took
 * only a part; a reader that left (EPIPE) is remembered, never a signal.
 */
#include "cli/text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static bool set(const char *name) {
    const char *value = getenv(name);
    return value && value[0];
}

/* The locale that decides about characters: the first of the three that is set. */
static bool is_utf8(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (set(names[i])) {
            const char *value = getenv(names[i]);
            return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "UTF8") ||
                   strstr(value, "utf-8");
        }
    }
    return false;
}

void sink_init(struct sink *s, int fd) {
    const char *term = getenv("TERM");
    *s = (struct sink){.fd = fd};
    s->tty = isatty(fd) == 1;
    s->terminal = s->tty && term && term[0] && strcmp(term, "dumb") != 0;
    s->colour = s->terminal && !set("NO_COLOR");
    s->utf8 = is_utf8();
}

void sink_write(struct sink *s, struct str text) {
    while (text.len && !s->failed) {
        ssize_t n = write(s->fd, text.ptr, text.len);
        if (n >= 0) {
            text = str_sub(text, (size_t)n, text.len);
        } else if (errno == EAGAIN) {
            struct pollfd p = {.fd = s->fd, .events = POLLOUT};
            (void)poll(&p, 1, -1);
        } else if (errno != EINTR) {
            s->failed = errno;
        }
    }
}

void sink_flush(struct sink *s, struct buf *b) {
    if (buf_ok(b)) {
        sink_write(s, buf_str(b));
    } else if (!s->failed) {
        s->failed = ENOMEM;
    }
    buf_reset(b);
}

void sink_printf(struct sink *s, const char *fmt, ...) {
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len >= 0) {
        sink_write(s, (struct str){text, (size_t)len});
        free(text);
    }
}

void sink_size(const struct sink *s, uint32_t *out_columns, uint32_t *out_lines) {
    struct winsize size = {0};
    bool known = ioctl(s->fd, TIOCGWINSZ, &size) == 0;
    *out_columns = known && size.ws_col ? size.ws_col : 80;
    *out_lines = known && size.ws_row ? size.ws_row : 24;
}

void text_colour(struct buf *b, const struct sink *s, enum colour colour, struct str text) {
    static const char *const codes[] = {"",         "\x1b[31m", "\x1b[32m",
                                        "\x1b[33m", "\x1b[34m", "\x1b[2m"};
    bool on = s->colour && colour != COLOUR_NONE;
    buf_append_cstr(b, on ? codes[colour] : "");
    buf_append(b, text);
    buf_append_cstr(b, on ? "\x1b[0m" : "");
}

enum colour text_status_colour(struct str status) {
    static const struct {
        const char *word;
        enum colour colour;
    } rows[] = {
        {"completed", COLOUR_GREEN}, {"failed", COLOUR_RED},      {"cancelled", COLOUR_YELLOW},
        {"partial", COLOUR_YELLOW},  {"interrupted", COLOUR_RED}, {"running", COLOUR_BLUE},
        {"retrying", COLOUR_YELLOW}, {"skipped", COLOUR_DIM},     {"pending", COLOUR_DIM},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_is(status, rows[i].word)) {
            return rows[i].colour;
        }
    }
    return COLOUR_NONE;
}

/* ---- widths ---- */

struct range {
    uint32_t first, last;
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* The blocks of Unicode that take no column, and those that take two (UAX 11, in broad strokes). */
static uint32_t columns_of(uint32_t c) {
    static const struct range none[] = {
        {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
        {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064},
        {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef}};
    static const struct range two[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
                                       {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},
                                       {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe4f},
                                       {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
                                       {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
    if (c < 0x300) {
        return 1;
    }
    return in_ranges(c, none, ARRAY_LEN(none)) ? 0 : in_ranges(c, two, ARRAY_LEN(two)) ? 2 : 1;
}

/* C0, DEL, C1, line separators, and the marks that turn the direction of writing. */
static bool is_control(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* What stands for a character that a terminal would act on: \x1b, \u202e; a space for what only
 * ends a line or a column. */
static const char *escaped(uint32_t c, char out[8]) {
    bool blank = c == '\n' || c == '\t';
    snprintf(out, 8, c < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)(c & 0xffff));
    return blank ? " " : out;
}

/* As it is shown. */
static uint32_t shown_columns(uint32_t c) {
    char text[8];
    return is_control(c) ? (uint32_t)strlen(escaped(c, text)) : columns_of(c);
}

uint32_t text_width(struct str s) {
    uint32_t width = 0;
    for (size_t at = 0; at < s.len;) {
        uint32_t c = str_utf8_next(s, &at);
        width += shown_columns(c);
    }
    return width;
}

static void append_code(struct buf *b, struct str s, size_t from, size_t to, uint32_t c) {
    char text[8];
    if (is_control(c)) {
        buf_append_cstr(b, escaped(c, text));
    } else if (c == 0xfffd) {
        buf_append_cstr(b, "\xef\xbf\xbd"); /* also for bytes that are no UTF-8 */
    } else {
        buf_append(b, str_sub(s, from, to));
    }
}

static void append_columns(struct buf *b, struct str s, uint32_t max) {
    uint32_t width = 0;
    for (size_t at = 0; at < s.len;) {
        size_t from = at;
        uint32_t c = str_utf8_next(s, &at);
        width += shown_columns(c);
        if (width > max) {
            return;
        }
        append_code(b, s, from, at, c);
    }
}

void text_clip(struct buf *b, struct str s, uint32_t max_columns) {
    /* Every column takes at most a few bytes: the width of more need not be counted. */
    struct str head = str_sub(s, 0, (size_t)max_columns * 16 + 64);
    if (head.len == s.len && text_width(s) <= max_columns) {
        append_columns(b, s, max_columns);
        return;
    }
    append_columns(b, head, max_columns > 3 ? max_columns - 3 : 0);
    buf_append(b, str_sub(STR("..."), 0, max_columns));
}

void text_clean(struct buf *b, struct str s) { append_columns(b, s, UINT32_MAX); }

struct str text_next_line(struct str *text) {
    struct str line = str_split(*text, '\n', text);
    line.len -= str_ends(line, STR("\r"));
    return line;
}

static void append_line(struct buf *b, struct str line) {
    for (size_t at = 0; at < line.len;) {
        size_t from = at;
        uint32_t c = str_utf8_next(line, &at);
        if (c == '\t') {
            buf_append_char(b, '\t');
        } else {
            append_code(b, line, from, at, c);
        }
    }
}

void text_block(struct buf *b, struct str s, const char *indent) {
    struct str rest = s;
    if (str_ends(rest, STR("\n"))) {
        rest.len--;
    }
    do {
        struct str line = text_next_line(&rest);
        buf_append_cstr(b, line.len ? indent : "");
        append_line(b, line);
        buf_append_char(b, '\n');
    } while (rest.len);
}

/* Where a text of too many bytes is cut: never within a character. */
static struct str beginning(struct str s, size_t most) {
    size_t at = 0;
    while (at < s.len) {
        size_t before = at;
        (void)str_utf8_next(s, &at);
        if (at > most) {
            return str_sub(s, 0, before);
        }
    }
    return s;
}

static void put_rest(struct buf *b, struct str s, const char *where) {
    buf_printf(b, "... [%zu bytes in all: %s has them]", s.len, where);
}

void text_message(struct buf *b, struct str s, const char *where) {
    struct str head = beginning(s, TEXT_MESSAGE_MOST);
    text_clean(b, head);
    if (head.len < s.len) {
        put_rest(b, s, where);
    }
}

void text_message_block(struct buf *b, struct str s, const char *indent, const char *where) {
    struct str head = beginning(s, TEXT_BLOCK_MOST);
    text_block(b, head, indent);
    if (head.len < s.len) {
        buf_append_cstr(b, indent);
        put_rest(b, s, where);
        buf_append_char(b, '\n');
    }
}

void sink_flush_json(struct sink *s, struct buf *b) {
    struct str json = buf_ok(b) ? buf_str(b) : STR("");
    size_t done = 0;
    for (size_t at = 0; at < json.len;) {
        size_t from = at;
        uint32_t c = str_utf8_next(json, &at);
        if (c < 0x7f || !is_control(c)) {
            continue;
        }
        sink_write(s, str_sub(json, done, from));
        sink_printf(s, "\\u%04x", (unsigned)c);
        done = at;
    }
    if (buf_ok(b)) {
        buf_append_char(b, '\n');
        sink_write(s, str_sub(buf_str(b), done, b->len));
        buf_reset(b);
    } else {
        sink_flush(s, b);
    }
}

void text_pad(struct buf *b, uint32_t columns) {
    for (uint32_t i = 0; i < columns; i++) {
        buf_append_char(b, ' ');
    }
}

/* $'...' of bash, ksh and zsh, and of POSIX since 2024: what a terminal would act on is escaped. */
static void quote_controls(struct buf *b, struct str s) {
    buf_append_cstr(b, "$'");
    for (size_t at = 0; at < s.len;) {
        size_t from = at;
        uint32_t c = str_utf8_next(s, &at);
        if (is_control(c)) {
            for (size_t i = from; i < at; i++) {
                buf_printf(b, "\\x%02x", (unsigned)(unsigned char)s.ptr[i]);
            }
        } else if (c == '\'' || c == '\\') {
            buf_printf(b, "\\%c", (int)c);
        } else {
            buf_append(b, str_sub(s, from, at));
        }
    }
    buf_append_char(b, '\'');
}

void text_shell(struct buf *b, struct str s) {
    bool plain = s.len > 0, controls = false;
    for (size_t i = 0; i < s.len && plain; i++) {
        char c = s.ptr[i];
        plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                (c && strchr("_@%+=:,./-", c));
    }
    for (size_t at = 0; at < s.len;) {
        controls |= is_control(str_utf8_next(s, &at));
    }
    if (plain || controls) {
        (plain ? buf_append : quote_controls)(b, s);
        return;
    }
    buf_append_char(b, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\'') {
            buf_append_cstr(b, "'\\''");
        } else {
            buf_append_char(b, s.ptr[i]);
        }
    }
    buf_append_char(b, '\'');
}

void text_wrap(struct buf *b, struct str s, uint32_t indent, uint32_t columns) {
    struct str rest = s;
    uint32_t at = indent;
    while (rest.len) {
        struct str word = str_split(rest, ' ', &rest);
        uint32_t width = text_width(word);
        if (at > indent && at + 1 + width > columns) {
            buf_append_char(b, '\n');
            text_pad(b, indent);
            at = indent;
        } else if (at > indent) {
            buf_append_char(b, ' ');
            at++;
        }
        text_clean(b, word);
        at += width;
    }
    buf_append_char(b, '\n');
}

/* ---- times ---- */

void text_duration(struct buf *b, int64_t us) {
    long long ms = us < 0 ? 0 : us / 1000;
    long long s = ms / 1000;
    if (us >= 0 && us < 1000) {
        buf_printf(b, us < 100 ? "%lldms" : "0.%lldms", (long long)us / 100);
    } else if (ms < 1000) {
        buf_printf(b, "%lldms", ms);
    } else if (s < 10) {
        buf_printf(b, "%lld.%02llds", s, ms % 1000 / 10);
    } else if (s < 60) {
        buf_printf(b, "%lld.%llds", s, ms % 1000 / 100);
    } else if (s < 3600) {
        buf_printf(b, "%lldm%02llds", s / 60, s % 60);
    } else if (s < 86400) {
        buf_printf(b, "%lldh%02lldm", s / 3600, s % 3600 / 60);
    } else {
        buf_printf(b, "%lldd%02lldh", s / 86400, s % 86400 / 3600);
    }
}

static struct tm local(wall_us t) {
    time_t seconds = (time_t)(t.us / 1000000);
    struct tm out = {0};
    localtime_r(&seconds, &out);
    return out;
}

void text_date(struct buf *b, wall_us t) {
    struct tm at = local(t);
    buf_printf(b, "%04d-%02d-%02d %02d:%02d:%02d", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday,
               at.tm_hour, at.tm_min, at.tm_sec);
}

void text_clock(struct buf *b, wall_us t) {
    struct tm at = local(t);
    buf_printf(b, "%02d:%02d:%02d.%03d", at.tm_hour, at.tm_min, at.tm_sec,
               (int)(t.us % 1000000 / 1000));
}

struct str text_node_of(struct str step) {
    size_t len = 0;
    while (len < step.len && !strchr("#[~", step.ptr[len])) {
        len++;
    }
    return str_sub(step, 0, len);
}
