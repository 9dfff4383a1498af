/* `cairn kinds` as text for people, wrapped to the terminal, and the words that all forms share.
 *
 * Knows the form of descriptors, not the kinds: what is printed about one stands in its file in
 * src/node.
 */
#include "cli/kinds_print.h"

const char *kinds_type_name(const struct field *f) {
    static const char *const types[] = {
        [FIELD_EXPRESSION] = "expression", [FIELD_TEMPLATE] = "template",
        [FIELD_STRUCTURE] = "structure",   [FIELD_LITERAL] = "",
        [FIELD_DURATION] = "duration",     [FIELD_SCHEMA] = "schema",
        [FIELD_VALUE] = "value",
    };
    static const char *const literals[] = {
        [LITERAL_TEXT] = "text",           [LITERAL_INT] = "integer",
        [LITERAL_DOUBLE] = "number",       [LITERAL_BOOL] = "true or false",
        [LITERAL_TEXTS] = "list of texts",
    };
    return f->type == FIELD_LITERAL ? literals[f->literal] : types[f->type];
}

static bool same_group(const struct field *a, const struct field *b) {
    return a->one_of && b->one_of && !strcmp(a->one_of, b->one_of);
}

void kinds_put_rules(struct buf *b, const struct node_kind *kind, const struct field *f) {
    const char *gap = "";
    if (f->required) {
        buf_append_cstr(b, "required");
        gap = "; ";
    }
    if (f->one_of) {
        buf_printf(b, "%sexactly one of ", gap);
        const char *comma = "";
        for (size_t i = 0; i < kind->field_count; i++) {
            if (same_group(f, &kind->fields[i])) {
                buf_printf(b, "%s%s", comma, kind->fields[i].name);
                comma = ", ";
            }
        }
        gap = "; ";
    }
    if (f->needs) {
        buf_printf(b, "%sonly with %s", gap, f->needs);
        gap = "; ";
    }
    if (f->secret_ok) {
        buf_printf(b, "%smay hold secrets", gap);
        gap = "; ";
    }
    for (size_t i = 0; f->choices && f->choices[i]; i++) {
        buf_printf(b, "%s%s", i ? ", " : gap, f->choices[i]);
        gap = i || f->choices[i + 1] ? gap : "; ";
    }
    if (f->default_text) {
        buf_printf(b, "%sdefault %s", f->choices ? "; " : gap, f->default_text);
    }
}

void kinds_put_words(struct buf *b, const char *const *words, const char *otherwise) {
    buf_append_cstr(b, words && words[0] ? "" : otherwise);
    for (size_t i = 0; words && words[i]; i++) {
        buf_printf(b, "%s%s", i ? ", " : "", words[i]);
    }
}

static uint32_t columns_of(const struct cli *c) {
    uint32_t columns, lines;
    sink_size(&c->out, &columns, &lines);
    return c->out.terminal ? columns : 96;
}

static void text_kind(struct cli *c, const struct node_kind *kind) {
    struct buf b, rules;
    uint32_t columns = columns_of(c);
    buf_init(&b, 0);
    buf_init(&rules, 0);
    buf_printf(&b, "%s\n  ", kind->name);
    text_wrap(&b, str_from(kind->doc), 2, columns);
    if (kind->aliases && kind->aliases[0]) {
        buf_append_cstr(&b, "  also called  ");
        kinds_put_words(&b, kind->aliases, "");
        buf_append_char(&b, '\n');
    }
    buf_append_cstr(&b, "  body         ");
    text_wrap(&b, str_from(kind->body_doc ? kind->body_doc : "none"), 15, columns);
    buf_append_cstr(&b, "  handles      ");
    kinds_put_words(&b, kind->handles, "out");
    buf_append_cstr(&b, kind->field_count ? "\n\nfields:\n" : "\n");
    for (size_t i = 0; i < kind->field_count; i++) {
        const struct field *f = &kind->fields[i];
        buf_reset(&rules);
        kinds_put_rules(&rules, kind, f);
        buf_printf(&b, "  %s (%s)%s%.*s\n      ", f->name, kinds_type_name(f),
                   rules.len ? ": " : "", STR_ARG(buf_str(&rules)));
        text_wrap(&b, str_from(f->doc), 6, columns);
    }
    if (kind->example) {
        buf_append_cstr(&b, "\nexample:\n");
        text_block(&b, str_from(kind->example), "  ");
    }
    buf_append_cstr(&b, "\n`cairn kinds` lists the fields that every node understands.\n");
    sink_flush(&c->out, &b);
    buf_fini(&rules);
    buf_fini(&b);
}

static void put_row(struct buf *b, const char *name, const char *text, uint32_t columns) {
    enum { NAME_COLUMN = 18 };
    buf_printf(b, "  %-*s", NAME_COLUMN - 2, name);
    text_wrap(b, str_from(text), NAME_COLUMN, columns);
}

static void text_all(struct cli *c, struct kind_table kinds) {
    struct buf b;
    size_t count;
    uint32_t columns = columns_of(c);
    const struct common_field *common = flow_common_fields(&count);
    buf_init(&b, 0);
    buf_append_cstr(&b, "kinds of nodes (`cairn kinds NAME` shows the fields of one):\n");
    for (size_t i = 0; i < kinds.count; i++) {
        put_row(&b, kinds.kinds[i]->name, kinds.kinds[i]->doc, columns);
    }
    buf_append_cstr(&b, "\nfields of every node:\n");
    for (size_t i = 0; i < count; i++) {
        put_row(&b, common[i].name, common[i].doc, columns);
        put_row(&b, "", common[i].type, columns);
    }
    sink_flush(&c->out, &b);
    buf_fini(&b);
}

void kinds_print_text(struct cli *c, struct kind_table kinds, const struct node_kind *one) {
    if (one) {
        text_kind(c, one);
    } else {
        text_all(c, kinds);
    }
}
