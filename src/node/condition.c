/* condition: decides which way the graph goes on: by a bool, by a value among cases, or by asking
 * an agent a yes-or-no question.
 *
 * The first two are pure. An answer of an agent that is neither yes nor no is a failure of the
 * step, never a guess.
 */
#include <stdio.h>

#include "flow/plan.h"
#include "node/node_priv.h"

enum { WHEN, SWITCH, CASES, AGENT, QUESTION, FIELDS };

static const struct field fields[FIELDS] = {
    [WHEN] = {.name = "when",
              .type = FIELD_EXPRESSION,
              .one_of = "decision",
              .wants_bool = true,
              .doc = "a bool: leaves by true or by false"},
    [SWITCH] = {.name = "switch",
                .type = FIELD_EXPRESSION,
                .one_of = "decision",
                .needs = "cases",
                .doc = "a value: leaves by the case that it equals as text, else by default"},
    [CASES] = {.name = "cases",
               .type = FIELD_LITERAL,
               .literal = LITERAL_TEXTS,
               .needs = "switch",
               .doc = "the cases of switch, each a handle"},
    [AGENT] = {.name = "agent",
               .type = FIELD_LITERAL,
               .literal = LITERAL_TEXT,
               .one_of = "decision",
               .needs = "question",
               .doc = "who decides: a name under \"agents\" of the workflow"},
    [QUESTION] = {.name = "question",
                  .type = FIELD_TEMPLATE,
                  .needs = "agent",
                  .doc = "asked of the agent, whose answer must begin with yes or no (or true or "
                         "false), or be JSON that says so: leaves by true or by false"},
};

static void check_cases(struct node_check *c) {
    struct value cases = check_literal(c, "cases");
    if (cases.type != VALUE_LIST) {
        return;
    }
    if (!value_count(cases)) {
        check_error(c, "cases", "bad_value",
                    "cases is empty: a condition with \"switch\" needs at least one case");
    }
    for (size_t i = 0; i < value_count(cases); i++) {
        check_handle(c, value_str(cases.items[i]));
    }
    check_handle(c, STR("default"));
}

static void check(struct node_check *c) {
    if (check_has(c, "agent")) {
        check_effect(c);
        check_set_data(c, node_model_check(c, "agent"));
    } else if (check_has(c, "switch")) {
        check_cases(c);
    }
}

static void decide(bool yes, struct step_result *out) {
    out->body = value_bool(yes);
    out->handle = yes ? STR("true") : STR("false");
}

/* ---- when, switch ---- */

static enum err eval_when(const struct step_in *in, struct step_result *out, struct error *e) {
    struct value v = in->fields[WHEN];
    if (v.type != VALUE_BOOL) {
        struct buf shown;
        buf_init(&shown, 0);
        value_print_short(v, 80, &shown);
        error_at(e, ERR_EXPRESSION, in->node->field_marks[WHEN],
                 "\"when\" must be true or false, not %s %.*s", value_type_name(v.type),
                 STR_ARG(buf_str(&shown)));
        buf_fini(&shown);
        return ERR_EXPRESSION;
    }
    decide(v.boolean, out);
    return OK;
}

static enum err eval_switch(const struct step_in *in, struct step_result *out, struct error *e) {
    struct value cases = in->fields[CASES];
    struct buf text;
    buf_init(&text, 0);
    value_print_text(in->fields[SWITCH], &text);
    if (!buf_ok(&text)) {
        return error_nomem(e);
    }
    out->body = in->fields[SWITCH];
    out->handle = STR("default");
    for (size_t i = 0; i < value_count(cases); i++) {
        if (str_eq(value_str(cases.items[i]), buf_str(&text))) {
            out->handle = value_str(cases.items[i]);
        }
    }
    buf_fini(&text);
    return OK;
}

static enum err eval(const struct step_in *in, struct step_result *out, struct error *e) {
    return in->node->field_marks[SWITCH].line ? eval_switch(in, out, e) : eval_when(in, out, e);
}

/* ---- agent ---- */

static bool begins_with(struct str text, const char *word) {
    size_t len = strlen(word);
    for (size_t i = 0; i < len; i++) {
        if (i == text.len || (text.ptr[i] | 0x20) != word[i]) {
            return false;
        }
    }
    char next = text.len > len ? (char)(text.ptr[len] | 0x20) : ' ';
    return next < 'a' || next > 'z';
}

/* 1 yes, 0 no, -1 neither. Models like to set the word in bold or quotes. */
static int read_words(struct str text) {
    while (text.len && strchr(" \t\r\n*_`\"'", text.ptr[0])) {
        text = str_sub(text, 1, text.len);
    }
    if (begins_with(text, "yes") || begins_with(text, "true")) {
        return 1;
    }
    return begins_with(text, "no") || begins_with(text, "false") ? 0 : -1;
}

/* JSON: a bool, or a map whose only value is the answer. */
static int read_answer(struct str text, struct arena *a) {
    struct value v;
    struct error ignored;
    int words = read_words(text);
    if (words >= 0 || node_answer_parse(text, a, &v, &ignored)) {
        return words;
    }
    if (v.type == VALUE_MAP && value_count(v) == 1) {
        v = v.pairs[0].val;
    }
    if (v.type == VALUE_BOOL) {
        return v.boolean;
    }
    return v.type == VALUE_TEXT ? read_words(value_str(v)) : -1;
}

static void tell(struct step_port *port, const struct node_answer *answer) {
    int decision = read_answer(answer->text, port->in->arena);
    if (decision >= 0) {
        struct step_result result = {.meta = answer->meta};
        decide(decision, &result);
        port->ops->done(port, &result);
        return;
    }
    char message[300];
    struct buf shown;
    buf_init(&shown, 0);
    value_print_short(value_text(str_trim(answer->text)), 120, &shown);
    int len = snprintf(message, sizeof message, "the agent answered neither yes nor no but %.*s",
                       STR_ARG(buf_str(&shown)));
    node_question_refuse(port, answer, FAILURE_TRANSIENT, STR("answer"),
                         (struct str){message, (size_t)len});
    buf_fini(&shown);
}

static void start(const struct step_in *in, struct step_port *port) {
    struct node_question q = {.prompt = value_str(in->fields[QUESTION]),
                              .form = STR("Answer with yes or no, and with nothing else.")};
    node_question_ask(port, in->node->data, &q, tell);
}

static void service(const struct step_in *in, struct buf *out) {
    node_service_of_model(in->node->data, in, out);
}

static const char *const handles[] = {"true", "false", NULL};

const struct node_kind node_condition = {
    .name = "condition",
    .doc = "decides which way the graph goes on",
    .body_doc = "the decision: true or false, or the value of switch",
    .fields = fields,
    .field_count = FIELDS,
    .handles = handles,
    .flags = KIND_PURE | KIND_ANY_EXIT,
    .example = "type: condition\n"
               "switch: '\"high\"'\n"
               "cases: [low, high]\n",
    .check = check,
    .eval = eval,
    .start = start,
    .service = service,
    .cancel = node_question_cancel,
};
