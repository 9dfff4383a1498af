/* Node kinds for tests of workflows; see flow_kinds.h. */
#include "support/flow_kinds.h"

static void start(const struct step_in *in, struct step_port *port) {
    (void)in;
    (void)port;
}

static enum err eval(const struct step_in *in, struct step_result *out, struct error *e) {
    (void)in;
    (void)e;
    *out = (struct step_result){.body = value_null()};
    return OK;
}

static const struct field work_fields[] = {
    {.name = "note", .type = FIELD_TEMPLATE, .doc = "a text"},
    {.name = "value", .type = FIELD_EXPRESSION, .doc = "a value"},
    {.name = "data", .type = FIELD_STRUCTURE, .secret_ok = true, .doc = "templates at its leaves"},
};
static const char *const work_aliases[] = {"task", "foreach_work", NULL};
static const struct node_kind work = {
    .name = "work",
    .aliases = work_aliases,
    .doc = "does something",
    .body_doc = "the step's id",
    .fields = work_fields,
    .field_count = ARRAY_LEN(work_fields),
    .start = start,
};

static const struct node_kind program = {
    .name = "program",
    .doc = "sees its needs by name",
    .body_doc = "the step's id",
    .fields = work_fields,
    .field_count = ARRAY_LEN(work_fields),
    .flags = KIND_SCOPE,
    .start = start,
};

static void condition_check(struct node_check *c) {
    struct value cases = check_literal(c, "cases");
    for (size_t i = 0; i < value_count(cases) && cases.type == VALUE_LIST; i++) {
        check_handle(c, value_str(cases.items[i]));
    }
    if (check_has(c, "effect")) {
        check_effect(c);
    }
}
static const struct field condition_fields[] = {
    {.name = "when", .type = FIELD_EXPRESSION, .doc = "decides"},
    {.name = "cases",
     .type = FIELD_LITERAL,
     .literal = LITERAL_TEXTS,
     .doc = "its exits instead of true and false"},
    {.name = "effect", .type = FIELD_LITERAL, .literal = LITERAL_BOOL, .doc = "asks outside"},
};
static const char *const condition_handles[] = {"true", "false", NULL};
static const struct node_kind condition = {
    .name = "condition",
    .doc = "chooses",
    .body_doc = "the choice",
    .fields = condition_fields,
    .field_count = ARRAY_LEN(condition_fields),
    .handles = condition_handles,
    .flags = KIND_PURE | KIND_ANY_EXIT,
    .check = condition_check,
    .eval = eval,
};

static const struct field end_fields[] = {
    {.name = "value", .type = FIELD_EXPRESSION, .doc = "the result"},
};
static const char *const end_aliases[] = {"endpoint", NULL};
static const struct node_kind end = {
    .name = "end",
    .aliases = end_aliases,
    .doc = "ends",
    .body_doc = "its value",
    .fields = end_fields,
    .field_count = ARRAY_LEN(end_fields),
    .flags = KIND_PURE | KIND_END,
    .eval = eval,
};

static void form_check(struct node_check *c) {
    struct value file = check_literal(c, "file");
    struct str text;
    if (file.type == VALUE_TEXT && check_read_file(c, "file", value_str(file), &text)) {
        struct str *kept = ARENA_NEW(check_arena(c), struct str);
        if (kept) {
            *kept = text;
            check_set_data(c, kept);
        }
    }
    struct value count = check_literal(c, "count");
    if (count.type == VALUE_INT && count.num == 13) {
        check_error(c, "count", "unlucky", "%d brings bad luck", 13);
    }
}
static const char *const methods[] = {"get", "post", NULL};
static const struct field form_fields[] = {
    {.name = "title", .type = FIELD_TEMPLATE, .required = true, .doc = "what it says on top"},
    {.name = "code",
     .type = FIELD_LITERAL,
     .literal = LITERAL_TEXT,
     .one_of = "program",
     .doc = "a program"},
    {.name = "file",
     .type = FIELD_LITERAL,
     .literal = LITERAL_TEXT,
     .one_of = "program",
     .doc = "a program in a file"},
    {.name = "argv",
     .type = FIELD_LITERAL,
     .literal = LITERAL_TEXTS,
     .one_of = "program",
     .doc = "a program and its arguments"},
    {.name = "function",
     .type = FIELD_LITERAL,
     .literal = LITERAL_TEXT,
     .needs = "file",
     .doc = "a function of the file"},
    {.name = "method",
     .type = FIELD_LITERAL,
     .literal = LITERAL_TEXT,
     .choices = methods,
     .default_text = "get",
     .doc = "how"},
    {.name = "count", .type = FIELD_LITERAL, .literal = LITERAL_INT, .doc = "how many"},
    {.name = "ratio", .type = FIELD_LITERAL, .literal = LITERAL_DOUBLE, .doc = "which part"},
    {.name = "full", .type = FIELD_LITERAL, .literal = LITERAL_BOOL, .doc = "everything"},
    {.name = "delay", .type = FIELD_DURATION, .doc = "how long"},
    {.name = "answer", .type = FIELD_SCHEMA, .doc = "what comes back"},
    {.name = "extra", .type = FIELD_VALUE, .doc = "anything"},
    {.name = "token", .type = FIELD_TEMPLATE, .secret_ok = true, .doc = "a secret"},
    {.name = "body", .type = FIELD_STRUCTURE, .doc = "templates at its leaves"},
    {.name = "rows", .type = FIELD_EXPRESSION, .doc = "a list"},
};
static const struct node_kind form = {
    .name = "form",
    .doc = "has a field of every type",
    .body_doc = "nothing",
    .fields = form_fields,
    .field_count = ARRAY_LEN(form_fields),
    .check = form_check,
    .start = start,
};

static void agent_check(struct node_check *c) { check_agent(c, "agent"); }
static void agent_service(const struct step_in *in, struct buf *out) {
    (void)in;
    buf_append_cstr(out, "a model");
}
static const struct field agent_fields[] = {
    {.name = "agent",
     .type = FIELD_LITERAL,
     .literal = LITERAL_TEXT,
     .required = true,
     .doc = "who is asked"},
    {.name = "prompt", .type = FIELD_TEMPLATE, .required = true, .doc = "what is asked"},
};
static const struct node_kind agent = {
    .name = "agent",
    .doc = "asks a model",
    .body_doc = "the answer",
    .fields = agent_fields,
    .field_count = ARRAY_LEN(agent_fields),
    .check = agent_check,
    .start = start,
    .service = agent_service,
};

static void workflow_check(struct node_check *c) { check_child(c, "workflow"); }
static const struct field workflow_fields[] = {
    {.name = "workflow", .type = FIELD_VALUE, .required = true, .doc = "which workflow"},
    {.name = "inputs", .type = FIELD_EXPRESSION, .doc = "what it is given"},
};
static const char *const workflow_aliases[] = {"sub_diagram", NULL};
static const struct node_kind workflow = {
    .name = "workflow",
    .aliases = workflow_aliases,
    .doc = "runs another workflow",
    .body_doc = "its outputs",
    .fields = workflow_fields,
    .field_count = ARRAY_LEN(workflow_fields),
    .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT,
    .check = workflow_check,
    .start = start,
};

enum err flow_test_wait(const struct step_in *in, wall_us now, struct step_wait *out,
                        struct error *e) {
    struct value_builder b;
    (void)e;
    value_builder_init(&b, out->arena);
    value_map_add(&b, STR("for"), value_text(STR("answer")));
    out->request = value_map_done(&b);
    out->due.us = in->timeout_us ? now.us + in->timeout_us : 0;
    return OK;
}
static void person_check(struct node_check *c) {
    struct value choices = check_literal(c, "choices");
    for (size_t i = 0; choices.type == VALUE_LIST && i < value_count(choices); i++) {
        check_handle(c, value_str(choices.items[i]));
    }
    if (check_has_timeout(c)) {
        check_exit(c, "timeout");
    }
    check_approval(c, "approves");
}
static enum err person_woken(const struct step_in *in, const struct step_wake *w,
                             struct step_result *out, struct error *e) {
    struct value_builder b;
    if (!w->answered || w->answer.type != VALUE_TEXT || str_is(value_str(w->answer), "maybe")) {
        return error_set(e, ERR_INVALID, "that is no answer");
    }
    value_builder_init(&b, out->arena);
    value_map_add(&b, STR("answeredBy"), value_text(w->by));
    out->body = w->answer;
    out->handle = in->node->handle_count > 1 ? value_str(w->answer) : STR("");
    out->meta = value_map_done(&b);
    return OK;
}
static const struct field person_fields[] = {
    {.name = "choices",
     .type = FIELD_LITERAL,
     .literal = LITERAL_TEXTS,
     .doc = "its exits, and the answers"},
    {.name = "approves", .type = FIELD_LITERAL, .literal = LITERAL_TEXT, .doc = "what it approves"},
};
static const struct node_kind person = {
    .name = "person",
    .doc = "waits for any text but maybe",
    .body_doc = "the answer",
    .fields = person_fields,
    .field_count = ARRAY_LEN(person_fields),
    .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT | KIND_ASKS | KIND_ANY_EXIT,
    .check = person_check,
    .wait = flow_test_wait,
    .woken = person_woken,
};

static const struct node_kind *const rows[] = {&work,  &condition, &end,    &form,
                                               &agent, &workflow,  &person, &program};
const struct kind_table flow_test_kinds = {rows, ARRAY_LEN(rows)};
