/* What the files of the http kind share.
 *
 * http.c runs an attempt; http_check.c reads what stands in the node when it is compiled;
 * http_request.c makes requests of the fields, http_answer.c bodies and failures of what came,
 * http_pages.c goes from page to page. Everything of an attempt lives in its arena.
 */
#ifndef CAIRN_NODE_HTTP_PRIV_H
#define CAIRN_NODE_HTTP_PRIV_H

#include "expr/expr.h"
#include "flow/plan.h"
#include "net/net.h"
#include "node/node_priv.h"

enum http_field {
    HTTP_URL,
    HTTP_METHOD,
    HTTP_HEADERS,
    HTTP_PARAMS,
    HTTP_BODY,
    HTTP_AUTH,
    HTTP_EXPECT,
    HTTP_RESPONSE,
    HTTP_FULL,
    HTTP_PAGINATE,
    HTTP_FIELDS
};

/* ---- http_check.c ---- */

enum { HTTP_STATUS_MAX = 599, HTTP_PAGES_MAX = 1000 };
#define NODE_EVAL_BYTES ((size_t)256 << 20) /* for an expression over a page or a config */

/* What the expressions of paginate know, in this order. */
enum http_page_name { HTTP_PAGE, HTTP_PAGE_HEADERS, HTTP_PAGE_STATUS, HTTP_PAGE_NUMBER };

/* Known when the workflow is compiled. */
struct http_data {
    bool expected[HTTP_STATUS_MAX + 1];
    bool keep_redirects; /* a redirect is expected, so none is followed */
    bool paginate;
    const struct expr *items, *next;
    int64_t max_pages; /* 0: not given */
};

void http_check(struct node_check *c);
/* A map with a type this kind knows and what that needs: ERR_INVALID says what is wrong. */
enum err http_auth_check(struct value auth, struct error *e) MUST_USE;

/* ---- http_request.c ---- */

/* One request to be made; params are those of the field unless a page has its own. */
struct http_ask {
    struct str url;
    struct str base; /* of a page after the first: its URL, which the url is relative to */
    struct value params;
    struct str key;         /* for Idempotency-Key */
    uint64_t max_bytes;     /* of the answer */
    struct net_request net; /* made of all that */
    struct str shown;       /* the URL without user, query and fragment, for messages */
    struct str recorded;    /* the URL with its params, without what auth adds */
};

/* Method, shown and recorded; then all the rest. */
enum err http_request_begin(const struct step_in *in, struct http_ask *ask, struct error *e)
    MUST_USE;
enum err http_request_make(const struct step_in *in, struct http_ask *ask, struct error *e)
    MUST_USE;
/* The text without user, query and fragment. */
struct str http_url_shown(struct arena *a, struct str url);

/* ---- http_answer.c ---- */

/* The body as `response` says, or else the content type. ERR_INVALID: it is not what was wanted. */
enum err http_body_read(const struct step_in *in, const struct net_response *r, struct value *out,
                        struct error *e) MUST_USE;
/* Names in small letters; those that came several times are joined by ", ". */
struct value http_headers_value(struct arena *a, const struct net_response *r);
/* A short, printable beginning of a body, or empty when it is no text. */
struct str http_excerpt(struct arena *a, struct str body);

/* ---- http.c, http_pages.c: one attempt ---- */

struct http_run {
    struct step_port *port;
    const struct http_data *data;
    struct io_timer *timer; /* until the first step is taken, in a turn of its own */
    struct net_transfer *transfer;
    bool cancelled;
    struct http_ask ask;
    mono_ns started;
    uint64_t bytes; /* of all answers */
    int status;     /* of the last one */
    struct str url; /* likewise, shown */
    /* paginate */
    uint32_t number, call; /* of the page, and of its call */
    struct value_builder items;
    bool more; /* there would have been another page */
};

/* Sends x->ask; its end is x's. */
void http_send(struct http_run *x);
void http_fail_error(struct http_run *x, const struct error *e);
void http_done(struct http_run *x, struct value body);

/* Takes the first page, or goes on from one that an earlier attempt has finished. */
void http_pages_begin(struct http_run *x);
/* A page has come. */
void http_pages_take(struct http_run *x, const struct net_response *r, struct value page);

#endif
