/* The service `openai_compatible`: chat completions over HTTP, streamed. OpenAI itself and the many
 * servers that speak its API (vLLM, llama.cpp, Ollama, LM Studio, OpenRouter ...).
 *
 * One request is one POST; nothing is sent twice here. The key is in a header of that request and
 * nowhere else: what the server says of an error is searched for it.
 */
#include <stdlib.h>

#include "llm/chat.h"
#include "net/sse.h"

#define TIMEOUT_US (600 * (int64_t)1000000) /* of a step without one, as OpenAI's own clients */
#define MAX_ERROR_BYTES (64u << 10)
#define MAX_HEADERS 4
#define CLOSE_NS INT64_C(1000000000) /* for the server to end a stream after its last event */

struct llm_call {
    const struct llm_request *request;
    struct llm_listener listener;
    struct io_loop *loop;
    struct net_transfer *transfer;
    struct io_timer *timer; /* tells why there is no transfer, or hangs up on one that is over */
    struct arena arena;     /* address, headers */
    struct buf body;
    struct net_header headers[MAX_HEADERS];
    struct net_request http;
    struct sse sse;
    struct chat_answer answer;
    struct buf raw; /* what comes when it is no stream */
    bool streamed;
    bool ok_status;
    bool cancelled;
    bool failed;
    struct chat_failure failure;
};

/* ---- compile time ---- */

static enum err check(const struct llm_agent *agent, struct arena *keep, const void **out,
                      struct error *e) {
    (void)keep;
    const struct value *params = value_get(agent->settings, STR("params"));
    *out = NULL;
    if (!agent->model.len && !agent->perhaps) {
        return error_set(e, ERR_INVALID, "the service openai_compatible needs a \"model\"");
    }
    enum err err = agent->base_url.len ? chat_url_check(agent->base_url, e) : OK;
    return err || !params ? err : chat_params_check(*params, e);
}

/* ---- the end ---- */

static void call_free(struct llm_call *c) {
    if (c->timer) {
        io_timer_close(c->timer);
    }
    chat_answer_fini(&c->answer);
    sse_fini(&c->sse);
    buf_fini(&c->raw);
    buf_fini(&c->body);
    arena_fini(&c->arena);
    free(c);
}

static void end(struct llm_call *c) {
    struct llm_reply reply = {.text = buf_str(&c->answer.text),
                              .model = c->answer.model.len ? buf_str(&c->answer.model)
                                                           : c->request->agent->model,
                              .usage = c->answer.usage};
    if (c->cancelled) {
        chat_fail(&c->failure, ERR_CANCELLED, "", "the question was taken back");
        c->failed = true;
    }
    if (c->failed) {
        reply.failure = &c->failure.error;
        reply.failure_type = c->failure.type;
        reply.retry_after_us = c->failure.retry_after_us;
    }
    c->listener.done(c->listener.ctx, &reply);
    call_free(c);
}

/* ---- what comes ---- */

static bool is_stream(const struct net_response *head) {
    const struct str *type = net_header_find(head, "content-type");
    return type && str_starts(*type, STR("text/event-stream"));
}

static void on_head(void *ctx, const struct net_response *head) {
    struct llm_call *c = ctx;
    c->ok_status = head->status == 200;
    c->streamed = c->ok_status && is_stream(head);
}

static void break_off(struct llm_call *c) {
    c->failed = true;
    net_cancel(c->transfer);
}

static void hang_up(void *ctx) { net_cancel(((struct llm_call *)ctx)->transfer); }

/* Everything was said: a server that holds the connection open must not hold the step. */
static void expect_close(struct llm_call *c) {
    c->timer = io_timer_open(c->loop, hang_up, c);
    if (c->timer) {
        io_timer_start(c->timer, CLOSE_NS);
    }
}

static void on_event(void *ctx, struct str name, struct str data) {
    struct llm_call *c = ctx;
    struct str piece;
    bool was_over = c->answer.over;
    (void)name;
    if (c->failed) {
        return;
    }
    if (chat_answer_event(&c->answer, data, &piece, &c->failure)) {
        break_off(c);
    } else if (c->answer.over && !was_over) {
        expect_close(c);
    } else if (piece.len && !c->cancelled) {
        c->listener.chunk(c->listener.ctx, piece);
    }
}

static void on_data(void *ctx, struct str bytes) {
    struct llm_call *c = ctx;
    if (c->failed) {
        return;
    }
    if (c->streamed) {
        struct error why;
        if (sse_feed(&c->sse, bytes, &why)) {
            chat_fail(&c->failure, ERR_LIMIT, "bad_answer", "%s", why.message);
            break_off(c);
        }
        return;
    }
    /* Of an error only its beginning is of use. */
    size_t room = c->ok_status ? bytes.len : MAX_ERROR_BYTES - c->raw.len;
    buf_append(&c->raw, str_sub(bytes, 0, room));
}

static void read_whole(struct llm_call *c, const struct net_response *response) {
    if (!c->ok_status) {
        const struct io_clock *clock = io_loop_clock(c->loop);
        chat_status_read(response, buf_str(&c->raw), clock->wall(clock->ctx), &c->failure);
        c->failed = true;
    } else if (!c->streamed && !buf_ok(&c->raw)) {
        chat_fail(&c->failure, ERR_NOMEM, "", "out of memory");
        c->failed = true;
    } else if (!c->streamed) {
        c->failed = chat_answer_whole(&c->answer, buf_str(&c->raw), &c->failure) != OK;
    }
}

static void on_done(void *ctx, const struct net_response *response, const struct error *failure) {
    struct llm_call *c = ctx;
    bool over = c->streamed && c->answer.over; /* how the connection ends is of no interest then */
    if (failure && !c->failed && !over) {
        chat_fail(&c->failure, failure->code,
                  failure->code == ERR_TRANSIENT ? "unavailable" : err_name(failure->code), "%s",
                  failure->message);
        c->failed = true;
    } else if (!c->failed && !over) {
        read_whole(c, response);
    }
    c->failed = c->failed || chat_answer_end(&c->answer, &c->failure) != OK;
    end(c);
}

/* ---- asking ---- */

static void add_header(struct llm_call *c, const char *name, struct str value) {
    c->headers[c->http.header_count++] = (struct net_header){str_from(name), value};
}

static enum err prepare(struct llm_call *c, struct error *e) {
    const struct llm_request *r = c->request;
    struct str url;
    if (!r->agent->model.len) {
        return error_set(e, ERR_INVALID, "the service openai_compatible needs a \"model\"");
    }
    if (!r->net) {
        return error_set(e, ERR_UNSUPPORTED,
                         "there is no network here, and the service "
                         "openai_compatible needs it");
    }
    enum err err = chat_params_check(r->params, e);
    err = err ? err : chat_url(r, &c->arena, &url, e);
    err = err ? err : chat_body(r, &c->arena, &c->body, e);
    if (err) {
        return err;
    }
    c->http = (struct net_request){.method = STR("POST"),
                                   .url = url,
                                   .headers = c->headers,
                                   .body = buf_str(&c->body),
                                   .timeout_us = r->timeout_us ? r->timeout_us : TIMEOUT_US,
                                   .keep_redirects = true};
    add_header(c, "Content-Type", STR("application/json"));
    add_header(c, "Accept", STR("text/event-stream, application/json"));
    add_header(c, "Idempotency-Key", r->id);
    if (r->key.len) {
        struct str bearer = arena_printf(&c->arena, "Bearer %.*s", STR_ARG(r->key));
        add_header(c, "Authorization", bearer);
        return bearer.ptr ? OK : error_nomem(e);
    }
    return OK;
}

static void tell(void *ctx) { end(ctx); }

static struct llm_call *start(const struct llm_request *r, struct io_loop *loop,
                              const struct llm_listener *l) {
    struct llm_call *c = calloc(1, sizeof *c);
    struct net_listener listener = {.ctx = c, .head = on_head, .data = on_data, .done = on_done};
    struct error e = {0};
    struct io_timer *timer = c ? io_timer_open(loop, tell, c) : NULL;
    if (!timer) {
        free(c);
        return NULL;
    }
    c->request = r;
    c->listener = *l;
    c->loop = loop;
    c->failure.key = r->key;
    c->failure.key_name = r->key_name;
    arena_init(&c->arena, 0);
    buf_init(&c->body, 0);
    buf_init(&c->raw, NET_MAX_BODY_BYTES);
    chat_answer_init(&c->answer);
    sse_init(&c->sse, 0, on_event, c);
    enum err err = prepare(c, &e);
    c->transfer = err ? NULL : net_send(r->net, &c->http, &listener);
    if (c->transfer) {
        io_timer_close(timer);
        return c;
    }
    if (!err) {
        (void)error_nomem(&e);
    }
    chat_fail(&c->failure, e.code, err_name(e.code), "%s", e.message);
    c->failed = true;
    c->timer = timer;
    io_timer_start(c->timer, 0);
    return c;
}

static void cancel(struct llm_call *c) {
    c->cancelled = true;
    if (c->transfer) {
        net_cancel(c->transfer);
    }
}

const struct llm_service llm_openai_compatible = {
    .name = "openai_compatible",
    .doc = "OpenAI, or any server that speaks its chat completions API",
    .key_name = "OPENAI_API_KEY",
    .address_name = "OPENAI_BASE_URL",
    .check = check,
    .check_params = chat_params_check,
    .start = start,
    .cancel = cancel,
};
