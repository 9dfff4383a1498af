/* end: a result of the execution, and with save_to a file of it. finalResult is the value of the
 * end node that completed last, unless the workflow declares outputs.
 *
 * Without save_to it is pure. With it, it is an effect that replaces the file in one step, so that
 * a reader never sees half of it and a second attempt writes the same again. Relative paths start
 * in the folder of the port. Writing blocks the loop until the disk has it.
 */
#include "io/file.h"
#include "node/node_priv.h"

enum { VALUE, SAVE_TO, FIELDS };

static const struct field fields[FIELDS] = {
    [VALUE] = {.name = "value",
               .type = FIELD_EXPRESSION,
               .doc = "the result: an expression, or a map or list of expressions; null when not "
                      "given"},
    [SAVE_TO] = {.name = "save_to",
                 .type = FIELD_TEMPLATE,
                 .needs = "value",
                 .doc = "path of a file to write the value to: text as it is, anything else as "
                        "JSON; missing folders are made, a file that is there is replaced"},
};

static void check(struct node_check *c) {
    if (check_has(c, "save_to")) {
        check_effect(c);
    }
}

static enum err eval(const struct step_in *in, struct step_result *out, struct error *e) {
    (void)e;
    out->body = in->fields[VALUE];
    return OK;
}

static void print(struct value v, struct buf *out) {
    if (v.type == VALUE_TEXT || v.type == VALUE_BYTES) {
        buf_append(out, value_str(v));
        return;
    }
    value_print_json(v, 2, out);
    buf_append_char(out, '\n');
}

/* The absolute path, NUL-terminated, in the attempt's arena. */
static enum err find_path(const struct step_port *port, struct str *out, struct error *e) {
    struct str given = value_str(port->in->fields[SAVE_TO]);
    if (!str_trim(given).len) {
        return error_set(e, ERR_INVALID, "save_to is an empty path");
    }
    if (memchr(given.ptr, 0, given.len)) {
        return error_set(e, ERR_INVALID, "save_to has a NUL character in it");
    }
    if (given.ptr[given.len - 1] == '/') {
        return error_set(e, ERR_INVALID, "save_to is a folder, \"%.*s\"; it must name a file",
                         STR_ARG(str_sub(given, 0, 200)));
    }
    struct arena *a = port->in->arena;
    *out = given.ptr[0] == '/'
               ? arena_str(a, given)
               : arena_printf(a, "%.*s/%.*s", STR_ARG(port->base_dir), STR_ARG(given));
    return out->ptr ? OK : error_nomem(e);
}

static enum err save(const struct step_port *port, struct str *out_path, struct error *e) {
    struct buf text;
    enum err err = find_path(port, out_path, e);
    if (err) {
        return err;
    }
    buf_init(&text, 0);
    print(port->in->fields[VALUE], &text);
    err = buf_ok(&text) ? io_file_write(out_path->ptr, buf_str(&text), 0644, true, e)
                        : error_nomem(e);
    buf_fini(&text);
    return err;
}

static void save_and_tell(struct step_port *port) {
    struct error e = {0};
    struct str path;
    if (save(port, &path, &e)) {
        node_fail(port, &e);
        return;
    }
    struct value_builder meta;
    value_builder_init(&meta, port->in->arena);
    value_map_add(&meta, STR("path"), value_text(path));
    struct step_result result = {.body = port->in->fields[VALUE], .meta = value_map_done(&meta)};
    port->ops->done(port, &result);
}

static void start(const struct step_in *in, struct step_port *port) {
    (void)in;
    node_defer(port, save_and_tell);
}

static const char *const aliases[] = {"endpoint", NULL};

const struct node_kind node_end = {
    .name = "end",
    .aliases = aliases,
    .doc = "a result of the execution, which save_to also writes to a file",
    .body_doc = "the value; meta.path is the absolute path of the file",
    .fields = fields,
    .field_count = FIELDS,
    .flags = KIND_PURE | KIND_END,
    .example = "type: end\n"
               "value: '\"# Report\"'\n"
               "save_to: out/report.md\n",
    .check = check,
    .eval = eval,
    .start = start,
    .cancel = node_defer_cancel,
};
