/* Kinds of node of the rig; see rig_kinds.h. */
#include "rig_kinds.h"

#include "support/flow_kinds.h"

static void start(const struct step_in *in, struct step_port *port) {
    (void)in;
    rig_kind_started(port);
}

static void start_child(const struct step_in *in, struct step_port *port) {
    port->ops->child(port, in->fields[1]);
}

/* The service is called as the value is, if that is a text. */
static void service(const struct step_in *in, struct buf *out) {
    if (in->fields[0].type == VALUE_TEXT) {
        buf_append(out, value_str(in->fields[0]));
    }
}

static enum err give(const struct step_in *in, struct step_result *out, struct error *e) {
    (void)e;
    out->body = in->fields[0];
    return OK;
}

static enum err give_if_memory(const struct step_in *in, struct step_result *out, struct error *e) {
    return rig_kind_has_no_memory() ? error_nomem(e) : give(in, out, e);
}

static enum err break_an_assertion(const struct step_in *in, struct step_result *out,
                                   struct error *e) {
    (void)e;
    ASSERT(in == NULL);
    out->body = value_null();
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

static enum err person_woken(const struct step_in *in, const struct step_wake *w,
                             struct step_result *out, struct error *e) {
    (void)in;
    (void)e;
    out->body = w->answered ? w->answer : value_text(STR("nobody"));
    return OK;
}

static void kid_check(struct node_check *c) { check_child(c, "workflow"); }

static const char *const both[] = {"true", "false", NULL};
static const struct field value[] = {{.name = "value", .type = FIELD_EXPRESSION, .doc = "a value"}};
static const struct field letter[] = {
    {.name = "value", .type = FIELD_STRUCTURE, .secret_ok = true, .doc = "may hold secrets"}};
static const struct field when[] = {
    {.name = "when", .type = FIELD_EXPRESSION, .required = true, .doc = "decides"}};
static const struct field kid_fields[] = {
    {.name = "workflow", .type = FIELD_VALUE, .required = true, .doc = "what is run"},
    {.name = "inputs", .type = FIELD_EXPRESSION, .doc = "what it is given"}};

#define EFFECT(id, ...)                                                   \
    static const struct node_kind id = {.name = #id,                      \
                                        .doc = "an effect",               \
                                        .body_doc = "what the test says", \
                                        .fields = value,                  \
                                        .field_count = 1,                 \
                                        .start = start,                   \
                                        __VA_ARGS__}
EFFECT(work, .cancel = rig_kind_cancelled, .service = service);
EFFECT(light, .flags = KIND_NO_SLOT, .cancel = rig_kind_cancelled);
EFFECT(mute, .cancel = NULL);

#define PURE(id, eval_fn, more)          \
    static const struct node_kind id = { \
        .name = #id,                     \
        .doc = "pure",                   \
        .body_doc = "the value",         \
        .fields = value,                 \
        .field_count = 1,                \
        .eval = eval_fn,                 \
        .flags = KIND_PURE | (more),     \
    }
PURE(calc, give, 0);
PURE(frail, give_if_memory, 0);
PURE(broken, break_an_assertion, 0);
PURE(end, give, KIND_END);

static const struct node_kind post = {.name = "post",
                                      .doc = "an effect",
                                      .body_doc = "what the test says",
                                      .fields = letter,
                                      .field_count = 1,
                                      .start = start,
                                      .cancel = rig_kind_cancelled};
static const struct node_kind choice = {.name = "choose",
                                        .doc = "chooses",
                                        .body_doc = "true or false",
                                        .fields = when,
                                        .field_count = 1,
                                        .handles = both,
                                        .flags = KIND_PURE | KIND_ANY_EXIT,
                                        .eval = choose};
static const struct node_kind kid = {.name = "kid",
                                     .doc = "a sub-workflow",
                                     .body_doc = "its result",
                                     .fields = kid_fields,
                                     .field_count = 2,
                                     .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT,
                                     .check = kid_check,
                                     .start = start_child};

static const struct node_kind person = {.name = "person",
                                        .doc = "waits for an answer",
                                        .body_doc = "the answer, or nobody",
                                        .flags = KIND_NO_SLOT | KIND_ASKS,
                                        .wait = flow_test_wait,
                                        .woken = person_woken};

static const struct node_kind *const rows[] = {&work, &light,  &mute, &calc, &frail, &broken,
                                               &end,  &choice, &kid,  &post, &person};
const struct kind_table rig_kinds = {rows, ARRAY_LEN(rows)};
