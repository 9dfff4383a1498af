/* agent: asks an agent of the workflow, a model with a system prompt, and gives its answer: a text,
 * or, with a schema, the value that was asked for.
 *
 * The question and the answer are recorded as a call of the step. The prompt is a template, written
 * in the node or in a file that is read when the workflow is compiled; what the model answers is
 * data, never expanded or evaluated.
 */
#include "flow/plan.h"
#include "node/node_priv.h"
#include "schema/schema.h"

enum { AGENT, PROMPT, PROMPT_FILE, FIRST_PROMPT, SCHEMA, PARAMS, MAX_RUNS, FIELDS };

static const struct field fields[FIELDS] = {
    [AGENT] = {.name = "agent",
               .type = FIELD_LITERAL,
               .literal = LITERAL_TEXT,
               .required = true,
               .doc = "who is asked: a name under \"agents\" of the workflow"},
    [PROMPT] = {.name = "prompt",
                .type = FIELD_TEMPLATE,
                .one_of = "prompt",
                .doc = "what is asked"},
    [PROMPT_FILE] = {.name = "prompt_file",
                     .type = FIELD_LITERAL,
                     .literal = LITERAL_TEXT,
                     .one_of = "prompt",
                     .doc = "path of a file with the prompt, a template too; read when the "
                            "workflow is compiled"},
    [FIRST_PROMPT] = {.name = "first_prompt",
                      .type = FIELD_TEMPLATE,
                      .first_for = "prompt",
                      .doc = "in a loop: what is asked the first time, instead of the prompt"},
    [SCHEMA] = {.name = "schema",
                .type = FIELD_SCHEMA,
                .doc = "JSON Schema of the answer, which is JSON then; the body is its value"},
    [PARAMS] = {.name = "params",
                .type = FIELD_STRUCTURE,
                .doc = "settings of the model for this question, such as temperature or "
                       "max_tokens; they go before the agent's own"},
    [MAX_RUNS] = {.name = "max_runs",
                  .type = FIELD_LITERAL,
                  .literal = LITERAL_INT,
                  .doc = "in a loop: how often it asks; after that the node completes at once with "
                         "its last answer"},
};

struct agent_data {
    const struct node_model *model;
    const struct schema *schema; /* NULL: the answer is a text */
    struct str form;
};

static void check_schema(struct node_check *c, struct agent_data *d) {
    struct value source = check_literal(c, "schema");
    struct error e = {0};
    if (value_is_null(source)) {
        return; /* not given, or reported */
    }
    d->form = node_answer_form(source, check_arena(c));
    if (schema_compile(check_arena(c), source, &d->schema, &e) || !d->form.len) {
        check_error(c, "schema", "schema", "%s", d->form.len ? e.message : "out of memory");
    }
}

static void check(struct node_check *c) {
    struct agent_data *d = ARENA_NEW(check_arena(c), struct agent_data);
    struct value max_runs = check_literal(c, "max_runs");
    if (!d) {
        check_error(c, "agent", "no_memory", "out of memory");
        return;
    }
    check_set_data(c, d);
    d->model = node_model_check(c, "agent");
    node_model_check_params(c, d->model, "params");
    check_schema(c, d);
    if (!value_is_null(max_runs) && max_runs.num < 1) {
        check_error(c, "max_runs", "bad_value", "max_runs must be at least 1");
    }
    if (check_has(c, "prompt_file")) {
        check_template_file(c, "prompt_file", "prompt");
    }
}

/* ---- past max_runs ---- */

/* An item of a foreach goes on with its own last answer. */
static struct value last_answer(const struct step_in *in) {
    struct value last = in->previous;
    if (in->index < 0) {
        return last;
    }
    bool there = last.type == VALUE_LIST && (size_t)in->index < value_count(last);
    return there ? last.items[in->index] : value_null();
}

static void tell_exhausted(struct step_port *port) {
    struct value_builder meta;
    value_builder_init(&meta, port->in->arena);
    value_map_add(&meta, STR("exhausted"), value_bool(true));
    struct step_result result = {.body = last_answer(port->in), .meta = value_map_done(&meta)};
    port->ops->done(port, &result);
}

static bool is_exhausted(const struct step_in *in) {
    struct value max_runs = in->fields[MAX_RUNS];
    return !value_is_null(max_runs) && in->iteration >= max_runs.num;
}

/* ---- asking ---- */

static void tell(struct step_port *port, const struct node_answer *answer) {
    const struct agent_data *d = port->in->node->data;
    struct step_result result = {.body = d->schema ? answer->value : value_text(answer->text),
                                 .meta = answer->meta};
    port->ops->done(port, &result);
}

static void start(const struct step_in *in, struct step_port *port) {
    const struct agent_data *d = in->node->data;
    bool first = !value_is_null(in->fields[FIRST_PROMPT]);
    if (is_exhausted(in)) {
        node_defer(port, tell_exhausted);
        return;
    }
    struct node_question q = {.prompt = value_str(in->fields[first ? FIRST_PROMPT : PROMPT]),
                              .form = d->form,
                              .params = in->fields[PARAMS],
                              .schema = d->schema,
                              .schema_source = in->fields[SCHEMA]};
    node_question_ask(port, d->model, &q, tell);
}

static void cancel(struct step_port *port) {
    if (is_exhausted(port->in)) {
        node_defer_cancel(port);
    } else {
        node_question_cancel(port);
    }
}

static void service(const struct step_in *in, struct buf *out) {
    const struct agent_data *d = in->node->data;
    if (!is_exhausted(in)) {
        node_service_of_model(d->model, in, out);
    }
}

static const char *const aliases[] = {"person_job", NULL};

const struct node_kind node_agent = {
    .name = "agent",
    .aliases = aliases,
    .doc = "asks an agent, a model with a system prompt",
    .body_doc =
        "the answer, a text, or with a schema the value; meta has agent, service, model and "
        "usage, repaired when it had to be asked twice, exhausted past max_runs",
    .fields = fields,
    .field_count = FIELDS,
    .example = "type: agent\n"
               "agent: writer\n"
               "prompt: Write one line about {{ inputs.topic }}.\n",
    .check = check,
    .start = start,
    .service = service,
    .cancel = cancel,
};
