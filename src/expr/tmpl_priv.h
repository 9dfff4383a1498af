/* A compiled template: a tree of pieces. Texts are slices of the template's own copy, expressions
 * are compiled ones that share its slots and variables. Private to tmpl.c and tmpl_eval.c.
 */
#ifndef CAIRN_EXPR_TMPL_PRIV_H
#define CAIRN_EXPR_TMPL_PRIV_H

#include "expr/run_priv.h"

#define TMPL_MAX_TEXT (16u << 20)

enum piece_kind { PIECE_TEXT, PIECE_VALUE, PIECE_SECRET, PIECE_IF, PIECE_EACH };

struct piece;

struct block {
    struct piece *pieces;
    uint32_t count;
};

struct piece {
    uint8_t kind;
    bool has_index;       /* each: as x, i */
    uint32_t local;       /* each: the item; the index is the next one */
    struct str text;      /* text, secret: its name */
    const struct expr *x; /* value, if: condition, each: what is walked */
    struct block yes;     /* if, each */
    struct block no;      /* if: after #else */
};

struct tmpl {
    struct block root;
    struct mark at;
    uint32_t *slots;
    uint32_t slot_count;
    uint32_t local_count;
    bool constant;   /* no piece but text */
    bool sealed;     /* has a secret in it */
    struct str text; /* when constant */
};

/* tmpl_secret.c: the name in "secrets.NAME" when that is all there is, else an empty slice. */
struct str secret_tag_name(struct str tag_body);
/* Appends text as sealed text has it. */
void secret_text_seal(struct str text, struct buf *out);
void secret_mark_append(struct str name, struct buf *out);

#endif
