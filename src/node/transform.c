/* transform: computes a value from what is in scope, and does nothing else. Pure, so it runs ahead
 * without waiting for the disk.
 */
#include "flow/kind.h"

enum { VALUE, FIELDS };

static const struct field fields[FIELDS] = {
    [VALUE] = {.name = "value",
               .type = FIELD_EXPRESSION,
               .required = true,
               .doc = "the value: an expression, or a map or list of expressions"},
};

static enum err eval(const struct step_in *in, struct step_result *out, struct error *e) {
    (void)e;
    out->body = in->fields[VALUE];
    return OK;
}

const struct node_kind node_transform = {
    .name = "transform",
    .doc = "computes a value by an expression",
    .body_doc = "the value",
    .fields = fields,
    .field_count = FIELDS,
    .flags = KIND_PURE,
    .example = "type: transform\n"
               "value:\n"
               "  total: 2 + 3\n"
               "  names: '[\"ada\", \"bob\"].map(n, n.upperAscii())'\n",
    .eval = eval,
};
