/* The rig of the client's tests; see rig.h. Taking it down fails when a handle is left open. */
#include "rig.h"

#include <stdio.h>

int rig_set_up(void **state) {
    static struct rig rig;
    struct net_policy policy = {.allow_loopback = true, .allow_hint = "no"};
    rig = (struct rig){0};
    *state = &rig;
    return io_loop_open(&io_clock_system, &rig.loop, NULL) ||
           net_client_open(rig.loop, &policy, &rig.client, NULL);
}

int rig_tear_down(void **state) {
    struct rig *r = *state;
    net_client_close(r->client);
    http_server_close(&r->server);
    int left = (int)io_loop_open_count(r->loop);
    io_loop_close(r->loop);
    return left;
}

static void on_head(void *ctx, const struct net_response *head) {
    struct told *t = ctx;
    t->heads++;
    t->status = head->status;
}

static void on_done(void *ctx, const struct net_response *r, const struct error *failure) {
    struct told *t = ctx;
    t->done++;
    if (failure) {
        t->failure = *failure;
        t->err = failure->code;
        return;
    }
    t->status = r->status;
    buf_append(&t->body, r->body);
    snprintf(t->url, sizeof t->url, "%.*s", STR_ARG(r->url));
    const struct str *type = net_header_find(r, "content-type");
    snprintf(t->type, sizeof t->type, "%.*s", STR_ARG(type ? *type : STR("")));
}

struct net_listener rig_listener(struct told *t) {
    *t = (struct told){0};
    buf_init(&t->body, 0);
    buf_init(&t->data, 0);
    return (struct net_listener){.ctx = t, .head = on_head, .done = on_done};
}

struct str rig_url(struct rig *r, const char *path) {
    static char ring[8][300];
    static int at;
    char *text = ring[at++ % 8];
    int n = snprintf(text, sizeof ring[0], "http://127.0.0.1:%u%s", r->server.port, path);
    return (struct str){text, (size_t)n};
}

struct net_transfer *rig_send(struct rig *r, const struct net_request *q, struct told *t) {
    struct net_listener l = rig_listener(t);
    return net_send(r->client, q, &l);
}

void rig_run(struct rig *r, const int *until, int count) {
    while (*until < count) {
        bool more = io_loop_turn(r->loop, true);
        assert_true(more || *until >= count);
    }
}

void rig_ask(struct rig *r, const struct net_request *q, struct told *t) {
    rig_send(r, q, t);
    rig_run(r, &t->done, 1);
}

void told_fini(struct told *t) {
    buf_fini(&t->body);
    buf_fini(&t->data);
}
