/* A webhook: one POST of JSON, signed as Standard Webhooks asks (webhook-id, webhook-timestamp,
 * webhook-signature).
 *
 * The id is the step's idempotency key, so who receives it a second time after a crash can tell.
 * Redirects are not followed: a signed message goes where the workflow says. The secret and what
 * the URL may hold of one are never told to the port.
 */
#include <stdio.h>

#include "base/base64.h"
#include "net/net.h"
#include "node/code_priv.h"
#include "node/hook_priv.h"
#include "node/node_priv.h"

enum { HEADERS = 5, SAID_BYTES = 200 };

struct sending {
    struct net_transfer *transfer; /* NULL: it could not be sent, and the timer tells why */
    struct io_timer *timer;
    struct error failure;
    struct net_request request;
    struct net_header headers[HEADERS];
};

/* ---- the signature ---- */

static enum err signing_key(struct str secret, struct arena *a, struct str *out, struct error *e) {
    const struct str prefix = STR("whsec_");
    *out = secret;
    if (!str_starts(secret, prefix)) {
        return OK;
    }
    struct str text = str_sub(secret, prefix.len, secret.len);
    char *key = arena_alloc(a, text.len + 1);
    if (key == NULL) {
        return error_nomem(e);
    }
    out->ptr = key;
    return base64_decode(text, key, &out->len) && out->len > 0
               ? OK
               : error_set(e, ERR_INVALID,
                           "the secret begins with whsec_, and what follows is no base64");
}

enum err hook_sign(struct str secret, const struct hook_message *m, struct arena *a,
                   struct str *out, struct error *e) {
    struct str key;
    uint8_t mac[SHA256_BYTES];
    struct buf text, encoded;
    enum err status = signing_key(secret, a, &key, e);
    if (status != OK) {
        return status;
    }
    buf_init(&text, 0);
    buf_init(&encoded, 0);
    buf_append(&text, m->id);
    buf_append_char(&text, '.');
    buf_append(&text, m->timestamp);
    buf_append_char(&text, '.');
    buf_append(&text, m->body);
    hmac_sha256(key, buf_str(&text), mac);
    buf_append_cstr(&encoded, "v1,");
    value_print_text(value_bytes((struct str){(const char *)mac, sizeof mac}), &encoded);
    *out = arena_str(a, buf_str(&encoded));
    bool ok = buf_ok(&text) && buf_ok(&encoded) && out->ptr != NULL;
    buf_fini(&text);
    buf_fini(&encoded);
    return ok ? OK : error_nomem(e);
}

/* ---- the answer ---- */

/* Whole characters; empty when it is no text. */
static struct str begin_of(struct str body) {
    size_t len = body.len < SAID_BYTES ? body.len : SAID_BYTES;
    while (len < body.len && len > 0 && ((unsigned char)body.ptr[len] & 0xC0) == 0x80) {
        len--;
    }
    struct str said = str_trim(str_sub(body, 0, len));
    return str_is_utf8(said) ? said : STR("");
}

static void fail_status(struct step_port *port, const struct net_response *response) {
    int status = response->status;
    struct arena *a = port->in->arena;
    struct value_builder meta;
    struct str said = begin_of(response->body);
    value_builder_init(&meta, a);
    value_map_add(&meta, STR("status"), value_int(status));
    struct step_failure f = {
        .class = status == 408 || status == 425 || status == 429 || status >= 500
                     ? FAILURE_TRANSIENT
                     : FAILURE_PERMANENT,
        .type = STR("http"),
        .message = arena_printf(a, "the webhook was answered with status %d%s%.*s", status,
                                said.len > 0 ? ": " : "", STR_ARG(said)),
        .meta = value_map_done(&meta),
        .retry_after_us = net_retry_after_us(
            response, io_loop_clock(port->loop)->wall(io_loop_clock(port->loop)->ctx))};
    port->ops->fail(port, &f);
}

static void complete(struct step_port *port, const struct net_response *response) {
    struct value_builder meta;
    struct error e;
    struct step_result result = {.arena = port->in->arena};
    value_builder_init(&meta, port->in->arena);
    value_map_add(&meta, STR("status"), value_int(response->status));
    result.meta = value_map_done(&meta);
    if (code_output_value(port->in->arena, response->body, &result.body, &e) != OK) {
        node_fail(port, &e);
    } else {
        port->ops->done(port, &result);
    }
}

static void on_done(void *ctx, const struct net_response *response, const struct error *failure) {
    struct step_port *port = ctx;
    ((struct sending *)port->kind_data)->transfer = NULL;
    if (response == NULL) {
        node_fail(port, failure);
    } else if (response->status >= 200 && response->status < 300) {
        complete(port, response);
    } else {
        fail_status(port, response);
    }
}

/* ---- the request ---- */

static enum err make_headers(struct step_port *port, const struct hook_webhook *w,
                             struct sending *s, struct error *e) {
    const struct step_in *in = port->in;
    const struct io_clock *clock = io_loop_clock(port->loop);
    struct str now =
        arena_printf(in->arena, "%lld", (long long)(clock->wall(clock->ctx).us / 1000000));
    size_t count = 0;
    s->headers[count++] = (struct net_header){STR("Content-Type"), STR("application/json")};
    s->headers[count++] = (struct net_header){STR("Idempotency-Key"), in->key};
    s->headers[count++] = (struct net_header){STR("webhook-id"), in->key};
    s->headers[count++] = (struct net_header){STR("webhook-timestamp"), now};
    if (w->secret.len > 0) {
        struct str secret, signature;
        enum err status = port->ops->secret(port, w->secret, &secret, e);
        if (status == OK) {
            struct hook_message m = {.id = in->key, .timestamp = now, .body = w->body};
            status = hook_sign(secret, &m, in->arena, &signature, e);
        }
        if (status != OK) {
            return status;
        }
        s->headers[count++] = (struct net_header){STR("webhook-signature"), signature};
    }
    s->request = (struct net_request){.method = STR("POST"),
                                      .url = w->url,
                                      .headers = s->headers,
                                      .header_count = count,
                                      .body = w->body,
                                      .max_body_bytes = in->max_output_bytes,
                                      .keep_redirects = true,
                                      .once = true};
    return now.ptr != NULL ? OK : error_nomem(e);
}

static void on_failed(void *ctx) {
    struct step_port *port = ctx;
    struct sending *s = port->kind_data;
    io_timer_close(s->timer);
    node_fail(port, &s->failure);
}

static enum err send_request(struct step_port *port, const struct hook_webhook *w,
                             struct sending *s, struct error *e) {
    if (w->body.ptr == NULL) { /* a payload beyond the memory of an attempt */
        return error_nomem(e);
    }
    if (port->net == NULL) {
        return error_set(e, ERR_UNSUPPORTED, "there is no network here");
    }
    enum err status = make_headers(port, w, s, e);
    if (status == OK) {
        struct net_listener listener = {.ctx = port, .done = on_done};
        s->transfer = net_send(port->net, &s->request, &listener);
        status = s->transfer ? OK : error_nomem(e);
    }
    return status;
}

void hook_url_start(struct step_port *port, const struct hook_webhook *w) {
    struct sending *s = ARENA_NEW(port->in->arena, struct sending);
    if (s == NULL) {
        port->ops->no_memory(port);
        return;
    }
    port->kind_data = s;
    if (send_request(port, w, s, &s->failure) == OK) {
        return;
    }
    s->timer = io_timer_open(port->loop, on_failed, port);
    if (s->timer != NULL) {
        io_timer_start(s->timer, 0);
    } else {
        port->ops->no_memory(port);
    }
}

void hook_url_cancel(struct step_port *port) {
    struct sending *s = port->kind_data;
    if (s->transfer != NULL) {
        net_cancel(s->transfer);
    }
}
