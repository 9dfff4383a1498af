/* A small HTTP server on loopback, on the same loop as the client under test: it reads whole
 * requests and says what the test tells it to.
 */
#ifndef CAIRN_TESTS_SUPPORT_HTTP_SERVER_H
#define CAIRN_TESTS_SUPPORT_HTTP_SERVER_H

#include "base/base.h"
#include "io/loop.h"

struct connection; /* lives until http_server_close */

struct asked {
    struct str method, path;
    struct str head; /* whole, with the request line */
    struct str body;
};

struct http_server {
    struct io_loop *loop;
    uint16_t port;
    int fd;
    struct io_poll *poll;
    struct connection *connections;
    int accepted;
    int requests;
    /* Answers by http_server_say, now or later. */
    void (*handler)(struct http_server *s, struct connection *c, const struct asked *a);
};

void http_server_open(struct http_server *s, struct io_loop *loop,
                      void (*handler)(struct http_server *s, struct connection *c,
                                      const struct asked *a));
void http_server_close(struct http_server *s);
/* Sends bytes as they are. */
void http_server_say(struct connection *c, struct str bytes);
/* Sends a whole answer with a body of that type. */
void http_server_answer(struct connection *c, const char *status, const char *more_head,
                        struct str body);
void http_server_hang_up(struct connection *c);
/* The peer has closed it. */
bool http_server_gone(const struct connection *c);

#endif
