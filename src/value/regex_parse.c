/* The syntax of regular expressions to a tree: recursive descent, one function per level
 * (alternatives, sequence, repetition, atom), recursion only through groups, which are counted.
 *
 * Flags are resolved here: a letter under (?i) becomes a set, . and ^ $ become what (?s) and (?m)
 * say, so the matcher knows no flags. What two dialects read differently is refused, never guessed.
 */
#include "value/regex_set.h"

struct flags {
    bool fold, dot_all, multiline;
};

struct parser {
    struct arena *arena;
    struct str text;
    size_t pos;
    struct flags flags;
    uint32_t depth;
    struct error *error;
    enum err err; /* first error; everything stops then */
};

static struct regex_node *parse_alternatives(struct parser *p);

static struct regex_node *fail_at(struct parser *p, size_t at, const char *what) {
    if (p->err == OK) {
        size_t column = 1;
        for (size_t i = 0; i < at && i < p->text.len; column++) {
            str_utf8_next(p->text, &i);
        }
        p->err = error_set(p->error, ERR_INVALID, "regular expression: %s at character %zu", what,
                           column);
    }
    return NULL;
}

static struct regex_node *fail(struct parser *p, const char *what) {
    return fail_at(p, p->pos, what);
}

static struct regex_node *new_node(struct parser *p, enum regex_node_type type) {
    struct regex_node *n = p->err == OK ? ARENA_NEW(p->arena, struct regex_node) : NULL;
    if (!n) {
        p->err = p->err == OK ? error_nomem(p->error) : p->err;
        return NULL;
    }
    n->type = type;
    return n;
}

static bool at_end(const struct parser *p) { return p->pos >= p->text.len; }

static char peek(const struct parser *p, size_t ahead) {
    return p->pos + ahead < p->text.len ? p->text.ptr[p->pos + ahead] : '\0';
}

static bool looking_at(const struct parser *p, const char *what) {
    return str_starts(str_sub(p->text, p->pos, p->text.len), str_from(what));
}

static struct regex_node *set_node(struct parser *p, struct regex_set_builder *b, bool negated) {
    if (p->flags.fold) {
        regex_set_fold(b);
    }
    struct regex_node *n = new_node(p, NODE_SET);
    if (n) {
        n->set = regex_set_done(b, negated);
        if (!n->set) {
            p->err = error_nomem(p->error);
        }
    }
    return n;
}

static struct regex_node *char_node(struct parser *p, uint32_t cp) {
    if (p->flags.fold) {
        struct regex_set_builder b;
        regex_set_init(&b, p->arena);
        regex_set_add(&b, cp, cp);
        return set_node(p, &b, false);
    }
    struct regex_node *n = new_node(p, NODE_CHAR);
    if (n) {
        n->cp = cp;
    }
    return n;
}

static struct regex_node *assertion_node(struct parser *p, enum regex_assertion assertion) {
    struct regex_node *n = new_node(p, NODE_ASSERT);
    if (n) {
        n->assertion = assertion;
    }
    return n;
}

static struct regex_node *dot_node(struct parser *p) {
    struct regex_set_builder b;
    regex_set_init(&b, p->arena);
    if (!p->flags.dot_all) {
        regex_set_add(&b, '\n', '\n');
    }
    return set_node(p, &b, true);
}

/* --- escapes --- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* count hex digits, or {digits}; pos stands behind \x or \u. */
static uint32_t parse_hex(struct parser *p, int count) {
    bool braces = peek(p, 0) == '{';
    uint32_t cp = 0;
    int digits = 0;
    p->pos += braces;
    while ((braces || digits < count) && hex_digit(peek(p, 0)) >= 0 && cp <= REGEX_MAX_CHAR) {
        cp = cp * 16 + (uint32_t)hex_digit(peek(p, 0));
        digits++;
        p->pos++;
    }
    bool closed = !braces || peek(p, 0) == '}';
    p->pos += braces && closed;
    if (!closed || cp > REGEX_MAX_CHAR || (braces ? digits == 0 : digits < count)) {
        fail(p, "expected the hexadecimal number of a character");
    }
    return cp;
}

/* A pair of \uXXXX escapes is one character, as in ECMA-262. */
static uint32_t parse_unicode(struct parser *p) {
    uint32_t high = parse_hex(p, 4);
    if (high < 0xd800 || high > 0xdbff || !looking_at(p, "\\u")) {
        return high;
    }
    size_t before = p->pos;
    p->pos += 2;
    uint32_t low = parse_hex(p, 4);
    if (low < 0xdc00 || low > 0xdfff) {
        p->pos = before;
        return high;
    }
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static bool is_letter_or_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static uint32_t refuse_escape(struct parser *p, char c) {
    p->pos -= 2;
    if (c == 'p' || c == 'P') {
        fail(p, "\\p{...} is not supported");
    } else if (c == 'k' || (c >= '1' && c <= '9')) {
        fail(p, "back references are not supported");
    } else {
        fail(p, "unknown escape");
    }
    return 0;
}

static uint32_t parse_control(struct parser *p) {
    char c = (char)(peek(p, 0) | 0x20);
    if (c < 'a' || c > 'z') {
        fail(p, "expected a letter after \\c");
        return 0;
    }
    p->pos++;
    return (uint32_t)(c - 'a' + 1);
}

/* An escape that stands for one character; pos is behind the backslash. */
static uint32_t parse_escaped_char(struct parser *p) {
    if (at_end(p)) {
        fail(p, "nothing follows the last backslash");
        return 0;
    }
    char c = p->text.ptr[p->pos++];
    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case 'f': return '\f';
    case 'v': return '\v';
    case 'a': return '\a';
    case 'x': return parse_hex(p, 2);
    case 'u': return parse_unicode(p);
    case 'c': return parse_control(p);
    case '0':
        if (peek(p, 0) < '0' || peek(p, 0) > '9') {
            return 0;
        }
        break;
    default:
        if (!is_letter_or_digit(c)) {
            p->pos--;
            return str_utf8_next(p->text, &p->pos);
        }
    }
    return refuse_escape(p, c);
}

static struct regex_node *parse_escape(struct parser *p) {
    char c = peek(p, 1);
    p->pos += 2;
    switch (c) {
    case 'b': return assertion_node(p, AT_WORD);
    case 'B': return assertion_node(p, NOT_WORD);
    case 'A': return assertion_node(p, AT_TEXT_START);
    case 'z': return assertion_node(p, AT_TEXT_END);
    default: break;
    }
    struct regex_set_builder b;
    regex_set_init(&b, p->arena);
    if (regex_set_add_class(&b, c)) {
        return set_node(p, &b, false);
    }
    p->pos--;
    uint32_t cp = parse_escaped_char(p);
    return char_node(p, cp);
}

/* --- classes --- */

/* One end of a range, or a whole class escape (then *whole is set and it is added already). */
static uint32_t parse_class_char(struct parser *p, struct regex_set_builder *b, bool *whole) {
    *whole = false;
    if (peek(p, 0) != '\\') {
        return str_utf8_next(p->text, &p->pos);
    }
    char c = peek(p, 1);
    if (c == 'b') {
        p->pos += 2;
        return '\b';
    }
    if (regex_set_add_class(b, c)) {
        p->pos += 2;
        *whole = true;
        return 0;
    }
    p->pos++;
    return parse_escaped_char(p);
}

static void parse_class_item(struct parser *p, struct regex_set_builder *b) {
    if (looking_at(p, "[:")) {
        fail(p, "[:name:] is not supported (write \\[ for the character)");
        return;
    }
    bool whole;
    size_t start = p->pos;
    uint32_t from = parse_class_char(p, b, &whole);
    bool range = peek(p, 0) == '-' && peek(p, 1) != ']' && peek(p, 1) != '\0';
    if (!range) {
        if (!whole) {
            regex_set_add(b, from, from);
        }
        return;
    }
    p->pos++;
    bool whole_end;
    uint32_t to = parse_class_char(p, b, &whole_end);
    if (whole || whole_end || to < from) {
        fail_at(p, start, "this is no range of characters");
        return;
    }
    regex_set_add(b, from, to);
}

static struct regex_node *parse_class(struct parser *p) {
    size_t start = p->pos++;
    bool negated = peek(p, 0) == '^';
    p->pos += negated;
    if (peek(p, 0) == ']') {
        return fail_at(p, start, "an empty class (write \\] for the character)");
    }
    struct regex_set_builder b;
    regex_set_init(&b, p->arena);
    while (p->err == OK && !at_end(p) && peek(p, 0) != ']') {
        parse_class_item(p, &b);
    }
    if (at_end(p)) {
        return fail_at(p, start, "this [ is never closed");
    }
    p->pos++;
    return set_node(p, &b, negated);
}

/* --- groups --- */

/* The letters of (?im-s; false at something that is no flag. */
static bool parse_flags(struct parser *p) {
    bool on = true, any = false;
    for (;; p->pos++, any = true) {
        switch (peek(p, 0)) {
        case 'i': p->flags.fold = on; break;
        case 's': p->flags.dot_all = on; break;
        case 'm': p->flags.multiline = on; break;
        case '-':
            if (!on) {
                return false;
            }
            on = false;
            break;
        default: return any;
        }
    }
}

static bool parse_group_name(struct parser *p) {
    p->pos += peek(p, 0) == 'P' ? 2 : 1;
    size_t start = p->pos;
    while (is_letter_or_digit(peek(p, 0)) || peek(p, 0) == '_') {
        p->pos++;
    }
    return p->pos > start && peek(p, 0) == '>';
}

/* Behind "(?": true when a group body follows, false when only flags were set (or an error). */
static bool parse_group_head(struct parser *p) {
    char c = peek(p, 0);
    if (c == ':') {
        p->pos++;
        return true;
    }
    if (c == '=' || c == '!' || (c == '<' && (peek(p, 1) == '=' || peek(p, 1) == '!'))) {
        fail(p, "look-ahead and look-behind are not supported");
        return false;
    }
    if (c == '<' || (c == 'P' && peek(p, 1) == '<')) {
        if (!parse_group_name(p)) {
            fail(p, "expected the name of a group and '>'");
            return false;
        }
        p->pos++;
        return true;
    }
    if (!parse_flags(p) || (peek(p, 0) != ':' && peek(p, 0) != ')')) {
        fail(p, "unknown kind of group");
        return false;
    }
    return p->text.ptr[p->pos++] == ':';
}

static struct regex_node *parse_group(struct parser *p) {
    size_t start = p->pos++;
    struct flags outer = p->flags;
    if (peek(p, 0) == '?') {
        p->pos++;
        if (!parse_group_head(p)) {
            return new_node(p, NODE_EMPTY); /* (?i) holds up to the end of the group around it */
        }
    }
    if (++p->depth > REGEX_MAX_DEPTH) {
        return fail_at(p, start, "groups are nested too deeply");
    }
    struct regex_node *n = parse_alternatives(p);
    p->depth--;
    p->flags = outer;
    if (p->err == OK && peek(p, 0) != ')') {
        return fail_at(p, start, "this ( is never closed");
    }
    p->pos++;
    return n;
}

/* --- repetition --- */

static uint32_t parse_number(struct parser *p) {
    uint32_t n = 0;
    while (peek(p, 0) >= '0' && peek(p, 0) <= '9') {
        n = n * 10 + (uint32_t)(p->text.ptr[p->pos++] - '0');
        n = n > REGEX_MAX_REPEAT ? REGEX_MAX_REPEAT + 1 : n;
    }
    return n;
}

static bool is_digit_at(const struct parser *p, size_t ahead) {
    return peek(p, ahead) >= '0' && peek(p, ahead) <= '9';
}

/* {n} {n,} {n,m}: false, and nothing read, when it is something else and so a literal. */
static bool parse_braces(struct parser *p, uint32_t *min, uint32_t *max) {
    size_t start = p->pos++;
    if (is_digit_at(p, 0)) {
        *min = *max = parse_number(p);
        if (peek(p, 0) == ',') {
            p->pos++;
            *max = is_digit_at(p, 0) ? parse_number(p) : REGEX_INFINITE;
        }
        if (peek(p, 0) == '}') {
            p->pos++;
            return true;
        }
    }
    p->pos = start;
    return false;
}

static bool parse_quantifier(struct parser *p, uint32_t *min, uint32_t *max) {
    switch (peek(p, 0)) {
    case '*': *min = 0, *max = REGEX_INFINITE; break;
    case '+': *min = 1, *max = REGEX_INFINITE; break;
    case '?': *min = 0, *max = 1; break;
    case '{': return parse_braces(p, min, max);
    default: return false;
    }
    p->pos++;
    return true;
}

static struct regex_node *parse_atom(struct parser *p) {
    switch (peek(p, 0)) {
    case '(': return parse_group(p);
    case '[': return parse_class(p);
    case '\\': return parse_escape(p);
    case '.': p->pos++; return dot_node(p);
    case '^':
        p->pos++;
        return assertion_node(p, p->flags.multiline ? AT_LINE_START : AT_TEXT_START);
    case '$': p->pos++; return assertion_node(p, p->flags.multiline ? AT_LINE_END : AT_TEXT_END);
    case '*':
    case '+':
    case '?': return fail(p, "there is nothing to repeat");
    default: {
        uint32_t cp = str_utf8_next(p->text, &p->pos);
        return char_node(p, cp);
    }
    }
}

static struct regex_node *parse_repeat(struct parser *p) {
    uint32_t min, max;
    size_t start = p->pos;
    if (peek(p, 0) == '{' && parse_braces(p, &min, &max)) {
        return fail_at(p, start, "there is nothing to repeat");
    }
    struct regex_node *atom = parse_atom(p);
    start = p->pos;
    if (p->err != OK || !parse_quantifier(p, &min, &max)) {
        return atom;
    }
    if (peek(p, 0) == '?') {
        p->pos++; /* lazy: whether there is a match does not depend on it */
    }
    if (min > REGEX_MAX_REPEAT || (max != REGEX_INFINITE && max > REGEX_MAX_REPEAT)) {
        return fail_at(p, start, "at most 1000 repetitions are supported: more");
    }
    if (max < min) {
        return fail_at(p, start, "the second number is less than the first");
    }
    size_t again = p->pos;
    uint32_t unused_min, unused_max;
    if (parse_quantifier(p, &unused_min, &unused_max)) {
        return fail_at(p, again, "a repetition of a repetition needs a group");
    }
    struct regex_node *n = new_node(p, NODE_REPEAT);
    if (n) {
        n->child = atom;
        n->min = min;
        n->max = max;
    }
    return n;
}

static struct regex_node *parse_sequence(struct parser *p) {
    struct regex_node *cat = new_node(p, NODE_CAT);
    struct regex_node **last = cat ? &cat->child : NULL;
    while (p->err == OK && last && !at_end(p) && peek(p, 0) != '|' && peek(p, 0) != ')') {
        *last = parse_repeat(p);
        last = *last ? &(*last)->next : NULL;
    }
    return cat;
}

static struct regex_node *parse_alternatives(struct parser *p) {
    struct regex_node *first = parse_sequence(p);
    if (p->err != OK || peek(p, 0) != '|' || at_end(p)) {
        return first;
    }
    struct regex_node *alt = new_node(p, NODE_ALT);
    if (!alt) {
        return NULL;
    }
    alt->child = first;
    struct regex_node *last = first;
    while (p->err == OK && last && !at_end(p) && peek(p, 0) == '|') {
        p->pos++;
        last->next = parse_sequence(p);
        last = last->next;
    }
    return alt;
}

enum err regex_parse(struct arena *a, struct str pattern, struct regex_node **out,
                     struct error *e) {
    struct parser p = {.arena = a, .text = pattern, .error = e};
    struct regex_node *root = parse_alternatives(&p);
    if (p.err == OK && !at_end(&p)) {
        fail(&p, "this ) closes nothing");
    }
    if (p.err == OK) {
        *out = root;
    }
    return p.err;
}
