/* The agent of a node: checked when the workflow is compiled, made ready for one question from the
 * inputs of the execution alone.
 *
 * When an input chooses the service, the settings must be right for every service there is, and
 * what only one of them requires is asked for when that one is chosen.
 */
#include "flow/plan.h"
#include "node/node_priv.h"

struct node_model {
    const struct plan_agent *plan;
    struct llm_agent agent;            /* texts that are templates are left out */
    const struct llm_service *service; /* NULL: an input chooses it */
    const void **setups;               /* of the agent's settings, by number of the service */
};

const struct plan_agent *node_model_agent(const struct node_model *m) { return m->plan; }

/* ---- compile time ---- */

static void refuse(struct node_check *c, int agent, const struct llm_service *as,
                   const struct error *e) {
    const struct plan_agent *a = check_agent_get(c, agent);
    const char *code = e->code == ERR_UNSUPPORTED ? "unsupported" : "bad_agent";
    if (as) {
        check_agent_error(c, agent, code, "agent \"%.*s\", if its service is %s: %s",
                          STR_ARG(a->name), as->name, e->message);
    } else {
        check_agent_error(c, agent, code, "agent \"%.*s\": %s", STR_ARG(a->name), e->message);
    }
}

static struct str fixed_text(const struct plan_agent *a, enum agent_text which) {
    return a->templates[which] ? STR("") : a->texts[which];
}

static void describe(struct node_model *m, const struct plan_agent *a) {
    m->plan = a;
    m->agent = (struct llm_agent){.name = a->name,
                                  .service = fixed_text(a, AGENT_SERVICE),
                                  .model = fixed_text(a, AGENT_MODEL),
                                  .system = fixed_text(a, AGENT_SYSTEM),
                                  .base_url = fixed_text(a, AGENT_BASE_URL),
                                  .api_key = a->api_key,
                                  .settings = a->settings,
                                  .perhaps = a->templates[AGENT_SERVICE] != NULL};
}

/* Every service that may be meant reads the settings. */
static bool read_settings(struct node_check *c, int index, struct node_model *m) {
    size_t count;
    const struct llm_service *const *services = llm_services(&count);
    struct llm_agent agent = m->agent;
    agent.perhaps |= m->plan->templates[AGENT_MODEL] != NULL;
    for (size_t i = 0; i < count; i++) {
        struct error e = {0};
        bool meant = !m->service || m->service == services[i];
        if (meant && services[i]->check(&agent, check_arena(c), &m->setups[i], &e)) {
            refuse(c, index, m->service ? NULL : services[i], &e);
            return false;
        }
    }
    return true;
}

const struct node_model *node_model_check(struct node_check *c, const char *field) {
    int index = check_agent(c, field);
    const struct plan_agent *a = check_agent_get(c, index);
    if (!a || !a->texts[AGENT_SERVICE].len || value_is_null(a->settings)) {
        return NULL; /* reported */
    }
    size_t count;
    llm_services(&count);
    struct node_model *m = ARENA_NEW(check_arena(c), struct node_model);
    const void **setups = ARENA_ARRAY(check_arena(c), count, const void *);
    if (!m || !setups) {
        check_error(c, field, "no_memory", "out of memory");
        return NULL;
    }
    m->setups = setups;
    describe(m, a);
    struct error e = {0};
    if (!m->agent.perhaps && llm_service_find(&m->agent, &m->service, &e)) {
        refuse(c, index, NULL, &e);
        return NULL;
    }
    return read_settings(c, index, m) ? m : NULL;
}

void node_model_check_params(struct node_check *c, const struct node_model *m, const char *field) {
    struct value params = check_literal(c, field);
    size_t count;
    const struct llm_service *const *services = llm_services(&count);
    if (!m || value_is_null(params)) {
        return;
    }
    if (params.type != VALUE_MAP) {
        check_error(c, field, "bad_type", "\"%s\" must be a map, such as {temperature: 0.2}",
                    field);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct error e = {0};
        bool meant = !m->service || m->service == services[i];
        if (meant && services[i]->check_params && services[i]->check_params(params, &e)) {
            check_error(c, field, "bad_value", "%s", e.message);
            return;
        }
    }
}

/* ---- in an execution ---- */

static enum err resolve_texts(const struct node_model *m, const struct step_in *in,
                              struct llm_agent *agent, struct error *e) {
    struct str *const texts[AGENT_TEXTS] = {[AGENT_SERVICE] = &agent->service,
                                            [AGENT_MODEL] = &agent->model,
                                            [AGENT_SYSTEM] = &agent->system,
                                            [AGENT_BASE_URL] = &agent->base_url};
    for (int i = 0; i < AGENT_TEXTS; i++) {
        enum err err =
            plan_agent_text(m->plan, (enum agent_text)i, in->inputs, in->arena, texts[i], e);
        if (err) {
            return err;
        }
    }
    return OK;
}

enum err node_model_resolve(const struct node_model *m, const struct step_in *in,
                            struct node_agent *out, struct error *e) {
    size_t count;
    const struct llm_service *const *services = llm_services(&count);
    *out = (struct node_agent){.agent = m->agent, .service = m->service};
    enum err err = resolve_texts(m, in, &out->agent, e);
    if (!err && !out->service) {
        err = llm_service_find(&out->agent, &out->service, e);
    }
    for (size_t i = 0; !err && i < count; i++) {
        out->setup = services[i] == out->service ? m->setups[i] : out->setup;
    }
    return err ? error_wrap(e, err, "agent \"%.*s\"", STR_ARG(m->agent.name)) : OK;
}
