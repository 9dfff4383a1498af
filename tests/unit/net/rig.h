/* The rig: a loop, a client that may reach loopback, one server, and what requests were answered.
 * Each test has its own.
 */
#ifndef CAIRN_TESTS_NET_RIG_H
#define CAIRN_TESTS_NET_RIG_H

#include "groups.h"
#include "net/net.h"
#include "support/http_server.h"

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

struct rig {
    struct io_loop *loop;
    struct net_client *client;
    struct http_server server;
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
