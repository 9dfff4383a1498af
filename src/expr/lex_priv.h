/* Tokens of an expression: what the lexer hands to the parser. Literals arrive as values, decoded
 * into the compiler's arena; an integer without its sign, which only the parser knows. Private to
 * lex.c, lex_string.c and parse.c.
 */
#ifndef CAIRN_EXPR_LEX_PRIV_H
#define CAIRN_EXPR_LEX_PRIV_H

#include "expr/expr_priv.h"

enum token_kind {
    TOKEN_END,
    TOKEN_BAD, /* reported */
    TOKEN_VALUE,
    TOKEN_INT, /* magnitude: its sign is not known yet */
    TOKEN_NAME,
    TOKEN_QUOTED, /* `any name` */
    TOKEN_IN,
    TOKEN_LPAREN,
    TOKEN_RPAREN,
    TOKEN_LBRACKET,
    TOKEN_RBRACKET,
    TOKEN_LBRACE,
    TOKEN_RBRACE,
    TOKEN_DOT,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_QUESTION,
    TOKEN_NOT,
    TOKEN_MINUS,
    TOKEN_PLUS,
    TOKEN_STAR,
    TOKEN_SLASH,
    TOKEN_PERCENT,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_AND,
    TOKEN_OR,
};

struct token {
    enum token_kind kind;
    bool reserved; /* name: a word CEL keeps for itself */
    uint32_t offset;
    uint32_t end;
    struct str text;
    struct value value;
    uint64_t magnitude;
};

struct lexer {
    struct compiler *c;
    uint32_t pos;
    uint32_t end;
    struct token tok;
};

/* Reads the next token into lx->tok. */
void lex_next(struct lexer *lx);
/* lex_string.c: a string or bytes literal at pos; true when one starts there. */
bool lex_string(struct lexer *lx);

#endif
