/* The answer of a chat completions server, gathered from the events of a stream or taken from one
 * body. An answer that was cut short, kept back or broken off is a failure, never a short answer.
 */
#include "llm/chat.h"

#define MAX_SCRATCH_BYTES ((size_t)256 << 20) /* of one parsed body or event */

void chat_answer_init(struct chat_answer *a) {
    *a = (struct chat_answer){0};
    buf_init(&a->text, NET_MAX_BODY_BYTES);
    buf_init(&a->refusal, 4000);
    buf_init(&a->model, 200);
    arena_init(&a->scratch, MAX_SCRATCH_BYTES);
}

void chat_answer_fini(struct chat_answer *a) {
    buf_fini(&a->text);
    buf_fini(&a->refusal);
    buf_fini(&a->model);
    arena_fini(&a->scratch);
}

static struct str text_in(struct value map, const char *key) {
    const struct value *v = value_get(map, str_from(key));
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}

static bool number_in(struct value map, const char *key, uint64_t *out) {
    const struct value *v = value_get(map, str_from(key));
    if (!v || v->type != VALUE_INT || v->num < 0) {
        return false;
    }
    *out = (uint64_t)v->num;
    return true;
}

static void read_usage(struct chat_answer *a, struct value usage) {
    uint64_t in, out;
    if (!number_in(usage, "prompt_tokens", &in) || !number_in(usage, "completion_tokens", &out)) {
        return;
    }
    a->usage.known = true;
    a->usage.input_tokens = in;
    a->usage.output_tokens = out;
    const struct value *details = value_get(usage, STR("prompt_tokens_details"));
    if (details && number_in(*details, "cached_tokens", &in)) {
        a->usage.cached_known = true;
        a->usage.cached_tokens = in;
    }
}

static enum chat_finish finish_of(struct str reason) {
    static const struct {
        const char *name;
        enum chat_finish finish;
    } reasons[] = {{"length", CHAT_LENGTH},
                   {"content_filter", CHAT_FILTER},
                   {"tool_calls", CHAT_TOOLS},
                   {"function_call", CHAT_TOOLS}};
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (str_is(reason, reasons[i].name)) {
            return reasons[i].finish;
        }
    }
    return CHAT_STOP;
}

static bool is_text_or_null(const struct value *v) {
    return !v || v->type == VALUE_TEXT || v->type == VALUE_NULL;
}

/* choices[0] with its `delta` (of a stream) or `message`. */
static struct str read_choice(struct chat_answer *a, struct value choice, const char *part) {
    const struct value *message = value_get(choice, str_from(part));
    bool map = message && message->type == VALUE_MAP;
    a->begun |= map && is_text_or_null(value_get(*message, STR("content")));
    struct str reason = text_in(choice, "finish_reason");
    struct str piece = message ? text_in(*message, "content") : STR("");
    if (message) {
        buf_append(&a->refusal, str_sub(text_in(*message, "refusal"), 0, 1000));
    }
    a->finish = reason.len ? finish_of(reason) : a->finish;
    buf_append(&a->text, piece);
    return piece;
}

static enum err read_object(struct chat_answer *a, struct value v, const char *part,
                            struct str *out_piece, struct chat_failure *out) {
    const struct value *error = value_get(v, STR("error"));
    const struct value *choices = value_get(v, STR("choices"));
    const struct value *usage = value_get(v, STR("usage"));
    *out_piece = STR("");
    if (error && !value_is_null(*error)) {
        chat_error_read(*error, out);
        return out->error.code;
    }
    if (usage) {
        read_usage(a, *usage);
    }
    if (!a->model.len) {
        buf_append(&a->model, str_sub(text_in(v, "model"), 0, a->model.max_bytes));
    }
    if (choices && choices->type == VALUE_LIST && value_count(*choices)) {
        *out_piece = read_choice(a, choices->items[0], part);
    }
    if (!buf_ok(&a->text)) {
        chat_fail(out, ERR_LIMIT, "too_large", "the answer is larger than %u MiB",
                  NET_MAX_BODY_BYTES >> 20);
        return ERR_LIMIT;
    }
    return OK;
}

static enum err read_json(struct chat_answer *a, struct str text, struct value *out_value,
                          struct chat_failure *out) {
    struct error why = {0};
    arena_reset(&a->scratch);
    enum err err = value_parse_json(&a->scratch, text, out_value, &why);
    if (err || out_value->type != VALUE_MAP) {
        struct buf b;
        buf_init(&b, 0);
        struct str said = chat_quote(out, text, 200, &b);
        chat_fail(out, ERR_TRANSIENT, "bad_answer",
                  "the server sent what is no answer of chat completions: %.*s", STR_ARG(said));
        buf_fini(&b);
        return ERR_TRANSIENT;
    }
    return OK;
}

enum err chat_answer_event(struct chat_answer *a, struct str data, struct str *out_piece,
                           struct chat_failure *out) {
    struct value v;
    *out_piece = STR("");
    if (a->over || str_is(str_trim(data), "[DONE]")) {
        a->over = true;
        return OK;
    }
    enum err err = read_json(a, data, &v, out);
    return err ? err : read_object(a, v, "delta", out_piece, out);
}

enum err chat_answer_whole(struct chat_answer *a, struct str body, struct chat_failure *out) {
    struct value v;
    struct str piece;
    enum err err = read_json(a, body, &v, out);
    err = err ? err : read_object(a, v, "message", &piece, out);
    a->over |= !err;
    return err;
}

enum err chat_answer_end(const struct chat_answer *a, struct chat_failure *out) {
    if (a->refusal.len) {
        struct buf b;
        buf_init(&b, 0);
        struct str said = chat_quote(out, buf_str(&a->refusal), 600, &b);
        chat_fail(out, ERR_DENIED, "refused", "the model refused: %.*s", STR_ARG(said));
        buf_fini(&b);
        return ERR_DENIED;
    }
    switch (a->finish) {
    case CHAT_FILTER:
        chat_fail(out, ERR_DENIED, "refused",
                  "the server's content filter kept the answer back after %zu bytes", a->text.len);
        return ERR_DENIED;
    case CHAT_LENGTH:
        chat_fail(out, ERR_LIMIT, "truncated",
                  "the answer was cut off after %zu bytes: it reached the limit of tokens; raise "
                  "max_tokens in \"params\", or ask for less",
                  a->text.len);
        return ERR_LIMIT;
    case CHAT_TOOLS:
        chat_fail(out, ERR_INVALID, "bad_answer",
                  "the model wants to call a tool, but it was given none");
        return ERR_INVALID;
    case CHAT_OPEN:
        if (!a->over) {
            chat_fail(out, ERR_TRANSIENT, "unavailable",
                      "the server broke off its answer after %zu bytes", a->text.len);
            return ERR_TRANSIENT;
        }
        break;
    case CHAT_STOP: break;
    }
    if (!a->begun) { /* an empty text is an answer, no message is none */
        chat_fail(out, ERR_TRANSIENT, "invalid_response",
                  "the server's answer has no message with a text in \"choices\"");
        return ERR_TRANSIENT;
    }
    return OK;
}
