/* String and bytes literals: quotes ' " ''' """, prefixes r and b, escapes (CEL spec "String and
 * bytes values"). In strings \x and octal escapes are code points, in bytes they are bytes.
 */
#include "expr/lex_priv.h"

struct literal {
    struct lexer *lx;
    uint32_t start; /* of the whole literal, prefix included */
    uint32_t pos;
    char quote;
    bool triple;
    bool raw;
    bool bytes;
    char *out;
    size_t len;
};

static char at(const struct literal *l, uint32_t ahead) {
    uint32_t pos = l->pos + ahead;
    return pos < l->lx->end ? l->lx->c->text.ptr[pos] : '\0';
}

static void put_code_point(struct literal *l, uint32_t cp) {
    char *o = l->out + l->len;
    if (cp < 0x80) {
        *o++ = (char)cp;
    } else if (cp < 0x800) {
        *o++ = (char)(0xc0 | (cp >> 6));
        *o++ = (char)(0x80 | (cp & 0x3f));
    } else if (cp < 0x10000) {
        *o++ = (char)(0xe0 | (cp >> 12));
        *o++ = (char)(0x80 | ((cp >> 6) & 0x3f));
        *o++ = (char)(0x80 | (cp & 0x3f));
    } else {
        *o++ = (char)(0xf0 | (cp >> 18));
        *o++ = (char)(0x80 | ((cp >> 12) & 0x3f));
        *o++ = (char)(0x80 | ((cp >> 6) & 0x3f));
        *o++ = (char)(0x80 | (cp & 0x3f));
    }
    l->len = (size_t)(o - l->out);
}

static int digit_of(char c, int base) {
    int d = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : 99;
    return d < base ? d : -1;
}

static bool bad_escape(struct literal *l, const char *why) {
    compile_error(l->lx->c, l->pos, "%s", why);
    return false;
}

/* A numeric escape: count digits of base, the first of them `skip` bytes after the backslash. */
static bool numeric_escape(struct literal *l, uint32_t skip, uint32_t count, int base) {
    uint32_t cp = 0;
    for (uint32_t i = 0; i < count; i++) {
        int d = digit_of(at(l, skip + i), base);
        if (d < 0) {
            return bad_escape(l, base == 8    ? "an octal escape has three digits, as in \\101"
                                 : count == 2 ? "\\x takes two hex digits"
                                 : count == 4 ? "\\u takes four hex digits"
                                              : "\\U takes eight hex digits");
        }
        cp = cp * (uint32_t)base + (uint32_t)d;
    }
    if (l->bytes && count > 3) {
        return bad_escape(l, "\\u and \\U have no meaning in bytes; use \\x");
    }
    if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000) || (base == 8 && cp > 255)) {
        return bad_escape(l, "this escape is no Unicode character");
    }
    if (l->bytes) {
        l->out[l->len++] = (char)cp;
    } else {
        put_code_point(l, cp);
    }
    l->pos += skip + count;
    return true;
}

static bool escape(struct literal *l) {
    static const char from[] = "abfnrtv\\?\"'`";
    static const char to[] = "\a\b\f\n\r\t\v\\?\"'`";
    char c = at(l, 1);
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        l->out[l->len++] = to[simple - from];
        l->pos += 2;
        return true;
    }
    switch (c) {
    case 'x':
    case 'X': return numeric_escape(l, 2, 2, 16);
    case 'u': return numeric_escape(l, 2, 4, 16);
    case 'U': return numeric_escape(l, 2, 8, 16);
    case '0':
    case '1':
    case '2':
    case '3': return numeric_escape(l, 1, 3, 8);
    default: break;
    }
    return bad_escape(l, "unknown escape; a backslash itself is written \\\\, or use r\"...\"");
}

static bool at_end(const struct literal *l) {
    return at(l, 0) == l->quote && (!l->triple || (at(l, 1) == l->quote && at(l, 2) == l->quote));
}

static bool body(struct literal *l) {
    while (!at_end(l)) {
        char c = at(l, 0);
        bool newline = c == '\n' || c == '\r';
        if (l->pos >= l->lx->end || (newline && !l->triple)) {
            struct diag_item *item =
                compile_error(l->lx->c, l->start, "this text has no closing %s%c%s",
                              l->triple ? "three " : "", l->quote, newline ? " on its line" : "");
            if (newline) {
                diag_help(l->lx->c->diag, item, "write \\n, or use three quotes");
            }
            return false;
        }
        if (c == '\\' && !l->raw) {
            if (!escape(l)) {
                return false;
            }
        } else {
            l->out[l->len++] = c;
            l->pos++;
        }
    }
    return true;
}

/* Bytes to the closing quote: at least what the decoded text takes, as no escape is shorter than
 * what it stands for. */
static size_t measure(const struct literal *start) {
    struct literal l = *start;
    while (l.pos < l.lx->end && !at_end(&l)) {
        l.pos += at(&l, 0) == '\\' && !l.raw ? 2 : 1;
    }
    return l.pos - start->pos + 1;
}

/* Length of the prefix before the quote at pos, or -1 when no literal starts here. */
static int prefix(struct literal *l) {
    int n = 0;
    if (at(l, 0) == 'b' || at(l, 0) == 'B') {
        l->bytes = true;
        n++;
    }
    if (at(l, (uint32_t)n) == 'r' || at(l, (uint32_t)n) == 'R') {
        l->raw = true;
        n++;
    }
    l->quote = at(l, (uint32_t)n);
    return l->quote == '\'' || l->quote == '"' ? n : -1;
}

static void finish(struct lexer *lx, const struct literal *l, bool ok) {
    lx->pos = ok ? l->pos : lx->end;
    lx->tok.kind = ok ? TOKEN_VALUE : TOKEN_BAD;
    lx->tok.offset = l->start;
    lx->tok.end = lx->pos;
    lx->tok.text = str_sub(lx->c->text, l->start, lx->pos);
    struct str s = {l->out, l->len};
    if (ok) {
        lx->tok.value = l->bytes ? value_bytes(s) : value_text(s);
    }
}

bool lex_string(struct lexer *lx) {
    struct literal l = {.lx = lx, .start = lx->pos, .pos = lx->pos};
    int n = prefix(&l);
    if (n < 0) {
        return false;
    }
    l.pos += (uint32_t)n;
    l.triple = at(&l, 1) == l.quote && at(&l, 2) == l.quote;
    l.pos += l.triple ? 3 : 1;
    l.out = compile_alloc(lx->c, measure(&l), 1);
    bool ok = l.out && body(&l);
    if (ok) {
        l.pos += l.triple ? 3 : 1;
    }
    finish(lx, &l, ok);
    return true;
}
