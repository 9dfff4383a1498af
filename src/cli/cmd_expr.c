/* cairn expr: evaluates an expression or a template, to try it before it goes into a workflow. What
 * is given by -i is known by its name and in `inputs`. Reads and writes nothing else.
 *
 * A mistake is shown with its line and a caret below the place. Exit status: 2 it cannot be
 * compiled, 1 it failed when it was evaluated.
 */
#include "cli/load.h"
#include "expr/expr.h"

struct names {
    struct cli *c;
    struct map slots;     /* name -> index of values */
    struct value *values; /* 0: inputs, the map of all the others */
};

static enum err find_name(void *ctx, const struct str *path, uint32_t count, struct expr_ref *out,
                          struct error *e) {
    const struct names *n = ctx;
    (void)count;
    const struct map_entry *entry = map_find(&n->slots, path[0]);
    if (entry) {
        *out = (struct expr_ref){.slot = (uint32_t)entry->num, .consumed = 1};
        return OK;
    }
    struct str word = str_sub(path[0], 0, 60);
    struct str *known = ARENA_ARRAY(&n->c->arena, n->slots.count + 1u, struct str);
    for (uint32_t i = 0; known && i < n->slots.count; i++) {
        known[i] = n->slots.entries[i].key;
    }
    struct str near = known ? str_nearest(path[0], known, n->slots.count) : STR("");
    if (near.len) {
        return error_set(e, ERR_NOT_FOUND, "unknown name \"%.*s\"; did you mean \"%.*s\"?",
                         STR_ARG(word), STR_ARG(near));
    }
    return error_set(e, ERR_NOT_FOUND, "unknown name \"%.*s\": give it with -i %.*s=VALUE",
                     STR_ARG(word), STR_ARG(word));
}

static enum err get_name(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    const struct names *n = ctx;
    (void)e;
    *out = n->values[slot];
    return OK;
}

/* The last of several of one name counts. */
static enum err read_names(struct names *n) {
    struct flow_input *items;
    size_t count;
    struct value_builder all;
    enum err err = load_given(n->c, &items, &count);
    if (err) {
        return err;
    }
    value_builder_init(&all, &n->c->arena);
    map_init(&n->slots, &n->c->arena);
    n->values = ARENA_ARRAY(&n->c->arena, count + 1, struct value);
    struct map_entry *inputs = n->values ? map_put(&n->slots, STR("inputs"), &(bool){0}) : NULL;
    bool ok = inputs != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        bool fresh;
        uint32_t next = n->slots.count;
        struct map_entry *entry = map_put(&n->slots, items[i].name, &fresh);
        ok = entry != NULL;
        if (ok && fresh) {
            entry->num = next;
        }
        if (ok && entry->num) { /* an input called inputs is known as inputs.inputs only */
            n->values[entry->num] = items[i].value;
        }
        value_map_add(&all, items[i].name, items[i].value);
    }
    if (ok) {
        n->values[0] = value_map_done(&all);
    }
    if (!ok || !all.ok) {
        cli_fail(n->c, ERR_NOMEM, NULL, "out of memory");
        return ERR_NOMEM;
    }
    return OK;
}

/* ---- mistakes ---- */

/* The line of the mark and a caret below its column. */
static void put_place(struct buf *b, struct str text, struct mark at) {
    struct str line = STR(""), rest = text;
    for (uint32_t i = 0; i < at.line; i++) {
        line = str_split(rest, '\n', &rest);
    }
    if (!at.line || !at.column) {
        return;
    }
    size_t pos = 0;
    for (uint32_t i = 1; i < at.column && pos < line.len; i++) {
        (void)str_utf8_next(line, &pos);
    }
    size_t from = 0;
    while (text_width(str_sub(line, from, pos)) > 60) { /* of a long line the part before it */
        (void)str_utf8_next(line, &from);
    }
    buf_append_cstr(b, "    ");
    text_clip(b, str_sub(line, from, line.len), 76);
    buf_append_cstr(b, "\n    ");
    text_pad(b, text_width(str_sub(line, from, pos)));
    buf_append_cstr(b, "^\n");
}

static void put_mistake(struct cli *c, struct str text, struct mark at, struct str message,
                        struct str help) {
    struct buf b;
    buf_init(&b, 0);
    text_colour(&b, &c->err, COLOUR_RED, STR("error:"));
    buf_append_char(&b, ' ');
    text_clean(&b, message);
    buf_append_char(&b, '\n');
    put_place(&b, text, at);
    if (help.len) {
        buf_append_cstr(&b, "    ");
        text_clean(&b, help);
        buf_append_char(&b, '\n');
    }
    sink_flush(&c->err, &b);
    buf_fini(&b);
}

static int refuse(struct cli *c, struct str text, const struct diag *d) {
    for (uint32_t i = 0; i < d->count; i++) {
        const struct diag_item *item = &d->items[i];
        put_mistake(c, text, item->mark, item->message, item->help);
    }
    return err_exit_code(ERR_INVALID);
}

/* ---- evaluating ---- */

static int put_value(struct cli *c, struct value v) {
    if (cli_has(c, "raw") && v.type == VALUE_TEXT) {
        sink_write(&c->out, value_str(v));
        sink_write(&c->out, STR("\n"));
    } else {
        cli_print_json(c, v);
    }
    return 0;
}

static enum err evaluate(struct names *n, struct str text, struct value *out, struct diag *d,
                         struct error *e) {
    struct arena *a = &n->c->arena;
    struct expr_scope scope = {.ctx = n, .find = find_name};
    struct expr_env env = {.ctx = n, .get = get_name, .arena = a};
    struct mark start = {.line = 1, .column = 1};
    const struct tmpl *tmpl;
    const struct expr *x;
    if (cli_has(n->c, "template")) {
        enum err err = tmpl_compile(a, text, start, &scope, &tmpl, d);
        return err ? err : tmpl_eval_text(tmpl, &env, out, e);
    }
    enum err err = expr_compile(a, text, start, &scope, &x, d);
    return err ? err : expr_eval(x, &env, out, e);
}

static int run(struct cli *c) {
    struct names n = {.c = c};
    struct str text = str_from(c->arguments[0]);
    struct value v;
    struct error e = {0};
    struct diag d;
    enum err err = read_names(&n);
    if (err) {
        return err_exit_code(err);
    }
    diag_init(&d, &c->arena);
    err = evaluate(&n, text, &v, &d, &e);
    if (d.errors) {
        return refuse(c, text, &d);
    }
    if (err) {
        const char *message = e.message[0] ? e.message : err_name(err);
        put_mistake(c, text, e.mark, str_from(message), STR(""));
        return err_exit_code(err);
    }
    return put_value(c, v);
}

static const struct cli_option options[] = {
    {"input", 'i', "NAME=TEXT", "a name it may use; NAME:=JSON; @FILE.json; also inputs.NAME"},
    {"template", 't', NULL, "it is a template: text with {{ }}"},
    {"raw", 'r', NULL, "prints a text as it is, not as JSON"},
};

static const struct cli_example examples[] = {
    {"cairn expr '1 + 2 * 3'", "prints 7"},
    {"cairn expr 'xs.filter(x, x > 1).map(x, x * 10)' -i xs:=[1,2,3]", "a value given as JSON"},
    {"cairn expr --template --raw 'Hello {{ who }}' -i who=world", "a template"},
};

const struct command command_expr = {
    .name = "expr",
    .arguments = "EXPRESSION",
    .doc = "evaluates an expression or a template and prints its value",
    .details = "Exit status: 0 it has a value, 1 it failed, 2 it is not valid.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
