/* ask: asks a person and waits for the answer: free text, one of some choices, or a form.
 *
 * Pure: what is asked is recorded with the step, and an answer is only looked at, so the same
 * answer gives the same result. One that does not fit is refused and the step waits on.
 */
#include <stdio.h>

#include "flow/plan.h"
#include "node/node_priv.h"

enum { PROMPT, CHOICES, SCHEMA, ASSIGNEE, ON_TIMEOUT, APPROVES, FIELDS };

static const struct field fields[FIELDS] = {
    [PROMPT] = {.name = "prompt",
                .type = FIELD_TEMPLATE,
                .required = true,
                .doc = "what the person reads"},
    [CHOICES] = {.name = "choices",
                 .type = FIELD_LITERAL,
                 .literal = LITERAL_TEXTS,
                 .doc = "the answers to choose from, each a handle"},
    [SCHEMA] = {.name = "schema",
                .type = FIELD_SCHEMA,
                .doc = "a form: the JSON Schema that the answer must fit"},
    [ASSIGNEE] = {.name = "assignee", .type = FIELD_TEMPLATE, .doc = "who is to answer"},
    [ON_TIMEOUT] = {.name = "on_timeout",
                    .type = FIELD_STRUCTURE,
                    .doc =
                        "with timeout: fail, {value: ...}, the answer when none came in time, or "
                        "the name of a node that runs then: its answer is the answer. "
                        "When not given, the handle timeout is taken if a node needs it, else "
                        "the step fails"},
    [APPROVES] = {.name = "approves",
                  .type = FIELD_LITERAL,
                  .literal = LITERAL_TEXT,
                  .doc = "the node that an answer starts: its arguments are shown with the "
                         "question, and it runs with exactly these or not at all"},
};

/* ---- compile time ---- */

static void check_choices(struct node_check *c) {
    struct value choices = check_literal(c, "choices");
    if (choices.type == VALUE_LIST && !value_count(choices)) {
        check_error(c, "choices", "bad_value", "choices is empty: give at least one");
    }
    for (size_t i = 0; choices.type == VALUE_LIST && i < value_count(choices); i++) {
        if (!check_is_foreach(c)) {
            check_handle(c, value_str(choices.items[i]));
        }
    }
}

static void check_form(struct node_check *c) {
    const struct schema *form = NULL;
    struct error e = {0};
    struct value source = check_literal(c, "schema");
    bool given = source.type == VALUE_MAP || source.type == VALUE_BOOL;
    if (given && schema_compile(check_arena(c), source, &form, &e) == OK) {
        check_set_data(c, form);
    } /* else it is reported with the field */
}

static bool is_choice(struct value choices, struct value v) {
    for (size_t i = 0; i < value_count(choices); i++) {
        if (v.type == VALUE_TEXT && str_eq(value_str(choices.items[i]), value_str(v))) {
            return true;
        }
    }
    return false;
}

static void check_choice_on_timeout(struct node_check *c, struct value v) {
    struct value choices = check_literal(c, "choices");
    const struct value *value = value_get(v, STR("value"));
    if (choices.type == VALUE_LIST && value && !is_choice(choices, *value)) {
        check_error(c, "on_timeout", "bad_value", "the value of on_timeout must be one of choices");
    }
}

static void check(struct node_check *c) {
    bool timed = check_has_timeout(c);
    if (check_has(c, "choices") && check_has(c, "schema")) {
        check_error(c, "schema", "one_of", "give choices or a schema, not both");
    }
    check_choices(c);
    check_form(c);
    node_on_timeout_check(c, "on_timeout");
    check_choice_on_timeout(c, check_literal(c, "on_timeout"));
    check_approval(c, "approves");
    if (timed && !check_is_foreach(c)) {
        if (!check_has(c, "choices")) {
            check_exit(c, "out");
        }
        check_exit(c, "timeout");
    }
}

/* ---- waiting ---- */

static enum err wait(const struct step_in *in, wall_us now, struct step_wait *out,
                     struct error *e) {
    struct value_builder b;
    value_builder_init(&b, out->arena);
    value_map_add(&b, STR("for"), value_text(STR("answer")));
    value_map_add(&b, STR("prompt"), in->fields[PROMPT]);
    if (!value_is_null(in->fields[CHOICES])) {
        value_map_add(&b, STR("choices"), in->fields[CHOICES]);
    }
    if (!value_is_null(in->fields[SCHEMA])) {
        value_map_add(&b, STR("schema"), in->fields[SCHEMA]);
    }
    if (!value_is_null(in->fields[ASSIGNEE])) {
        value_map_add(&b, STR("assignee"), in->fields[ASSIGNEE]);
    }
    out->request = value_map_done(&b);
    out->due.us = in->timeout_us ? now.us + in->timeout_us : 0;
    return b.ok ? OK : error_nomem(e);
}

static enum err refuse_choice(struct value choices, struct error *e) {
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < value_count(choices); i++) {
        buf_printf(&b, "%s%.*s", i ? ", " : "", STR_ARG(value_str(choices.items[i])));
    }
    error_set(e, ERR_INVALID, "the answer must be one of: %.*s",
              STR_ARG(str_sub(buf_str(&b), 0, 400)));
    buf_fini(&b);
    return ERR_INVALID;
}

/* What was typed is read by the form's type; then the form says whether it fits. */
static enum err fit_form(const struct schema *form, struct arena *a, struct value *v,
                         struct error *e) {
    struct schema_result found;
    struct value read;
    struct error ignored;
    if (v->type == VALUE_TEXT && schema_read_text(form, value_str(*v), a, &read, &ignored) == OK) {
        *v = read;
    }
    enum err err = schema_check(form, *v, a, &found, e);
    if (!err && !found.valid) {
        const struct schema_error *first = &found.errors[0];
        err = error_set(e, ERR_INVALID, "the answer does not fit the form: %.*s%s%.*s",
                        STR_ARG(first->instance), first->instance.len ? ": " : "",
                        STR_ARG(first->message));
    }
    return err ? err : schema_fill(form, *v, a, v, e);
}

static enum err settle(const struct step_in *in, struct value v, struct step_result *out,
                       struct error *e) {
    struct value choices = in->fields[CHOICES];
    const struct schema *form = in->node->data;
    bool decides = in->node->handle_count > 1;
    if (!value_is_null(choices) && !is_choice(choices, v)) {
        return refuse_choice(choices, e);
    }
    enum err err = form ? fit_form(form, out->arena, &v, e) : OK;
    out->body = v;
    out->handle = !decides ? STR("") : value_is_null(choices) ? STR("out") : value_str(v);
    return err;
}

static enum err woken(const struct step_in *in, const struct step_wake *w, struct step_result *out,
                      struct error *e) {
    struct value_builder meta;
    value_builder_init(&meta, out->arena);
    if (!w->answered) {
        struct value value;
        if (!node_on_timeout(in->fields[ON_TIMEOUT], &value)) {
            return node_timed_out(in, in->fields[ON_TIMEOUT], "answer", out, e);
        }
        value_map_add(&meta, STR("timedOut"), value_bool(true));
        out->meta = value_map_done(&meta);
        return settle(in, value, out, e);
    }
    value_map_add(&meta, STR("answeredBy"), value_text(w->by.len ? w->by : STR("somebody")));
    if (w->kept) {
        value_map_add(&meta, STR("answer"), value_int(w->kept));
    }
    out->meta = value_map_done(&meta);
    return settle(in, w->answer, out, e);
}

static const char *const aliases[] = {"user_response", NULL};

const struct node_kind node_ask = {
    .name = "ask",
    .aliases = aliases,
    .doc = "asks a person and waits for the answer",
    .body_doc = "the answer: a text, the choice, or what the form holds; meta has answeredBy",
    .fields = fields,
    .field_count = FIELDS,
    .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT | KIND_ANY_EXIT | KIND_ASKS,
    .example = "type: ask\n"
               "prompt: Publish the text about {{ inputs.topic }}?\n"
               "choices: [\"yes\", \"no\"]\n"
               "timeout: 1h\n"
               "on_timeout: {value: \"no\"}\n",
    .check = check,
    .wait = wait,
    .woken = woken,
};
