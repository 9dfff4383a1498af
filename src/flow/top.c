/* The keys at the top of a workflow: name, inputs, defaults, limits, environment, outputs. Values
 * that are refused are taken as not given; nodes and graph are not touched here.
 */
#include "flow/flow_priv.h"

static const int64_t concurrency_range[2] = {1, 100000};
static const int64_t attempts_range[2] = {1, 1000};
static const double factor_range[2] = {1, 1000};
static const double jitter_range[2] = {0, 1};

/* The last part of a path without its extension. */
static struct str stem(struct str path) {
    size_t from = path.len, to = path.len;
    while (from > 0 && path.ptr[from - 1] != '/') {
        from--;
    }
    for (size_t i = to; i > from + 1; i--) {
        if (path.ptr[i - 1] == '.') {
            to = i - 1;
            break;
        }
    }
    return str_sub(path, from, to);
}

static void read_texts(struct unit *u) {
    struct plan *p = u->plan;
    p->name = u->inline_name.len ? u->inline_name : stem(u->path);
    if (u->def.name && flow_text_get(u, u->def.name, "name", &p->name) && !str_trim(p->name).len) {
        struct diag_item *item =
            diag_error(u->s->diag, u->def.name->mark, "bad_value", "\"name\": it is blank");
        diag_help(u->s->diag, item, "give the workflow a name, or leave the key out");
    } else if (u->def.name) {
        flow_name_fits(u, p->name, u->def.name->mark, "a workflow");
    }
    if (u->def.description) {
        flow_text_get(u, u->def.description, "description", &p->description);
    }
    p->name = flow_keep_str(u->s, p->name);
    p->description = flow_keep_str(u->s, p->description);
}

/* ---- retry ---- */

/* Any name may be a type of error, so a class with a slip in it is no error. */
static void lint_class(struct unit *u, struct mark mark, struct str name) {
    static const char *const words[] = {"transient", "permanent", "timeout", "any"};
    struct str known[ARRAY_LEN(words)];
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        known[i] = str_from(words[i]);
        if (str_eq(name, known[i])) {
            return;
        }
    }
    struct str near = str_nearest(name, known, ARRAY_LEN(known));
    if (near.len > 3) { /* whatever has three letters is near to "any" */
        struct diag_item *item =
            diag_add(u->s->diag, DIAG_WARNING, mark, "unknown_class",
                     "\"on\": \"%.*s\" is taken for a type of error", STR_ARG(name));
        diag_suggest(u->s->diag, item, name, known, ARRAY_LEN(known));
    }
}

static void read_on(struct unit *u, const struct yaml_node *n, struct retry_policy *policy) {
    const struct str *on;
    uint32_t count;
    if (!flow_texts_get(u, n, "on", &on, &count)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!str_is_name(on[i])) {
            struct diag_item *item = diag_error(
                u->s->diag, n->type == YAML_LIST ? n->items[i]->mark : n->mark, "bad_value",
                "\"on\": \"%.*s\" is no class or type of error", STR_ARG(on[i]));
            diag_help(u->s->diag, item,
                      "expected transient, permanent, or an error type such as "
                      "timeout");
            return;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        lint_class(u, n->type == YAML_LIST ? n->items[i]->mark : n->mark, on[i]);
    }
    policy->on = on;
    policy->on_count = count;
}

bool flow_retry_read(struct unit *u, const struct yaml_node *n, struct retry_policy *policy) {
    static const char *const keys[] = {"attempts", "backoff", "factor", "max",
                                       "jitter",   "on",      NULL};
    if (n->type != YAML_MAP) {
        struct diag_item *item = flow_type_refuse(u, n, "retry", "a map");
        diag_help(u->s->diag, item, "for example {attempts: 3, backoff: 1s}");
        return true;
    }
    flow_keys_check(u, n, "retry", keys, NULL);
    int64_t attempts;
    policy->attempts = policy->attempts ? policy->attempts : 3;
    for (uint32_t i = 0; i < n->count; i++) {
        struct str key = n->pairs[i].key->text;
        const struct yaml_node *value = n->pairs[i].value;
        if (str_is(key, "attempts") &&
            flow_int_get(u, value, "attempts", attempts_range, &attempts)) {
            policy->attempts = (uint32_t)attempts;
        } else if (str_is(key, "backoff")) {
            flow_duration_get(u, value, "backoff", &policy->backoff_us);
        } else if (str_is(key, "factor")) {
            flow_double_get(u, value, "factor", factor_range, &policy->factor);
        } else if (str_is(key, "max")) {
            flow_duration_get(u, value, "max", &policy->max_us);
        } else if (str_is(key, "jitter")) {
            flow_double_get(u, value, "jitter", jitter_range, &policy->jitter);
        } else if (str_is(key, "on")) {
            read_on(u, value, policy);
        }
    }
    return !u->s->nomem;
}

/* ---- breaker ---- */

static void read_breaker(struct unit *u) {
    static const char *const keys[] = {"failures", "open", "max", NULL};
    struct plan_breaker *b = &u->plan->breaker;
    const struct yaml_node *n = u->def.breaker;
    int64_t failures = 5;
    if (n->type != YAML_MAP) {
        struct diag_item *item = flow_type_refuse(u, n, "breaker", "a map");
        diag_help(u->s->diag, item, "for example {failures: 5, open: 30s}");
        return;
    }
    *b = (struct plan_breaker){.open_us = 30000000, .max_us = 600000000};
    flow_keys_check(u, n, "breaker", keys, NULL);
    const struct yaml_node *given = yaml_get(n, STR("failures"));
    const struct yaml_node *open = yaml_get(n, STR("open")), *max = yaml_get(n, STR("max"));
    if (given) {
        (void)flow_int_get(u, given, "failures", attempts_range, &failures);
    }
    b->failures = (uint32_t)failures;
    if (open && flow_duration_get(u, open, "open", &b->open_us) && b->open_us == 0) {
        diag_error(u->s->diag, open->mark, "bad_value", "\"open\": expected more than 0");
    }
    bool read = max && flow_duration_get(u, max, "max", &b->max_us);
    if (read && b->max_us < b->open_us) {
        diag_error(u->s->diag, max->mark, "bad_value", "\"max\": it is shorter than \"open\"");
    }
    b->max_us = b->max_us < b->open_us ? b->open_us : b->max_us;
}

static bool read_defaults(struct unit *u) {
    static const char *const keys[] = {"timeout", "retry", NULL};
    struct str *on = KEEP(u->s, 1, struct str);
    if (!on) {
        return false;
    }
    *on = STR("transient");
    u->retry = (struct retry_policy){.backoff_us = 1000000,
                                     .factor = 2,
                                     .max_us = 30000000,
                                     .jitter = 0.2,
                                     .on = on,
                                     .on_count = 1};
    const struct yaml_node *n = u->def.defaults;
    if (!n || !flow_map_get(u, n, "defaults")) {
        return true;
    }
    flow_keys_check(u, n, "defaults", keys, NULL);
    const struct yaml_node *timeout = yaml_get(n, STR("timeout"));
    const struct yaml_node *retry = yaml_get(n, STR("retry"));
    if (timeout) {
        flow_timeout_get(u, timeout, &u->timeout_us);
    }
    return !retry || flow_retry_read(u, retry, &u->retry);
}

void flow_timeout_get(struct unit *u, const struct yaml_node *n, int64_t *out) {
    int64_t us;
    if (!flow_duration_get(u, n, "timeout", &us)) {
        return;
    }
    if (us == 0) {
        struct diag_item *item =
            diag_error(u->s->diag, n->mark, "bad_value", "\"timeout\": expected more than 0");
        diag_help(u->s->diag, item, "leave it out for no limit");
        return;
    }
    *out = us;
}

/* ---- inputs ---- */

/* The schema without our key `default` in it is the same schema: default is an annotation. */
static void read_default(struct unit *u, const struct yaml_node *n, struct plan_input *input) {
    const struct yaml_node *given = n->type == YAML_MAP ? yaml_get(n, STR("default")) : NULL;
    if (!given || !flow_keep_value(u->s, given, &input->default_value)) {
        return;
    }
    input->has_default = true;
    struct schema_result result = {0};
    struct error e = {0};
    enum err err = schema_check(input->schema, input->default_value, &u->s->scratch, &result, &e);
    if (err == ERR_NOMEM) {
        u->s->nomem = true;
    } else if (err || !result.valid) {
        struct str why = !err && result.count ? result.errors[0].message : str_from(e.message);
        struct diag_item *item =
            diag_error(u->s->diag, given->mark, "bad_default",
                       "the default of input \"%.*s\" does not fit its schema: %.*s",
                       STR_ARG(input->name), STR_ARG(why));
        diag_help(u->s->diag, item, "change the default or the schema");
    }
}

static bool read_inputs(struct unit *u) {
    const struct yaml_node *n = u->def.inputs;
    if (!n || !flow_map_get(u, n, "inputs")) {
        return true;
    }
    struct plan_input *inputs = KEEP(u->s, n->count, struct plan_input);
    if (!inputs) {
        return false;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        const struct yaml_node *key = n->pairs[i].key;
        if (!flow_name_get(u, key->text, key->mark, "an input")) {
            continue;
        }
        struct plan_input *input = &inputs[count++];
        input->name = flow_keep_str(u->s, key->text);
        input->mark = key->mark;
        if (flow_schema_compile(u, n->pairs[i].value, input->name.ptr ? input->name.ptr : "",
                                &input->schema_source, &input->schema)) {
            read_default(u, n->pairs[i].value, input);
        }
        if (u->s->nomem) {
            return false;
        }
    }
    u->plan->inputs = inputs;
    u->plan->input_count = count;
    return true;
}

/* ---- the rest ---- */

static bool is_env_name(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return s.len > 0;
}

/* What env names is recorded with the execution. */
static void check_env_name(struct unit *u, struct str name, struct mark mark) {
    struct str prefix = STR("CAIRN_SECRET_");
    struct diag_item *item;
    if (!is_env_name(name)) {
        item = diag_error(u->s->diag, mark, "bad_name",
                          "\"%.*s\" is no name of an environment variable", STR_ARG(name));
        diag_help(u->s->diag, item, "a name has letters, digits and _, and no digit first");
    } else if (str_starts(name, prefix)) {
        item =
            diag_error(u->s->diag, mark, "secret",
                       "\"%.*s\" is a secret: under \"env\" it would be recorded", STR_ARG(name));
        diag_help(u->s->diag, item, "write {{ secrets.%.*s }} where it is needed",
                  STR_ARG(str_sub(name, prefix.len, name.len)));
    }
}

static void read_env(struct unit *u) {
    const struct str *names = NULL;
    uint32_t count = 0;
    if (!u->def.env || !flow_texts_get(u, u->def.env, "env", &names, &count)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *n = u->def.env;
        check_env_name(u, names[i], n->type == YAML_LIST ? n->items[i]->mark : n->mark);
    }
    u->plan->env = names;
    u->plan->env_count = count;
}

/* Dotted names, as import has them. */
static bool is_module_name(struct str s) {
    while (s.len > 0) {
        struct str part = str_split(s, '.', &s);
        if (!is_env_name(part)) {
            return false;
        }
        if (s.len == 0 && part.ptr[part.len] == '.') {
            return false;
        }
    }
    return true;
}

static void read_preload(struct unit *u) {
    const struct yaml_node *n = u->def.preload;
    const struct str *names = NULL;
    uint32_t count = 0;
    if (!n && u->parent && u->inline_name.len > 0) { /* it is part of that workflow's file */
        u->plan->preload = u->parent->plan->preload;
        u->plan->preload_count = u->parent->plan->preload_count;
    }
    if (!n || !flow_texts_get(u, n, "preload", &names, &count)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (names[i].len == 0 || !is_module_name(names[i])) {
            struct diag_item *item = diag_error(
                u->s->diag, n->type == YAML_LIST ? n->items[i]->mark : n->mark, "bad_name",
                "\"preload\": \"%.*s\" is no name of a Python module", STR_ARG(names[i]));
            diag_help(u->s->diag, item,
                      "write what stands behind import, such as numpy or xml.dom");
        }
    }
    u->plan->preload = names;
    u->plan->preload_count = count;
}

bool flow_top_read(struct unit *u) {
    static const char *const on_failure[] = {"drain", "cancel", "continue", NULL};
    struct plan *p = u->plan;
    const struct def *def = &u->def;
    int64_t slots;
    int word;
    read_texts(u);
    if (def->timeout) {
        flow_timeout_get(u, def->timeout, &p->timeout_us);
    }
    if (def->on_failure && flow_word_get(u, def->on_failure, "on_failure", on_failure, &word)) {
        p->on_failure = (enum on_failure_mode)word;
    }
    if (def->concurrency &&
        flow_int_get(u, def->concurrency, "concurrency", concurrency_range, &slots)) {
        p->concurrency = (uint32_t)slots;
    }
    if (def->recover && !flow_recover_read(u, def->recover, &u->recover, &u->recover_count)) {
        return false;
    }
    if (def->breaker) {
        read_breaker(u);
    }
    read_env(u);
    read_preload(u);
    return !u->s->nomem && read_defaults(u) && read_inputs(u) && flow_vars_read(u) &&
           flow_budget_read(u);
}

bool flow_outputs_compile(struct scope *scope) {
    struct unit *u = scope->u;
    const struct yaml_node *n = u->def.outputs;
    if (!n || !flow_map_get(u, n, "outputs")) {
        return true;
    }
    struct str *names = KEEP(u->s, n->count, struct str);
    struct pval *values = KEEP(u->s, n->count, struct pval);
    if (!names || !values) {
        return false;
    }
    flow_scope_enter(scope, NONE);
    scope->flags = SCOPE_ALL;
    for (uint32_t i = 0; i < n->count; i++) {
        const struct yaml_node *value = n->pairs[i].value;
        names[i] = flow_keep_str(u->s, n->pairs[i].key->text);
        if (value->type == YAML_SCALAR && !value->text.len && value->plain) {
            flow_type_refuse(u, value, names[i].ptr ? names[i].ptr : "", "an expression");
        } else if (!flow_pval_compile(scope, value, LEAF_EXPRESSION, &values[i])) {
            return false;
        }
    }
    u->plan->has_outputs = true;
    u->plan->output_names = names;
    u->plan->outputs = values;
    u->plan->output_count = n->count;
    return true;
}
