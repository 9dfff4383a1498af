/* integration: an operation of a service that a manifest describes, sent by the http kind.
 *
 * What the http kind sees is a port and a step of this attempt's own: its fields made of the
 * manifest and config, everything it tells handed on. Paging, statuses, retries and limits are
 * therefore those of the http kind. Invariant: the outer port is answered exactly once, by what the
 * inner one tells or by a failure before that.
 */
#include "node/provider.h"

enum { PROVIDER, OPERATION, CONFIG, FIELDS };

static const struct field fields[FIELDS] = {
    [PROVIDER] = {.name = "provider",
                  .type = FIELD_LITERAL,
                  .literal = LITERAL_TEXT,
                  .required = true,
                  .doc = "the service: NAME stands for the manifest providers/NAME.yaml beside the "
                         "workflow"},
    [OPERATION] = {.name = "operation",
                   .type = FIELD_LITERAL,
                   .literal = LITERAL_TEXT,
                   .required = true,
                   .doc = "one of the manifest's operations"},
    [CONFIG] = {.name = "config",
                .type = FIELD_STRUCTURE,
                .secret_ok = true,
                .doc = "what the operation needs: a map, checked against the manifest's schema"},
};

static void check(struct node_check *c) {
    const struct provider_call *call = provider_check(c);
    if (call) {
        check_set_data(c, call);
        provider_config_check(c, call);
    }
}

/* ---- the port that the http kind sees ---- */

struct inner {
    struct step_port port; /* first: the http kind gets this */
    struct step_port *outer;
    struct step_in in;
    struct plan_node node;
    struct value fields[HTTP_FIELDS];
    bool sent; /* the http kind has it */
};

static struct step_port *outer(struct step_port *p) { return ((struct inner *)(void *)p)->outer; }

static void on_done(struct step_port *p, const struct step_result *result) {
    outer(p)->ops->done(outer(p), result);
}

static void on_fail(struct step_port *p, const struct step_failure *failure) {
    outer(p)->ops->fail(outer(p), failure);
}

static void on_no_memory(struct step_port *p) { outer(p)->ops->no_memory(outer(p)); }

static void on_log(struct step_port *p, const char *stream, struct str text) {
    outer(p)->ops->log(outer(p), stream, text);
}

static void on_chunk(struct step_port *p, struct str text) { outer(p)->ops->chunk(outer(p), text); }

static uint32_t on_call_begin(struct step_port *p, struct value request, struct value *out_answer) {
    return outer(p)->ops->call_begin(outer(p), request, out_answer);
}

static void on_call_done(struct step_port *p, uint32_t call, struct value answer) {
    outer(p)->ops->call_done(outer(p), call, answer);
}

static enum err on_secret(struct step_port *p, struct str name, struct str *out, struct error *e) {
    return outer(p)->ops->secret(outer(p), name, out, e);
}

/* Neither a process nor a sub-workflow is ever begun by the http kind. */
static const struct step_port_ops inner_ops = {
    .done = on_done,
    .fail = on_fail,
    .no_memory = on_no_memory,
    .log = on_log,
    .chunk = on_chunk,
    .call_begin = on_call_begin,
    .call_done = on_call_done,
    .secret = on_secret,
};

/* ---- one attempt ---- */

extern const struct node_kind node_http;

static void begin(struct step_port *port) {
    struct inner *x = (struct inner *)(void *)port;
    const struct step_in *in = x->outer->in;
    struct error e = {0};
    if (provider_request_make(port, in->node->data, in->fields[CONFIG], x->fields, &e)) {
        node_fail(port, &e);
        return;
    }
    x->sent = true;
    node_http.start(&x->in, port);
}

static void start(const struct step_in *in, struct step_port *port) {
    const struct provider_call *call = in->node->data;
    struct inner *x = ARENA_NEW(in->arena, struct inner);
    if (!x) {
        port->ops->no_memory(port);
        return;
    }
    x->outer = port;
    x->node = *in->node;
    x->node.data = &call->http;
    x->in = *in;
    x->in.node = &x->node;
    x->in.fields = x->fields;
    x->port = *port;
    x->port.ops = &inner_ops;
    x->port.in = &x->in;
    port->kind_data = x;
    node_defer(&x->port, begin);
}

static void cancel(struct step_port *port) {
    struct inner *x = port->kind_data;
    if (x->sent) {
        node_http.cancel(&x->port);
    } else {
        node_defer_cancel(&x->port);
    }
}

static void service(const struct step_in *in, struct buf *out) {
    buf_append_cstr(out, "integration ");
    buf_append(out, value_str(in->fields[PROVIDER]));
}

static const char *const aliases[] = {"integrated_api", NULL};

const struct node_kind node_integration = {
    .name = "integration",
    .aliases = aliases,
    .doc = "asks a service that a manifest describes",
    .body_doc = "the answer's body as of an http node, or the list of all items where the "
                "operation has pages; meta as of an http node",
    .fields = fields,
    .field_count = FIELDS,
    .example = "type: integration\n"
               "provider: tickets\n"
               "operation: list\n"
               "config: {api: \"{{ inputs.api }}\", state: open}\n",
    .check = check,
    .start = start,
    .service = service,
    .cancel = cancel,
};
