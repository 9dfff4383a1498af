/* One request: a hop for each redirect, what comes of it, and what its failure is called.
 *
 * Redirects are followed here and not by curl, so that each is a target that was checked, and
 * credentials never reach another origin. Never here: retries, or a judgement of the status.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/guard.h"
#include "net/net_priv.h"

static uint64_t max_body_bytes(const struct net_transfer *t) {
    return t->request.max_body_bytes ? t->request.max_body_bytes : NET_MAX_BODY_BYTES;
}

static void make_response(const struct net_transfer *t, struct net_response *out) {
    *out = (struct net_response){.status = t->status,
                                 .headers = t->head.headers,
                                 .header_count = t->head.count,
                                 .body = buf_str(&t->body),
                                 .url = t->target.url};
}

/* ---- what curl calls ---- */

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a) {
    struct net_transfer *t = ctx;
    if (purpose != CURLSOCKTYPE_IPCXN ||
        net_guard_check(net_client_policy(t->client), t->target.host, t->target.port, &a->addr,
                        &t->failure)) {
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static bool is_redirect(const struct net_transfer *t) {
    bool known = t->status == 301 || t->status == 302 || t->status == 303 || t->status == 307 ||
                 t->status == 308;
    struct net_response r;
    make_response(t, &r);
    return known && !t->request.keep_redirects && net_header_find(&r, "location");
}

static void end_head(struct net_transfer *t) {
    long status = 0;
    net_client_curl(t->client)->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) {
        return; /* the real one follows */
    }
    t->status = (int)status;
    t->moving = is_redirect(t);
    t->head_told = true;
    if (!t->moving && t->listener.head) {
        struct net_response r;
        make_response(t, &r);
        t->listener.head(t->listener.ctx, &r);
    }
}

static size_t on_header(char *ptr, size_t size, size_t count, void *ctx) {
    struct net_transfer *t = ctx;
    struct str line = {ptr, size * count};
    if (t->state != NET_RUNNING) {
        return 0;
    }
    if (t->head_told) { /* a trailer */
        return line.len;
    }
    if (str_starts(line, STR("HTTP/"))) {
        t->head.count = 0;
    } else if (!str_trim(line).len) {
        end_head(t);
    } else if (net_head_add(&t->head, &t->arena, line, &t->failure)) {
        return 0;
    }
    return line.len;
}

static size_t on_body(char *ptr, size_t size, size_t count, void *ctx) {
    struct net_transfer *t = ctx;
    struct str bytes = {ptr, size * count};
    if (t->state != NET_RUNNING) {
        return 0;
    }
    t->body_bytes += bytes.len;
    if (t->body_bytes > max_body_bytes(t)) {
        error_set(&t->failure, ERR_LIMIT, "the answer of %.*s is longer than %llu bytes",
                  STR_ARG(t->target.host), (unsigned long long)max_body_bytes(t));
        return 0;
    }
    if (t->moving) {
        return bytes.len;
    }
    if (t->listener.data) {
        t->listener.data(t->listener.ctx, bytes);
        return bytes.len;
    }
    buf_append(&t->body, bytes);
    if (!buf_ok(&t->body)) {
        error_nomem(&t->failure);
        return 0;
    }
    return bytes.len;
}

/* ---- a hop's handle ---- */

static bool set_ways(const struct net_transfer *t, const struct net_curl *k) {
    const struct net_policy *p = net_client_policy(t->client);
    const char *ca = p->ca_file ? p->ca_file : k->version_info(CURLVERSION_NOW)->cainfo;
    CURL *h = t->easy;
    return !k->easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !k->easy_setopt(h, CURLOPT_PROXY, "") && !k->easy_setopt(h, CURLOPT_NOPROXY, "*") &&
           !k->easy_setopt(h, CURLOPT_NOSIGNAL, 1L) && !k->easy_setopt(h, CURLOPT_QUICK_EXIT, 1L) &&
           !k->easy_setopt(h, CURLOPT_CAINFO, ca) && !k->easy_setopt(h, CURLOPT_CAPATH, NULL) &&
           !k->easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L) &&
           !k->easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)NET_CONNECT_TIMEOUT_MS) &&
           !k->easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L) &&
           !k->easy_setopt(h, CURLOPT_FRESH_CONNECT, (long)t->request.once) &&
           !k->easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open) &&
           !k->easy_setopt(h, CURLOPT_OPENSOCKETDATA, t);
}

static bool set_ends(struct net_transfer *t, const struct net_curl *k) {
    CURL *h = t->easy;
    return !k->easy_setopt(h, CURLOPT_URL, t->target.url.ptr) &&
           !k->easy_setopt(h, CURLOPT_PRIVATE, t) &&
           !k->easy_setopt(h, CURLOPT_ERRORBUFFER, t->curl_error) &&
           !k->easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header) &&
           !k->easy_setopt(h, CURLOPT_HEADERDATA, t) &&
           !k->easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body) &&
           !k->easy_setopt(h, CURLOPT_WRITEDATA, t) &&
           !k->easy_setopt(h, CURLOPT_ACCEPT_ENCODING, "") &&
           !k->easy_setopt(h, CURLOPT_USERAGENT, "cairn/" CAIRN_VERSION) &&
           !k->easy_setopt(h, CURLOPT_HTTPHEADER, t->headers);
}

static bool set_method(const struct net_transfer *t, const struct net_curl *k) {
    CURL *h = t->easy;
    if (str_is(t->method, "HEAD")) {
        return !k->easy_setopt(h, CURLOPT_NOBODY, 1L);
    }
    bool ok = true;
    if (t->with_body) {
        struct str body = t->request.body;
        ok = !k->easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) &&
             !k->easy_setopt(h, CURLOPT_POSTFIELDS, body.len ? body.ptr : "");
    }
    return ok && !k->easy_setopt(h, CURLOPT_CUSTOMREQUEST, t->method.ptr);
}

/* What is left of the request's time, in whole milliseconds; false when nothing is. */
static bool set_time(const struct net_transfer *t, const struct net_curl *k) {
    enum { NS_PER_MS = 1000000 };
    if (t->deadline_ns == 0) {
        return true;
    }
    int64_t left_ns = t->deadline_ns - net_client_now_ns(t->client);
    int64_t left_ms = left_ns < NS_PER_MS ? 1 : left_ns / NS_PER_MS;
    return !k->easy_setopt(t->easy, CURLOPT_TIMEOUT_MS,
                           left_ms > INT32_MAX ? (long)INT32_MAX : (long)left_ms);
}

static enum err read_target(struct net_transfer *t, struct error *e) {
    const struct net_curl *k = net_client_curl(t->client);
    struct net_target base;
    if (!t->request.base.len) {
        return net_target_parse(k, &t->arena, NULL, t->request.url, &t->target, e);
    }
    enum err err = net_target_parse(k, &t->arena, NULL, t->request.base, &base, e);
    err = err ? err : net_target_parse(k, &t->arena, &base, t->request.url, &t->target, e);
    if (!err && !net_target_same_origin(&base, &t->target)) {
        err = error_set(e, ERR_DENIED,
                        "a request meant for %.*s://%.*s:%u may not go on to %.*s://%.*s:%u",
                        STR_ARG(base.scheme), STR_ARG(base.host), base.port,
                        STR_ARG(t->target.scheme), STR_ARG(t->target.host), t->target.port);
    }
    return err;
}

/* What is found out once, with the first hop. */
static enum err read_request(struct net_transfer *t, struct error *e) {
    const struct net_request *r = &t->request;
    enum err err = net_request_check(r, e);
    if (err) {
        return err;
    }
    t->method = arena_str(&t->arena, r->method.len ? r->method : STR("GET"));
    if (!t->method.ptr) {
        return error_nomem(e);
    }
    bool takes_one =
        str_is(t->method, "POST") || str_is(t->method, "PUT") || str_is(t->method, "PATCH");
    t->with_body = (r->body.len > 0 || takes_one) && !str_is(t->method, "HEAD");
    if (r->timeout_us > 0) {
        t->deadline_ns = net_client_now_ns(t->client) + r->timeout_us * 1000;
    }
    return read_target(t, e);
}

enum err net_transfer_begin(struct net_transfer *t, struct error *e) {
    const struct net_curl *k = net_client_curl(t->client);
    enum err err = t->redirects == 0 ? read_request(t, e) : OK;
    if (err) {
        return err;
    }
    t->easy = k->easy_init();
    t->headers = net_request_headers(k, &t->request, t->with_body, t->foreign);
    bool ok = t->easy && t->headers && set_ways(t, k) && set_ends(t, k) && set_method(t, k) &&
              set_time(t, k);
    if (!ok) { /* the options are all known to this version: there is no other reason */
        net_transfer_release(t);
        return error_nomem(e);
    }
    return OK;
}

void net_transfer_release(struct net_transfer *t) {
    const struct net_curl *k = net_client_curl(t->client);
    if (t->easy) {
        k->easy_cleanup(t->easy);
        t->easy = NULL;
    }
    if (t->headers) {
        k->slist_free_all(t->headers);
        t->headers = NULL;
    }
}

/* ---- the end of a hop ---- */

/* RFC 9110 section 15.4: 303 asks with GET, and so do 301 and 302 after a POST. */
static void change_method(struct net_transfer *t) {
    bool post = str_is(t->method, "POST");
    bool safe = str_is(t->method, "GET") || str_is(t->method, "HEAD");
    if ((t->status == 303 && !safe) || ((t->status == 301 || t->status == 302) && post)) {
        t->method = STR("GET");
        t->with_body = false;
    }
}

/* Whether there is a next hop; if not, t->failure says why. */
static bool next_hop(struct net_transfer *t) {
    struct net_response r;
    make_response(t, &r);
    struct net_target next;
    if (++t->redirects > NET_MAX_REDIRECTS) {
        error_set(&t->failure, ERR_INVALID, "more than %d redirects, the last to %.*s",
                  NET_MAX_REDIRECTS, STR_ARG(t->target.host));
        return false;
    }
    if (net_target_parse(net_client_curl(t->client), &t->arena, &t->target,
                         *net_header_find(&r, "location"), &next, &t->failure)) {
        error_wrap(&t->failure, t->failure.code, "a redirect of %.*s cannot be followed",
                   STR_ARG(t->target.host));
        return false;
    }
    t->foreign = t->foreign || !net_target_same_origin(&t->target, &next);
    t->target = next;
    change_method(t);
    t->head = (struct net_head){0};
    t->head_told = t->moving = false;
    t->body_bytes = 0;
    t->failure = (struct error){0};
    return true;
}

static const char *os_reason(const struct net_transfer *t) {
    long number = 0;
    net_client_curl(t->client)->easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
    const char *text = number > 0 ? strerrordesc_np((int)number) : NULL;
    return text ? text : "no connection";
}

static enum err name_failure(struct net_transfer *t, CURLcode code) {
    struct error *e = &t->failure;
    struct str host = t->target.host;
    unsigned port = t->target.port;
    const char *said =
        t->curl_error[0] ? t->curl_error : net_client_curl(t->client)->easy_strerror(code);
    bool over = t->deadline_ns && net_client_now_ns(t->client) >= t->deadline_ns - 1000000;
    if (code == CURLE_COULDNT_RESOLVE_HOST) {
        return error_set(e, ERR_TRANSIENT,
                         "the host %.*s cannot be found: its name does not "
                         "resolve",
                         STR_ARG(host));
    }
    if (code == CURLE_COULDNT_CONNECT) {
        return error_set(e, ERR_TRANSIENT, "cannot connect to %.*s:%u: %s", STR_ARG(host), port,
                         os_reason(t));
    }
    if (code == CURLE_OPERATION_TIMEDOUT && over) {
        char time[32];
        time_print_duration(t->request.timeout_us, time, sizeof time);
        return error_set(e, ERR_TRANSIENT, "%.*s:%u timed out: it had not answered after %s",
                         STR_ARG(host), port, time);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return error_set(e, ERR_TRANSIENT, "no connection to %.*s:%u within %d seconds",
                         STR_ARG(host), port, NET_CONNECT_TIMEOUT_MS / 1000);
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        return error_set(e, ERR_INVALID, "the certificate of %.*s:%u is not trusted: %s",
                         STR_ARG(host), port, said);
    }
    if (code == CURLE_SSL_CACERT_BADFILE) {
        return error_set(e, ERR_UNSUPPORTED,
                         "https needs a file of trusted certificates, and there is none: install "
                         "Debian's package ca-certificates, or name one by SSL_CERT_FILE");
    }
    if (code == CURLE_OUT_OF_MEMORY) {
        return error_nomem(e);
    }
    return error_set(e, ERR_TRANSIENT, "the connection to %.*s:%u failed: %s", STR_ARG(host), port,
                     said);
}

bool net_transfer_finish(struct net_transfer *t, CURLcode code) {
    if (code == CURLE_OK && t->moving) {
        return next_hop(t);
    }
    if (code == CURLE_OK) {
        t->failure = (struct error){0}; /* of an address before the one that answered */
    } else if (t->failure.code == OK) {
        name_failure(t, code);
    }
    return false;
}

void net_transfer_tell(struct net_transfer *t) {
    struct net_response r;
    make_response(t, &r);
    bool failed = t->failure.code != OK;
    t->listener.done(t->listener.ctx, failed ? NULL : &r, failed ? &t->failure : NULL);
}

void net_transfer_free(struct net_transfer *t) {
    buf_fini(&t->body);
    arena_fini(&t->arena);
    free(t);
}
