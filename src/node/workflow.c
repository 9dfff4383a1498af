/* workflow: runs another workflow as a step. The sub-workflow is compiled with this one and is an
 * execution of its own when it runs; its end is the end of this step.
 *
 * The host does all of that; this kind only checks what is handed over. It holds no slot while it
 * waits, and the default timeout does not reach it.
 */
#include "node/node_priv.h"

enum { WORKFLOW, INPUTS, FIELDS };

static const struct field fields[FIELDS] = {
    [WORKFLOW] = {.name = "workflow",
                  .type = FIELD_VALUE,
                  .required = true,
                  .doc = "a path (parts/clean.yaml), a name (clean is clean.yaml beside this file) "
                         "or a workflow written inline"},
    [INPUTS] = {.name = "inputs",
                .type = FIELD_EXPRESSION,
                .doc = "its inputs: a map of expressions"},
};

static void check(struct node_check *c) { check_child(c, "workflow"); }

static void start(const struct step_in *in, struct step_port *port) {
    struct value inputs = in->fields[INPUTS];
    if (value_is_null(inputs) || inputs.type == VALUE_MAP) {
        port->ops->child(port, inputs);
        return;
    }
    struct error e;
    error_set(&e, ERR_INVALID, "inputs of a sub-workflow must be a map, not %s",
              value_type_name(inputs.type));
    node_fail_later(port, &e);
}

static const char *const aliases[] = {"sub_diagram", NULL};

const struct node_kind node_workflow = {
    .name = "workflow",
    .aliases = aliases,
    .doc = "runs another workflow and waits for its end",
    .body_doc = "the final result of the sub-workflow; meta.execution is its id",
    .fields = fields,
    .field_count = FIELDS,
    .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT,
    .example = "type: workflow\n"
               "workflow:\n"
               "  inputs:\n"
               "    n: {type: integer}\n"
               "  nodes:\n"
               "    twice: {type: transform, value: inputs.n * 2}\n"
               "  outputs: {n: twice}\n"
               "inputs: {n: 20 + 1}\n",
    .check = check,
    .start = start,
};
