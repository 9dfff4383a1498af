/* template: text made of a template that stands in the workflow or in a file beside it, and with
 * save_to a file of that text.
 *
 * Pure without save_to. The file with the template is read when the workflow is compiled; what its
 * expressions give is data and never expanded again.
 */
#include "node/node_priv.h"

enum { TEMPLATE, FILE_NAME, SAVE_TO, FIELDS };

static const struct field fields[FIELDS] = {
    [TEMPLATE] = {.name = "template",
                  .type = FIELD_TEMPLATE,
                  .one_of = "source",
                  .doc = "the template"},
    [FILE_NAME] = {.name = "file",
                   .type = FIELD_LITERAL,
                   .literal = LITERAL_TEXT,
                   .one_of = "source",
                   .doc = "path of a file with the template; read when the workflow is compiled"},
    [SAVE_TO] = {.name = "save_to",
                 .type = FIELD_TEMPLATE,
                 .doc = "path of a file in the workflow's folder to write the text to; missing "
                        "folders are made, a file that is there is replaced"},
};

static void check(struct node_check *c) {
    if (check_has(c, "file")) {
        check_template_file(c, "file", "template");
    }
    if (check_has(c, "save_to")) {
        check_effect(c);
    }
}

static enum err eval(const struct step_in *in, struct step_result *out, struct error *e) {
    (void)e;
    out->body = in->fields[TEMPLATE];
    return OK;
}

static void save(struct step_port *port) {
    struct value text = port->in->fields[TEMPLATE];
    node_save(port, value_str(port->in->fields[SAVE_TO]), value_str(text), text);
}

static void start(const struct step_in *in, struct step_port *port) {
    (void)in;
    node_defer(port, save);
}

static const char *const aliases[] = {"template_job", NULL};

const struct node_kind node_template = {
    .name = "template",
    .aliases = aliases,
    .doc = "makes a text of a template, which save_to also writes to a file",
    .body_doc = "the text; meta.path is the absolute path of the file",
    .fields = fields,
    .field_count = FIELDS,
    .flags = KIND_PURE,
    .example = "type: template\n"
               "template: |\n"
               "  # Notes about {{ inputs.topic }}\n"
               "  {{#each [\"one\", \"two\"] as line}}\n"
               "  - {{ line }}\n"
               "  {{/each}}\n"
               "save_to: out/notes.md\n",
    .check = check,
    .eval = eval,
    .start = start,
    .cancel = node_defer_cancel,
};
