/* Output of a program as the step's log, as it comes.
 *
 * A piece may end inside a character: its beginning waits for the next piece. What is no UTF-8
 * becomes U+FFFD, as a log is text. Invariant: at most CODE_LOG_MAX_BYTES are told for an attempt,
 * then one note that the rest is dropped, so a flood costs no more than reading it.
 */
#include "node/code_priv.h"

static const char *const streams[] = {"stdout", "stderr"};

/* Length of s without an incomplete character at its end. */
static size_t whole_len(struct str s) {
    for (size_t back = 1; back <= 3 && back <= s.len; back++) {
        unsigned char c = (unsigned char)s.ptr[s.len - back];
        if ((c & 0xC0) == 0x80) {
            continue;
        }
        size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        return need > back && c < 0xF8 ? s.len - back : s.len;
    }
    return s.len;
}

static void tell(struct code_log *l, int at, struct str text) {
    if (text.len == 0) {
        return;
    }
    if (str_is_utf8(text)) {
        l->port->ops->log(l->port, streams[at], text);
        return;
    }
    struct buf clean;
    buf_init(&clean, 0);
    for (size_t pos = 0; pos < text.len;) {
        size_t from = pos;
        uint32_t c = str_utf8_next(text, &pos);
        bool invalid = c == 0xFFFD && pos - from == 1;
        buf_append(&clean, invalid ? STR("\xEF\xBF\xBD") : str_sub(text, from, pos));
    }
    if (buf_ok(&clean)) {
        l->port->ops->log(l->port, streams[at], buf_str(&clean));
    }
    buf_fini(&clean);
}

static void add_whole(struct code_log *l, int at, struct str text) {
    size_t whole = whole_len(text);
    tell(l, at, str_sub(text, 0, whole));
    l->rest[at].len = text.len - whole;
    memcpy(l->rest[at].bytes, text.ptr + whole, text.len - whole);
}

static void add(struct code_log *l, int at, struct str bytes) {
    if (l->rest[at].len == 0) {
        add_whole(l, at, bytes);
        return;
    }
    /* only as many bytes as the character can still need */
    char joined[8];
    size_t had = l->rest[at].len;
    size_t more =
        bytes.len < sizeof l->rest[at].bytes - had ? bytes.len : sizeof l->rest[at].bytes - had;
    memcpy(joined, l->rest[at].bytes, had);
    memcpy(joined + had, bytes.ptr, more);
    size_t pos = 0;
    struct str text = {joined, had + more};
    if (whole_len(text) == 0) {
        add_whole(l, at, text); /* still incomplete */
        return;
    }
    (void)str_utf8_next(text, &pos);
    l->rest[at].len = 0;
    if (pos < had) {
        pos = had; /* it was no character */
    }
    tell(l, at, str_sub(text, 0, pos));
    struct str behind = str_sub(bytes, pos - had, bytes.len);
    if (behind.len > 0) {
        add_whole(l, at, behind);
    }
}

void code_log_add(struct code_log *l, int fd, struct str bytes) {
    static const char note[] = "the rest of the log is dropped: a step has at most 4 MiB of it\n";
    uint64_t room = CODE_LOG_MAX_BYTES - l->used_bytes;
    struct str fits = str_sub(bytes, 0, bytes.len < room ? bytes.len : (size_t)room);
    l->used_bytes += fits.len;
    if (fits.len > 0) {
        add(l, fd - 1, fits);
    }
    if (fits.len < bytes.len && !l->cut) {
        code_log_end(l);
        l->cut = true;
        l->port->ops->log(l->port, "note", (struct str){note, sizeof note - 1});
    }
}

void code_log_end(struct code_log *l) {
    for (int at = 0; at < 2; at++) {
        tell(l, at, (struct str){l->rest[at].bytes, l->rest[at].len});
        l->rest[at].len = 0;
    }
}
