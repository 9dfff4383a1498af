/* One question to an agent: what it remembers, the call (request and answer recorded), and, when a
 * schema is given, one more call if the answer does not fit.
 *
 * What an earlier attempt was answered is used, not asked for again. Keys go to the service and
 * nowhere else. Usage is told when its calls are not used again: with the result, or with a failure
 * whose next attempt asks anew; so nothing is counted twice.
 */
#include "flow/plan.h"
#include "llm/price.h"
#include "node/node_priv.h"

#define GRACE_US 10000000 /* the host's own timeout comes before that of the transfer */
#define SHOWN_BYTES 300   /* of an answer, in a failure */

/* In the attempt's arena. */
struct asking {
    const struct node_model *model;
    struct node_question question;
    struct node_agent as;
    struct llm_request request;
    struct llm_call *call;  /* under way */
    struct io_timer *timer; /* what is known at once is told from a later turn */
    struct value found;     /* the answer that an earlier attempt got */
    struct error failure;   /* what went wrong before anything was asked */
    uint32_t number;        /* of the recorded call */
    uint32_t calls;         /* that were answered */
    bool repairing;
    bool cancelled;
    struct llm_price price;
    struct llm_usage used; /* by all calls; known as long as that of each is */
    struct str answered_by;
    node_answer_fn *then;
};

static void ask(struct step_port *port);

/* ---- what is recorded ---- */

static struct value usage_value(struct arena *a, const struct asking *q, const struct llm_usage *u,
                                uint32_t calls) {
    struct value_builder b;
    value_builder_init(&b, a);
    if (u->known) {
        value_map_add(&b, STR("inputTokens"), value_int((int64_t)u->input_tokens));
        value_map_add(&b, STR("outputTokens"), value_int((int64_t)u->output_tokens));
    }
    if (u->cached_known) {
        value_map_add(&b, STR("cachedTokens"), value_int((int64_t)u->cached_tokens));
    }
    value_map_add(&b, STR("llmCalls"), value_int(calls));
    if (u->known && (q->price.input > 0 || q->price.output > 0)) {
        double nano = (double)llm_price_nano_usd(&q->price, u);
        value_map_add(&b, STR("costUsd"), value_double(nano / BUDGET_NANO_USD));
    }
    return value_map_done(&b);
}

/* The messages it was told before are in the journal already: their number says which. */
static struct value request_value(struct arena *a, const struct asking *q) {
    const struct llm_request *r = &q->request;
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
    if (!value_is_null(r->params)) {
        value_map_add(&b, STR("params"), r->params);
    }
    if (r->earlier_count) {
        value_map_add(&b, STR("earlier"), value_int((int64_t)r->earlier_count));
    }
    return value_map_done(&b);
}

static struct value answer_value(struct arena *a, const struct asking *q,
                                 const struct llm_reply *reply) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("role"), value_text(STR("assistant")));
    value_map_add(&b, STR("content"), value_text(reply->text));
    value_map_add(&b, STR("model"), value_text(reply->model));
    value_map_add(&b, STR("usage"), usage_value(a, q, &reply->usage, 1));
    return value_map_done(&b);
}

static struct value meta_value(struct arena *a, const struct asking *q) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("agent"), value_text(q->as.agent.name));
    value_map_add(&b, STR("service"), value_text(q->as.agent.service));
    value_map_add(&b, STR("model"), value_text(q->answered_by));
    if (q->repairing) {
        value_map_add(&b, STR("repaired"), value_bool(true));
    }
    value_map_add(&b, STR("usage"), usage_value(a, q, &q->used, q->calls));
    return value_map_done(&b);
}

/* ---- usage ---- */

static void count_usage(struct asking *q, const struct llm_usage *u) {
    q->used.known = u->known && (q->used.known || !q->calls);
    q->used.cached_known |= u->cached_known;
    q->used.input_tokens += u->input_tokens;
    q->used.output_tokens += u->output_tokens;
    q->used.cached_tokens += u->cached_tokens;
    q->calls++;
}

static bool number_in(struct value map, struct str key, uint64_t *out) {
    const struct value *v = value_get(map, key);
    bool known = v && v->type == VALUE_INT && v->num >= 0;
    *out = known ? (uint64_t)v->num : 0;
    return known;
}

static struct llm_usage recorded_usage(struct value answer) {
    struct llm_usage u = {0};
    const struct value *usage = value_get(answer, STR("usage"));
    if (usage) {
        u.known = number_in(*usage, STR("inputTokens"), &u.input_tokens) &&
                  number_in(*usage, STR("outputTokens"), &u.output_tokens);
        u.cached_known = number_in(*usage, STR("cachedTokens"), &u.cached_tokens);
    }
    return u;
}

/* ---- failures ---- */

void node_question_refuse(struct step_port *port, const struct node_answer *answer,
                          enum failure_class class, struct str type, struct str message) {
    struct step_failure f = {.class = class,
                             .type = type,
                             .message = message,
                             .meta = answer->meta,
                             .forget_calls = true};
    port->ops->fail(port, &f);
}

static struct str shorten(struct str text, struct arena *a) {
    struct buf b;
    buf_init(&b, 0);
    value_print_short(value_text(text), SHOWN_BYTES, &b);
    struct str shown = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return shown;
}

static void fail_schema(struct step_port *port, struct str text, struct str findings) {
    const struct asking *q = port->kind_data;
    struct arena *a = port->in->arena;
    struct node_answer answer = {.meta = meta_value(a, q)};
    struct str message = arena_printf(
        a,
        "agent \"%.*s\" was asked twice, and its answer does not fit \"schema\": %.*s; it begins "
        "with %.*s",
        STR_ARG(q->as.agent.name), STR_ARG(str_sub(findings, 0, 600)), STR_ARG(shorten(text, a)));
    node_question_refuse(port, &answer, FAILURE_PERMANENT, STR("schema"), message);
}

/* What was paid for is told now, unless the next attempt will find it as an answer. */
static void fail_call(struct step_port *port, const struct llm_reply *reply) {
    struct asking *q = port->kind_data;
    const struct error *e = reply->failure;
    bool transient = e->code == ERR_TRANSIENT;
    bool paid = !transient && e->code != ERR_CANCELLED && (reply->usage.known || q->calls);
    struct step_failure f = {.class = transient ? FAILURE_TRANSIENT : FAILURE_PERMANENT,
                             .type = reply->failure_type.len ? reply->failure_type
                                                             : str_from(err_name(e->code)),
                             .message = arena_printf(port->in->arena, "agent \"%.*s\": %s",
                                                     STR_ARG(q->as.agent.name), e->message),
                             .retry_after_us = reply->retry_after_us,
                             .forget_calls = paid};
    if (paid) {
        if (reply->usage.known) {
            count_usage(q, &reply->usage);
        }
        q->answered_by = reply->model;
        f.meta = meta_value(port->in->arena, q);
    }
    port->ops->fail(port, &f);
}

/* ---- answers ---- */

/* The conversation goes on: the question, the answer that does not fit, and why. */
static bool ask_again(struct step_port *port, struct str text, struct str findings) {
    struct asking *q = port->kind_data;
    struct arena *a = port->in->arena;
    size_t count = q->request.earlier_count;
    struct llm_message *earlier = ARENA_ARRAY(a, count + 2, struct llm_message);
    struct str prompt = node_answer_again(findings, a);
    struct str kept = arena_str(a, text);
    if (!earlier || !prompt.ptr || !kept.ptr) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        earlier[i] = q->request.earlier[i];
    }
    earlier[count] = (struct llm_message){.text = q->request.prompt};
    earlier[count + 1] = (struct llm_message){.from_model = true, .text = kept};
    q->request.earlier = earlier;
    q->request.earlier_count = count + 2;
    q->request.prompt = prompt;
    q->repairing = true;
    ask(port);
    return true;
}

static void take_answer(struct step_port *port, struct str text) {
    struct asking *q = port->kind_data;
    struct arena *a = port->in->arena;
    struct node_answer answer = {.text = text};
    struct str findings = STR("");
    struct error e = {0};
    enum err err = q->question.schema ? node_answer_check(text, q->question.schema, a,
                                                          &answer.value, &findings, &e)
                                      : OK;
    if (err == ERR_INVALID && q->repairing) {
        fail_schema(port, text, findings);
    } else if (err == ERR_INVALID && ask_again(port, text, findings)) {
        return;
    } else if (err) {
        node_fail(port, &e);
    } else {
        answer.meta = meta_value(a, q);
        q->then(port, &answer);
    }
}

static void on_chunk(void *ctx, struct str text) {
    struct step_port *port = ctx;
    port->ops->chunk(port, text);
}

static void on_done(void *ctx, const struct llm_reply *reply) {
    struct step_port *port = ctx;
    struct asking *q = port->kind_data;
    struct arena *a = port->in->arena;
    q->call = NULL;
    if (reply->failure) {
        struct value usage =
            reply->usage.known ? usage_value(a, q, &reply->usage, 1) : value_null();
        port->ops->call_failed(port, q->number, usage);
        fail_call(port, reply);
        return;
    }
    q->answered_by = arena_str(a, reply->model);
    count_usage(q, &reply->usage);
    port->ops->call_done(port, q->number, answer_value(a, q, reply));
    take_answer(port, reply->text);
}

static struct str found_text(const struct asking *q, struct str key) {
    const struct value *v = value_get(q->found, key);
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}

/* ---- from a later turn ---- */

static void due(void *ctx) {
    struct step_port *port = ctx;
    struct asking *q = port->kind_data;
    io_timer_close(q->timer);
    q->timer = NULL;
    if (q->cancelled) {
        error_set(&q->failure, ERR_CANCELLED, "the step was cancelled");
    }
    if (q->failure.code) {
        node_fail(port, &q->failure);
        return;
    }
    struct llm_usage usage = recorded_usage(q->found);
    q->answered_by = found_text(q, STR("model"));
    count_usage(q, &usage);
    take_answer(port, found_text(q, STR("content")));
}

static void tell_later(struct step_port *port) {
    struct asking *q = port->kind_data;
    q->timer = io_timer_open(port->loop, due, port);
    if (q->timer) {
        io_timer_start(q->timer, 0);
    } else {
        port->ops->no_memory(port);
    }
}

/* ---- asking ---- */

static void begin_call(struct step_port *port, uint32_t number) {
    struct asking *q = port->kind_data;
    struct llm_listener listener = {.ctx = port, .chunk = on_chunk, .done = on_done};
    q->number = number;
    q->request.id = arena_printf(port->in->arena, "%.*s/%u", STR_ARG(port->in->key), number);
    q->call = q->as.service->start(&q->request, port->loop, &listener);
    if (!q->call) {
        port->ops->no_memory(port);
    }
}

static struct step_charge charge_of(const struct asking *q, struct arena *a) {
    struct llm_usage most = llm_usage_most(q->as.service, &q->request);
    struct step_charge c = {.tokens = (int64_t)(most.input_tokens + most.output_tokens),
                            .nano_usd = llm_price_nano_usd(&q->price, &most),
                            .go = begin_call};
    if (!q->price.known) {
        struct str model = q->as.agent.model.len ? q->as.agent.model : q->as.agent.service;
        struct str why = arena_printf(
            a,
            "agent \"%.*s\": no price of the model %.*s is known, so a budget in usd cannot be "
            "kept; give the agent one, in US dollars per million tokens: price: {input: 0.15, "
            "output: 0.60}",
            STR_ARG(q->as.agent.name), STR_ARG(model));
        c.no_price = why.ptr ? why.ptr : "no price is known";
    }
    return c;
}

static void ask(struct step_port *port) {
    struct asking *q = port->kind_data;
    struct arena *a = port->in->arena;
    struct step_charge charge = charge_of(q, a);
    port->ops->call_reserve(port, request_value(a, q), &charge, &q->found);
    if (!value_is_null(q->found)) {
        tell_later(port);
    }
}

static struct str setting(const struct step_port *port, const char *name) {
    const struct value *v = name ? value_get(port->settings, str_from(name)) : NULL;
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}

/* A server of one's own may need no key: then there is none unless it is named or set. */
static enum err find_key(struct step_port *port, struct asking *q, struct error *e) {
    struct llm_request *r = &q->request;
    bool named = q->as.agent.api_key.len > 0;
    bool elsewhere = q->as.agent.base_url.len || r->address.len;
    if (!named && !q->as.service->key_name) {
        return OK;
    }
    r->key_name = named ? q->as.agent.api_key : str_from(q->as.service->key_name);
    enum err err = port->ops->secret(port, r->key_name, &r->key, e);
    if (err == ERR_NOT_FOUND && !named && elsewhere) {
        r->key = STR("");
        return OK;
    }
    return err ? error_wrap(e, err, "agent \"%.*s\" needs a key", STR_ARG(q->as.agent.name)) : OK;
}

static enum err merge_params(struct asking *q, struct arena *a, struct error *e) {
    const struct value *of_agent = value_get(q->as.agent.settings, STR("params"));
    struct value own = q->question.params;
    struct value_builder b;
    if (!value_is_null(own) && own.type != VALUE_MAP) {
        return error_set(e, ERR_INVALID, "\"params\" must be a map, not %s",
                         value_type_name(own.type));
    }
    value_builder_init(&b, a);
    for (size_t i = 0; of_agent && i < value_count(*of_agent); i++) {
        value_map_add(&b, value_str(of_agent->pairs[i].key), of_agent->pairs[i].val);
    }
    for (size_t i = 0; i < value_count(own); i++) {
        value_map_add(&b, value_str(own.pairs[i].key), own.pairs[i].val);
    }
    q->request.params = b.count ? value_map_done(&b) : value_null();
    return b.ok ? OK : error_nomem(e);
}

static struct llm_price price_of(const struct node_agent *as, const struct agent_price *own) {
    if (own->given) {
        return (struct llm_price){true, own->input, own->cached, own->output};
    }
    return as->service->costs_nothing ? (struct llm_price){.known = true}
                                      : llm_price_find(as->agent.model);
}

static enum err prepare(struct step_port *port, struct asking *q, struct error *e) {
    const struct step_in *in = port->in;
    enum err err = node_model_resolve(q->model, in, &q->as, e);
    if (err) {
        return err;
    }
    q->price = price_of(&q->as, &node_model_agent(q->model)->price);
    q->request = (struct llm_request){.agent = &q->as.agent,
                                      .setup = q->as.setup,
                                      .prompt = q->question.prompt,
                                      .form = q->question.form,
                                      .schema = q->question.schema_source,
                                      .index = in->index,
                                      .iteration = in->iteration,
                                      .attempt = in->attempt,
                                      .address = setting(port, q->as.service->address_name),
                                      .timeout_us = in->timeout_us ? in->timeout_us + GRACE_US : 0,
                                      .net = port->net};
    err = merge_params(q, in->arena, e);
    err = err ? err
              : node_memory_read(port, node_model_agent(q->model), &q->request.earlier,
                                 &q->request.earlier_count, e);
    return err ? err : find_key(port, q, e);
}

void node_question_ask(struct step_port *port, const struct node_model *m,
                       const struct node_question *q, node_answer_fn *then) {
    struct asking *asking = ARENA_NEW(port->in->arena, struct asking);
    if (!asking) {
        port->ops->no_memory(port);
        return;
    }
    *asking = (struct asking){.model = m, .question = *q, .then = then};
    port->kind_data = asking;
    if (prepare(port, asking, &asking->failure)) {
        tell_later(port);
    } else {
        ask(port);
    }
}

void node_question_cancel(struct step_port *port) {
    struct asking *q = port->kind_data;
    q->cancelled = true;
    if (q->call) {
        q->as.service->cancel(q->call);
    } else if (!q->timer) { /* it waits for what it would use */
        error_set(&q->failure, ERR_CANCELLED, "the step was cancelled");
        node_fail(port, &q->failure);
    }
}
