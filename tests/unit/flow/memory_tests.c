/* Compiling with the n-th allocation failing, for every n: it returns "out of memory" and leaves
 * nothing behind. The program's own malloc is replaced, so builds with sanitizers, which replace it
 * themselves, skip this.
 */
#include <stdlib.h>

#include "groups.h"
#include "support/flow_kinds.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REPLACED_ALREADY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REPLACED_ALREADY 1
#endif
#endif

#if defined(REPLACED_ALREADY) || !defined(__GLIBC__)

static void every_allocation_may_fail(void **state) {
    (void)state;
    print_message("skipped: malloc cannot be replaced in this build\n");
    skip();
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

static bool counting;
static uint32_t left; /* allocations until one fails, 0: none fails */

static bool fails(void) { return counting && left && --left == 0; }

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }

void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }

void *realloc(void *p, size_t size) { return fails() ? NULL : __libc_realloc(p, size); }

static const char main_text[] =
    "cairn: 1\nname: x\ninputs: {city: {type: string, default: Rome}}\n"
    "agents: {w: {service: offline, replies: [a]}}\ntimeout: 1h\n"
    "defaults: {retry: {attempts: 2, on: [timeout]}}\nenv: [HOME]\n"
    "nodes:\n"
    "  a: {type: work, note: \"in {{ inputs.city }}\", data: {x: [1, \"{{ env.HOME }}\"]}}\n"
    "  c: {type: condition, needs: [a, d], cases: [x, y], when: a.z > 1}\n"
    "  d: {type: work, needs: [c.x], in: {p: {from: c, transform: [it + 1]}}, value: p}\n"
    "  e: {type: workflow, needs: [c.y], workflow: sub/w.yaml, inputs: {n: a}}\n"
    "  f: {type: form, title: t, file: run.py, foreach: {items: \"[1, 2]\", as: row}}\n"
    "  g: {type: agent, agent: w, prompt: \"{{ nodes.e.status }}\"}\n"
    "outputs: {o: d}\n";
static const char wrong_text[] =
    "cairn: 1\nnope: 1\nnodes:\n  a: {type: wrok}\n  b: {type: work, needs: [aa, b], value: zz}\n"
    "  c: {type: work, needs: [b, d]}\n  d: {type: work, needs: [c, b]}\n"
    "  f: {type: form, file: nope.py, count: x}\n  w: {type: workflow, workflow: flow.yaml}\n";

static enum err read_static(void *ctx, struct str path, struct arena *a, struct str *out,
                            struct error *e) {
    (void)a;
    if (str_is(path, "flow.yaml")) {
        *out = str_from(ctx);
        return OK;
    }
    if (str_is(path, "sub/w.yaml")) {
        *out = STR("cairn: 1\ninputs: {n: {}}\nnodes: {q: {type: work, value: inputs.n}}\n");
        return OK;
    }
    if (str_is(path, "run.py")) {
        *out = STR("print(1)\n");
        return OK;
    }
    return error_set(e, ERR_NOT_FOUND, "no such file");
}

/* Compiles with allocation n failing; false when there were fewer than n. */
static bool compile_failing(const char *text, uint32_t n, enum err expected) {
    struct arena a;
    struct diag d;
    struct plan *plan = NULL;
    struct error e = {0};
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .loader = {.ctx = (void *)(uintptr_t)text, .read = read_static},
                                 .kinds = flow_test_kinds};
    arena_init(&a, 0);
    diag_init(&d, &a);
    left = n;
    counting = true;
    enum err err = flow_compile(&source, &plan, &d, &e);
    counting = false;
    bool failed = n && left == 0;
    /* Some can do without: a finding without its text still counts, a constant is not folded. */
    bool good = err == expected || (failed && err == ERR_NOMEM);
    bool left_plan = err && plan;
    if (!good) {
        print_message("allocation %u: %s: %s\n", n, err_name(err), e.message);
    }
    plan_free(plan);
    arena_fini(&a);
    assert_true(good);
    assert_false(left_plan);
    return failed;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const struct {
        const char *text;
        enum err err;
    } cases[] = {{main_text, OK}, {wrong_text, ERR_INVALID}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t n = 1;
        compile_failing(cases[i].text, 0, cases[i].err);
        while (compile_failing(cases[i].text, n, cases[i].err)) {
            n++;
        }
        assert_true(n > 5);
    }
}

#endif

int run_memory_tests(void) {
    const struct CMUnitTest tests[] = {TEST(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
