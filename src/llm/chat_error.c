/* What the errors of a chat completions server mean: whether asking again may help, and when.
 *
 * The status decides by a table; the server's own word goes before it: x-should-retry, and a quota
 * that is used up, which no waiting in minutes mends.
 */
#include "llm/chat.h"

#include <stdarg.h>

struct meaning {
    int from, to; /* status */
    enum err code;
    const char *type;
};

/* The first row that fits. */
static const struct meaning meanings[] = {
    {401, 401, ERR_DENIED, "unauthorized"},   {402, 402, ERR_DENIED, "quota"},
    {403, 403, ERR_DENIED, "unauthorized"},   {404, 404, ERR_NOT_FOUND, "not_found"},
    {408, 409, ERR_TRANSIENT, "unavailable"}, {429, 429, ERR_TRANSIENT, "rate_limited"},
    {400, 499, ERR_INVALID, "bad_request"},   {500, 599, ERR_TRANSIENT, "unavailable"},
    {0, 1000, ERR_INVALID, "bad_answer"},
};

static const struct meaning *meaning_of(int64_t status) {
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(meanings) && (status < meanings[i].from || status > meanings[i].to)) {
        i++;
    }
    return &meanings[i];
}

void chat_fail(struct chat_failure *out, enum err code, const char *type, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    out->error = (struct error){0};
    out->type = str_from(type);
    out->retry_after_us = 0;
    error_vset(&out->error, code, (struct mark){0}, fmt, ap);
    va_end(ap);
}

static void hide_key(const struct chat_failure *f, struct str text, struct buf *b) {
    size_t at = f->key.len ? str_find(text, f->key, 0) : SIZE_MAX;
    while (at != SIZE_MAX) {
        buf_append(b, str_sub(text, 0, at));
        buf_printf(b, "[secret %.*s]", STR_ARG(f->key_name));
        text = str_sub(text, at + f->key.len, text.len);
        at = str_find(text, f->key, 0);
    }
    buf_append(b, text);
}

struct str chat_quote(const struct chat_failure *f, struct str text, size_t max_bytes,
                      struct buf *b) {
    struct buf hidden;
    buf_init(&hidden, 0);
    hide_key(f, text, &hidden);
    struct str from = str_trim(buf_str(&hidden));
    for (size_t at = 0, next = 0; at < from.len && next <= max_bytes; at = next) {
        bool valid = str_utf8_next(from, &next) != 0xFFFD;
        if (next <= max_bytes) {
            buf_append(b, valid ? str_sub(from, at, next) : STR("?"));
        }
    }
    buf_fini(&hidden);
    return buf_str(b);
}

static struct str text_in(struct value map, const char *key) {
    const struct value *v = value_get(map, str_from(key));
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}

/* What it says: {error: {message}}, {error: text}, {message}, {detail}; one of these in a list. */
static struct value error_object(struct value body) {
    if (body.type == VALUE_LIST && value_count(body)) {
        body = body.items[0];
    }
    const struct value *error = value_get(body, STR("error"));
    return error ? *error : body;
}

static struct str message_of(struct value error) {
    static const char *const keys[] = {"message", "detail", "error"};
    struct str text = error.type == VALUE_TEXT ? value_str(error) : STR("");
    for (size_t i = 0; !text.len && i < ARRAY_LEN(keys); i++) {
        text = text_in(error, keys[i]);
    }
    return str_trim(text);
}

static bool quota_is_used_up(struct value error) {
    return str_is(text_in(error, "code"), "insufficient_quota") ||
           str_is(text_in(error, "type"), "insufficient_quota");
}

/* Status and the server's own words decide; the first row that fits. */
static struct meaning judge(const struct net_response *head, struct value error) {
    struct meaning m = *meaning_of(head->status);
    const struct str *word = net_header_find(head, "x-should-retry");
    if (quota_is_used_up(error)) {
        return (struct meaning){.code = ERR_DENIED, .type = "quota"};
    }
    if (word && str_is(*word, "true")) {
        m.code = ERR_TRANSIENT;
    } else if (word && str_is(*word, "false") && m.code == ERR_TRANSIENT) {
        m.code = ERR_INVALID;
    }
    return m;
}

void chat_status_read(const struct net_response *head, struct str body, wall_us now,
                      struct chat_failure *out) {
    struct arena scratch;
    struct buf b;
    struct value parsed = value_null();
    struct error ignored;
    arena_init(&scratch, 0);
    buf_init(&b, 0);
    if (value_parse_json(&scratch, body, &parsed, &ignored)) {
        parsed = value_null();
    }
    struct value error = error_object(parsed);
    struct meaning m = judge(head, error);
    struct str said = value_is_null(parsed) ? chat_quote(out, body, 200, &b)
                                            : chat_quote(out, message_of(error), 600, &b);
    chat_fail(out, m.code, m.type, "the server answered with status %d%s%.*s", head->status,
              said.len ? ": " : " and said nothing more", STR_ARG(said));
    out->retry_after_us = m.code == ERR_TRANSIENT ? net_retry_after_us(head, now) : 0;
    buf_fini(&b);
    arena_fini(&scratch);
}

/* A number in `code` is the status it would have had; without one it may pass, unless the request
 * itself was wrong. */
void chat_error_read(struct value error, struct chat_failure *out) {
    const struct value *code = value_get(error, STR("code"));
    bool wrong = str_is(text_in(error, "type"), "invalid_request_error");
    struct meaning m = {.code = wrong ? ERR_INVALID : ERR_TRANSIENT,
                        .type = wrong ? "bad_request" : "unavailable"};
    if (code && code->type == VALUE_INT && code->num >= 400 && code->num < 600) {
        m = *meaning_of(code->num);
    }
    if (quota_is_used_up(error)) {
        m = (struct meaning){.code = ERR_DENIED, .type = "quota"};
    }
    struct buf b;
    buf_init(&b, 0);
    struct str said = chat_quote(out, message_of(error), 600, &b);
    said = said.len ? said : STR("it did not say why");
    chat_fail(out, m.code, m.type, "the server broke off with an error: %.*s", STR_ARG(said));
    buf_fini(&b);
}
