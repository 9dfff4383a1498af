/* The texts of an agent that are templates: compiled once, evaluated for each question from nothing
 * but the inputs of its execution, so every step, attempt and later owner gets the same agent.
 *
 * Never here: which texts those are (agents.c), and what they mean (the services).
 */
#include "flow/flow_priv.h"

#define WHOLE_INPUTS 0u /* slot of `inputs`; that of the i-th input is i + 1 */

static enum err find_input(const struct plan *p, struct str name, struct expr_ref *out,
                           struct error *e) {
    struct str names[64];
    uint32_t count = p->input_count < ARRAY_LEN(names) ? p->input_count : ARRAY_LEN(names);
    for (uint32_t i = 0; i < p->input_count; i++) {
        if (str_eq(p->inputs[i].name, name)) {
            *out = (struct expr_ref){.slot = i + 1, .consumed = 2};
            return OK;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        names[i] = p->inputs[i].name;
    }
    struct str near = str_nearest(name, names, count);
    struct str word = flow_text_clip(name, 60);
    return near.len
               ? error_set(e, ERR_NOT_FOUND,
                           "the workflow has no input \"%.*s\"; did you mean \"%.*s\"?",
                           STR_ARG(word), STR_ARG(near))
               : error_set(e, ERR_NOT_FOUND, "the workflow has no input \"%.*s\"", STR_ARG(word));
}

static enum err find_name(void *ctx, const struct str *path, uint32_t count, struct expr_ref *out,
                          struct error *e) {
    if (!str_is(path[0], "inputs")) {
        return error_set(e, ERR_NOT_FOUND,
                         "\"%.*s\" is not known here: the texts of an agent may refer to inputs "
                         "alone; what a node knows belongs into its prompt",
                         STR_ARG(flow_text_clip(path[0], 60)));
    }
    if (count == 1) {
        *out = (struct expr_ref){.slot = WHOLE_INPUTS, .consumed = 1};
        return OK;
    }
    return find_input(ctx, path[1], out, e);
}

/* A \{{ alone makes a template without an expression: its text is known now. */
static void keep_constant(struct unit *u, const struct tmpl *t, struct str *text,
                          const struct tmpl **out) {
    struct value v;
    if (tmpl_constant(t, &v)) {
        *text = value_str(v);
    } else {
        *out = t;
    }
    u->s->nomem |= !text->ptr;
}

void flow_agent_text_compile(struct unit *u, const struct yaml_node *n, const char *key,
                             struct str *text, const struct tmpl **out) {
    struct session *s = u->s;
    const struct tmpl *t = NULL;
    if (s->nomem || str_find(*text, STR("{{"), 0) == SIZE_MAX) {
        return;
    }
    struct expr_scope view = {.ctx = u->plan, .find = find_name};
    uint32_t before = s->diag->count;
    enum err err = tmpl_compile(s->keep, *text, flow_text_mark(n), &view, &t, s->diag);
    flow_columns_shift(s->diag, before, n);
    if (!err) {
        keep_constant(u, t, text, out);
        return;
    }
    s->nomem |= err == ERR_NOMEM;
    *text = STR(""); /* reported: nothing more is said about it */
    if (err != ERR_INVALID && !s->nomem) {
        diag_error(s->diag, flow_text_mark(n), "expression", "\"%s\" is too large", key);
    }
}

struct reading {
    const struct plan_agent *agent;
    struct value inputs;
};

static enum err get(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    const struct reading *r = ctx;
    (void)e;
    if (slot == WHOLE_INPUTS) {
        *out = r->inputs;
        return OK;
    }
    ASSERT(slot <= r->agent->input_count);
    const struct value *v = value_get(r->inputs, r->agent->inputs[slot - 1].name);
    *out = v ? *v : value_null();
    return OK;
}

enum err plan_agent_text(const struct plan_agent *a, enum agent_text which, struct value inputs,
                         struct arena *arena, struct str *out, struct error *e) {
    struct reading r = {a, inputs};
    struct expr_env env = {.ctx = &r, .get = get, .arena = arena};
    struct value text;
    if (!a->templates[which]) {
        *out = a->texts[which];
        return OK;
    }
    enum err err = tmpl_eval_text(a->templates[which], &env, &text, e);
    if (!err) {
        *out = value_str(text);
    }
    return err;
}
