/* URLs: read by curl's own parser, so that what is checked is what is connected to.
 *
 * Never here: a second parser of ours. Two that differ are how a check is passed by one address
 * and the connection made to another.
 */
#include <strings.h>

#include "net/net_priv.h"

enum { URL_FLAGS = CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME };

static enum err get(const struct net_curl *k, CURLU *u, CURLUPart part, struct arena *a,
                    struct str *out, struct error *e) {
    char *text = NULL;
    CURLUcode code = k->url_get(u, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0);
    if (code == CURLUE_OUT_OF_MEMORY) {
        return error_nomem(e);
    }
    *out = arena_str(a, str_from(code == CURLUE_OK ? text : ""));
    k->free(text);
    return out->ptr ? OK : error_nomem(e);
}

static enum err get_all(const struct net_curl *k, CURLU *u, struct arena *a, struct net_target *out,
                        struct error *e) {
    struct str port = {0};
    int64_t number = 0;
    enum err err = get(k, u, CURLUPART_SCHEME, a, &out->scheme, e);
    err = err ? err : get(k, u, CURLUPART_HOST, a, &out->host, e);
    if (err) {
        return err;
    }
    if (!str_is(out->scheme, "http") && !str_is(out->scheme, "https")) {
        return error_set(e, ERR_INVALID, "a URL begins with http:// or https://, not %.*s:",
                         STR_ARG(str_sub(out->scheme, 0, 40)));
    }
    err = get(k, u, CURLUPART_PORT, a, &port, e);
    err = err ? err : get(k, u, CURLUPART_URL, a, &out->url, e);
    if (!err && (!out->host.len || !str_to_int64(port, &number) || number < 1 || number > 65535)) {
        return error_set(e, ERR_INVALID, "the URL has no %s", out->host.len ? "such port" : "host");
    }
    out->port = (uint16_t)number;
    return err;
}

static enum err set(const struct net_curl *k, CURLU *u, struct arena *a, struct str url,
                    struct error *e) {
    struct str text = arena_str(a, str_trim(url));
    if (!text.ptr) {
        return error_nomem(e);
    }
    if (!text.len) {
        return error_set(e, ERR_INVALID, "the URL is empty");
    }
    if (memchr(text.ptr, 0, text.len)) {
        return error_set(e, ERR_INVALID, "the URL has a NUL character in it");
    }
    CURLUcode code = k->url_set(u, CURLUPART_URL, text.ptr, URL_FLAGS);
    if (code == CURLUE_OUT_OF_MEMORY) {
        return error_nomem(e);
    }
    if (code == CURLUE_BAD_SCHEME || code == CURLUE_UNSUPPORTED_SCHEME) {
        return error_set(e, ERR_INVALID, "the URL does not begin with http:// or https://");
    }
    return code == CURLUE_OK
               ? OK
               : error_set(e, ERR_INVALID, "the URL cannot be read: %s", k->url_strerror(code));
}

enum err net_target_parse(const struct net_curl *k, struct arena *a, const struct net_target *base,
                          struct str url, struct net_target *out, struct error *e) {
    CURLU *u = k->url();
    if (!u) {
        return error_nomem(e);
    }
    struct net_target target = {0};
    enum err err = base ? set(k, u, a, base->url, e) : OK;
    err = err ? err : set(k, u, a, url, e);
    err = err ? err : get_all(k, u, a, &target, e);
    k->url_cleanup(u);
    if (!err) {
        *out = target;
    }
    return err;
}

bool net_target_same_origin(const struct net_target *a, const struct net_target *b) {
    return a->port == b->port && str_eq(a->scheme, b->scheme) && a->host.len == b->host.len &&
           strncasecmp(a->host.ptr, b->host.ptr, a->host.len) == 0;
}
