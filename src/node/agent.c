/* agent: asks an agent of the workflow, a model with a system prompt, and gives its answer as text.
 *
 * The question and the answer are recorded as a call of the step. The prompt is a template, written
 * in the node or in a file that is read when the workflow is compiled; what the model answers is
 * data, never expanded or evaluated.
 */
#include "flow/plan.h"
#include "node/node_priv.h"

enum { AGENT, PROMPT, PROMPT_FILE, FIELDS };

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
};

static void check(struct node_check *c) {
    check_set_data(c, node_model_check(c, "agent"));
    if (check_has(c, "prompt_file")) {
        check_template_file(c, "prompt_file", "prompt");
    }
}

static void tell(struct step_port *port, struct str text, struct value meta) {
    struct step_result result = {.body = value_text(text), .meta = meta};
    port->ops->done(port, &result);
}

static void start(const struct step_in *in, struct step_port *port) {
    node_model_ask(port, in->node->data, value_str(in->fields[PROMPT]), tell);
}

static const char *const aliases[] = {"person_job", NULL};

const struct node_kind node_agent = {
    .name = "agent",
    .aliases = aliases,
    .doc = "asks an agent, a model with a system prompt",
    .body_doc = "the answer, a text; meta has agent, service, model and usage",
    .fields = fields,
    .field_count = FIELDS,
    .example = "type: agent\n"
               "agent: writer\n"
               "prompt: Write one line about {{ inputs.topic }}.\n",
    .check = check,
    .start = start,
    .cancel = node_model_cancel,
};
