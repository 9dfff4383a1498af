/* The world that node tests run in; see harness.h. Everything of a world ends with it. */
#include "harness.h"

#include <stdio.h>

#include "io/file.h"

static enum err read_file(void *ctx, struct str path, struct arena *a, struct str *out,
                          struct error *e) {
    (void)a;
    for (const struct world_file *f = ctx; f && f->path; f++) {
        if (str_is(path, f->path)) {
            *out = str_from(f->text);
            return OK;
        }
    }
    return error_set(e, ERR_NOT_FOUND, "no such file");
}

void world_open(struct world *w, const char *text, const struct world_file *files) {
    struct world_file all[16] = {{"flow.yaml", text}};
    for (size_t i = 0; files && files[i].path; i++) {
        assert_true(i + 2 < ARRAY_LEN(all));
        all[i + 1] = files[i];
    }
    *w = (struct world){0};
    arena_init(&w->arena, 0);
    diag_init(&w->diag, &w->arena);
    struct flow_source source = {
        .entry = STR("flow.yaml"), .loader = {all, read_file}, .kinds = node_kinds()};
    struct error e = {0};
    enum err err = flow_compile(&source, &w->plan, &w->diag, &e);
    if (err) {
        w->plan = NULL;
        assert_int_equal(err, ERR_INVALID);
        assert_true(w->diag.errors > 0);
    }
    assert_int_equal(io_loop_open(&io_clock_system, &w->loop, NULL), OK);
    w->launcher = io_launcher_open(w->loop);
    assert_non_null(w->launcher);
    struct net_policy policy = {.allow_loopback = true};
    assert_int_equal(net_client_open(w->loop, &policy, &w->net, NULL), OK);
    assert_int_equal(io_dir_temp(NULL, w->folder, sizeof w->folder, NULL), OK);
}

void world_close(struct world *w) {
    io_launcher_close(w->launcher);
    net_client_close(w->net);
    io_loop_close(w->loop);
    assert_int_equal(io_dir_remove(w->folder, NULL), OK);
    plan_free(w->plan);
    arena_fini(&w->arena);
}

const char *world_findings(struct world *w) {
    struct buf b;
    buf_init(&b, 0);
    diag_print(&w->diag, &b);
    struct str text = arena_str(&w->arena, buf_str(&b));
    buf_fini(&b);
    return text.ptr;
}

void world_refused(struct world *w, const char *part) {
    const char *found = world_findings(w);
    if (w->plan || !strstr(found, part)) {
        fail_msg("expected \"%s\" in:\n%s", part, found);
    }
}

const char *world_json(struct world *w, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    struct str text = arena_str(&w->arena, buf_str(&b));
    buf_fini(&b);
    return text.ptr;
}

struct value world_value(struct world *w, const char *json) {
    struct value v = value_null();
    assert_int_equal(value_parse_json(&w->arena, str_from(json), &v, NULL), OK);
    return v;
}

/* ---- the port ---- */

static struct attempt *attempt_of(struct step_port *p) { return (struct attempt *)(void *)p; }

static void note_answer(struct attempt *a) {
    assert_false(a->inside_start);
    assert_int_equal(a->answers, 0);
    a->answers++;
}

static struct value kept(struct attempt *a, struct value v) {
    struct value out;
    assert_true(value_copy(&a->world->arena, v, &out));
    return out;
}

static void on_done(struct step_port *p, const struct step_result *result) {
    struct attempt *a = attempt_of(p);
    note_answer(a);
    a->done = true;
    a->result = *result;
    a->result.body = kept(a, result->body);
    a->result.meta = kept(a, result->meta);
    a->result.handle = arena_str(&a->world->arena, result->handle);
}

static void on_fail(struct step_port *p, const struct step_failure *failure) {
    struct attempt *a = attempt_of(p);
    note_answer(a);
    a->failure = *failure;
    a->failure.type = arena_str(&a->world->arena, failure->type);
    a->failure.message = arena_str(&a->world->arena, failure->message);
    a->failure.meta = kept(a, failure->meta);
}

static void on_log(struct step_port *p, const char *stream, struct str text) {
    (void)text;
    assert_int_equal(attempt_of(p)->answers, 0);
    assert_non_null(stream);
}

static void on_chunk(struct step_port *p, struct str text) {
    struct attempt *a = attempt_of(p);
    assert_int_equal(a->answers, 0);
    a->chunks = arena_printf(&a->world->arena, "%.*s%.*s", STR_ARG(a->chunks), STR_ARG(text));
}

static uint32_t on_call_begin(struct step_port *p, struct value request, struct value *out_answer) {
    struct attempt *a = attempt_of(p);
    *out_answer = value_null();
    assert_int_equal(a->answers, 0);
    a->request = kept(a, request);
    if (a->calls_begun < a->known_count) {
        *out_answer = a->known_answers[a->calls_begun];
    }
    return ++a->calls_begun;
}

static uint32_t on_call_reserve(struct step_port *p, struct value request,
                                const struct step_charge *c, struct value *out_answer) {
    struct attempt *a = attempt_of(p);
    uint32_t call = on_call_begin(p, request, out_answer);
    a->charge = *c;
    if (value_is_null(*out_answer) && !a->reserves_nothing) {
        c->go(p, call);
    }
    return call;
}

static void on_call_failed(struct step_port *p, uint32_t call, struct value usage) {
    struct attempt *a = attempt_of(p);
    (void)usage;
    assert_int_equal(a->answers, 0);
    assert_in_range(call, 1, a->calls_begun);
    a->calls_failed++;
}

static void on_call_done(struct step_port *p, uint32_t call, struct value answer) {
    struct attempt *a = attempt_of(p);
    assert_int_equal(a->answers, 0);
    assert_in_range(call, 1, a->calls_begun);
    a->answer = kept(a, answer);
    a->calls_done++;
}

static void on_process(struct step_port *p, int64_t pid, uint64_t start_time) {
    (void)start_time;
    assert_int_equal(attempt_of(p)->answers, 0);
    assert_true(pid > 0);
}

static void child_due(void *ctx) {
    struct attempt *a = ctx;
    io_timer_close(a->child_timer);
    struct step_result result = {.body = a->child_inputs};
    on_done(&a->port, &result);
}

/* Stands for the sub-workflow: ends with its inputs, from a later turn. */
static void on_child(struct step_port *p, struct value inputs) {
    struct attempt *a = attempt_of(p);
    a->children++;
    a->child_inputs = kept(a, inputs);
    a->child_timer = io_timer_open(a->world->loop, child_due, a);
    assert_non_null(a->child_timer);
    io_timer_start(a->child_timer, 0);
}

static enum err on_secret(struct step_port *p, struct str name, struct str *out, struct error *e) {
    (void)p;
    if (str_is(name, "UNSET")) {
        return error_set(e, ERR_NOT_FOUND, "secret %.*s is not set", STR_ARG(name));
    }
    *out = STR("the-secret");
    return OK;
}

static enum err on_history(struct step_port *p, struct str agent, uint32_t at_most,
                           struct value *out) {
    struct attempt *a = attempt_of(p);
    a->said_of = agent;
    a->said_at_most = at_most;
    *out = a->said;
    return OK;
}

static void on_no_memory(struct step_port *p) {
    (void)p;
    fail_msg("it says that there is no memory");
}

static const struct step_port_ops ops = {
    .done = on_done,
    .fail = on_fail,
    .no_memory = on_no_memory,
    .log = on_log,
    .chunk = on_chunk,
    .call_begin = on_call_begin,
    .call_done = on_call_done,
    .call_reserve = on_call_reserve,
    .call_failed = on_call_failed,
    .process = on_process,
    .child = on_child,
    .secret = on_secret,
    .history = on_history,
};

/* ---- one attempt ---- */

static struct value named(struct value map, struct str name) {
    const struct value *v = value_get(map, name);
    return v ? *v : value_null();
}

static enum err get_name(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    struct attempt *a = ctx;
    const struct plan *p = a->world->plan;
    const struct plan_ref *ref = &p->refs[slot];
    struct value names = a->world->names;
    (void)e;
    switch (ref->type) {
    case REF_BODY: *out = named(names, p->nodes[ref->node].name); break;
    case REF_INPUTS: *out = named(names, STR("inputs")); break;
    case REF_INPUT: *out = named(named(names, STR("inputs")), ref->name); break;
    case REF_ITEM: *out = named(names, STR("item")); break;
    case REF_INDEX: *out = value_int(a->in.index); break;
    case REF_ITERATION: *out = value_int(a->in.iteration); break;
    case REF_NODE:
    case REF_NODE_PART:
    case REF_EXECUTION:
    case REF_IN:
    case REF_ENV:
    case REF_IT:
    case REF_VARS:
    case REF_VAR:
    case REF_SELF:
    case REF_STEP:
    case REF_ERROR: *out = value_null(); break;
    }
    return OK;
}

static void evaluate_fields(struct attempt *a) {
    const struct plan_node *n = a->in.node;
    struct value *fields = ARENA_ARRAY(&a->world->arena, a->kind->field_count + 1, struct value);
    struct expr_env env = {.ctx = a, .get = get_name, .arena = &a->world->arena};
    for (size_t i = 0; i < a->kind->field_count; i++) {
        struct error e = {0};
        enum err err = pval_eval(&n->fields[i], &env, &fields[i], &e);
        if (err) {
            fail_msg("field %s: %s", a->kind->fields[i].name, e.message);
        }
    }
    a->in.fields = fields;
}

void attempt_init(struct attempt *a, struct world *w, const char *node) {
    if (!w->plan) {
        fail_msg("the workflow does not compile:\n%s", world_findings(w));
    }
    int64_t at = plan_node_find(w->plan, str_from(node));
    assert_true(at >= 0);
    struct arena *arena = &w->arena;
    const struct plan_node *n = &w->plan->nodes[at];
    *a = (struct attempt){.world = w, .kind = n->kind};
    a->in = (struct step_in){.execution = STR("exec_00000000000000000000"),
                             .step = n->name,
                             .key = arena_printf(arena, "exec_0/%s", node),
                             .attempt = 1,
                             .node = n,
                             .inputs = named(w->names, STR("inputs")),
                             .scope = w->names,
                             .item = named(w->names, STR("item")),
                             .index = -1,
                             .timeout_us = n->timeout_us,
                             .max_output_bytes = 64u << 20,
                             .arena = arena};
    evaluate_fields(a);
    a->port = (struct step_port){.ops = &ops,
                                 .loop = w->loop,
                                 .in = &a->in,
                                 .base_dir = str_from(w->folder),
                                 .launcher = w->launcher,
                                 .net = w->net};
}

void attempt_start(struct attempt *a) {
    assert_false(a->in.node->pure);
    assert_non_null(a->kind->start);
    a->inside_start = true;
    a->kind->start(&a->in, &a->port);
    a->inside_start = false;
    assert_int_equal(a->answers, 0);
}

void attempt_cancel(struct attempt *a) {
    if (a->kind->cancel && a->answers == 0) {
        a->kind->cancel(&a->port);
    }
}

/* The launcher keeps a descriptor of its own in the loop, so what is open is not always nothing. */
void attempt_finish(struct attempt *a) {
    while (a->answers == 0) {
        bool alive = io_loop_turn(a->world->loop, true);
        assert_true(alive || a->answers > 0); /* else nothing could ever answer */
    }
    for (int i = 0; i < 3; i++) {
        io_loop_turn(a->world->loop, false);
    }
    assert_int_equal(a->answers, 1);
    assert_int_equal(io_launcher_running(a->world->launcher), 0);
}

void attempt_run(struct attempt *a) {
    attempt_start(a);
    attempt_finish(a);
}

enum err attempt_eval(struct attempt *a, struct error *e) {
    assert_true(a->in.node->pure);
    a->result = (struct step_result){.arena = &a->world->arena};
    return a->kind->eval(&a->in, &a->result, e);
}
