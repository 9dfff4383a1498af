/* The agents of a workflow: a name, a service with a model, a system prompt, a memory rule. What a
 * service needs beyond that is checked by the kind that uses the agent, which knows the services.
 *
 * A replies_file (scripted replies of the service `offline`) is read here, once, like every file of
 * the workflow, and stands in settings.replies afterwards.
 */
#include "flow/flow_priv.h"

static const char *const agent_keys[] = {"service",      "model",   "system", "base_url",
                                         "api_key",      "memory",  "params", "replies",
                                         "replies_file", "default", "price",  NULL};
static const int64_t at_most_range[2] = {1, 1000000};
static const double price_range[2] = {0, 100000};

/* Without a memory an agent sees the prompt alone, with one its own messages if it says no more. */
static void read_memory(struct unit *u, const struct yaml_node *n, struct plan_agent *agent) {
    static const char *const keys[] = {"keep", "at_most", NULL};
    static const char *const keep[] = {"all", "own", "none", NULL};
    static const enum memory_keep kept[] = {MEMORY_ALL, MEMORY_OWN, MEMORY_NONE};
    if (!flow_map_get(u, n, "memory")) {
        return;
    }
    flow_keys_check(u, n, "memory", keys, NULL);
    const struct yaml_node *what = yaml_get(n, STR("keep"));
    const struct yaml_node *count = yaml_get(n, STR("at_most"));
    int word = 1; /* own */
    int64_t number = 0;
    if (what) {
        flow_word_get(u, what, "keep", keep, &word);
    }
    if (count) {
        flow_int_get(u, count, "at_most", at_most_range, &number);
    }
    agent->keep = kept[word];
    agent->at_most = (uint32_t)number;
}

static void read_price(struct unit *u, const struct yaml_node *n, struct agent_price *price) {
    static const char *const keys[] = {"input", "output", "cached", NULL};
    double *const out[] = {&price->input, &price->output, &price->cached};
    bool good = flow_map_get(u, n, "price");
    if (!good) {
        return;
    }
    flow_keys_check(u, n, "price", keys, NULL);
    for (size_t i = 0; i < ARRAY_LEN(out); i++) {
        const struct yaml_node *amount = yaml_get(n, str_from(keys[i]));
        if (amount) {
            good &= flow_double_get(u, amount, keys[i], price_range, out[i]);
        } else if (i < 2) {
            struct diag_item *item = diag_error(u->s->diag, n->mark, "missing_key",
                                                "\"price\" has no key \"%s\"", keys[i]);
            diag_help(u->s->diag, item,
                      "US dollars per million tokens: {input: 0.15, output: 0.60}");
            good = false;
        }
    }
    price->cached = yaml_get(n, STR("cached")) ? price->cached : price->input;
    price->given = good;
}

/* The parsed file as a value; false (reported) when it cannot be read. */
static bool read_replies(struct unit *u, const struct yaml_node *n, struct value *out) {
    struct str path, text, written;
    struct yaml_node *root;
    if (!flow_text_get(u, n, "replies_file", &written) ||
        !flow_file_resolve(u, written, n->mark, &path) ||
        !flow_file_read(u, path, n->mark, &text)) {
        return false;
    }
    const char *file = flow_file_display(u->s, path);
    enum err err = yaml_parse(&u->s->scratch, text, file, &root, u->s->diag);
    u->s->nomem |= err == ERR_NOMEM;
    return err == OK && flow_keep_value(u->s, root, out);
}

/* Settings stay null when the replies cannot be read: nothing more is said about the agent. */
static void read_settings(struct unit *u, const struct yaml_node *n, struct plan_agent *agent) {
    struct session *s = u->s;
    const struct yaml_node *file = yaml_get(n, STR("replies_file"));
    struct value written, replies;
    if (!flow_keep_value(s, n, &written)) {
        return;
    }
    if (file && yaml_get(n, STR("replies"))) {
        struct diag_item *item = diag_error(s->diag, file->mark, "excludes",
                                            "\"replies\" and \"replies_file\" exclude each other");
        diag_help(s->diag, item, "keep one of them");
    } else if (!file) {
        agent->settings = written;
    } else if (read_replies(u, file, &replies)) {
        struct value_builder b;
        value_builder_init(&b, s->keep);
        for (size_t i = 0; i < value_count(written); i++) {
            value_map_add(&b, value_str(written.pairs[i].key), written.pairs[i].val);
        }
        value_map_add(&b, STR("replies"), replies);
        agent->settings = value_map_done(&b);
        s->nomem |= !b.ok;
    }
}

static void read_agent(struct unit *u, const struct yaml_node *n, struct plan_agent *agent) {
    struct {
        const char *key;
        struct str *out;
        const struct tmpl **template;
    } texts[] = {
        {"service", &agent->texts[AGENT_SERVICE], &agent->templates[AGENT_SERVICE]},
        {"model", &agent->texts[AGENT_MODEL], &agent->templates[AGENT_MODEL]},
        {"system", &agent->texts[AGENT_SYSTEM], &agent->templates[AGENT_SYSTEM]},
        {"base_url", &agent->texts[AGENT_BASE_URL], &agent->templates[AGENT_BASE_URL]},
        {"api_key", &agent->api_key, NULL},
    };
    flow_keys_check(u, n, "an agent", agent_keys, NULL);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct yaml_node *value = yaml_get(n, str_from(texts[i].key));
        if (value && flow_text_get(u, value, texts[i].key, texts[i].out)) {
            *texts[i].out = flow_keep_str(u->s, *texts[i].out);
            if (texts[i].template) {
                flow_agent_text_compile(u, value, texts[i].key, texts[i].out, texts[i].template);
            }
        }
    }
    if (!yaml_get(n, STR("service"))) {
        struct diag_item *item =
            diag_error(u->s->diag, agent->mark, "missing_key",
                       "agent \"%.*s\" has no key \"service\"", STR_ARG(agent->name));
        diag_help(u->s->diag, item, "say who answers, for example \"service: offline\"");
    }
    const struct yaml_node *memory = yaml_get(n, STR("memory"));
    if (memory) {
        read_memory(u, memory, agent);
    }
    const struct yaml_node *params = yaml_get(n, STR("params"));
    if (params) {
        flow_map_get(u, params, "params");
    }
    const struct yaml_node *price = yaml_get(n, STR("price"));
    if (price) {
        read_price(u, price, &agent->price);
    }
    read_settings(u, n, agent);
}

bool flow_agents_read(struct unit *u) {
    const struct yaml_node *n = u->def.agents;
    if (!n || !flow_map_get(u, n, "agents")) {
        return true;
    }
    struct plan_agent *agents = KEEP(u->s, n->count, struct plan_agent);
    if (!agents) {
        return false;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->count && !u->s->nomem; i++) {
        const struct yaml_node *key = n->pairs[i].key;
        const struct yaml_node *value = n->pairs[i].value;
        if (!flow_name_get(u, key->text, key->mark, "an agent")) {
            continue;
        }
        struct plan_agent *agent = &agents[count++];
        *agent = (struct plan_agent){.name = flow_keep_str(u->s, key->text),
                                     .inputs = u->plan->inputs,
                                     .input_count = u->plan->input_count,
                                     .mark = key->mark};
        if (flow_map_get(u, value, agent->name.ptr ? agent->name.ptr : "")) {
            read_agent(u, value, agent);
        }
    }
    u->plan->agents = agents;
    u->plan->agent_count = count;
    return !u->s->nomem;
}
