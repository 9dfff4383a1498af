/* start: a place for the graph to begin. Its body is the execution's inputs, so that what follows
 * can name them by this node too. A workflow needs none: every node without needs starts first.
 */
#include "flow/kind.h"

static enum err eval(const struct step_in *in, struct step_result *out, struct error *e) {
    (void)e;
    out->body = in->inputs;
    return OK;
}

const struct node_kind node_start = {
    .name = "start",
    .doc = "begins the graph; its body is the inputs of the execution",
    .body_doc = "the inputs, a map",
    .flags = KIND_PURE,
    .example = "type: start\n",
    .eval = eval,
};
