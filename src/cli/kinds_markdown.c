/* `cairn kinds --markdown`: the page about kinds in the documentation, a section for each with a
 * table of its fields and its example, and last the fields that every node understands.
 */
#include "cli/kinds_print.h"

/* A cell of a table: | would end it. */
static void put_cell(struct buf *b, const char *text) {
    for (; *text; text++) {
        buf_append_cstr(b, *text == '|' ? "\\" : "");
        buf_append_char(b, *text == '\n' ? ' ' : *text);
    }
}

static void markdown_kind(struct buf *b, const struct node_kind *kind) {
    struct buf rules;
    buf_init(&rules, 0);
    buf_printf(b, "## %s\n\n%s.", kind->name, kind->doc);
    if (kind->aliases && kind->aliases[0]) {
        buf_append_cstr(b, " Also called ");
        kinds_put_words(b, kind->aliases, "");
        buf_append_char(b, '.');
    }
    buf_printf(b, "\n\nBody: %s. Handles: ", kind->body_doc ? kind->body_doc : "none");
    kinds_put_words(b, kind->handles, "out");
    buf_append_cstr(b, ".\n");
    buf_append_cstr(
        b, kind->field_count ? "\n| field | type | rules | meaning |\n|---|---|---|---|\n" : "");
    for (size_t i = 0; i < kind->field_count; i++) {
        const struct field *f = &kind->fields[i];
        buf_reset(&rules);
        kinds_put_rules(&rules, kind, f);
        buf_append_char(&rules, '\0');
        buf_printf(b, "| `%s` | %s | ", f->name, kinds_type_name(f));
        put_cell(b, rules.ptr ? rules.ptr : "");
        buf_append_cstr(b, " | ");
        put_cell(b, f->doc);
        buf_append_cstr(b, " |\n");
    }
    if (kind->example) {
        buf_append_cstr(b, "\n```yaml\n");
        text_block(b, str_from(kind->example), "");
        buf_append_cstr(b, "```\n");
    }
    buf_fini(&rules);
}

void kinds_print_markdown(struct cli *c, struct kind_table kinds, const struct node_kind *one) {
    struct buf b;
    size_t count;
    const struct common_field *common = flow_common_fields(&count);
    buf_init(&b, 0);
    for (size_t i = 0; i < kinds.count; i++) {
        if (!one || one == kinds.kinds[i]) {
            buf_append_cstr(&b, b.len ? "\n" : "");
            markdown_kind(&b, kinds.kinds[i]);
        }
    }
    if (!one) {
        buf_append_cstr(&b, "\n## Every node\n\n| field | written as | meaning |\n|---|---|---|\n");
    }
    for (size_t i = 0; i < count && !one; i++) {
        buf_printf(&b, "| `%s` | ", common[i].name);
        put_cell(&b, common[i].type);
        buf_append_cstr(&b, " | ");
        put_cell(&b, common[i].doc);
        buf_append_cstr(&b, " |\n");
    }
    sink_flush(&c->out, &b);
    buf_fini(&b);
}
