/* cairn kinds: which kinds of node there are and what their fields mean, from the descriptors: as
 * text, JSON, or the Markdown that the documentation shows.
 */
#include "cli/cli.h"
#include "flow/flow.h"
#include "node/node.h"

static const char *type_name(const struct field *f) {
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

/* "required", "exactly one of when, switch", "needs function", "default 1", "python | bash". */
static void put_rules(struct buf *b, const struct node_kind *kind, const struct field *f) {
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
    for (size_t i = 0; f->choices && f->choices[i]; i++) {
        buf_printf(b, "%s%s", i ? ", " : gap, f->choices[i]);
        gap = i || f->choices[i + 1] ? gap : "; ";
    }
    if (f->default_text) {
        buf_printf(b, "%sdefault %s", f->choices ? "; " : gap, f->default_text);
    }
}

static void put_words(struct buf *b, const char *const *words, const char *otherwise) {
    buf_append_cstr(b, words && words[0] ? "" : otherwise);
    for (size_t i = 0; words && words[i]; i++) {
        buf_printf(b, "%s%s", i ? ", " : "", words[i]);
    }
}

/* ---- text ---- */

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
        put_words(&b, kind->aliases, "");
        buf_append_char(&b, '\n');
    }
    buf_append_cstr(&b, "  body         ");
    text_wrap(&b, str_from(kind->body_doc ? kind->body_doc : "none"), 15, columns);
    buf_append_cstr(&b, "  handles      ");
    put_words(&b, kind->handles, "out");
    buf_append_cstr(&b, kind->field_count ? "\n\nfields:\n" : "\n");
    for (size_t i = 0; i < kind->field_count; i++) {
        const struct field *f = &kind->fields[i];
        buf_reset(&rules);
        put_rules(&rules, kind, f);
        buf_printf(&b, "  %s (%s)%s%.*s\n      ", f->name, type_name(f), rules.len ? ": " : "",
                   STR_ARG(buf_str(&rules)));
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

/* ---- JSON ---- */

static void add(struct value_builder *b, const char *name, const char *text) {
    value_map_add(b, str_from(name), text ? value_text(str_from(text)) : value_null());
}

static void add_words(struct value_builder *b, const char *name, const char *const *words) {
    struct value_builder list;
    value_builder_init(&list, b->arena);
    for (size_t i = 0; words && words[i]; i++) {
        value_list_add(&list, value_text(str_from(words[i])));
    }
    value_map_add(b, str_from(name), value_list_done(&list));
}

static struct value field_json(struct arena *a, const struct field *f) {
    struct value_builder b;
    value_builder_init(&b, a);
    add(&b, "name", f->name);
    add(&b, "type", type_name(f));
    value_map_add(&b, STR("required"), value_bool(f->required));
    add(&b, "default", f->default_text);
    add_words(&b, "choices", f->choices);
    add(&b, "oneOf", f->one_of);
    add(&b, "needs", f->needs);
    add(&b, "doc", f->doc);
    return value_map_done(&b);
}

static struct value kind_json(struct arena *a, const struct node_kind *kind) {
    static const char *const out_only[] = {"out", NULL};
    struct value_builder b, fields;
    value_builder_init(&b, a);
    value_builder_init(&fields, a);
    for (size_t i = 0; i < kind->field_count; i++) {
        value_list_add(&fields, field_json(a, &kind->fields[i]));
    }
    add(&b, "name", kind->name);
    add_words(&b, "aliases", kind->aliases);
    add(&b, "doc", kind->doc);
    add(&b, "body", kind->body_doc);
    add_words(&b, "handles", kind->handles && kind->handles[0] ? kind->handles : out_only);
    value_map_add(&b, STR("pure"), value_bool(kind->flags & KIND_PURE));
    value_map_add(&b, STR("fields"), value_list_done(&fields));
    add(&b, "example", kind->example);
    return value_map_done(&b);
}

static struct value common_json(struct arena *a) {
    size_t count;
    const struct common_field *common = flow_common_fields(&count);
    struct value_builder list;
    value_builder_init(&list, a);
    for (size_t i = 0; i < count; i++) {
        struct value_builder b;
        value_builder_init(&b, a);
        add(&b, "name", common[i].name);
        add(&b, "type", common[i].type);
        add(&b, "doc", common[i].doc);
        value_list_add(&list, value_map_done(&b));
    }
    return value_list_done(&list);
}

static void print_json(struct cli *c, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 2, &b);
    buf_append_char(&b, '\n');
    sink_flush(&c->out, &b);
    buf_fini(&b);
}

static void json_all(struct cli *c, struct kind_table kinds) {
    struct value_builder b, list;
    value_builder_init(&b, &c->arena);
    value_builder_init(&list, &c->arena);
    for (size_t i = 0; i < kinds.count; i++) {
        value_list_add(&list, kind_json(&c->arena, kinds.kinds[i]));
    }
    value_map_add(&b, STR("kinds"), value_list_done(&list));
    value_map_add(&b, STR("commonFields"), common_json(&c->arena));
    print_json(c, value_map_done(&b));
}

/* ---- Markdown ---- */

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
        put_words(b, kind->aliases, "");
        buf_append_char(b, '.');
    }
    buf_printf(b, "\n\nBody: %s. Handles: ", kind->body_doc ? kind->body_doc : "none");
    put_words(b, kind->handles, "out");
    buf_append_cstr(b, ".\n");
    buf_append_cstr(
        b, kind->field_count ? "\n| field | type | rules | meaning |\n|---|---|---|---|\n" : "");
    for (size_t i = 0; i < kind->field_count; i++) {
        const struct field *f = &kind->fields[i];
        buf_reset(&rules);
        put_rules(&rules, kind, f);
        buf_append_char(&rules, '\0');
        buf_printf(b, "| `%s` | %s | ", f->name, type_name(f));
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

static void markdown(struct cli *c, struct kind_table kinds, const struct node_kind *one) {
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

/* ---- the command ---- */

static int unknown_kind(struct cli *c, struct kind_table kinds, struct str word) {
    struct str *names = ARENA_ARRAY(&c->arena, kinds.count, struct str);
    for (size_t i = 0; names && i < kinds.count; i++) {
        names[i] = str_from(kinds.kinds[i]->name);
    }
    struct str near = names ? str_nearest(word, names, kinds.count) : (struct str){0};
    struct str help = arena_printf(&c->arena, "did you mean \"%.*s\"?", STR_ARG(near));
    return cli_fail(c, ERR_NOT_FOUND, near.len ? help.ptr : "`cairn kinds` lists them",
                    "there is no kind of node called \"%.*s\"", STR_ARG(str_sub(word, 0, 60)));
}

static int run(struct cli *c) {
    struct kind_table kinds = node_kinds();
    struct str word = c->argument_count ? str_from(c->arguments[0]) : STR("");
    const struct node_kind *one = word.len ? kind_find(&kinds, word) : NULL;
    if (c->argument_count && !one) {
        return unknown_kind(c, kinds, word);
    }
    if (cli_has(c, "json") && cli_has(c, "markdown")) {
        return cli_fail(c, ERR_USAGE, NULL, "--json and --markdown exclude each other");
    }
    if (cli_has(c, "markdown")) {
        markdown(c, kinds, one);
    } else if (cli_has(c, "json") && one) {
        print_json(c, kind_json(&c->arena, one));
    } else if (cli_has(c, "json")) {
        json_all(c, kinds);
    } else if (one) {
        text_kind(c, one);
    } else {
        text_all(c, kinds);
    }
    return 0;
}

static const struct cli_option options[] = {
    {"json", 0, NULL, "prints the descriptors as JSON"},
    {"markdown", 0, NULL, "prints them as Markdown"},
};

static const struct cli_example examples[] = {
    {"cairn kinds", "all kinds, and the fields that every node understands"},
    {"cairn kinds code", "the fields of one kind"},
};

const struct command command_kinds = {
    .name = "kinds",
    .arguments = "[NAME]",
    .doc = "shows the kinds of nodes and their fields",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_max = 1,
    .run = run,
};
