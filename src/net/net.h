/* The HTTP client: requests over libcurl on the loop, each address checked before it is connected.
 *
 * One client per loop; curl itself is begun with the first request, so that a run without any pays
 * nothing. A request is answered by its listener's done, exactly once and never from inside
 * net_send. Nothing here retries, follows a policy of its own or knows what an answer means: a
 * status of 500 is an answer. What was not reached is a failure (ERR_TRANSIENT when it may pass).
 */
#ifndef CAIRN_NET_NET_H
#define CAIRN_NET_NET_H

#include "base/base.h"
#include "io/loop.h"

struct net_client;
struct net_transfer; /* a request under way; the client owns it */

/* Where requests may go, by resolved address, redirects included. Link-local addresses and those
 * of cloud metadata are refused whatever this says, unless the host is listed. */
struct net_policy {
    bool allow_loopback;            /* 127.0.0.0/8, ::1 */
    bool allow_private;             /* RFC 1918, RFC 4193, carrier-grade NAT */
    const char *const *allow_hosts; /* "name" or "name:port", NULL-terminated, or NULL */
    const char *allow_hint; /* ends the message of a refusal: how a host is listed; or NULL */
    const char *ca_file;    /* certificates trusted for https; NULL: the system's */
};

struct net_header {
    struct str name, value;
};

/* Must stay unchanged until done. */
struct net_request {
    struct str method; /* GET when empty */
    struct str url;    /* http or https; spaces and the like in path and query are encoded */
    struct str base;   /* url is relative to it and may not leave its origin; or empty */
    const struct net_header *headers;
    size_t header_count;
    struct str body;         /* sent when not empty or method has one; its type is a header's */
    int64_t timeout_us;      /* of the whole transfer, 0: none */
    uint64_t max_body_bytes; /* of the answer; more: ERR_LIMIT. 0: NET_MAX_BODY_BYTES */
    bool keep_redirects;     /* a 3xx is the answer; else at most NET_MAX_REDIRECTS are followed */
    bool once;               /* on a connection of its own, so that it is never sent a second time
                                because a kept one turned out to be closed */
};

#define NET_MAX_BODY_BYTES (64u << 20)
#define NET_MAX_REDIRECTS 10
#define NET_CONNECT_TIMEOUT_MS 10000

struct net_response {
    int status;
    const struct net_header *headers; /* of the last answer, in order; names as they were sent */
    size_t header_count;
    struct str body; /* empty when the listener took it by data */
    struct str url;  /* after redirects */
};

/* What is handed over lives until the function returns. */
struct net_listener {
    void *ctx;
    /* The head of the last answer has come; before data. May be NULL. */
    void (*head)(void *ctx, const struct net_response *head);
    /* A piece of the body as it comes; NULL: it is gathered for done. */
    void (*data)(void *ctx, struct str bytes);
    /* response: NULL with a failure. ERR_CANCELLED after net_cancel; ERR_DENIED: the policy
     * refused an address, or url leaves the origin of base; ERR_TRANSIENT: not resolved, not
     * connected, broken off, timed out; ERR_INVALID: no such URL, header or method, a certificate
     * that is not trusted, redirects without end; ERR_LIMIT: too long; ERR_UNSUPPORTED: curl cannot
     * be used. Messages name host and port, never what may hold a secret: path, query, headers. */
    void (*done)(void *ctx, const struct net_response *response, const struct error *failure);
};

/* What the policy points to is copied. */
enum err net_client_open(struct io_loop *l, const struct net_policy *p, struct net_client **out,
                         struct error *e) MUST_USE;
/* Breaks off what is under way without telling its listeners, never from inside one. NULL is
 * fine. */
void net_client_close(struct net_client *c);
/* Method and headers hold nothing that would end a line, and none that the client sets itself. */
enum err net_request_check(const struct net_request *r, struct error *e) MUST_USE;
/* NULL without memory, and then nothing is told; what else goes wrong at once is told by done too.
 * The listener is copied. Redirects to another origin keep of the headers only those that describe
 * the body or what is accepted, so credentials stay where they were meant for. */
struct net_transfer *net_send(struct net_client *c, const struct net_request *r,
                              const struct net_listener *l);
/* done still comes, from a later turn; data no more. */
void net_cancel(struct net_transfer *t);
/* A library that is loaded with its first use. */
struct net_library {
    const char *soname, *package, *needed_for;
    bool present; /* it could be loaded now */
};
/* The n-th, from 0; false beyond the last. */
bool net_library_get(size_t n, struct net_library *out);
/* Value of a header by name, whatever its case; NULL when there is none. */
const struct str *net_header_find(const struct net_response *r, const char *name);
/* What Retry-After asks for (seconds or an HTTP date; retry-after-ms before it), in microseconds
 * from now; 0 for none. RFC 9110 section 10.2.3. */
int64_t net_retry_after_us(const struct net_response *r, wall_us now);

#endif
