/* What the plan keeps of a workflow's values: durations, retries, agents, fields, structures. */
#include "groups.h"

static const struct plan_node *node(const struct compiled *c, const char *name) {
    int64_t i = plan_node_find(c->plan, str_from(name));
    assert_true(i >= 0);
    return &c->plan->nodes[i];
}

static void open_text(struct compiled *c, const char *text) {
    compiled_text(c, str_from(text));
    if (!c->plan) {
        struct buf b;
        buf_init(&b, 0);
        print_findings(c, &b);
        print_message("%.*s", STR_ARG(buf_str(&b)));
        buf_fini(&b);
    }
    assert_non_null(c->plan);
}

static void whole_workflow(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\nname: w\ndescription: d\ntimeout: 2h\non_failure: cancel\n"
                  "concurrency: 7\nenv: [HOME, LANG]\nnodes: {a: {type: work}}\n");
    assert_str(c.plan->name, "w");
    assert_str(c.plan->description, "d");
    assert_int_equal(c.plan->timeout_us, 7200000000);
    assert_int_equal(c.plan->on_failure, ON_FAILURE_CANCEL);
    assert_int_equal(c.plan->concurrency, 7);
    assert_int_equal(c.plan->env_count, 2);
    assert_str(c.plan->env[1], "LANG");
    assert_false(c.plan->has_outputs);
    compiled_fini(&c);
}

static void defaults_of_everything(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\nnodes: {a: {type: work}}\noutputs: {}\n");
    const struct plan_node *a = node(&c, "a");
    assert_str(c.plan->name, "flow");
    assert_int_equal(c.plan->timeout_us, 0);
    assert_int_equal(c.plan->on_failure, ON_FAILURE_DRAIN);
    assert_int_equal(c.plan->concurrency, 0);
    assert_true(c.plan->has_outputs);
    assert_int_equal(c.plan->output_count, 0);
    assert_int_equal(a->retry.attempts, 1);
    assert_int_equal(a->timeout_us, 0);
    assert_int_equal(a->join, JOIN_ALL);
    assert_int_equal(a->on_error, ON_ERROR_FAIL);
    assert_int_equal(a->delivery, DELIVERY_AT_LEAST_ONCE);
    assert_int_equal(a->heads, -1);
    assert_int_equal(a->agent, -1);
    assert_null(a->guard);
    assert_false(a->pure);
    compiled_fini(&c);
}

static void retries_come_from_the_defaults(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\n"
                  "defaults: {timeout: 60s, retry: {attempts: 4, backoff: 5s, on: [timeout]}}\n"
                  "nodes:\n"
                  "  a: {type: work}\n"
                  "  b: {type: work, timeout: 90s, retry: {attempts: 2, factor: 3, jitter: 0}}\n"
                  "  c: {type: workflow, workflow: {nodes: {x: {type: work}}}}\n");
    const struct plan_node *a = node(&c, "a"), *b = node(&c, "b"), *w = node(&c, "c");
    assert_int_equal(a->timeout_us, 60000000);
    assert_int_equal(a->retry.attempts, 4);
    assert_int_equal(a->retry.backoff_us, 5000000);
    assert_int_equal(a->retry.max_us, 30000000);
    assert_true(a->retry.factor == 2 && a->retry.jitter > 0.19 && a->retry.jitter < 0.21);
    assert_int_equal(b->timeout_us, 90000000);
    assert_int_equal(b->retry.attempts, 2);
    assert_int_equal(b->retry.backoff_us, 5000000);
    assert_true(b->retry.factor == 3 && b->retry.jitter == 0);
    assert_int_equal(b->retry.on_count, 1);
    assert_str(b->retry.on[0], "timeout");
    assert_int_equal(w->timeout_us, 0);
    assert_int_equal(w->child->nodes[0].timeout_us, 0);
    assert_str(w->child->name, "c");
    compiled_fini(&c);
}

static void a_retry_without_attempts_tries_three_times(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\nnodes: {a: {type: work, retry: {backoff: 2s}}}\n");
    assert_int_equal(node(&c, "a")->retry.attempts, 3);
    assert_str(node(&c, "a")->retry.on[0], "transient");
    compiled_fini(&c);
}

static void foreach_of_both_forms(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\ninputs: {xs: {}}\nnodes:\n"
                  "  a: {type: work, foreach: inputs.xs}\n"
                  "  b: {type: work, foreach: {items: [1, \"'x'\"], as: row, concurrency: 2,\n"
                  "      on_item_error: collect, max_items: 9}}\n"
                  "  c: {type: work}\n");
    const struct plan_foreach *a = &node(&c, "a")->foreach, *b = &node(&c, "b")->foreach;
    assert_true(a->present && b->present && !node(&c, "c")->foreach.present);
    assert_int_equal(a->items.type, PVAL_EXPR);
    assert_str(a->as, "item");
    assert_int_equal(a->concurrency, 0);
    assert_int_equal(a->max_items, 100000);
    assert_false(a->collect);
    assert_int_equal(b->items.type, PVAL_CONST);
    assert_int_equal(value_count(b->items.constant), 2);
    assert_str(b->as, "row");
    assert_int_equal(b->concurrency, 2);
    assert_int_equal(b->max_items, 9);
    assert_true(b->collect);
    compiled_fini(&c);
}

static void on_error_of_both_sorts(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\nnodes:\n"
                  "  a: {type: work, on_error: {value: \"[1, 'x']\"}}\n"
                  "  b: {type: condition, on_error: {value: true}}\n"
                  "  c: {type: work, on_error: {value: {k: \"'v'\"}}}\n");
    const struct pval *a = &node(&c, "a")->on_error_value, *b = &node(&c, "b")->on_error_value;
    assert_int_equal(node(&c, "a")->on_error, ON_ERROR_VALUE);
    assert_int_equal(a->type, PVAL_CONST);
    assert_int_equal(a->constant.type, VALUE_LIST);
    assert_int_equal(b->type, PVAL_CONST);
    assert_str(value_str(b->constant), "true");
    assert_int_equal(node(&c, "c")->on_error_value.constant.type, VALUE_MAP);
    compiled_fini(&c);
}

static void agents_and_their_settings(void **state) {
    (void)state;
    struct mem_files files = {.count = 0};
    struct compiled c;
    mem_add(&files, STR("flow.yaml"),
            STR("cairn: 1\nagents:\n"
                "  a: {service: offline, model: m, system: s, replies: [x], default: y}\n"
                "  b: {service: other, base_url: u, replies_file: data/b.yaml}\n"
                "nodes: {n: {type: agent, agent: b, prompt: hi}}\n"));
    mem_add(&files, STR("data/b.yaml"), STR("[one, two]\n"));
    compiled_init(&c, &files, "flow.yaml");
    assert_non_null(c.plan);
    assert_int_equal(c.plan->agent_count, 2);
    const struct plan_agent *a = &c.plan->agents[0], *b = &c.plan->agents[1];
    assert_str(a->name, "a");
    assert_str(a->texts[AGENT_SERVICE], "offline");
    assert_str(a->texts[AGENT_MODEL], "m");
    assert_str(a->texts[AGENT_SYSTEM], "s");
    assert_int_equal(value_count(*value_get(a->settings, STR("replies"))), 1);
    assert_str(b->texts[AGENT_BASE_URL], "u");
    assert_int_equal(value_count(*value_get(b->settings, STR("replies"))), 2);
    assert_int_equal(node(&c, "n")->agent, 1);
    assert_int_equal(c.plan->file_count, 2);
    compiled_fini(&c);
}

static void purity_is_of_the_node(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\nnodes: {a: {type: condition}, b: {type: condition, effect: true},\n"
                  "  w: {type: work}}\n");
    assert_true(node(&c, "a")->pure);
    assert_false(node(&c, "b")->pure);
    assert_false(node(&c, "w")->pure);
    compiled_fini(&c);
}

/* ---- evaluating ---- */

static const struct plan *evaluated;

/* Every input is its name, everything else the text "ref". */
static enum err get(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    (void)ctx;
    (void)e;
    const struct plan_ref *ref = &evaluated->refs[slot];
    *out = value_text(ref->name.len ? ref->name : STR("ref"));
    return OK;
}

static void assert_field(const struct compiled *c, const char *field, const char *json) {
    const struct plan_node *n = &c->plan->nodes[0];
    struct arena a;
    arena_init(&a, 0);
    struct expr_env env = {.get = get, .arena = &a};
    struct buf b;
    buf_init(&b, 0);
    evaluated = c->plan;
    for (size_t i = 0; i < n->kind->field_count; i++) {
        struct value v;
        if (strcmp(n->kind->fields[i].name, field) == 0) {
            assert_int_equal(pval_eval(&n->fields[i], &env, &v, NULL), OK);
            value_print_json(v, 0, &b);
        }
    }
    buf_append_char(&b, 0);
    assert_string_equal(b.ptr, json);
    buf_fini(&b);
    arena_fini(&a);
}

static void fields_evaluate(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\ninputs: {city: {}}\nnodes:\n  f:\n    type: form\n"
                  "    title: \"in {{ inputs.city }}!\"\n"
                  "    argv: [a, b]\n"
                  "    method: post\n"
                  "    count: 3\n    ratio: 2\n    full: true\n    delay: 1.5s\n"
                  "    extra: {x: [\"{{ not evaluated }}\", null]}\n"
                  "    token: \"{{ 1 + 1 }}\"\n"
                  "    body: {a: \"{{ [inputs.city] }}\", b: \"{{ 1 }}\", c: [\"x{{ 1 }}\", 2.0]}\n"
                  "    rows: {p: inputs.city + '!', q: [1, \"2\", true]}\n");
    assert_field(&c, "title", "\"in city!\"");
    assert_field(&c, "argv", "[\"a\",\"b\"]");
    assert_field(&c, "method", "\"post\"");
    assert_field(&c, "count", "3");
    assert_field(&c, "ratio", "2.0");
    assert_field(&c, "full", "true");
    assert_field(&c, "delay", "1500000");
    assert_field(&c, "extra", "{\"x\":[\"{{ not evaluated }}\",null]}");
    assert_field(&c, "token", "\"2\"");
    assert_field(&c, "body", "{\"a\":[\"city\"],\"b\":1,\"c\":[\"x1\",2.0]}");
    assert_field(&c, "rows", "{\"p\":\"city!\",\"q\":[1,2,true]}");
    assert_field(&c, "code", "null");
    compiled_fini(&c);
}

static void marks_of_fields(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\nnodes:\n  a:\n    type: work\n    note: |\n      text\n");
    const struct plan_node *a = node(&c, "a");
    assert_int_equal(a->mark.line, 3);
    assert_int_equal(a->field_marks[0].line, 5);
    assert_int_equal(a->fields[0].mark.line, 6);
    assert_int_equal(a->field_marks[1].line, 0);
    assert_string_equal(a->mark.file, "flow.yaml");
    compiled_fini(&c);
}

static void handles_by_name(void **state) {
    (void)state;
    struct compiled c;
    open_text(&c, "cairn: 1\nnodes:\n"
                  "  h: {type: work, needs: [c.true]}\n  c: {type: condition, needs: [h]}\n");
    const struct plan_node *h = node(&c, "h"), *k = node(&c, "c");
    assert_int_equal(plan_handle_find(h, STR("out")), 0);
    assert_int_equal(plan_handle_find(k, STR("false")), 1);
    assert_int_equal(plan_handle_find(k, STR("error")), HANDLE_ERROR);
    assert_int_equal(plan_handle_find(h, STR("limit")), HANDLE_LIMIT);
    assert_int_equal(plan_handle_find(k, STR("limit")), HANDLE_NONE);
    assert_int_equal(plan_handle_find(h, STR("true")), HANDLE_NONE);
    assert_str(plan_handle_name(k, HANDLE_ANY), "*");
    assert_true(plan_node_decides(k) && !plan_node_decides(h));
    assert_int_equal(plan_node_find(c.plan, STR("zz")), -1);
    compiled_fini(&c);
}

int run_value_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(whole_workflow),
        TEST(defaults_of_everything),
        TEST(retries_come_from_the_defaults),
        TEST(a_retry_without_attempts_tries_three_times),
        TEST(foreach_of_both_forms),
        TEST(on_error_of_both_sorts),
        TEST(agents_and_their_settings),
        TEST(purity_is_of_the_node),
        TEST(fields_evaluate),
        TEST(marks_of_fields),
        TEST(handles_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
