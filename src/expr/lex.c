/* The lexer: text to tokens, one at a time. Never looks at meaning; numbers and strings leave
 * it as values. Every error is reported here, at its place, once: the token is then TOKEN_BAD.
 * The text is known to be UTF-8.
 */
#include "expr/lex_priv.h"

#include <errno.h>
#include <stdlib.h>

static char at(const struct lexer *lx, uint32_t ahead) {
    return lx->pos + ahead < lx->end ? lx->c->text.ptr[lx->pos + ahead] : '\0';
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_word(char c) {
    return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static void skip_space(struct lexer *lx) {
    for (;;) {
        char c = at(lx, 0);
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
            lx->pos++;
        } else if (c == '/' && at(lx, 1) == '/') {
            while (lx->pos < lx->end && at(lx, 0) != '\n') {
                lx->pos++;
            }
        } else {
            return;
        }
    }
}

static void finish(struct lexer *lx, enum token_kind kind, uint32_t from) {
    lx->tok.kind = kind;
    lx->tok.offset = from;
    lx->tok.end = lx->pos;
    lx->tok.text = str_sub(lx->c->text, from, lx->pos);
}

static bool is_in(struct str s, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (str_is(s, words[i])) {
            return true;
        }
    }
    return false;
}

static void word(struct lexer *lx) {
    static const char *const reserved[] = {
        "as",  "break", "const",   "continue",  "else",   "for", "function", "if",   "import",
        "let", "loop",  "package", "namespace", "return", "var", "void",     "while"};
    uint32_t from = lx->pos;
    while (is_word(at(lx, 0))) {
        lx->pos++;
    }
    finish(lx, TOKEN_NAME, from);
    struct str s = lx->tok.text;
    lx->tok.reserved = is_in(s, reserved, ARRAY_LEN(reserved));
    if (str_is(s, "in")) {
        lx->tok.kind = TOKEN_IN;
    } else if (str_is(s, "true") || str_is(s, "false")) {
        lx->tok.kind = TOKEN_VALUE;
        lx->tok.value = value_bool(s.len == 4);
    } else if (str_is(s, "null")) {
        lx->tok.kind = TOKEN_VALUE;
        lx->tok.value = value_null();
    }
}

static void bad_number(struct lexer *lx, uint32_t from, const char *why) {
    while (is_word(at(lx, 0))) {
        lx->pos++;
    }
    finish(lx, TOKEN_BAD, from);
    compile_error(lx->c, from, "\"%.*s\" %s", STR_ARG(lx->tok.text), why);
}

static void real(struct lexer *lx, uint32_t from) {
    char text[400];
    size_t len = lx->pos - from;
    if (len >= sizeof text) {
        bad_number(lx, from, "is too long for a number");
        return;
    }
    memcpy(text, lx->c->text.ptr + from, len);
    text[len] = '\0';
    double d = strtod(text, NULL);
    if (d > 1.7976931348623157e308) {
        bad_number(lx, from, "is too large for a double");
        return;
    }
    finish(lx, TOKEN_VALUE, from);
    lx->tok.value = value_double(d);
}

/* The integer in [from, pos), hex when it starts with 0x. */
static void integer(struct lexer *lx, uint32_t from, bool hex) {
    char text[40];
    size_t len = lx->pos - from;
    if (len >= sizeof text) {
        bad_number(lx, from, "is too large for an integer");
        return;
    }
    memcpy(text, lx->c->text.ptr + from, len);
    text[len] = '\0';
    errno = 0;
    lx->tok.magnitude = strtoull(text, NULL, hex ? 16 : 10);
    if (errno) {
        bad_number(lx, from, "is too large for an integer");
        return;
    }
    bool is_uint = at(lx, 0) == 'u' || at(lx, 0) == 'U';
    lx->pos += is_uint;
    finish(lx, is_uint ? TOKEN_VALUE : TOKEN_INT, from);
    lx->tok.value = value_uint(lx->tok.magnitude);
}

static bool skip_exponent(struct lexer *lx) {
    if (at(lx, 0) != 'e' && at(lx, 0) != 'E') {
        return false;
    }
    uint32_t sign = at(lx, 1) == '+' || at(lx, 1) == '-';
    if (!is_digit(at(lx, 1 + sign))) {
        return false;
    }
    lx->pos += 1 + sign;
    while (is_digit(at(lx, 0))) {
        lx->pos++;
    }
    return true;
}

static void number(struct lexer *lx) {
    uint32_t from = lx->pos;
    bool hex = at(lx, 0) == '0' && (at(lx, 1) == 'x' || at(lx, 1) == 'X') && is_hex(at(lx, 2));
    if (hex) {
        lx->pos += 2;
        while (is_hex(at(lx, 0))) {
            lx->pos++;
        }
        integer(lx, from, true);
    } else {
        bool is_real = false;
        while (is_digit(at(lx, 0))) {
            lx->pos++;
        }
        if (at(lx, 0) == '.' && is_digit(at(lx, 1))) {
            is_real = true;
            lx->pos++;
            while (is_digit(at(lx, 0))) {
                lx->pos++;
            }
        }
        is_real |= skip_exponent(lx);
        if (is_real) {
            real(lx, from);
        } else {
            integer(lx, from, false);
        }
    }
    if (lx->tok.kind != TOKEN_BAD && is_word(at(lx, 0))) {
        bad_number(lx, from, "is neither a number nor a name");
    }
}

static void quoted_name(struct lexer *lx) {
    uint32_t from = lx->pos++;
    while (is_word(at(lx, 0)) || (at(lx, 0) && strchr("-./ ", at(lx, 0)))) {
        lx->pos++;
    }
    bool closed = at(lx, 0) == '`' && lx->pos > from + 1;
    lx->pos += at(lx, 0) == '`';
    finish(lx, closed ? TOKEN_QUOTED : TOKEN_BAD, from);
    lx->tok.text = str_sub(lx->c->text, from + 1, lx->pos - 1);
    if (!closed) {
        compile_error(lx->c, from,
                      "a name in backquotes ends with ` and has letters, digits, and _ - . / only");
    }
}

static const struct {
    char text[3];
    uint8_t kind;
} symbols[] = {
    {"<=", TOKEN_LE},      {">=", TOKEN_GE},      {"==", TOKEN_EQ},    {"!=", TOKEN_NE},
    {"&&", TOKEN_AND},     {"||", TOKEN_OR},      {"(", TOKEN_LPAREN}, {")", TOKEN_RPAREN},
    {"[", TOKEN_LBRACKET}, {"]", TOKEN_RBRACKET}, {"{", TOKEN_LBRACE}, {"}", TOKEN_RBRACE},
    {".", TOKEN_DOT},      {",", TOKEN_COMMA},    {":", TOKEN_COLON},  {"?", TOKEN_QUESTION},
    {"!", TOKEN_NOT},      {"-", TOKEN_MINUS},    {"+", TOKEN_PLUS},   {"*", TOKEN_STAR},
    {"/", TOKEN_SLASH},    {"%", TOKEN_PERCENT},  {"<", TOKEN_LT},     {">", TOKEN_GT},
};

static const char *symbol_help(char c) {
    switch (c) {
    case '=': return "compare with ==";
    case '&': return "write && for \"and\"";
    case '|': return "write || for \"or\"";
    case '$': return "names are written bare, as in inputs.city";
    case ';': return "an expression is one value, without statements";
    default: return NULL;
    }
}

static void unknown(struct lexer *lx) {
    uint32_t from = lx->pos;
    size_t next = from;
    str_utf8_next(lx->c->text, &next);
    lx->pos = (uint32_t)next;
    finish(lx, TOKEN_BAD, from);
    unsigned char first = (unsigned char)lx->tok.text.ptr[0];
    struct diag_item *item;
    if (first < 0x20 || first == 0x7f) {
        item = compile_error(lx->c, from, "unexpected control character 0x%02x", first);
    } else {
        item = compile_error(lx->c, from, "unexpected \"%.*s\"", STR_ARG(lx->tok.text));
    }
    const char *help = symbol_help((char)first);
    if (help) {
        diag_help(lx->c->diag, item, "%s", help);
    } else if (first >= 0xe2) {
        diag_help(lx->c->diag, item, "quotes are written ' or \"");
    }
}

static void symbol(struct lexer *lx) {
    uint32_t from = lx->pos;
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        const char *s = symbols[i].text;
        if (at(lx, 0) == s[0] && (!s[1] || at(lx, 1) == s[1])) {
            lx->pos += s[1] ? 2 : 1;
            finish(lx, (enum token_kind)symbols[i].kind, from);
            return;
        }
    }
    unknown(lx);
}

void lex_next(struct lexer *lx) {
    skip_space(lx);
    lx->tok = (struct token){.offset = lx->pos};
    char c = at(lx, 0);
    if (lx->pos >= lx->end) {
        finish(lx, TOKEN_END, lx->end);
    } else if (lex_string(lx)) {
        return;
    } else if (is_digit(c) || (c == '.' && is_digit(at(lx, 1)))) {
        number(lx);
    } else if (is_word(c)) {
        word(lx);
    } else if (c == '`') {
        quoted_name(lx);
    } else {
        symbol(lx);
    }
}
