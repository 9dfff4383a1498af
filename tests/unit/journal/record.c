/* Records a golden store: executions that hold every kind of event and every field. Run through
 * tests/golden/record, once a release; what it wrote is never written again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "golden.h"
#include "groups.h"
#include "io/file.h"
#include "kinds.h"

static const char *const everything =
    "cairn: 1\n"
    "name: everything\n"
    "on_failure: continue\n"
    "timeout: 30m\n"
    "env: [REGION]\n"
    "inputs: {n: {type: integer}, who: {type: string, default: nobody}}\n"
    "nodes:\n"
    "  first: {type: work, value: \"inputs.n + 1\", description: a step}\n"
    "  count: {type: work, needs: [first, again.true], value: iteration, max_iterations: 10}\n"
    "  again: {type: choose, needs: [count], when: \"iteration < 2\"}\n"
    "  flaky: {type: work, needs: [first], act: flaky, value: first, retry: {attempts: 3, "
    "backoff: 2s, jitter: 0.3}}\n"
    "  types: {type: work, act: types}\n"
    "  typed: {type: work, needs: [types], value: types}\n"
    "  large: {type: work, act: large, priority: 2}\n"
    "  size: {type: calc, needs: [large], value: size(large)}\n"
    "  talk: {type: work, act: talk, in: {a: {from: first}}, needs: [first], value: \"a + 1\"}\n"
    "  each: {type: work, needs: [again.false], foreach: {items: \"[10, 20, 30]\", "
    "on_item_error: collect, concurrency: 2}, value: 100 / (item - 20), act: flaky, "
    "retry: {attempts: 2, backoff: 1s}}\n"
    "  pure: {type: calc, needs: [each], foreach: {items: each, as: x}, value: \"x.ok\"}\n"
    "  none: {type: work, foreach: {items: \"[]\"}}\n"
    "  broken: {type: work, act: broken}\n"
    "  handler: {type: work, needs: [broken.error], value: broken.type}\n"
    "  allowed: {type: work, act: broken, on_error: continue}\n"
    "  instead: {type: work, act: broken, on_error: {value: \"'instead'\"}}\n"
    "  skipped: {type: work, if: \"inputs.n > 100\"}\n"
    "  guarded: {type: work, if: \"inputs.n < 100\", value: env.REGION}\n"
    "  after: {type: work, needs: [skipped, allowed], value: \"1\"}\n"
    "  any: {type: work, join: any, needs: [flaky, guarded], value: \"'any'\"}\n"
    "  kid:\n"
    "    type: kid\n"
    "    needs: [first]\n"
    "    inputs: {x: first}\n"
    "    workflow:\n"
    "      inputs: {x: {type: integer}}\n"
    "      nodes:\n"
    "        w: {type: work, value: inputs.x}\n"
    "        e: {type: end, needs: [w], value: \"w * 2\"}\n"
    "outputs:\n"
    "  kid: kid\n"
    "  count: count\n"
    "  types: typed\n"
    "  size: size\n"
    "  each: pure\n"
    "  who: inputs.who\n";

static const char *const fails =
    "{cairn: 1, name: fails, nodes: {a: {type: work, foreach: {items: \"[1, 2, 3]\", concurrency: "
    "1}, act: broken}, b: {type: work, needs: [a]}, c: {type: work, value: \"1\"}, d: {type: work, "
    "needs: [c]}}}";
static const char *const limited =
    "{cairn: 1, name: limited, nodes: {s: {type: calc, value: \"0\"}, a: {type: calc, needs: [s, "
    "c.true], value: iteration, max_iterations: 3}, c: {type: choose, needs: [a], when: "
    "\"true\"}, e: {type: end, needs: "
    "[c.false], value: a}}}";
static const char *const repeated =
    "{cairn: 1, name: repeated, nodes: {a: {type: work, needs: [b], value: iteration, "
    "max_iterations: 3, on_limit: exit}, b: {type: work, needs: [a], value: a}, e: {type: end, "
    "needs: [a.limit], value: \"nodes.b.body\"}}}";
static const char *const hanging =
    "{cairn: 1, name: hanging, nodes: {a: {type: work, act: hang}, b: {type: work, needs: [a]}}}";
static const char *const slow =
    "{cairn: 1, name: slow, timeout: 90s, nodes: {a: {type: work, act: hang}}}";
static const char *const once =
    "{cairn: 1, name: once, nodes: {a: {type: work, act: hang, delivery: at_most_once}, b: {type: "
    "work, act: hang, value: \"5\"}, e: {type: end, needs: [a.error, b], value: \"[a.type, b]\"}}}";
/* Stays as it is: golden.c goes on with it. */
static const char *const left =
    "{cairn: 1, name: left, nodes: {a: {type: work, value: \"[1, 2, 3]\"}, f: {type: work, needs: "
    "[a], foreach: {items: a}, value: \"item * 2\", act: hang}, l: {type: calc, needs: [f, "
    "c.true], value: iteration, max_iterations: 4}, c: {type: choose, needs: [l], when: "
    "\"iteration < 2\"}, e: {type: end, needs: [c.false], value: \"[f, l]\"}}}";

static enum err read_text(void *ctx, struct str path, struct arena *a, struct str *out,
                          struct error *e) {
    (void)path;
    *out = arena_str(a, str_from(ctx));
    return out->ptr ? OK : error_nomem(e);
}

static struct plan *compile(const char *text, struct arena *a) {
    struct error e;
    struct diag diag;
    struct plan *p = NULL;
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .loader = {(void *)(uintptr_t)text, read_text},
                                 .kinds = golden_kinds};
    diag_init(&diag, a);
    if (flow_compile(&source, &p, &diag, &e)) {
        fprintf(stderr, "does not compile: %.*s\n",
                STR_ARG(diag.count ? diag.items[0].message : str_from(e.message)));
        exit(1);
    }
    return p;
}

static struct value one_text(struct arena *a, const char *name, struct value v) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, str_from(name), v);
    return value_map_done(&b);
}

static struct run *submit(struct golden_world *w, const struct plan *p, struct arena *a) {
    bool all = str_is(p->name, "everything");
    struct run *r;
    struct error e;
    struct host_submission s = {.plan = p, .inputs = {.type = VALUE_MAP}, .folder = STR("/golden")};
    if (all) {
        struct value_builder b;
        value_builder_init(&b, a);
        value_map_add(&b, STR("n"), value_int(4));
        value_map_add(&b, STR("who"), value_text(STR("nobody")));
        s.inputs = value_map_done(&b);
        s.labels = one_text(a, "team", value_text(STR("blue")));
        s.env = one_text(a, "REGION", value_text(STR("north")));
        s.key = STR("golden-key");
    }
    if (host_submit(w->host, &s, &r, &e)) {
        fprintf(stderr, "not submitted: %s\n", e.message);
        exit(1);
    }
    golden_act(w);
    return r;
}

#define WORKFLOWS 8

static struct store *open_store(const char *path) {
    struct store *s;
    struct error e;
    if (store_open(path, true, &golden_clock, &s, &e)) {
        fprintf(stderr, "%s\n", e.message);
        exit(1);
    }
    return s;
}

static void play(const char *path, struct plan *const plans[WORKFLOWS], struct arena *a) {
    struct golden_world w;
    struct error e;
    struct store *s = open_store(path);
    golden_world_open(&w, s);
    for (int i = 0; i < 4; i++) {
        (void)submit(&w, plans[i], a);
    }
    struct run *hung = submit(&w, plans[4], a);
    ASSERT(host_cancel(w.host, hung, STR("somebody"), &e) == OK);
    golden_act(&w);
    (void)submit(&w, plans[5], a);
    golden_now.us += 90000000; /* its time is over */
    golden_act(&w);
    struct str id = arena_str(a, run_id(submit(&w, plans[6], a)));
    golden_world_close(&w);
    store_close(s);
    struct run *again;
    s = open_store(path);
    golden_world_open(&w, s); /* another owner */
    ASSERT(host_resume(w.host, id, &again, &e) == OK);
    golden_act(&w);
    ASSERT(host_cancel(w.host, again, STR("nobody"), &e) == OK);
    golden_act(&w);
    (void)submit(&w, plans[7], a);
    golden_world_close(&w);
    store_close(s);
}

static int check_coverage(const struct coverage *seen) {
    int missing = 0;
#define EVENT(number, id, name, version, doc)                \
    if (!seen->events[number]) {                             \
        fprintf(stderr, "no event %s was recorded\n", name); \
        missing++;                                           \
    }
#define EVENT_FIELD(number, id, type, doc)                  \
    if (!seen->fields[number]) {                            \
        fprintf(stderr, "no field %s was recorded\n", #id); \
        missing++;                                          \
    }
#include "engine/events.def"
#undef EVENT
#undef EVENT_FIELD
    return missing;
}

int record_golden(const char *folder) {
    const char *const texts[WORKFLOWS] = {everything, fails, limited, repeated,
                                          hanging,    slow,  once,    left};
    struct plan *plans[WORKFLOWS];
    struct store *s;
    struct arena a;
    struct buf text;
    struct error e = {0};
    char path[600];
    struct coverage seen = {0};
    arena_init(&a, 0);
    buf_init(&text, 0);
    snprintf(path, sizeof path, "%s/cairn.db", folder);
    for (int i = 0; i < WORKFLOWS; i++) {
        plans[i] = compile(texts[i], &a);
    }
    play(path, plans, &a);
    s = open_store(path);
    golden_print(s, &text, &seen);
    store_close(s);
    snprintf(path, sizeof path, "%s/expected.json", folder);
    int failed = check_coverage(&seen);
    failed += io_file_write(path, buf_str(&text), 0644, false, &e) != OK;
    for (int i = 0; i < WORKFLOWS; i++) {
        plan_free(plans[i]);
    }
    buf_fini(&text);
    arena_fini(&a);
    return failed != 0;
}
