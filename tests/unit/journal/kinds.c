/* Kinds of node of the golden journals; see kinds.h before changing anything. */
#include "kinds.h"

struct golden_hooks golden_hooks;

static void start(const struct step_in *in, struct step_port *port) {
    (void)in;
    golden_hooks.start(port);
}

static void cancel(struct step_port *port) { golden_hooks.cancel(port); }

static void start_child(const struct step_in *in, struct step_port *port) {
    port->ops->child(port, in->fields[1]);
}

static enum err give(const struct step_in *in, struct step_result *out, struct error *e) {
    (void)e;
    out->body = in->fields[0];
    return OK;
}

static enum err choose(const struct step_in *in, struct step_result *out, struct error *e) {
    if (in->fields[0].type != VALUE_BOOL) {
        return error_set(e, ERR_EXPRESSION, "when must be a bool");
    }
    out->body = in->fields[0];
    out->handle = in->fields[0].boolean ? STR("true") : STR("false");
    return OK;
}

static void kid_check(struct node_check *c) { check_child(c, "workflow"); }

static const char *const both[] = {"true", "false", NULL};
static const struct field work_fields[] = {
    {.name = "value", .type = FIELD_EXPRESSION, .doc = "the body it ends with"},
    {.name = "act", .type = FIELD_LITERAL, .literal = LITERAL_TEXT, .doc = "how it ends"}};
static const struct field value_field[] = {
    {.name = "value", .type = FIELD_EXPRESSION, .required = true, .doc = "the body"}};
static const struct field when_field[] = {
    {.name = "when", .type = FIELD_EXPRESSION, .required = true, .doc = "decides"}};
static const struct field kid_fields[] = {
    {.name = "workflow", .type = FIELD_VALUE, .required = true, .doc = "what is run"},
    {.name = "inputs", .type = FIELD_EXPRESSION, .doc = "what it is given"}};

static const struct node_kind work = {.name = "work",
                                      .doc = "an effect",
                                      .body_doc = "its value",
                                      .fields = work_fields,
                                      .field_count = 2,
                                      .flags = KIND_SCOPE,
                                      .start = start,
                                      .cancel = cancel};
static const struct node_kind calc = {.name = "calc",
                                      .doc = "pure",
                                      .body_doc = "the value",
                                      .fields = value_field,
                                      .field_count = 1,
                                      .flags = KIND_PURE,
                                      .eval = give};
static const struct node_kind choice = {.name = "choose",
                                        .doc = "chooses",
                                        .body_doc = "true or false",
                                        .fields = when_field,
                                        .field_count = 1,
                                        .handles = both,
                                        .flags = KIND_PURE | KIND_ANY_EXIT,
                                        .eval = choose};
static const struct node_kind end = {.name = "end",
                                     .doc = "the result",
                                     .body_doc = "the value",
                                     .fields = value_field,
                                     .field_count = 1,
                                     .flags = KIND_PURE | KIND_END,
                                     .eval = give};
static const struct node_kind kid = {.name = "kid",
                                     .doc = "a sub-workflow",
                                     .body_doc = "its result",
                                     .fields = kid_fields,
                                     .field_count = 2,
                                     .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT,
                                     .check = kid_check,
                                     .start = start_child};

static const struct node_kind *const rows[] = {&work, &calc, &choice, &end, &kid};
const struct kind_table golden_kinds = {rows, ARRAY_LEN(rows)};
