/* The parser of server-sent events: bytes to lines, lines to fields, fields to events.
 *
 * It works on bytes, so a character that is split between two pieces needs no care: no byte of a
 * longer UTF-8 character is a line end or a colon. Never here: what an event means.
 */
#include "net/sse.h"

#define BYTE_ORDER_MARK STR("\xEF\xBB\xBF")

void sse_init(struct sse *s, size_t max_event_bytes, sse_event_fn *event, void *ctx) {
    size_t max = max_event_bytes ? max_event_bytes : SSE_MAX_EVENT_BYTES;
    *s = (struct sse){.event = event, .ctx = ctx, .max_bytes = max};
    buf_init(&s->line, max);
    buf_init(&s->name, max);
    buf_init(&s->data, max);
    buf_init(&s->id, max);
}

void sse_fini(struct sse *s) {
    buf_fini(&s->line);
    buf_fini(&s->name);
    buf_fini(&s->data);
    buf_fini(&s->id);
}

static void dispatch(struct sse *s) {
    if (s->any_data) {
        struct str data = str_sub(buf_str(&s->data), 0, s->data.len - 1); /* the last LF */
        s->event(s->ctx, s->name.len ? buf_str(&s->name) : STR("message"), data);
    }
    buf_reset(&s->name);
    buf_reset(&s->data);
    s->any_data = false;
}

static void set(struct buf *b, struct str value) {
    buf_reset(b);
    buf_append(b, value);
}

static bool is_digits(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
    }
    return true;
}

static void take_retry(struct sse *s, struct str value) {
    uint64_t ms;
    if (is_digits(value) && str_to_uint64(value, &ms) && ms < INT64_MAX / 1000) {
        s->retry_us = (int64_t)ms * 1000;
    }
}

static void take_line(struct sse *s, struct str line) {
    struct str value, name = str_split(line, ':', &value);
    if (!line.len) {
        dispatch(s);
        return;
    }
    if (value.len && value.ptr[0] == ' ') {
        value = str_sub(value, 1, value.len);
    }
    if (str_is(name, "data")) {
        buf_append(&s->data, value);
        buf_append_char(&s->data, '\n');
        s->any_data = true;
    } else if (str_is(name, "event")) {
        set(&s->name, value);
    } else if (str_is(name, "id") && (!value.len || !memchr(value.ptr, 0, value.len))) {
        set(&s->id, value);
    } else if (str_is(name, "retry")) {
        take_retry(s, value);
    }
}

static void end_line(struct sse *s) {
    struct str line = buf_str(&s->line);
    if (!s->started && str_starts(line, BYTE_ORDER_MARK)) {
        line = str_sub(line, BYTE_ORDER_MARK.len, line.len);
    }
    s->started = true;
    take_line(s, line);
    buf_reset(&s->line);
}

static size_t line_length(struct str bytes) {
    size_t n = 0;
    while (n < bytes.len && bytes.ptr[n] != '\n' && bytes.ptr[n] != '\r') {
        n++;
    }
    return n;
}

enum err sse_feed(struct sse *s, struct str bytes, struct error *e) {
    while (bytes.len) {
        if (s->after_cr && bytes.ptr[0] == '\n') {
            bytes = str_sub(bytes, 1, bytes.len);
        }
        s->after_cr = false;
        size_t n = line_length(bytes);
        buf_append(&s->line, str_sub(bytes, 0, n));
        if (!buf_ok(&s->line)) {
            break;
        }
        if (n < bytes.len) {
            s->after_cr = bytes.ptr[n] == '\r';
            end_line(s);
            n++;
        }
        if (!buf_ok(&s->data)) {
            break;
        }
        bytes = str_sub(bytes, n, bytes.len);
    }
    return bytes.len ? error_set(e, ERR_LIMIT,
                                 "a line or an event of the stream is longer than %zu bytes",
                                 s->max_bytes)
                     : OK;
}
