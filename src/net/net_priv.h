/* What the files of the HTTP client share.
 *
 * client.c drives curl by the loop and owns every transfer; transfer.c is one request with all its
 * redirects; target.c reads URLs; head.c checks what is sent and keeps the head that is answered.
 * Invariant: curl is called for a transfer only from client.c's work, never from inside one of
 * curl's callbacks, so a listener may send and cancel as it likes.
 */
#ifndef CAIRN_NET_PRIV_H
#define CAIRN_NET_PRIV_H

#include "net/lazy.h"
#include "net/net.h"

/* ---- target.c: where a request goes ---- */

struct net_target {
    struct str url; /* whole, NUL-terminated */
    struct str scheme, host;
    uint16_t port;
};

/* Reads a URL, relative to base unless that is NULL. All in the arena. */
enum err net_target_parse(const struct net_curl *k, struct arena *a, const struct net_target *base,
                          struct str url, struct net_target *out, struct error *e) MUST_USE;
bool net_target_same_origin(const struct net_target *a, const struct net_target *b);

/* ---- head.c: heads of requests and answers ---- */

#define NET_MAX_HEAD_BYTES (256u << 10)

struct net_head {
    struct net_header *headers;
    size_t count, cap;
    size_t bytes;
};

/* The headers as curl wants them; NULL when out of memory. */
struct curl_slist *net_request_headers(const struct net_curl *k, const struct net_request *r,
                                       bool with_body, bool foreign);
/* Takes a line of an answer's head. */
enum err net_head_add(struct net_head *h, struct arena *a, struct str line, struct error *e)
    MUST_USE;

/* ---- transfer.c: one request, its redirects included ---- */

enum net_state { NET_QUEUED, NET_RUNNING, NET_ENDED, NET_STATES };

struct net_transfer {
    struct net_client *client;
    struct net_transfer *prev, *next; /* in the client's list of its state */
    enum net_state state;
    struct net_request request;
    struct net_listener listener;
    struct arena arena;

    /* this hop */
    CURL *easy;
    struct curl_slist *headers;
    struct net_target target;
    struct str method;
    bool with_body;
    bool foreign; /* a redirect has left the origin: credentials are not sent any more */
    int redirects;
    int64_t deadline_ns; /* of all hops, by the loop's clock; 0: none */
    char curl_error[CURL_ERROR_SIZE];

    /* its answer */
    int status;
    struct net_head head;
    bool head_told;
    bool moving; /* a redirect that will be followed: its body is of no interest */
    struct buf body;
    uint64_t body_bytes;
    struct error failure; /* code OK: none */
};

/* Makes the hop's handle ready for the multi handle. */
enum err net_transfer_begin(struct net_transfer *t, struct error *e) MUST_USE;
/* curl is done with the hop. True when there is another one, otherwise t->failure tells. */
bool net_transfer_finish(struct net_transfer *t, CURLcode code);
/* Lets go of the hop's handle, which is in no multi handle any more. */
void net_transfer_release(struct net_transfer *t);
void net_transfer_tell(struct net_transfer *t);
void net_transfer_free(struct net_transfer *t);

/* ---- client.c ---- */

const struct net_curl *net_client_curl(const struct net_client *c);
const struct net_policy *net_client_policy(const struct net_client *c);
int64_t net_client_now_ns(const struct net_client *c);

#endif
