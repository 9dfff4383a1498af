/* include/cairn.h over the host: the composition root for programs that embed cairn.
 * Never keeps process-global state; one struct cairn is one store, one loop, one host.
 */
#include "embed/embed_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/net.h"

/* Puts an error into why and gives the number a function returns. */
enum { INBOX_POLL_MS = 250 }; /* how soon what other processes ask is seen */

int embed_fail(char *why, enum err err, const struct error *e) {
    if (why) {
        snprintf(why, CAIRN_ERROR_BYTES, "%s", e->message);
    }
    return (int)err;
}

static int no_memory(char *why) {
    struct error e;
    return embed_fail(why, error_nomem(&e), &e);
}

int cairn_open(const char *store_url, struct cairn **out, char *why) {
    struct error e = {0};
    struct cairn *c = calloc(1, sizeof *c);
    if (!c) {
        return no_memory(why);
    }
    arena_init(&c->arena, 0);
    enum err err = io_loop_open(&io_clock_system, &c->loop, &e);
    err = err ? err : store_open(store_url, true, &io_clock_system, &c->store, &e);
    if (err) {
        cairn_close(c);
        return embed_fail(why, err, &e);
    }
    *out = c;
    return 0;
}

void cairn_close(struct cairn *c) {
    if (!c) {
        return;
    }
    host_close(c->host);
    net_client_close(c->net);
    embed_kinds_close(c);
    for (struct cairn_workflow *w = c->workflows; w; w = w->next) {
        plan_free(w->plan);
    }
    if (c->store) {
        store_close(c->store);
    }
    io_loop_close(c->loop);
    arena_fini(&c->arena);
    free(c);
}

void cairn_set_slots(struct cairn *c, uint32_t slots) { c->slots = slots; }

void cairn_allow_local(struct cairn *c) { c->allow_local = true; }

int cairn_allow_host(struct cairn *c, const char *host, char *why) {
    struct str kept = arena_str(&c->arena, str_from(host));
    const char **hosts = ARENA_ARRAY(&c->arena, c->allow_count + 2, const char *);
    if (!kept.ptr || !hosts) {
        return no_memory(why);
    }
    for (uint32_t i = 0; i < c->allow_count; i++) {
        hosts[i] = c->allow_hosts[i];
    }
    hosts[c->allow_count++] = kept.ptr;
    c->allow_hosts = hosts;
    return 0;
}

static void on_event(void *ctx, struct run *r, const struct host_event *ev) {
    struct cairn *c = ctx;
    if (!c->event) {
        return;
    }
    char step[STEP_ID_BYTES];
    snprintf(step, sizeof step, "%.*s", STR_ARG(ev->step));
    struct cairn_event told = {.execution = run_id(r).ptr,
                               .seq = ev->seq,
                               .at_us = ev->at.us,
                               .type = event_name(ev->kind),
                               .step = step};
    c->event(c->event_ctx, &told);
}

static void on_lost(void *ctx, struct run *r, const struct error *e) {
    struct cairn *c = ctx;
    (void)r;
    c->lost = *e;
}

void cairn_subscribe(struct cairn *c, void (*event)(void *ctx, const struct cairn_event *ev),
                     void *ctx) {
    c->event = event;
    c->event_ctx = ctx;
}

static enum err need_net(struct cairn *c, struct error *e) {
    struct net_policy policy = {.allow_loopback = c->allow_local,
                                .allow_private = c->allow_local,
                                .allow_hosts = c->allow_hosts,
                                .allow_hint = "the program allows it by cairn_allow_host"};
    return c->net ? OK : net_client_open(c->loop, &policy, &c->net, e);
}

/* The host is opened late, so that kinds, slots and hosts can be set first. */
static enum err need_host(struct cairn *c, struct error *e) {
    if (c->host) {
        return OK;
    }
    enum err err = need_net(c, e);
    struct host_options o = {.store = c->store,
                             .loop = c->loop,
                             .net = c->net,
                             .kinds = embed_kinds(c),
                             .slots = c->slots,
                             .inbox_poll_ms = INBOX_POLL_MS,
                             .inbox_in_passing = true,
                             .observer = {.ctx = c, .event = on_event, .lost = on_lost}};
    return err ? err : host_open(&o, &c->host, e);
}

/* ---- workflows ---- */

static enum err read_file(void *ctx, struct str path, struct arena *a, struct str *out,
                          struct error *e) {
    const char *folder = ctx;
    struct str full = arena_printf(a, "%s/%.*s", folder, STR_ARG(path));
    return full.ptr ? io_file_read(full.ptr, 16u << 20, a, out, e) : error_nomem(e);
}

static enum err read_text(void *ctx, struct str path, struct arena *a, struct str *out,
                          struct error *e) {
    const struct cairn_workflow *w = ctx;
    if (!str_eq(path, str_from(w->name))) {
        return error_set(e, ERR_NOT_FOUND, "a workflow given as text can refer to no files");
    }
    *out = arena_str(a, str_from(w->text));
    return out->ptr ? OK : error_nomem(e);
}

static int compile(struct cairn *c, struct cairn_workflow *w, struct flow_loader loader,
                   const char *entry, char *why) {
    struct error e = {0};
    struct arena a;
    struct diag diag;
    struct flow_source source = {
        .entry = str_from(entry), .loader = loader, .kinds = embed_kinds(c)};
    arena_init(&a, 0);
    diag_init(&diag, &a);
    enum err err = flow_compile(&source, &w->plan, &diag, &e);
    if (err == ERR_INVALID) {
        struct buf text;
        buf_init(&text, 0);
        diag_sort(&diag);
        diag_print(&diag, &text);
        error_set(&e, err, "%.*s", STR_ARG(buf_str(&text)));
        buf_fini(&text);
    }
    arena_fini(&a);
    if (err) {
        return embed_fail(why, err, &e);
    }
    w->next = c->workflows;
    c->workflows = w;
    return 0;
}

int cairn_load(struct cairn *c, const char *path, struct cairn_workflow **out, char *why) {
    struct cairn_workflow *w = ARENA_NEW(&c->arena, struct cairn_workflow);
    const char *slash = strrchr(path, '/');
    struct str folder = slash ? arena_str(&c->arena, (struct str){path, (size_t)(slash - path)})
                              : arena_str(&c->arena, STR("."));
    if (!w || !folder.ptr) {
        return no_memory(why);
    }
    char *real = realpath(folder.len ? folder.ptr : "/", NULL);
    struct str kept = arena_str(&c->arena, str_from(real ? real : folder.ptr));
    free(real);
    w->folder = kept.ptr;
    struct flow_loader loader = {(void *)(uintptr_t)w->folder, read_file};
    int failed = kept.ptr ? compile(c, w, loader, slash ? slash + 1 : path, why) : no_memory(why);
    *out = failed ? *out : w;
    return failed;
}

int cairn_load_text(struct cairn *c, const char *text, const char *name,
                    struct cairn_workflow **out, char *why) {
    struct cairn_workflow *w = ARENA_NEW(&c->arena, struct cairn_workflow);
    if (!w) {
        return no_memory(why);
    }
    w->text = text;
    w->name = name;
    w->folder = "/";
    int failed = compile(c, w, (struct flow_loader){w, read_text}, name, why);
    *out = failed ? *out : w;
    return failed;
}

/* ---- executions ---- */

static enum err read_inputs(const struct plan *p, const char *json, struct arena *a,
                            struct value *out, struct error *e) {
    struct value map = value_list(NULL, 0);
    enum err err = json ? value_parse_json(a, str_from(json), &map, e) : OK;
    if (err || (json && map.type != VALUE_MAP)) {
        return err ? err : error_set(e, ERR_INVALID, "inputs must be a JSON object");
    }
    size_t count = json ? value_count(map) : 0;
    struct flow_input *given = ARENA_ARRAY(a, count + 1, struct flow_input);
    struct diag diag;
    diag_init(&diag, a);
    for (size_t i = 0; given && i < count; i++) {
        given[i] =
            (struct flow_input){.name = value_str(map.pairs[i].key), .value = map.pairs[i].val};
    }
    err = given ? flow_inputs(p, given, count, a, out, &diag) : ERR_NOMEM;
    if (err && diag.count) {
        return error_set(e, err, "%.*s", STR_ARG(diag.items[0].message));
    }
    return err ? error_set(e, err, "the inputs do not fit the workflow") : OK;
}

static struct cairn_execution *wrap(struct cairn *c, struct run *r) {
    struct cairn_execution *x = ARENA_NEW(&c->arena, struct cairn_execution);
    if (x) {
        x->run = r;
    }
    return x;
}

int cairn_submit(struct cairn *c, struct cairn_workflow *w, const char *inputs_json,
                 struct cairn_execution **out, char *why) {
    struct error e = {0};
    struct arena a;
    struct run *r = NULL;
    struct host_submission s = {.plan = w->plan, .folder = str_from(w->folder)};
    arena_init(&a, 0);
    enum err err = need_host(c, &e);
    err = err ? err : read_inputs(w->plan, inputs_json, &a, &s.inputs, &e);
    err = err ? err : host_submit(c->host, &s, &r, &e);
    arena_fini(&a);
    struct cairn_execution *x = err ? NULL : wrap(c, r);
    if (!x) {
        return err ? embed_fail(why, err, &e) : no_memory(why);
    }
    *out = x;
    return 0;
}

int cairn_resume(struct cairn *c, const char *id, struct cairn_execution **out, char *why) {
    struct error e = {0};
    struct run *r = NULL;
    enum err err = need_host(c, &e);
    err = err ? err : host_resume(c->host, str_from(id), &r, &e);
    struct cairn_execution *x = err ? NULL : wrap(c, r);
    if (!x) {
        return err ? embed_fail(why, err, &e) : no_memory(why);
    }
    *out = x;
    return 0;
}

int cairn_run(struct cairn *c, char *why) {
    struct error e = {0};
    enum err err = need_host(c, &e);
    c->lost = (struct error){0};
    if (!err) {
        host_inbox_look(c->host); /* what was asked since the last run */
    }
    err = err ? err : host_run(c->host, &e);
    if (!err && c->lost.code) {
        err = c->lost.code;
        e = c->lost;
    }
    return err ? embed_fail(why, err, &e) : 0;
}

const char *cairn_id(const struct cairn_execution *x) { return run_id(x->run).ptr; }

const char *cairn_status(const struct cairn_execution *x) {
    return exec_status_name(run_status(x->run));
}

const char *cairn_result(const struct cairn_execution *x) {
    struct str s = run_result_json(x->run);
    return s.len ? s.ptr : "";
}

const char *cairn_error(const struct cairn_execution *x) {
    struct str s = run_error_json(x->run);
    return s.len ? s.ptr : "";
}

void cairn_stats(const struct cairn *c, struct cairn_stats *out) {
    struct store_stats s;
    store_stats_get(c->store, &s);
    *out = (struct cairn_stats){.commits = s.commits, .events = s.events};
}
