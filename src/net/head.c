/* Heads: what may be sent in one, what came in one, and what Retry-After asks for.
 *
 * Invariant: nothing that a workflow or a server wrote can end a line of a request's head.
 */
#include <strings.h>

#include "net/net_priv.h"

/* tchar of RFC 9110 section 5.6.2. */
static bool is_token(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!word && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_field_value(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < ' ' && c != '\t') || c == 127) {
            return false;
        }
    }
    return true;
}

static bool is_one_of(struct str name, const char *const *names) {
    for (size_t i = 0; names[i]; i++) {
        if (name.len == strlen(names[i]) && strncasecmp(name.ptr, names[i], name.len) == 0) {
            return true;
        }
    }
    return false;
}

static enum err check_header(const struct net_header *h, struct error *e) {
    static const char *const ours[] = {
        "content-length", "transfer-encoding", "connection", "upgrade", "expect", NULL};
    struct str shown = str_sub(h->name, 0, 80);
    if (!is_token(h->name)) {
        return error_set(e, ERR_INVALID, "\"%.*s\" cannot be the name of a header", STR_ARG(shown));
    }
    if (!is_field_value(h->value)) {
        return error_set(e, ERR_INVALID,
                         "the value of the header %.*s has a line end or another control "
                         "character in it",
                         STR_ARG(shown));
    }
    if (is_one_of(h->name, ours)) {
        return error_set(e, ERR_INVALID, "the header %.*s is set by the client itself",
                         STR_ARG(shown));
    }
    return OK;
}

enum err net_request_check(const struct net_request *r, struct error *e) {
    if (r->method.len && (!is_token(r->method) || r->method.len > 40)) {
        return error_set(e, ERR_INVALID, "\"%.*s\" is no HTTP method",
                         STR_ARG(str_sub(r->method, 0, 40)));
    }
    if (str_is(r->method, "CONNECT") || str_is(r->method, "TRACE")) {
        return error_set(e, ERR_INVALID, "the method %.*s is not supported", STR_ARG(r->method));
    }
    enum err err = OK;
    for (size_t i = 0; !err && i < r->header_count; i++) {
        err = check_header(&r->headers[i], e);
    }
    return err;
}

/* Appends "name: value", or "name;" for one without a value, which is how curl wants that said. */
static bool append(const struct net_curl *k, struct curl_slist **list, struct str name,
                   const char *between, struct str value) {
    struct buf line;
    buf_init(&line, 0);
    buf_append(&line, name);
    buf_append_cstr(&line, between);
    buf_append(&line, value);
    buf_append_char(&line, '\0');
    struct curl_slist *longer = buf_ok(&line) ? k->slist_append(*list, line.ptr) : NULL;
    *list = longer ? longer : *list;
    buf_fini(&line);
    return longer != NULL;
}

struct curl_slist *net_request_headers(const struct net_curl *k, const struct net_request *r,
                                       bool with_body, bool foreign) {
    static const char *const harmless[] = {"accept", "accept-language", "user-agent", NULL};
    static const char *const of_body[] = {"content-type", "content-language", "content-encoding",
                                          NULL};
    struct curl_slist *list = NULL;
    bool has_type = false, ok = append(k, &list, STR("Expect"), ":", STR(""));
    for (size_t i = 0; ok && i < r->header_count; i++) {
        const struct net_header *h = &r->headers[i];
        struct str value = str_trim(h->value);
        bool describes = is_one_of(h->name, of_body);
        if (describes ? !with_body : foreign && !is_one_of(h->name, harmless)) {
            continue;
        }
        has_type = has_type || is_one_of(h->name, (const char *const[]){"content-type", NULL});
        ok = append(k, &list, h->name, value.len ? ": " : ";", value);
    }
    if (ok && with_body && !has_type) { /* or curl would call it a form */
        ok = append(k, &list, STR("Content-Type"), ":", STR(""));
    }
    if (!ok) {
        k->slist_free_all(list);
    }
    return ok ? list : NULL;
}

/* ---- answers ---- */

enum err net_head_add(struct net_head *h, struct arena *a, struct str line, struct error *e) {
    struct str value, name = str_split(line, ':', &value);
    h->bytes += line.len;
    if (h->bytes > NET_MAX_HEAD_BYTES) {
        return error_set(e, ERR_LIMIT, "the head of the answer is longer than %u bytes",
                         NET_MAX_HEAD_BYTES);
    }
    if (name.len == line.len || !is_token(name)) {
        return OK;
    }
    if (h->count == h->cap) {
        size_t cap = h->cap ? h->cap * 2 : 16;
        struct net_header *more = ARENA_ARRAY(a, cap, struct net_header);
        if (!more) {
            return error_nomem(e);
        }
        if (h->count) {
            memcpy(more, h->headers, h->count * sizeof *more);
        }
        h->headers = more;
        h->cap = cap;
    }
    struct net_header kept = {arena_str(a, name), arena_str(a, str_trim(value))};
    if (!kept.name.ptr || !kept.value.ptr) {
        return error_nomem(e);
    }
    h->headers[h->count++] = kept;
    return OK;
}

const struct str *net_header_find(const struct net_response *r, const char *name) {
    for (size_t i = 0; i < r->header_count; i++) {
        if (is_one_of(r->headers[i].name, (const char *const[]){name, NULL})) {
            return &r->headers[i].value;
        }
    }
    return NULL;
}
