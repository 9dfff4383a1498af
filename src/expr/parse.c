/* The parser: tokens to a tree, by recursive descent over the grammar of the CEL spec ("Syntax").
 *
 * Stops at the first error, which it reports with what it expected and what it found. Nesting is
 * bounded by EXPR_MAX_NESTING; chains of operators, of .steps and of ?: are loops.
 */
#include "expr/lex_priv.h"

#include <stdio.h>

struct parser {
    struct compiler *c;
    struct lexer lx;
};

static struct node *parse_expr(struct parser *p);
static struct node *parse_unary(struct parser *p);

static struct node *new_node(struct parser *p, enum node_kind kind, uint32_t offset) {
    struct node *n = compile_alloc(p->c, 1, sizeof *n);
    if (n) {
        n->kind = (uint8_t)kind;
        n->offset = offset;
    }
    return n;
}

static bool enter(struct parser *p) {
    if (++p->c->depth <= EXPR_MAX_NESTING) {
        return true;
    }
    compile_error(p->c, p->lx.tok.offset, "nested deeper than %u levels", EXPR_MAX_NESTING);
    return false;
}

static void leave(struct parser *p) { p->c->depth--; }

static bool accept(struct parser *p, enum token_kind kind) {
    if (p->lx.tok.kind != kind) {
        return false;
    }
    lex_next(&p->lx);
    return true;
}

/* Words and signs of other languages that turn up where an operator or the end should stand. */
static const char *foreign_help(const struct token *t) {
    static const struct {
        const char *word;
        const char *help;
    } known[] = {
        {"and", "write && for \"and\""},
        {"or", "write || for \"or\""},
        {"not", "write !x for \"not x\", !(x in list) for \"not in\""},
        {"is", "compare with =="},
        {"if", "write condition ? this : that"},
        {"else", "write condition ? this : that"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (t->kind == TOKEN_NAME && str_is(t->text, known[i].word)) {
            return known[i].help;
        }
    }
    return t->kind == TOKEN_LBRACE ? "a map is written {\"key\": value}; there are no message types"
                                   : NULL;
}

static void *unexpected(struct parser *p, const char *expected) {
    const struct token *t = &p->lx.tok;
    if (t->kind == TOKEN_BAD || p->c->failed) {
        return NULL;
    }
    struct diag_item *item;
    if (t->kind == TOKEN_END) {
        item =
            compile_error(p->c, t->offset, "expected %s, but the expression ends here", expected);
    } else {
        item = compile_error(p->c, t->offset, "expected %s, found \"%.*s\"", expected,
                             STR_ARG(str_sub(t->text, 0, 40)));
    }
    const char *help = foreign_help(t);
    if (help) {
        diag_help(p->c->diag, item, "%s", help);
    }
    return NULL;
}

static bool expect_close(struct parser *p, enum token_kind kind, const char *close,
                         uint32_t opened) {
    if (accept(p, kind)) {
        return true;
    }
    struct mark m = expr_mark(p->c->text, p->c->at, opened);
    char expected[80];
    snprintf(expected, sizeof expected, "\",\" or \"%s\" for the \"%c\" of %u:%u", close,
             p->c->text.ptr[opened], m.line, m.column);
    unexpected(p, expected);
    return false;
}

/* Items up to the closing token, which is consumed; a trailing comma is allowed if tail is. */
static bool parse_args(struct parser *p, uint32_t opened, struct node ***out, uint32_t *out_count) {
    if (accept(p, TOKEN_RPAREN)) {
        return true;
    }
    do {
        struct node **args = compile_grow(p->c, *out, *out_count, sizeof *args);
        struct node *arg = args ? parse_expr(p) : NULL;
        if (!arg) {
            return false;
        }
        args[(*out_count)++] = arg;
        *out = args;
    } while (accept(p, TOKEN_COMMA));
    return expect_close(p, TOKEN_RPAREN, ")", opened);
}

static bool parse_item(struct parser *p, struct item *it, bool is_map) {
    it->optional = accept(p, TOKEN_QUESTION);
    struct node *first = parse_expr(p);
    if (!first || !is_map) {
        it->val = first;
        return first != NULL;
    }
    it->key = first;
    if (!accept(p, TOKEN_COLON)) {
        unexpected(p, "\":\" after the key of a map");
        return false;
    }
    it->val = parse_expr(p);
    return it->val != NULL;
}

/* A list or a map literal. */
static struct node *parse_items(struct parser *p, bool is_map) {
    enum token_kind close = is_map ? TOKEN_RBRACE : TOKEN_RBRACKET;
    struct node *n = new_node(p, is_map ? NODE_MAP : NODE_LIST, p->lx.tok.offset);
    if (!n) {
        return NULL;
    }
    if (is_map && str_starts(str_sub(p->c->text, n->offset, p->lx.end), STR("{{"))) {
        struct diag_item *item = compile_error(p->c, n->offset, "{{ }} inside an expression");
        diag_help(p->c->diag, item, "names stand bare in an expression, as in a + b");
        return NULL;
    }
    lex_next(&p->lx);
    while (p->lx.tok.kind != close) {
        struct item *items = compile_grow(p->c, n->items, n->count, sizeof *items);
        if (!items || !parse_item(p, &items[n->count], is_map)) {
            return NULL;
        }
        n->items = items;
        n->count++;
        if (!accept(p, TOKEN_COMMA)) {
            break;
        }
    }
    return expect_close(p, close, is_map ? "}" : "]", n->offset) ? n : NULL;
}

static struct node *parse_name(struct parser *p, bool absolute) {
    struct token t = p->lx.tok;
    if (t.kind != TOKEN_NAME) {
        return unexpected(p, "a name after \".\"");
    }
    if (t.reserved) {
        struct diag_item *item = compile_error(
            p->c, t.offset, "\"%.*s\" is a reserved word of the language", STR_ARG(t.text));
        const char *help = foreign_help(&t);
        diag_help(p->c->diag, item, "%s", help ? help : "choose another name");
        return NULL;
    }
    lex_next(&p->lx);
    uint32_t opened = p->lx.tok.offset;
    bool is_call = accept(p, TOKEN_LPAREN);
    struct node *n = new_node(p, is_call ? NODE_CALL : NODE_NAME, t.offset);
    if (!n) {
        return NULL;
    }
    n->absolute = absolute;
    if (!is_call) {
        n->name = t.text;
        return n;
    }
    n->fn_name = t.text;
    return parse_args(p, opened, &n->args, &n->count) ? n : NULL;
}

static struct node *parse_paren(struct parser *p) {
    uint32_t opened = p->lx.tok.offset;
    lex_next(&p->lx);
    struct node *n = parse_expr(p);
    if (!n) {
        return NULL;
    }
    if (accept(p, TOKEN_RPAREN)) {
        return n;
    }
    struct mark m = expr_mark(p->c->text, p->c->at, opened);
    char expected[80];
    snprintf(expected, sizeof expected, "an operator or \")\" for the \"(\" of %u:%u", m.line,
             m.column);
    return unexpected(p, expected);
}

static struct node *parse_literal(struct parser *p, bool negative, uint32_t offset) {
    struct node *n = new_node(p, NODE_CONST, offset);
    if (!n) {
        return NULL;
    }
    struct token t = p->lx.tok;
    n->value = t.value;
    if (t.kind == TOKEN_INT) {
        if (t.magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
            struct diag_item *item =
                compile_error(p->c, t.offset, "%.*s is too large for an int", STR_ARG(t.text));
            diag_help(p->c->diag, item, "write %.*su for a uint, %.*s.0 for a double",
                      STR_ARG(t.text), STR_ARG(t.text));
            return NULL;
        }
        n->value = value_int((int64_t)(negative ? 0 - t.magnitude : t.magnitude));
    } else if (negative) {
        n->value.real = -n->value.real;
    }
    lex_next(&p->lx);
    return n;
}

static struct node *parse_primary(struct parser *p) {
    switch ((int)p->lx.tok.kind) {
    case TOKEN_VALUE:
    case TOKEN_INT: return parse_literal(p, false, p->lx.tok.offset);
    case TOKEN_NAME: return parse_name(p, false);
    case TOKEN_DOT: lex_next(&p->lx); return parse_name(p, true);
    case TOKEN_LPAREN: return parse_paren(p);
    case TOKEN_LBRACKET: return parse_items(p, false);
    case TOKEN_LBRACE: return parse_items(p, true);
    default: return unexpected(p, "a value");
    }
}

static bool parse_index(struct parser *p, struct step *s) {
    lex_next(&p->lx);
    s->kind = STEP_INDEX;
    s->optional = accept(p, TOKEN_QUESTION);
    s->args = compile_alloc(p->c, 1, sizeof *s->args);
    s->count = 1;
    if (!s->args) {
        return false;
    }
    s->args[0] = parse_expr(p);
    if (!s->args[0]) {
        return false;
    }
    return expect_close(p, TOKEN_RBRACKET, "]", s->offset);
}

static bool bad_field(struct parser *p) {
    struct token t = p->lx.tok;
    if (t.kind == TOKEN_IN || (t.kind == TOKEN_VALUE && t.text.ptr[0] >= 'a')) {
        struct diag_item *item =
            compile_error(p->c, t.offset, "\"%.*s\" is a word of the language", STR_ARG(t.text));
        diag_help(p->c->diag, item, "for a field of that name write [\"%.*s\"]", STR_ARG(t.text));
    } else {
        unexpected(p, "a field name after \".\"");
    }
    return false;
}

static bool parse_field(struct parser *p, struct step *s) {
    lex_next(&p->lx);
    s->kind = STEP_FIELD;
    s->optional = accept(p, TOKEN_QUESTION);
    s->quoted = p->lx.tok.kind == TOKEN_QUOTED;
    if (p->lx.tok.kind != TOKEN_NAME && !s->quoted) {
        return bad_field(p);
    }
    s->name = p->lx.tok.text;
    s->offset = p->lx.tok.offset + (s->quoted ? 1 : 0);
    lex_next(&p->lx);
    uint32_t opened = p->lx.tok.offset;
    if (s->quoted || !accept(p, TOKEN_LPAREN)) {
        return true;
    }
    s->kind = STEP_CALL;
    if (s->optional) {
        compile_error(p->c, s->offset, "a function is called with \".\", not with \".?\"");
        return false;
    }
    return parse_args(p, opened, &s->args, &s->count);
}

static struct node *parse_postfix(struct parser *p, struct node *base) {
    struct node *n = NULL;
    while (p->lx.tok.kind == TOKEN_DOT || p->lx.tok.kind == TOKEN_LBRACKET) {
        if (!n) {
            n = new_node(p, NODE_POSTFIX, base->offset);
            if (!n) {
                return NULL;
            }
            n->first = base;
        }
        struct step *steps = compile_grow(p->c, n->steps, n->count, sizeof *steps);
        if (!steps) {
            return NULL;
        }
        n->steps = steps;
        struct step *s = &steps[n->count];
        *s = (struct step){.offset = p->lx.tok.offset};
        if (!(p->lx.tok.kind == TOKEN_DOT ? parse_field(p, s) : parse_index(p, s))) {
            return NULL;
        }
        n->count++;
    }
    return n ? n : base;
}

static struct node *parse_member(struct parser *p) {
    struct node *base = parse_primary(p);
    return base ? parse_postfix(p, base) : NULL;
}

/* After a minus sign: a literal takes it in, so that -9223372036854775808 can be written. */
static struct node *parse_negative(struct parser *p, uint32_t offset) {
    const struct token *t = &p->lx.tok;
    if (t->kind == TOKEN_INT || (t->kind == TOKEN_VALUE && t->value.type == VALUE_DOUBLE)) {
        struct node *n = parse_literal(p, true, offset);
        return n ? parse_postfix(p, n) : NULL;
    }
    struct node *n = new_node(p, NODE_NEGATE, offset);
    if (n) {
        n->operand = parse_unary(p);
    }
    return n && n->operand ? n : NULL;
}

static struct node *parse_not(struct parser *p, uint32_t offset) {
    struct node *n = new_node(p, NODE_NOT, offset);
    if (n) {
        n->operand = parse_unary(p);
    }
    return n && n->operand ? n : NULL;
}

static struct node *parse_unary(struct parser *p) {
    uint32_t offset = p->lx.tok.offset;
    bool negative = p->lx.tok.kind == TOKEN_MINUS;
    if (!negative && p->lx.tok.kind != TOKEN_NOT) {
        return parse_member(p);
    }
    if (!enter(p)) {
        return NULL;
    }
    lex_next(&p->lx);
    struct node *n = negative ? parse_negative(p, offset) : parse_not(p, offset);
    leave(p);
    return n;
}

enum level { LEVEL_OR, LEVEL_AND, LEVEL_RELATION, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_UNARY };

/* The operator of that level which the token stands for, or OP_NONE. && and || give OP_ADD. */
static enum op operator_of(enum level level, enum token_kind kind) {
    static const struct {
        uint8_t level, token, op;
    } table[] = {
        {LEVEL_OR, TOKEN_OR, OP_ADD},         {LEVEL_AND, TOKEN_AND, OP_ADD},
        {LEVEL_RELATION, TOKEN_LT, OP_LT},    {LEVEL_RELATION, TOKEN_LE, OP_LE},
        {LEVEL_RELATION, TOKEN_GT, OP_GT},    {LEVEL_RELATION, TOKEN_GE, OP_GE},
        {LEVEL_RELATION, TOKEN_EQ, OP_EQ},    {LEVEL_RELATION, TOKEN_NE, OP_NE},
        {LEVEL_RELATION, TOKEN_IN, OP_IN},    {LEVEL_SUM, TOKEN_PLUS, OP_ADD},
        {LEVEL_SUM, TOKEN_MINUS, OP_SUB},     {LEVEL_PRODUCT, TOKEN_STAR, OP_MUL},
        {LEVEL_PRODUCT, TOKEN_SLASH, OP_DIV}, {LEVEL_PRODUCT, TOKEN_PERCENT, OP_MOD},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].level == level && table[i].token == kind) {
            return (enum op)table[i].op;
        }
    }
    return OP_NONE;
}

static struct node *parse_binary(struct parser *p, enum level level) {
    if (level == LEVEL_UNARY) {
        return parse_unary(p);
    }
    struct node *first = parse_binary(p, level + 1);
    enum op op = operator_of(level, p->lx.tok.kind);
    if (!first || op == OP_NONE) {
        return first;
    }
    enum node_kind kind = level == LEVEL_OR ? NODE_OR : level == LEVEL_AND ? NODE_AND : NODE_CHAIN;
    struct node *n = new_node(p, kind, first->offset);
    if (!n) {
        return NULL;
    }
    n->first = first;
    for (; op != OP_NONE; op = operator_of(level, p->lx.tok.kind)) {
        struct link *links = compile_grow(p->c, n->links, n->count, sizeof *links);
        uint32_t offset = p->lx.tok.offset;
        lex_next(&p->lx);
        struct node *operand = links ? parse_binary(p, level + 1) : NULL;
        if (!operand) {
            return NULL;
        }
        links[n->count++] = (struct link){.op = (uint8_t)op, .offset = offset, .operand = operand};
        n->links = links;
    }
    return n;
}

static struct node *parse_ternary(struct parser *p) {
    struct node *first = NULL;
    struct node **tail = &first;
    for (;;) {
        struct node *cond = parse_binary(p, LEVEL_OR);
        uint32_t offset = p->lx.tok.offset;
        if (!cond || !accept(p, TOKEN_QUESTION)) {
            *tail = cond;
            return cond ? first : NULL;
        }
        struct node *n = new_node(p, NODE_TERNARY, offset);
        if (!n) {
            return NULL;
        }
        n->cond = cond;
        bool dot = p->lx.tok.kind == TOKEN_DOT;
        n->yes = parse_binary(p, LEVEL_OR);
        if (!n->yes) {
            return NULL;
        }
        if (!accept(p, TOKEN_COLON)) {
            return unexpected(p, dot ? "\":\" and the value for false (for ?. write .?)"
                                     : "\":\" and the value for false");
        }
        *tail = n;
        tail = &n->no;
    }
}

static struct node *parse_expr(struct parser *p) {
    if (!enter(p)) {
        return NULL;
    }
    struct node *n = parse_ternary(p);
    leave(p);
    return n;
}

struct node *expr_parse(struct compiler *c, uint32_t from, uint32_t to) {
    struct parser p = {.c = c, .lx = {.c = c, .pos = from, .end = to}};
    c->depth = 0;
    lex_next(&p.lx);
    if (p.lx.tok.kind == TOKEN_END) {
        compile_error(c, from, "the expression is empty");
        return NULL;
    }
    struct node *n = parse_expr(&p);
    if (n && p.lx.tok.kind != TOKEN_END) {
        bool is_not = n->kind == NODE_NAME && str_is(n->name, "not");
        return unexpected(&p, is_not ? "an operator (\"not x\" is written !x)"
                                     : "an operator or the end of the expression");
    }
    return n;
}
