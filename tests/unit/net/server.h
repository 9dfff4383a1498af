/* A small HTTP server on loopback and the same loop as the client under test, and a client with
 * what it was answered. Nothing of it is for use outside tests.
 */
#ifndef CAIRN_TESTS_NET_SERVER_H
#define CAIRN_TESTS_NET_SERVER_H

#include "groups.h"
#include "net/net.h"

struct connection; /* lives until server_close */

struct asked {
    struct str method, path;
    struct str head; /* whole, with the request line */
    struct str body;
};

struct server {
    struct io_loop *loop;
    uint16_t port;
    int fd;
    struct io_poll *poll;
    struct connection *connections;
    int accepted;
    int requests;
    /* Answers by server_say, now or later. */
    void (*handler)(struct server *s, struct connection *c, const struct asked *a);
};

void server_open(struct server *s, struct io_loop *loop,
                 void (*handler)(struct server *s, struct connection *c, const struct asked *a));
void server_close(struct server *s);
/* Sends bytes as they are. */
void server_say(struct connection *c, struct str bytes);
/* Sends a whole answer with a body of that type. */
void server_answer(struct connection *c, const char *status, const char *more_head,
                   struct str body);
void server_hang_up(struct connection *c);
/* The peer has closed it. */
bool server_gone(const struct connection *c);

/* What came of one request. */
struct told {
    int done; /* how often */
    int heads;
    enum err err;
    struct error failure;
    int status;
    struct buf body, data;
    char url[200];
    char type[100];
};

/* The rig: a loop, a client that may reach loopback, one server. Each test has its own. */
struct rig {
    struct io_loop *loop;
    struct net_client *client;
    struct server server;
};

int rig_set_up(void **state);
int rig_tear_down(void **state);
struct net_listener rig_listener(struct told *t);
/* http://127.0.0.1:port + path; lives in a ring of 8. */
struct str rig_url(struct rig *r, const char *path);
struct net_transfer *rig_send(struct rig *r, const struct net_request *q, struct told *t);
void rig_run(struct rig *r, const int *until, int count);
/* Sends and runs to the end. */
void rig_ask(struct rig *r, const struct net_request *q, struct told *t);
void told_fini(struct told *t);

#endif
