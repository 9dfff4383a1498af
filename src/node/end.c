/* end: a result of the execution, and with save_to a file of it. finalResult is the value of the
 * end node that completed last, unless the workflow declares outputs.
 *
 * Without save_to it is pure. With it, it is an effect that replaces the file in one step, so that
 * a reader never sees half of it and a second attempt writes the same again.
 */
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
                 .doc = "path of a file in the workflow's folder to write the value to: text as it "
                        "is, anything else as JSON; missing folders are made, a file that is there "
                        "is replaced"},
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

static void save(struct step_port *port) {
    struct buf text;
    struct value body = port->in->fields[VALUE];
    buf_init(&text, 0);
    print(body, &text);
    if (buf_ok(&text)) {
        node_save(port, value_str(port->in->fields[SAVE_TO]), buf_str(&text), body);
    } else {
        struct error e;
        error_nomem(&e);
        node_fail(port, &e);
    }
    buf_fini(&text);
}

static void start(const struct step_in *in, struct step_port *port) {
    (void)in;
    node_defer(port, save);
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
