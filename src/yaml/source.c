/* The bytes before libyaml sees them: size, UTF-8 and control characters are checked here, so that
 * libyaml never meets a byte it would explain badly.
 *
 * libyaml follows YAML 1.1 where NEL, LS and PS end a line, and knows no surrogate pairs and not
 * all characters of JSON strings. Such characters are replaced one for one (places stay right) by
 * stand-ins: the 64 code points F4 8F bb 80..BF of a private-use block bb that the text does not
 * use. yaml_source_restore puts the originals back into every scalar.
 */
#include "yaml/yaml_priv.h"

enum { SLOT_C1 = 0, SLOT_DEL = 32, SLOT_LS, SLOT_PS, SLOT_BOM, SLOT_FFFE, SLOT_FFFF, SLOT_ESCAPE };

struct scan {
    struct str text;
    bool json;       /* starts like JSON: its characters and tabs are accepted */
    bool rewrite;    /* something must be replaced */
    uint64_t blocks; /* bit b: the private-use block 0x80 + b occurs */
    size_t bad;      /* offset of the first refused byte */
};

static bool is_json(struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            return c == '{' || c == '[';
        }
    }
    return false;
}

/* The stand-in of a code point that libyaml misreads, or -1. */
static int slot_of(uint32_t cp) {
    if (cp >= 0x80 && cp <= 0x9f) {
        return SLOT_C1 + (int)(cp - 0x80);
    }
    switch (cp) {
    case 0x7f: return SLOT_DEL;
    case 0x2028: return SLOT_LS;
    case 0x2029: return SLOT_PS;
    case 0xfeff: return SLOT_BOM;
    case 0xfffe: return SLOT_FFFE;
    case 0xffff: return SLOT_FFFF;
    default: return -1;
    }
}

static uint32_t slot_char(int slot) {
    static const uint32_t chars[] = {0x7f, 0x2028, 0x2029, 0xfeff, 0xfffe, 0xffff, '\\'};
    return slot < SLOT_DEL ? 0x80 + (uint32_t)slot : chars[slot - SLOT_DEL];
}

/* Reads 4 hex digits; -1 when they are none. */
static int32_t hex4(const char *p) {
    int32_t n = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        n = n * 16 + digit;
    }
    return n;
}

/* The character of \uD83D\uDE00 at pos, or 0. mark is the byte length of what stands for '\'. */
static uint32_t surrogate_pair(struct str text, size_t pos, size_t mark) {
    size_t second = pos + mark + 5;
    if (text.len < second + mark + 5 || text.ptr[pos + mark] != 'u' ||
        memcmp(text.ptr + pos, text.ptr + second, mark) != 0 || text.ptr[second + mark] != 'u') {
        return 0;
    }
    int32_t high = hex4(text.ptr + pos + mark + 1);
    int32_t low = hex4(text.ptr + second + mark + 1);
    if (high < 0xd800 || high > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        return 0;
    }
    return 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

/* A code point beyond the plain ASCII characters; false when it is refused. */
static bool examine_char(struct scan *s, size_t *pos) {
    size_t at = *pos;
    uint32_t cp = str_utf8_next(s->text, pos);
    s->bad = at;
    if (cp < 0x20 || (cp == 0xfffd && *pos == at + 1)) {
        return cp == '\n' || cp == '\r' || cp == '\t';
    }
    if (cp >> 12 == 0x10f) {
        s->blocks |= 1ull << ((cp >> 6) & 63);
    }
    if (slot_of(cp) >= 0) {
        s->rewrite = true;
        return s->json || cp == 0x85 || cp == 0x2028 || cp == 0x2029;
    }
    return true;
}

static bool examine(struct scan *s) {
    size_t pos = 0;
    while (pos < s->text.len) {
        unsigned char c = (unsigned char)s->text.ptr[pos];
        if (c == '\\' && surrogate_pair(s->text, pos, 1)) {
            s->rewrite = true;
        }
        if (c == '\t' && s->json) {
            s->rewrite = true;
        }
        if (c == '\n' || (c >= 0x20 && c < 0x7f)) {
            pos++;
        } else if (!examine_char(s, &pos)) {
            return false;
        }
    }
    return true;
}

static struct mark place(struct str text, size_t end, const char *file) {
    struct mark m = {file, 1, 1};
    for (size_t pos = 0; pos < end;) {
        uint32_t cp = str_utf8_next(text, &pos);
        bool crlf = cp == '\r' && pos < text.len && text.ptr[pos] == '\n';
        if (cp == '\n' || (cp == '\r' && !crlf)) {
            m.line++;
            m.column = 1;
        } else {
            m.column++;
        }
    }
    return m;
}

static enum err refuse_byte(struct str text, size_t at, const char *file, struct diag *diag) {
    struct mark m = place(text, at, file);
    size_t next = at;
    uint32_t cp = str_utf8_next(text, &next);
    const char *nul = memchr(text.ptr, 0, text.len);
    struct diag_item *item;
    if (nul) { /* whatever came first: a program, an image, UTF-16 */
        size_t offset = (size_t)(nul - text.ptr);
        item = diag_error(diag, place(text, offset, file), "yaml",
                          "NUL byte at offset %zu: this is not a text file", offset);
        diag_help(diag, item, "YAML and JSON are text, saved as UTF-8");
    } else if (cp == 0xfffd && next == at + 1) {
        item = diag_error(diag, m, "yaml", "byte 0x%02x at offset %zu is not UTF-8",
                          (unsigned)(unsigned char)text.ptr[at], at);
        diag_help(diag, item, "save the file as UTF-8");
    } else {
        item = diag_error(diag, m, "yaml", "character U+%04X at offset %zu is not allowed",
                          (unsigned)cp, at);
        diag_help(diag, item, "inside double quotes it can be written \\u%04x", (unsigned)cp);
    }
    return ERR_INVALID;
}

static void append_slot(struct yaml_source *s, int slot) {
    char bytes[4] = {(char)0xf4, (char)0x8f, (char)s->block, (char)(0x80 + slot)};
    buf_append(&s->copy, (struct str){bytes, 4});
}

/* Copies one escape: a pair of backslashes is skipped whole so that its second starts nothing. */
static size_t rewrite_escape(struct yaml_source *s, struct str text, size_t pos) {
    if (surrogate_pair(text, pos, 1)) {
        append_slot(s, SLOT_ESCAPE);
        buf_append(&s->copy, str_sub(text, pos + 1, pos + 6));
        append_slot(s, SLOT_ESCAPE);
        buf_append(&s->copy, str_sub(text, pos + 7, pos + 12));
        return pos + 12;
    }
    size_t len = pos + 1 < text.len && text.ptr[pos + 1] == '\\' ? 2 : 1;
    buf_append(&s->copy, str_sub(text, pos, pos + len));
    return pos + len;
}

static enum err rewrite(struct yaml_source *s, const struct scan *scan, struct diag *diag) {
    if (scan->blocks == UINT64_MAX) {
        diag_error(diag, (struct mark){s->file, 1, 1}, "yaml", "too many private-use characters");
        return ERR_INVALID;
    }
    s->block = (uint8_t)(0x80 + __builtin_ctzll(~scan->blocks));
    bool indent = true; /* only white space so far on this line */
    for (size_t pos = 0; pos < s->text.len;) {
        char c = s->text.ptr[pos];
        if (c == '\\') {
            pos = rewrite_escape(s, s->text, pos);
            indent = false;
            continue;
        }
        size_t from = pos;
        uint32_t cp = str_utf8_next(s->text, &pos);
        if (slot_of(cp) >= 0) {
            append_slot(s, slot_of(cp));
        } else if (c == '\t' && scan->json && indent) {
            buf_append_char(&s->copy, ' ');
        } else {
            buf_append(&s->copy, str_sub(s->text, from, pos));
        }
        indent = c == '\n' || c == '\r' || (indent && (c == ' ' || c == '\t'));
    }
    s->text = buf_str(&s->copy);
    return buf_ok(&s->copy) ? OK : ERR_NOMEM;
}

enum err yaml_source_init(struct yaml_source *s, struct str text, const char *file,
                          struct diag *diag) {
    *s = (struct yaml_source){.file = file};
    buf_init(&s->copy, (size_t)YAML_MAX_BYTES * 4 + 64);
    struct mark start = {file, 1, 1};
    if (text.len > YAML_MAX_BYTES) {
        diag_error(diag, start, "yaml", "the file has %zu bytes: at most %u are read", text.len,
                   YAML_MAX_BYTES);
        return ERR_INVALID;
    }
    if (text.len >= 2 &&
        (memcmp(text.ptr, "\xff\xfe", 2) == 0 || memcmp(text.ptr, "\xfe\xff", 2) == 0)) {
        diag_error(diag, start, "yaml", "the file is UTF-16: save it as UTF-8");
        return ERR_INVALID;
    }
    if (str_starts(text, STR("\xef\xbb\xbf"))) {
        text = str_sub(text, 3, text.len);
    }
    s->text = text;
    struct scan scan = {.text = text, .json = is_json(text)};
    if (!examine(&scan)) {
        return refuse_byte(text, scan.bad, file, diag);
    }
    return scan.rewrite ? rewrite(s, &scan, diag) : OK;
}

void yaml_source_fini(struct yaml_source *s) { buf_fini(&s->copy); }

static void append_utf8(struct buf *b, uint32_t cp) {
    if (cp < 0x80) {
        buf_append_char(b, (char)cp);
    } else if (cp < 0x800) {
        buf_append_char(b, (char)(0xc0 | cp >> 6));
        buf_append_char(b, (char)(0x80 | (cp & 63)));
    } else if (cp < 0x10000) {
        buf_append_char(b, (char)(0xe0 | cp >> 12));
        buf_append_char(b, (char)(0x80 | (cp >> 6 & 63)));
        buf_append_char(b, (char)(0x80 | (cp & 63)));
    } else {
        buf_append_char(b, (char)(0xf0 | cp >> 18));
        buf_append_char(b, (char)(0x80 | (cp >> 12 & 63)));
        buf_append_char(b, (char)(0x80 | (cp >> 6 & 63)));
        buf_append_char(b, (char)(0x80 | (cp & 63)));
    }
}

struct str yaml_source_restore(const struct yaml_source *s, struct arena *a, struct str scalar,
                               bool double_quoted) {
    char prefix[3] = {(char)0xf4, (char)0x8f, (char)s->block};
    struct str mark = {prefix, sizeof prefix};
    size_t at = s->block ? str_find(scalar, mark, 0) : SIZE_MAX;
    if (at == SIZE_MAX) {
        return arena_str(a, scalar);
    }
    struct buf out;
    buf_init(&out, scalar.len * 2 + 16);
    size_t from = 0;
    for (; at != SIZE_MAX; at = str_find(scalar, mark, from)) {
        buf_append(&out, str_sub(scalar, from, at));
        uint32_t pair = double_quoted ? surrogate_pair(scalar, at, 4) : 0;
        append_utf8(&out, pair ? pair : slot_char((unsigned char)scalar.ptr[at + 3] - 0x80));
        from = at + (pair ? 18 : 4);
    }
    buf_append(&out, str_sub(scalar, from, scalar.len));
    struct str kept = buf_ok(&out) ? arena_str(a, buf_str(&out)) : (struct str){0};
    buf_fini(&out);
    return kept;
}
