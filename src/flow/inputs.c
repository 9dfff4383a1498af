/* What is given to an execution against what the workflow declares: unknown names, missing ones,
 * values that do not fit, texts of a command line read by the declared type, defaults.
 */
#include "flow/flow.h"

struct reading {
    const struct plan *plan;
    struct arena *arena;
    struct diag *diag;
    bool nomem;
};

static const struct plan_input *find_input(const struct plan *p, struct str name) {
    for (uint32_t i = 0; i < p->input_count; i++) {
        if (str_eq(p->inputs[i].name, name)) {
            return &p->inputs[i];
        }
    }
    return NULL;
}

static void refuse_unknown(struct reading *r, struct str name) {
    const struct plan *p = r->plan;
    struct diag_item *item = diag_error(r->diag, (struct mark){0}, "unknown_input",
                                        "the workflow \"%.*s\" has no input \"%.*s\"",
                                        STR_ARG(p->name), STR_ARG(str_sub(name, 0, 60)));
    struct str *names = ARENA_ARRAY(r->arena, p->input_count + 1u, struct str);
    for (uint32_t i = 0; names && i < p->input_count; i++) {
        names[i] = p->inputs[i].name;
    }
    if (names && item != &r->diag->dropped) {
        diag_suggest(r->diag, item, name, names, p->input_count);
        if (!item->help.len && !p->input_count) {
            diag_help(r->diag, item, "it declares no inputs");
        }
    }
}

static void refuse_value(struct reading *r, const struct plan_input *input, const char *why,
                         struct str where) {
    struct diag_item *item =
        diag_error(r->diag, input->mark, "bad_input", "input \"%.*s\"%s%.*s: %s",
                   STR_ARG(input->name), where.len ? " at " : "", STR_ARG(where), why);
    diag_help(r->diag, item, "the schema of this input stands here");
}

/* Typed text by the declared type, then the schema, then defaults inside the value. */
static bool read_value(struct reading *r, const struct plan_input *input,
                       const struct flow_input *given, struct value *out) {
    struct error e = {0};
    struct value v = given->value;
    struct schema_result result = {0};
    enum err err = OK;
    if (given->is_text) {
        err = schema_read_text(input->schema, value_str(v), r->arena, &v, &e);
    }
    if (!err) {
        err = schema_fill(input->schema, v, r->arena, &v, &e);
    }
    if (!err) {
        err = schema_check(input->schema, v, r->arena, &result, &e);
    }
    r->nomem |= err == ERR_NOMEM;
    if (err && !r->nomem) {
        refuse_value(r, input, e.message, (struct str){0});
    }
    for (uint32_t i = 0; !err && !result.valid && i < result.count; i++) {
        struct str message = arena_str(r->arena, result.errors[i].message);
        refuse_value(r, input, message.ptr ? message.ptr : "", result.errors[i].instance);
    }
    *out = v;
    return !err && result.valid;
}

static const struct flow_input *find_given(const struct flow_input *given, size_t count,
                                           struct str name) {
    const struct flow_input *last = NULL;
    for (size_t i = 0; i < count; i++) {
        last = str_eq(given[i].name, name) ? &given[i] : last;
    }
    return last;
}

static void read_input(struct reading *r, const struct plan_input *input,
                       const struct flow_input *given, struct value_builder *b) {
    struct value v;
    if (given) {
        if (read_value(r, input, given, &v)) {
            value_map_add(b, input->name, v);
        }
    } else if (input->has_default) {
        value_map_add(b, input->name, input->default_value);
    } else {
        struct diag_item *item = diag_error(r->diag, input->mark, "missing_input",
                                            "input \"%.*s\" is missing", STR_ARG(input->name));
        diag_help(r->diag, item, "give it a value, or a default in the workflow");
    }
}

enum err flow_inputs(const struct plan *p, const struct flow_input *given, size_t count,
                     struct arena *a, struct value *out, struct diag *diag) {
    struct reading r = {.plan = p, .arena = a, .diag = diag};
    struct value_builder b;
    uint32_t errors = diag->errors;
    value_builder_init(&b, a);
    for (size_t i = 0; i < count; i++) {
        if (!find_input(p, given[i].name)) {
            refuse_unknown(&r, given[i].name);
        }
    }
    for (uint32_t i = 0; i < p->input_count; i++) {
        read_input(&r, &p->inputs[i], find_given(given, count, p->inputs[i].name), &b);
    }
    struct value v = value_map_done(&b);
    if (r.nomem || !b.ok) {
        return ERR_NOMEM;
    }
    if (diag->errors != errors) {
        return ERR_INVALID;
    }
    *out = v;
    return OK;
}
