/* The http kind: one request, or one after the other through the pages of an answer.
 *
 * The first step is taken in a turn of its own, so nothing is answered from inside start. Only the
 * host retries: a failure says whether it may pass and when to come again. Where a request may go
 * is the network's policy, not this kind's. Invariant: at most one request is under way.
 */
#include "io/loop.h"
#include "node/http_priv.h"

static const char *const methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                      "PATCH", "DELETE", "OPTIONS", NULL};
static const char *const responses[] = {"json", "text", "bytes", NULL};

static const struct field fields[HTTP_FIELDS] = {
    [HTTP_URL] = {.name = "url",
                  .type = FIELD_TEMPLATE,
                  .required = true,
                  .secret_ok = true,
                  .doc = "where to: http:// or https://; spaces and the like are encoded"},
    [HTTP_METHOD] = {.name = "method",
                     .type = FIELD_LITERAL,
                     .literal = LITERAL_TEXT,
                     .choices = methods,
                     .default_text = "GET, with a body POST",
                     .doc = "the HTTP method"},
    [HTTP_HEADERS] = {.name = "headers",
                      .type = FIELD_STRUCTURE,
                      .secret_ok = true,
                      .doc = "a map of headers; null leaves one out, a list sends several"},
    [HTTP_PARAMS] = {.name = "params",
                     .type = FIELD_STRUCTURE,
                     .secret_ok = true,
                     .doc = "a map that is encoded and added to the URL's query; null leaves one "
                            "out, a list gives one for each item"},
    [HTTP_BODY] = {.name = "body",
                   .type = FIELD_STRUCTURE,
                   .secret_ok = true,
                   .doc = "a text is sent as it is, anything else as JSON; a map with the "
                          "Content-Type application/x-www-form-urlencoded as a form"},
    [HTTP_AUTH] = {.name = "auth",
                   .type = FIELD_STRUCTURE,
                   .secret_ok = true,
                   .doc = "a map: {type: bearer, token}, {type: basic, username, password}, {type: "
                          "api_key, key, name, in: header or query} or {type: none}"},
    [HTTP_EXPECT] = {.name = "expect",
                     .type = FIELD_VALUE,
                     .default_text = "2xx",
                     .doc =
                         "the statuses that are no failure: 200, \"2xx\", \"200-204\" or a list; "
                         "where one is a redirect, none is followed"},
    [HTTP_RESPONSE] = {.name = "response",
                       .type = FIELD_LITERAL,
                       .literal = LITERAL_TEXT,
                       .choices = responses,
                       .default_text = "by content type",
                       .doc = "how the answer is read"},
    [HTTP_FULL] = {.name = "full",
                   .type = FIELD_LITERAL,
                   .literal = LITERAL_BOOL,
                   .default_text = "false",
                   .doc = "true: the body of the step is {status, headers, body}"},
    [HTTP_PAGINATE] = {.name = "paginate",
                       .type = FIELD_VALUE,
                       .doc =
                           "{items, next, max_pages}: two expressions over page, headers, status "
                           "and number give the items of a page and where the next one is: a "
                           "URL, a map of params, or null"},
};

/* ---- the end ---- */

static int64_t duration_ms(const struct http_run *x) {
    const struct io_clock *clock = io_loop_clock(x->port->loop);
    return (clock->mono(clock->ctx).ns - x->started.ns) / 1000000;
}

static struct value make_meta(const struct http_run *x) {
    struct value_builder b;
    value_builder_init(&b, x->port->in->arena);
    value_map_add(&b, STR("status"), x->status ? value_int(x->status) : value_null());
    value_map_add(&b, STR("url"), value_text(x->url));
    value_map_add(&b, STR("durationMs"), value_int(duration_ms(x)));
    value_map_add(&b, STR("bytes"), value_int((int64_t)x->bytes));
    if (x->data->paginate) {
        value_map_add(&b, STR("pages"), value_int(x->number));
        value_map_add(&b, STR("more"), value_bool(x->more));
    }
    return value_map_done(&b);
}

static void fail(struct http_run *x, enum failure_class class, const char *type, struct str message,
                 int64_t retry_after_us) {
    struct step_failure f = {.class = class,
                             .type = str_from(type),
                             .message = message,
                             .meta = make_meta(x),
                             .retry_after_us = retry_after_us};
    x->port->ops->fail(x->port, &f);
}

void http_fail_error(struct http_run *x, const struct error *e) {
    const char *type = e->code == ERR_TRANSIENT ? "network"
                       : e->code == ERR_LIMIT   ? "too_large"
                                                : err_name(e->code);
    struct str message =
        arena_printf(x->port->in->arena, "%.*s %.*s: %s", STR_ARG(x->ask.net.method),
                     STR_ARG(x->ask.shown), e->message);
    fail(x, e->code == ERR_TRANSIENT ? FAILURE_TRANSIENT : FAILURE_PERMANENT, type,
         x->ask.shown.len && message.ptr ? message : str_from(e->message), 0);
}

void http_done(struct http_run *x, struct value body) {
    struct step_result result = {.body = body, .meta = make_meta(x)};
    x->port->ops->done(x->port, &result);
}

/* ---- an answer ---- */

/* Too early, too many, or trouble of the server's own. */
static bool may_pass(int status) {
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static void fail_status(struct http_run *x, const struct net_response *r) {
    struct arena *a = x->port->in->arena;
    const struct io_clock *clock = io_loop_clock(x->port->loop);
    struct str begin = http_excerpt(a, r->body);
    struct str message =
        arena_printf(a, "%.*s %.*s answered %d%s%.*s", STR_ARG(x->ask.net.method),
                     STR_ARG(x->ask.shown), r->status, begin.len ? ": " : "", STR_ARG(begin));
    fail(x, may_pass(r->status) ? FAILURE_TRANSIENT : FAILURE_PERMANENT, "http_status",
         message.ptr ? message : STR("the server answered with another status"),
         net_retry_after_us(r, clock->wall(clock->ctx)));
}

static void tell_full(struct http_run *x, const struct net_response *r, struct value body) {
    struct arena *a = x->port->in->arena;
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("status"), value_int(r->status));
    value_map_add(&b, STR("headers"), http_headers_value(a, r));
    value_map_add(&b, STR("body"), body);
    http_done(x, value_map_done(&b));
}

static void take(struct http_run *x, const struct net_response *r) {
    struct value full = x->port->in->fields[HTTP_FULL], body;
    struct error e = {0};
    if (r->status > HTTP_STATUS_MAX || !x->data->expected[r->status]) {
        fail_status(x, r);
        return;
    }
    enum err err = http_body_read(x->port->in, r, &body, &e);
    if (err == ERR_INVALID) {
        fail(x, FAILURE_PERMANENT, "invalid_response",
             arena_printf(x->port->in->arena, "%.*s %.*s: %s", STR_ARG(x->ask.net.method),
                          STR_ARG(x->ask.shown), e.message),
             0);
    } else if (err) {
        http_fail_error(x, &e);
    } else if (x->data->paginate) {
        http_pages_take(x, r, body);
    } else if (full.type == VALUE_BOOL && full.boolean) {
        tell_full(x, r, body);
    } else {
        http_done(x, body);
    }
}

static void on_done(void *ctx, const struct net_response *r, const struct error *failure) {
    struct http_run *x = ctx;
    x->transfer = NULL;
    if (failure) {
        http_fail_error(x, failure);
        return;
    }
    x->bytes += r->body.len;
    x->status = r->status;
    x->url = http_url_shown(x->port->in->arena, r->url);
    take(x, r);
}

void http_send(struct http_run *x) {
    struct net_listener l = {.ctx = x, .done = on_done};
    x->transfer = net_send(x->port->net, &x->ask.net, &l);
    if (!x->transfer) {
        struct error e;
        (void)error_nomem(&e);
        http_fail_error(x, &e);
    }
}

/* ---- the beginning ---- */

static void begin(void *ctx) {
    struct http_run *x = ctx;
    const struct step_in *in = x->port->in;
    struct error e = {0};
    io_timer_close(x->timer);
    x->timer = NULL;
    if (x->cancelled) {
        error_set(&e, ERR_CANCELLED, "the step was cancelled");
        http_fail_error(x, &e);
        return;
    }
    if (!x->port->net) {
        error_set(&e, ERR_UNSUPPORTED, "there is no network here");
        http_fail_error(x, &e);
        return;
    }
    if (x->data->paginate) {
        http_pages_begin(x);
    } else if (http_request_begin(in, &x->ask, &e) || http_request_make(in, &x->ask, &e)) {
        http_fail_error(x, &e);
    } else {
        http_send(x);
    }
}

static void start(const struct step_in *in, struct step_port *port) {
    struct http_run *x = ARENA_NEW(in->arena, struct http_run);
    const struct io_clock *clock = io_loop_clock(port->loop);
    if (!x) {
        port->ops->no_memory(port);
        return;
    }
    *x = (struct http_run){.port = port, .data = in->node->data};
    x->started = clock->mono(clock->ctx);
    x->url = STR("");
    x->ask = (struct http_ask){.url = value_str(in->fields[HTTP_URL]),
                               .params = in->fields[HTTP_PARAMS],
                               .key = in->key,
                               .max_bytes = in->max_output_bytes};
    x->timer = io_timer_open(port->loop, begin, x);
    if (!x->timer) {
        port->ops->no_memory(port);
        return;
    }
    port->kind_data = x;
    io_timer_start(x->timer, 0);
}

static void cancel(struct step_port *port) {
    struct http_run *x = port->kind_data;
    x->cancelled = true;
    if (x->transfer) {
        net_cancel(x->transfer);
    }
}

static void service(const struct step_in *in, struct buf *out) {
    node_service_of_url(value_str(in->fields[HTTP_URL]), out);
}

static const char *const aliases[] = {"api_job", NULL};

const struct node_kind node_http = {
    .name = "http",
    .aliases = aliases,
    .doc = "sends an HTTP request and gives the answer",
    .body_doc =
        "the answer's body: JSON as its value, a text or bytes; with full {status, headers, "
        "body}; with paginate a list of all items; meta has status, url, durationMs, bytes",
    .fields = fields,
    .field_count = HTTP_FIELDS,
    .example = "type: http\n"
               "url: \"{{ inputs.api }}/tickets\"\n"
               "params: {state: open, label: [bug, urgent]}\n"
               "headers: {Accept: application/json}\n",
    .check = http_check,
    .start = start,
    .service = service,
    .cancel = cancel,
};
