/* One question to an agent: checked when the workflow is compiled, asked through the agent's
 * service, recorded as a call (request and answer) of the step.
 *
 * Never here: what becomes of the answer. That is the kind's own.
 */
#include "flow/plan.h"
#include "node/node_priv.h"

struct node_model {
    struct llm_agent agent;
    const struct llm_service *service;
    const void *setup;
};

/* One question under way, in the attempt's arena. */
struct asking {
    const struct node_model *model;
    struct llm_request request;
    struct llm_call *call;
    uint32_t number; /* of the recorded call */
    void (*then)(struct step_port *port, struct str text, struct value meta);
};

/* ---- compile time ---- */

static void refuse(struct node_check *c, int agent, const struct error *e) {
    const struct plan_agent *a = check_agent_get(c, agent);
    check_agent_error(c, agent, e->code == ERR_UNSUPPORTED ? "unsupported" : "bad_agent",
                      "agent \"%.*s\": %s", STR_ARG(a->name), e->message);
}

const struct node_model *node_model_check(struct node_check *c, const char *field) {
    int index = check_agent(c, field);
    const struct plan_agent *a = check_agent_get(c, index);
    if (!a || !a->service.len || value_is_null(a->settings)) {
        return NULL; /* reported */
    }
    struct node_model *m = ARENA_NEW(check_arena(c), struct node_model);
    if (!m) {
        check_error(c, field, "no_memory", "out of memory");
        return NULL;
    }
    m->agent = (struct llm_agent){.name = a->name,
                                  .service = a->service,
                                  .model = a->model,
                                  .system = a->system,
                                  .base_url = a->base_url,
                                  .settings = a->settings};
    struct error e = {0};
    enum err err = llm_service_find(&m->agent, &m->service, &e);
    err = err ? err : m->service->check(&m->agent, check_arena(c), &m->setup, &e);
    if (err) {
        refuse(c, index, &e);
        return NULL;
    }
    return m;
}

/* ---- asking ---- */

static struct value usage_value(struct arena *a, const struct llm_usage *u) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("inputTokens"), value_int((int64_t)u->input_tokens));
    value_map_add(&b, STR("outputTokens"), value_int((int64_t)u->output_tokens));
    value_map_add(&b, STR("llmCalls"), value_int(1));
    return value_map_done(&b);
}

static struct value request_value(struct arena *a, const struct llm_request *r) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("role"), value_text(STR("user")));
    value_map_add(&b, STR("content"), value_text(r->prompt));
    value_map_add(&b, STR("agent"), value_text(r->agent->name));
    value_map_add(&b, STR("service"), value_text(r->agent->service));
    if (r->agent->model.len) {
        value_map_add(&b, STR("model"), value_text(r->agent->model));
    }
    if (r->agent->system.len) {
        value_map_add(&b, STR("system"), value_text(r->agent->system));
    }
    return value_map_done(&b);
}

static struct value answer_value(struct arena *a, const struct llm_reply *reply) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("role"), value_text(STR("assistant")));
    value_map_add(&b, STR("content"), value_text(reply->text));
    value_map_add(&b, STR("model"), value_text(reply->model));
    value_map_add(&b, STR("usage"), usage_value(a, &reply->usage));
    return value_map_done(&b);
}

static struct value meta_value(struct arena *a, const struct asking *q,
                               const struct llm_reply *reply) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("agent"), value_text(q->model->agent.name));
    value_map_add(&b, STR("service"), value_text(q->model->agent.service));
    value_map_add(&b, STR("model"), value_text(reply->model));
    value_map_add(&b, STR("usage"), usage_value(a, &reply->usage));
    return value_map_done(&b);
}

static void on_chunk(void *ctx, struct str text) {
    struct step_port *port = ctx;
    port->ops->chunk(port, text);
}

static void on_done(void *ctx, const struct llm_reply *reply) {
    struct step_port *port = ctx;
    const struct asking *q = port->kind_data;
    struct arena *a = port->in->arena;
    if (reply->failure) {
        node_fail(port, reply->failure);
        return;
    }
    port->ops->call_done(port, q->number, answer_value(a, reply));
    q->then(port, reply->text, meta_value(a, q, reply));
}

void node_model_ask(struct step_port *port, const struct node_model *m, struct str prompt,
                    void (*then)(struct step_port *port, struct str text, struct value meta)) {
    const struct step_in *in = port->in;
    struct asking *q = ARENA_NEW(in->arena, struct asking);
    ASSERT(q); /* as in node_defer: without it no answer could ever be given */
    *q = (struct asking){.model = m,
                         .then = then,
                         .request = {.agent = &m->agent,
                                     .setup = m->setup,
                                     .prompt = prompt,
                                     .index = in->index,
                                     .iteration = in->iteration,
                                     .attempt = in->attempt}};
    struct llm_listener listener = {.ctx = port, .chunk = on_chunk, .done = on_done};
    port->kind_data = q;
    struct value answer;
    q->number = port->ops->call_begin(port, request_value(in->arena, &q->request), &answer);
    q->call = m->service->start(&q->request, port->loop, &listener);
}

void node_model_cancel(struct step_port *port) {
    struct asking *q = port->kind_data;
    q->model->service->cancel(q->call);
}
