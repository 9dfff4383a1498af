/* An execution that goes on with another workflow, without a host: its decision, its fold and the
 * comparison of both definitions, with the n-th allocation failing.
 */
#include "engine/engine.h"
#include "fail.h"
#include "flow/flow.h"
#include "task.h"

#define HEAD "cairn: 1\nname: f\nvars: {n: 1, kept: 2}\nnodes:\n"

static const struct {
    const char *from, *to;
} changes[] = {
    {HEAD "  a: {type: task, set: {n: '7'}, value: '{{ vars.n }}'}\n"
          "  gone: {type: task, value: x}\n"
          "  b: {type: task, needs: [a], value: '{{ a }}'}\n",
     HEAD "  c: {type: task, needs: [a], value: new}\n"
          "  b: {type: task, needs: [a, c], value: '{{ a }} {{ c }}'}\n"
          "  a: {type: task, set: {n: '8'}, value: other}\n"},
    {HEAD
     "  a: {type: task, value: 1}\n"
     "  gone: {type: condition, needs: [a], when: 'false'}\n"
     "  b: {type: task, needs: [gone.false], foreach: {items: '[1, 2]'}, value: '{{ item }}'}\n",
     HEAD "  a: {type: task, needs: [again.true], value: 1}\n"
          "  again: {type: condition, needs: [a], when: iteration < 1}\n"
          "  b: {type: task, needs: [again.false], foreach: {items: '[1, 2, 3]'}, value: '{{ item "
          "}}'}\n"},
};

struct changing {
    struct arena arena;
    struct plan *from, *to;
    struct engine *engine;
    struct engine_out out;
};

static enum err read_text(void *ctx, struct str path, struct arena *a, struct str *out,
                          struct error *e) {
    (void)path;
    *out = arena_str(a, str_from(ctx));
    return out->ptr ? OK : error_nomem(e);
}

static enum err compile(const char *text, struct arena *a, struct plan **out, struct error *e) {
    struct diag d;
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .loader = {(void *)(uintptr_t)text, read_text},
                                 .kinds = task_kinds()};
    diag_init(&d, a);
    enum err err = flow_compile(&source, out, &d, e);
    *out = err ? NULL : *out;
    return err != ERR_INVALID
               ? err
               : error_set(e, err, "%.*s", STR_ARG(d.count ? d.items[0].message : STR("invalid")));
}

/* Decides, and gives pure steps their turn. */
static enum err decide(struct changing *c, const struct engine_input *in, struct error *e) {
    uint32_t at = c->out.effect_count;
    enum err err = engine_decide(c->engine, in, &c->out, e);
    for (; !err && at < c->out.effect_count; at++) {
        const struct engine_effect *fx = &c->out.effects[at];
        struct engine_input eval = {.type = INPUT_EVAL, .step = fx->step, .attempt = fx->attempt};
        err = fx->type == OUT_EVAL ? engine_decide(c->engine, &eval, &c->out, e) : OK;
    }
    return err;
}

/* Ends a step: the first that began of its node, well or not. */
static enum err end_step(struct changing *c, const char *step, bool well, struct error *e) {
    struct step_result result = {.body = value_int(5)};
    struct step_failure failure = {
        .class = FAILURE_PERMANENT, .type = STR("broken"), .message = STR("as it should")};
    struct engine_input in = {.type = well ? INPUT_DONE : INPUT_FAIL,
                              .attempt = 1,
                              .result = &result,
                              .failure = &failure};
    if (!step_id_parse(c->from, str_from(step), &in.step)) {
        return OK;
    }
    return decide(c, &in, e);
}

static enum err run_first(struct changing *c, struct error *e) {
    struct event created = {.id = STR("exec_x")};
    struct engine_input create = {.type = INPUT_CREATE, .created = &created};
    struct engine_input start = {.type = INPUT_START, .host = 1, .epoch = 1};
    enum err err = engine_new(c->from, &c->engine, e);
    c->engine = err ? NULL : c->engine;
    err = err ? err : decide(c, &create, e);
    err = err ? err : decide(c, &start, e);
    err = err ? err : end_step(c, "gone", true, e);
    err = err ? err : end_step(c, "a", true, e);
    err = err ? err : end_step(c, "b[0]", true, e);
    err = err ? err : end_step(c, "b[1]", false, e);
    err = err ? err : end_step(c, "b", false, e);
    bool failed = !err && engine_status(c->engine) == EXEC_FAILED;
    return err || failed ? err : error_set(e, ERR_INVALID, "the first workflow has not failed");
}

static enum err differ(struct changing *c, struct buf *out, struct error *e) {
    struct flow_differ *d;
    enum err err = flow_differ_open(c->from, c->to, &c->arena, &d, e);
    if (err) {
        return err;
    }
    for (uint32_t i = 0; i < c->to->node_count && !err; i++) {
        struct str keys = flow_node_differs(d, c->to->nodes[i].name);
        err = keys.ptr ? OK : error_nomem(e);
        buf_printf(out, "%.*s %d\n", STR_ARG(keys), flow_node_reads(d, i, STR("n"), false));
    }
    flow_differ_close(d);
    return err;
}

static enum err go_on(struct changing *c, struct buf *out, struct error *e) {
    struct engine_input retry = {.type = INPUT_RETRY, .host = 1, .epoch = 2, .plan = c->to};
    uint64_t digest = 0;
    enum err err = decide(c, &retry, e);
    err = err ? err : engine_digest(c->engine, &digest, e);
    buf_printf(out, "%s %llu\n", exec_status_name(engine_status(c->engine)),
               (unsigned long long)digest);
    return err;
}

enum err work_change(size_t i, struct buf *out, struct error *e) {
    struct changing c = {0};
    if (i >= ARRAY_LEN(changes)) {
        return error_set(e, ERR_NOT_FOUND, "no more");
    }
    arena_init(&c.arena, 0);
    engine_out_init(&c.out);
    enum err err = compile(changes[i].from, &c.arena, &c.from, e);
    err = err ? err : compile(changes[i].to, &c.arena, &c.to, e);
    err = err ? err : run_first(&c, e);
    err = err ? err : differ(&c, out, e);
    err = err ? err : go_on(&c, out, e);
    engine_out_fini(&c.out);
    engine_free(c.engine);
    plan_free(c.from);
    plan_free(c.to);
    arena_fini(&c.arena);
    return err;
}
