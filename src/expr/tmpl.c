/* Compiling templates: text with {{ expression }}, {{#if}} and {{#each}}.
 *
 * A block tag that stands alone on its line takes the line with it, so that blocks leave no blank
 * lines. Everything wrong is reported, an unclosed block where it was opened; only what leaves the
 * nesting unclear ends the reading. Text is never looked at twice: what a value prints is data.
 */
#include "expr/tmpl_priv.h"

#include <stdio.h>

struct reader {
    struct compiler *c;
    const struct local *locals;
    size_t pos;
    size_t text_from; /* literal text not yet put into a piece */
    uint32_t depth;
    bool secrets; /* one was read */
};

/* One {{ ... }}. */
struct tag {
    size_t from;     /* of {{ */
    size_t end;      /* behind }} */
    struct str body; /* between, trimmed */
};

enum stop { STOP_END, STOP_ELSE, STOP_CLOSE, STOP_ERROR };

static enum stop read_block(struct reader *rd, struct block *b, const char *name,
                            struct tag *out_tag);

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_raw(struct str s, size_t quote) {
    size_t i = quote;
    if (i == 0 || (s.ptr[i - 1] != 'r' && s.ptr[i - 1] != 'R')) {
        return false;
    }
    i--;
    if (i > 0 && (s.ptr[i - 1] == 'b' || s.ptr[i - 1] == 'B')) {
        i--;
    }
    return i == 0 || !is_word(s.ptr[i - 1]);
}

/* Behind the string literal whose quote stands at `quote`; just behind the quote if not closed. */
static size_t skip_string(struct str s, size_t quote) {
    char q = s.ptr[quote];
    bool raw = is_raw(s, quote);
    bool triple = quote + 2 < s.len && s.ptr[quote + 1] == q && s.ptr[quote + 2] == q;
    size_t width = triple ? 3 : 1;
    for (size_t i = quote + width; i < s.len; i++) {
        if (s.ptr[i] == '\\' && !raw) {
            i++;
        } else if (s.ptr[i] == '\n' && !triple) {
            break;
        } else if (s.ptr[i] == q &&
                   (!triple || (i + 2 < s.len && s.ptr[i + 1] == q && s.ptr[i + 2] == q))) {
            return i + width;
        }
    }
    return quote + 1;
}

static size_t skip_comment(struct str s, size_t i) {
    while (i < s.len && s.ptr[i] != '\n' && !str_starts(str_sub(s, i, s.len), STR("}}"))) {
        i++;
    }
    return i;
}

size_t tmpl_find_close(struct str s, size_t i) {
    uint32_t braces = 0;
    while (i < s.len) {
        char c = s.ptr[i];
        char next = i + 1 < s.len ? s.ptr[i + 1] : '\0';
        if (c == '"' || c == '\'') {
            i = skip_string(s, i);
            continue;
        }
        if (c == '/' && next == '/') {
            i = skip_comment(s, i);
            continue;
        }
        if (c == '}' && braces == 0 && next == '}') {
            return i;
        }
        if (c == '{') {
            braces++;
        } else if (c == '}' && braces) {
            braces--;
        }
        i++;
    }
    return SIZE_MAX;
}

static struct piece *add_piece(struct reader *rd, struct block *b, enum piece_kind kind) {
    struct piece *pieces = compile_grow(rd->c, b->pieces, b->count, sizeof *pieces);
    if (!pieces) {
        return NULL;
    }
    b->pieces = pieces;
    struct piece *p = &pieces[b->count++];
    *p = (struct piece){.kind = (uint8_t)kind};
    return p;
}

static void flush_text(struct reader *rd, struct block *b, size_t to) {
    if (to > rd->text_from) {
        struct piece *p = add_piece(rd, b, PIECE_TEXT);
        if (p) {
            p->text = str_sub(rd->c->text, rd->text_from, to);
        }
    }
    rd->text_from = to;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Flushes the text before a block tag; when the tag is alone on its line, without that line. */
static void flush_line(struct reader *rd, struct block *b, const struct tag *t) {
    struct str s = rd->c->text;
    size_t from = t->from;
    size_t to = t->end;
    while (from > 0 && is_blank(s.ptr[from - 1])) {
        from--;
    }
    while (to < s.len && (is_blank(s.ptr[to]) ||
                          (s.ptr[to] == '\r' && to + 1 < s.len && s.ptr[to + 1] == '\n'))) {
        to++;
    }
    bool alone = (from == 0 || s.ptr[from - 1] == '\n') && (to == s.len || s.ptr[to] == '\n');
    flush_text(rd, b, alone && from > rd->text_from ? from : alone ? rd->text_from : t->from);
    rd->text_from = alone ? (to < s.len ? to + 1 : to) : t->end;
    rd->pos = rd->text_from;
}

static uint32_t offset_of(const struct reader *rd, struct str part) {
    return (uint32_t)(part.ptr - rd->c->text.ptr);
}

static const struct expr *read_expr(struct reader *rd, struct str part) {
    uint32_t from = offset_of(rd, part);
    return compile_part(rd->c, from, from + (uint32_t)part.len, rd->locals);
}

static bool starts_word(struct str s, const char *word) {
    size_t len = strlen(word);
    return str_starts(s, str_from(word)) && (s.len == len || !is_word(s.ptr[len]));
}

/* Cuts the last name off s. */
static struct str cut_name(struct str *s) {
    size_t from = s->len;
    while (from > 0 && is_word(s->ptr[from - 1])) {
        from--;
    }
    struct str name = str_sub(*s, from, s->len);
    *s = str_trim(str_sub(*s, 0, from));
    return name.len && !(name.ptr[0] >= '0' && name.ptr[0] <= '9') ? name : (struct str){0};
}

/* "xs as x" or "xs as x, i" */
static bool split_each(struct str body, struct str *xs, struct str *item, struct str *index) {
    *xs = body;
    *index = (struct str){0};
    *item = cut_name(xs);
    if (item->len && str_ends(*xs, STR(","))) {
        *index = *item;
        *xs = str_trim(str_sub(*xs, 0, xs->len - 1));
        *item = cut_name(xs);
    }
    struct str as = cut_name(xs);
    return item->len && str_is(as, "as") && xs->len;
}

static void unclosed(struct reader *rd, const struct tag *t, const char *name) {
    struct diag_item *item =
        compile_error(rd->c, (uint32_t)t->from, "this {{#%s}} is never closed", name);
    diag_help(rd->c->diag, item, "write {{/%s}} where it ends", name);
}

static enum stop read_if(struct reader *rd, struct block *b, const struct tag *t) {
    struct str cond = str_trim(str_sub(t->body, 3, t->body.len));
    struct piece *p = add_piece(rd, b, PIECE_IF);
    if (!p) {
        return STOP_ERROR;
    }
    struct piece made = *p;
    if (cond.len) {
        made.x = read_expr(rd, cond);
    } else {
        compile_error(rd->c, (uint32_t)t->from, "{{#if}} without a condition");
    }
    struct tag end;
    enum stop stop = read_block(rd, &made.yes, "if", &end);
    if (stop == STOP_ELSE) {
        stop = read_block(rd, &made.no, "if", &end);
        if (stop == STOP_ELSE) {
            compile_error(rd->c, (uint32_t)end.from, "a second {{#else}} in one {{#if}}");
            stop = STOP_ERROR;
        }
    }
    if (stop == STOP_END) {
        unclosed(rd, t, "if");
        return STOP_ERROR;
    }
    *p = made;
    return stop;
}

static enum stop read_each(struct reader *rd, struct block *b, const struct tag *t) {
    struct str xs, item, index;
    struct piece *p = add_piece(rd, b, PIECE_EACH);
    if (!p) {
        return STOP_ERROR;
    }
    struct piece made = *p;
    if (!split_each(str_trim(str_sub(t->body, 5, t->body.len)), &xs, &item, &index)) {
        compile_error(rd->c, (uint32_t)t->from,
                      "{{#each}} is written {{#each list as x}} or {{#each list as x, i}}");
    } else {
        made.x = read_expr(rd, xs);
    }
    const struct local *outer = rd->locals;
    made.local = outer ? outer->index + 1 : 0;
    made.has_index = index.len > 0;
    struct local own = {item, made.local, outer};
    struct local counter = {index, made.local + 1, &own};
    rd->locals = index.len ? &counter : &own;
    if (rd->locals->index >= rd->c->local_count) {
        rd->c->local_count = rd->locals->index + 1;
    }
    struct tag end;
    enum stop stop = read_block(rd, &made.yes, "each", &end);
    rd->locals = outer;
    if (stop == STOP_END) {
        unclosed(rd, t, "each");
    } else if (stop == STOP_ELSE) {
        compile_error(rd->c, (uint32_t)end.from, "{{#else}} belongs to {{#if}}, not to {{#each}}");
    }
    *p = made;
    return stop == STOP_CLOSE ? STOP_CLOSE : STOP_ERROR;
}

static enum stop unknown_block(struct reader *rd, const struct tag *t) {
    struct diag_item *item = compile_error(rd->c, (uint32_t)t->from, "unknown tag {{%.*s}}",
                                           STR_ARG(str_sub(t->body, 0, 40)));
    diag_help(rd->c->diag, item,
              "tags are {{#if x}} {{#else}} {{/if}} {{#each xs as x}} {{/each}}; for a literal {{ "
              "write \\{{");
    return STOP_ERROR;
}

/* The tag of a block, at whose end STOP_CLOSE means that reading goes on behind it. */
static enum stop read_open(struct reader *rd, struct block *b, const struct tag *t) {
    if (++rd->depth > EXPR_MAX_NESTING) {
        compile_error(rd->c, (uint32_t)t->from, "blocks nested deeper than %u", EXPR_MAX_NESTING);
        return STOP_ERROR;
    }
    enum stop stop = starts_word(t->body, "#if")     ? read_if(rd, b, t)
                     : starts_word(t->body, "#each") ? read_each(rd, b, t)
                                                     : unknown_block(rd, t);
    rd->depth--;
    return stop;
}

static enum stop read_close(struct reader *rd, const struct tag *t, const char *open) {
    struct str name = str_trim(str_sub(t->body, 1, t->body.len));
    if (open && str_is(name, open)) {
        return STOP_CLOSE;
    }
    if (!str_is(name, "if") && !str_is(name, "each")) {
        return unknown_block(rd, t);
    }
    if (open) {
        compile_error(rd->c, (uint32_t)t->from, "{{/%.*s}} where {{/%s}} is expected",
                      STR_ARG(name), open);
    } else {
        compile_error(rd->c, (uint32_t)t->from, "{{/%.*s}} without {{#%.*s}}", STR_ARG(name),
                      STR_ARG(name));
    }
    return STOP_ERROR;
}

static enum stop read_else(struct reader *rd, const struct tag *t, const char *open) {
    if (!str_is(t->body, "#else")) {
        struct diag_item *item =
            compile_error(rd->c, (uint32_t)t->from, "{{#else}} is written without anything else");
        diag_help(rd->c->diag, item, "for a further condition put an {{#if}} after {{#else}}");
        return STOP_ERROR;
    }
    if (!open) {
        compile_error(rd->c, (uint32_t)t->from, "{{#else}} without {{#if}}");
        return STOP_ERROR;
    }
    return STOP_ELSE;
}

/* "secrets" is no variable of an {{#each}} here. */
static bool is_secret(const struct reader *rd, const struct tag *t) {
    for (const struct local *l = rd->locals; l; l = l->outer) {
        if (str_is(l->name, "secrets")) {
            return false;
        }
    }
    return secret_tag_name(t->body).len > 0;
}

static void read_secret(struct reader *rd, struct block *b, const struct tag *t) {
    struct str name = secret_tag_name(t->body);
    const struct expr_scope *scope = rd->c->scope;
    struct error e;
    if (!scope || !scope->secret) {
        error_set(&e, ERR_NOT_FOUND, "there are no secrets here");
    }
    if (!scope || !scope->secret || scope->secret(scope->ctx, name, &e)) {
        compile_error(rd->c, offset_of(rd, t->body), "%s", e.message);
        return;
    }
    struct piece *p = add_piece(rd, b, PIECE_SECRET);
    if (p) {
        p->text = name;
        rd->secrets = true;
    }
}

static void read_value(struct reader *rd, struct block *b, const struct tag *t) {
    flush_text(rd, b, t->from);
    rd->text_from = t->end;
    rd->pos = t->end;
    if (starts_word(t->body, "else")) {
        struct diag_item *item =
            compile_error(rd->c, (uint32_t)t->from, "this tag is written {{#else}}");
        diag_help(rd->c->diag, item, "for a further condition put an {{#if}} after {{#else}}");
        return;
    }
    if (is_secret(rd, t)) {
        read_secret(rd, b, t);
        return;
    }
    struct piece *p = add_piece(rd, b, PIECE_VALUE);
    if (p && !t->body.len) {
        compile_error(rd->c, (uint32_t)t->from, "{{ }} without an expression");
    } else if (p) {
        p->x = read_expr(rd, t->body);
    }
}

/* The next tag that is not written \{{; false at the end of the text or when it has no end. */
static bool next_tag(struct reader *rd, struct block *b, struct tag *t, bool *bad) {
    struct str s = rd->c->text;
    *bad = false;
    for (;;) {
        size_t at = str_find(s, STR("{{"), rd->pos);
        if (at == SIZE_MAX) {
            return false;
        }
        if (at > rd->text_from && s.ptr[at - 1] == '\\') {
            flush_text(rd, b, at - 1);
            rd->text_from = at;
            rd->pos = at + 2;
            continue;
        }
        size_t close = tmpl_find_close(s, at + 2);
        if (close == SIZE_MAX) {
            struct diag_item *item =
                compile_error(rd->c, (uint32_t)at, "this {{ has no closing }}");
            diag_help(rd->c->diag, item, "for a literal {{ write \\{{");
            *bad = true;
            return false;
        }
        *t = (struct tag){at, close + 2, str_trim(str_sub(s, at + 2, close))};
        return true;
    }
}

static enum stop read_block(struct reader *rd, struct block *b, const char *name,
                            struct tag *out_tag) {
    struct tag t;
    bool bad = false;
    while (next_tag(rd, b, &t, &bad)) {
        char first = t.body.len ? t.body.ptr[0] : '\0';
        bool comment = str_starts(t.body, STR("//"));
        if ((first != '#' && first != '/') || comment) {
            read_value(rd, b, &t);
            continue;
        }
        flush_line(rd, b, &t);
        *out_tag = t;
        if (first == '/') {
            return read_close(rd, &t, name);
        }
        if (starts_word(t.body, "#else")) {
            return read_else(rd, &t, name);
        }
        if (read_open(rd, b, &t) != STOP_CLOSE) {
            return STOP_ERROR;
        }
    }
    if (bad) {
        return STOP_ERROR;
    }
    flush_text(rd, b, rd->c->text.len);
    return STOP_END;
}

/* Text pieces alone, from \{{, make one text. */
static void find_constant(struct compiler *c, struct tmpl *t) {
    size_t len = 0;
    t->constant = true;
    for (uint32_t i = 0; i < t->root.count; i++) {
        t->constant &= t->root.pieces[i].kind == PIECE_TEXT;
        len += t->root.pieces[i].text.len;
    }
    if (!t->constant || t->root.count < 2) {
        t->text = t->constant && t->root.count ? t->root.pieces[0].text : STR("");
        return;
    }
    char *text = compile_alloc(c, len, 1);
    t->text = (struct str){text, 0};
    for (uint32_t i = 0; text && i < t->root.count; i++) {
        struct str part = t->root.pieces[i].text;
        memcpy(text + t->text.len, part.ptr, part.len);
        t->text.len += part.len;
    }
}

enum err tmpl_compile(struct arena *a, struct str text, struct mark at,
                      const struct expr_scope *scope, const struct tmpl **out, struct diag *diag) {
    struct compiler c = {
        .arena = a, .scope = scope, .diag = diag, .code = "template", .text = text, .at = at};
    if (!compile_accepts(&c, "template", TMPL_MAX_TEXT)) {
        return c.nomem ? ERR_NOMEM : ERR_INVALID;
    }
    struct reader rd = {.c = &c};
    struct tmpl *t = compile_alloc(&c, 1, sizeof *t);
    struct tag end;
    if (t) {
        read_block(&rd, &t->root, NULL, &end);
    }
    if (t && !c.failed && !c.nomem) {
        find_constant(&c, t);
        t->sealed = rd.secrets;
        t->at = at;
        t->slots = c.slots;
        t->slot_count = c.slot_count;
        t->local_count = c.local_count;
    }
    if (c.failed || c.nomem) {
        return c.failed ? ERR_INVALID : ERR_NOMEM;
    }
    *out = t;
    return OK;
}
