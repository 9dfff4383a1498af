/* The JSON Schema of the format: it is a schema, it accepts what compiles and refuses what the
 * compiler refuses for its shape; and what it accepts fails to compile only for reasons of graph,
 * reference or expression, shown on documents made at random.
 */
#include "cases.h"
#include "groups.h"
#include "schema/schema.h"
#include "support/flow_kinds.h"
#include "yaml/yaml.h"

struct format_schema {
    struct arena arena;
    struct value source;
    const struct schema *schema;
};

static void open_schema(struct format_schema *f) {
    struct error e = {0};
    arena_init(&f->arena, 0);
    assert_int_equal(flow_schema(&flow_test_kinds, &f->arena, &f->source), OK);
    if (schema_compile(&f->arena, f->source, &f->schema, &e) != OK) {
        fail_msg("%s", e.message);
    }
}

static bool accepts(struct format_schema *f, struct value v) {
    struct schema_result result;
    struct arena a;
    arena_init(&a, 0);
    assert_int_equal(schema_check(f->schema, v, &a, &result, NULL), OK);
    arena_fini(&a);
    return result.valid;
}

static bool accepts_json(struct format_schema *f, const char *json) {
    struct value v;
    struct error e = {0};
    if (value_parse_json(&f->arena, str_from(json), &v, &e) != OK) {
        fail_msg("%s: %s", json, e.message);
    }
    return accepts(f, v);
}

static void says_yes_and_no(void **state) {
    (void)state;
    static const char *const good[] = {
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"work\"}}}",
        "{\"cairn\":1,\"nodes\":[{\"name\":\"a\",\"type\":\"task\",\"needs\":\"b\"}]}",
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"form\",\"title\":\"t\",\"code\":\"c\"}}}",
        "{\"cairn\":1,\"timeout\":\"1h30m\",\"nodes\":{\"a\":{\"type\":\"end\",\"value\":5}}}",
    };
    static const char *const bad[] = {
        "[]",
        "{\"cairn\":2,\"nodes\":{\"a\":{\"type\":\"work\"}}}",
        "{\"cairn\":1,\"nodes\":{}}",
        "{\"cairn\":1,\"nodes\":{\"A\":{\"type\":\"work\"}}}",
        "{\"cairn\":1,\"nodes\":{\"item\":{\"type\":\"work\"}}}",
        "{\"cairn\":1,\"nodes\":{\"a\":{}}}",
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"wrok\"}}}",
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"work\",\"noet\":\"x\"}}}",
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"work\",\"name\":\"x\"}}}",
        "{\"cairn\":1,\"nodes\":[{\"type\":\"work\"}]}",
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"work\",\"timeout\":60}}}",
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"work\",\"timeout\":\"0s\"}}}",
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"form\",\"title\":\"t\"}}}",
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"form\",\"title\":\"t\",\"code\":\"c\","
        "\"argv\":[]}}}",
        "{\"cairn\":1,\"nodes\":{\"a\":{\"type\":\"form\",\"title\":\"t\",\"code\":\"c\","
        "\"function\":\"f\"}}}",
        "{\"cairn\":1,\"budget\":{\"on_exceed\":\"fail\"},\"nodes\":{\"a\":{\"type\":\"work\"}}}",
        "{\"cairn\":1,\"budget\":{\"usd\":-1},\"nodes\":{\"a\":{\"type\":\"work\"}}}",
        "{\"cairn\":1,\"agents\":{\"a\":{\"service\":\"offline\",\"price\":{\"input\":1}}},"
        "\"nodes\":{\"a\":{\"type\":\"work\"}}}",
        "{\"cairn\":1,\"budget\":{},\"nodes\":{\"a\":{\"type\":\"work\"}}}",
    };
    struct format_schema f;
    open_schema(&f);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!accepts_json(&f, good[i])) {
            fail_msg("should accept %s", good[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (accepts_json(&f, bad[i])) {
            fail_msg("should refuse %s", bad[i]);
        }
    }
    arena_fini(&f.arena);
}

/* What a document that the schema accepts may still be refused for. */
static bool is_deeper_reason(struct str code) {
    static const char *const codes[] = {
        "duplicate_node",
        "unknown_node",
        "unknown_handle",
        "duplicate_need",
        "irreducible",
        "endless_loop",
        "error_and_on_error",
        "bad_on_error_value",
        "expression",
        "template",
        "limit_not_on_header",
        "unknown_agent",
        "foreach_decides",
        "file",
        "bad_path",
        "workflow_cycle",
        "bad_handle",
        "bad_cache",
        "unlucky",
        "unknown_var",
        "bad_schema",
        "bad_default",
        "bad_constant",
        "bad_input",
        "unknown_input",
        "missing_input",
        "yaml", /* of another file */
    };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (str_is(code, codes[i])) {
            return true;
        }
    }
    return false;
}

static void assert_reasons(const struct compiled *c, struct str text) {
    for (uint32_t i = 0; i < c->diag.count; i++) {
        const struct diag_item *item = &c->diag.items[i];
        if (item->severity == DIAG_ERROR && !is_deeper_reason(item->code)) {
            fail_msg("%.*s: %.*s, though the schema accepts\n%.*s", STR_ARG(item->code),
                     STR_ARG(item->message), STR_ARG(text));
        }
    }
}

/* ---- documents at random ---- */

static uint64_t seed;
static uint32_t roll(uint32_t sides) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % sides;
}

static const char *pick(const char *const *words, size_t count) {
    return words[roll((uint32_t)count)];
}

/* A value for a key, right more often than wrong. */
static const char *const values[] = {
    "a",
    "b",
    "1",
    "0",
    "-1",
    "2.5",
    "true",
    "null",
    "\"\"",
    "\"x\"",
    "[]",
    "{}",
    "[a]",
    "[a, 1]",
    "{a: 1}",
    "90s",
    "1h30m",
    "0s",
    "1 + 1",
    "x.y",
    "[1, 2]",
    "fail",
    "continue",
    "{value: 1}",
    "exit",
    "any",
    "all",
    "c.true",
    "[b, c]",
    "{items: [1]}",
    "{items: a, as: row}",
    "{from: a}",
    "{x: {from: 1}}",
    "{x: {from: 1, type: integer, default: y}}",
    "{x: {from: a, type: text}}",
    "{matrix: {os: [a, b], py: x}}",
    "{matrix: {os: [1]}, exclude: [{os: 1}]}",
    "{items: [1], include: []}",
    "{a: vars.a + 1}",
    "{b: [1, '{{ inputs.x }}']}",
    "{attempts: 2}",
    "{type: string}",
    "{type: 5}",
    "at_most_once",
    "drain",
    "get",
    "5s",
    "\"{{ 1 }}\"",
    "{keep: all}",
    "[HOME]",
    "offline",
    "{timeout: 5s}",
    "{a: {service: s}}",
    "{nodes: {q: {type: work}}}",
};
static const char *const node_keys[] = {
    "type",     "label",          "description", "needs",         "join",     "if",
    "in",       "foreach",        "timeout",     "retry",         "on_error", "delivery",
    "priority", "max_iterations", "on_limit",    "output_schema", "note",     "value",
    "data",     "when",           "cases",       "effect",        "title",    "code",
    "file",     "argv",           "function",    "method",        "count",    "ratio",
    "full",     "delay",          "answer",      "extra",         "token",    "body",
    "rows",     "agent",          "prompt",      "workflow",      "inputs",   "zzz",
    "set",
};
static const char *const top_keys[] = {
    "name",       "description", "inputs", "agents",  "defaults", "timeout",
    "on_failure", "concurrency", "env",    "outputs", "vars",
};
static const char *const kinds[] = {"work", "condition", "end", "form", "agent", "workflow"};

static void add_node(struct buf *b, const char *name) {
    const char *kind = pick(kinds, ARRAY_LEN(kinds));
    buf_printf(b, "  %s:\n    type: %s\n", name, kind);
    if (strcmp(kind, "form") == 0) {
        buf_printf(b, "    title: t\n    code: c\n");
    }
    if (strcmp(kind, "agent") == 0) {
        buf_printf(b, "    agent: a\n    prompt: p\n");
    }
    if (strcmp(kind, "workflow") == 0) {
        buf_printf(b, "    workflow: sub\n"); /* an inline one is a document of its own */
    }
    uint64_t used = 0;
    for (uint32_t i = roll(3); i > 0; i--) {
        uint32_t key = 1 + roll((uint32_t)ARRAY_LEN(node_keys) - 1);
        bool taken = (used >> key & 1) || (strcmp(kind, "form") == 0 && (key == 22 || key == 23)) ||
                     (strcmp(kind, "agent") == 0 && (key == 37 || key == 38)) || key == 39;
        if (!taken) {
            buf_printf(b, "    %s: %s\n", node_keys[key], pick(values, ARRAY_LEN(values)));
        }
        used |= (uint64_t)1 << key;
    }
}

static void make_document(struct buf *b) {
    static const char *const names[] = {"a", "b", "c"};
    buf_reset(b);
    buf_append_cstr(b, "cairn: 1\n");
    uint32_t used = 0;
    for (uint32_t i = roll(3); i > 0; i--) {
        uint32_t key = roll((uint32_t)ARRAY_LEN(top_keys));
        if (!(used >> key & 1)) {
            buf_printf(b, "%s: %s\n", top_keys[key], pick(values, ARRAY_LEN(values)));
        }
        used |= 1u << key;
    }
    buf_append_cstr(b, "nodes:\n");
    for (uint32_t i = 0; i <= roll(3); i++) {
        add_node(b, names[i]);
    }
}

static bool read_value(struct str text, struct arena *a, struct value *out) {
    struct diag d;
    struct yaml_node *root;
    diag_init(&d, a);
    return yaml_parse(a, text, "x", &root, &d) == OK && yaml_to_value(a, root, out);
}

static void what_it_accepts_has_the_right_shape(void **state) {
    (void)state;
    struct format_schema f;
    struct buf b;
    uint32_t accepted = 0, compiled = 0;
    open_schema(&f);
    buf_init(&b, 0);
    seed = 20;
    for (int i = 0; i < 12000; i++) {
        struct arena a;
        struct value v;
        arena_init(&a, 0);
        make_document(&b);
        assert_true(read_value(buf_str(&b), &a, &v));
        if (accepts(&f, v)) {
            struct compiled c;
            accepted++;
            compiled_text(&c, buf_str(&b));
            assert_reasons(&c, buf_str(&b));
            compiled += c.plan != NULL;
            compiled_fini(&c);
        }
        arena_fini(&a);
    }
    assert_true(accepted > 800 && compiled > 300);
    buf_fini(&b);
    arena_fini(&f.arena);
}

/* Every case that compiles is accepted, and every case that is refused for its shape is not. */
static void agrees_with_the_cases(void **state) {
    (void)state;
    static const char *const paths[] = {
        "tests/cases/flow/plans.txt", "tests/cases/flow/top.txt",      "tests/cases/flow/nodes.txt",
        "tests/cases/flow/graph.txt", "tests/cases/flow/warnings.txt", "tests/cases/flow/vars.txt",
        "tests/cases/flow/items.txt"};
    struct format_schema f;
    open_schema(&f);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct case_file file;
        assert_true(case_file_read(paths[i], &f.arena, &file));
        for (size_t k = 0; k < file.count; k++) {
            struct compiled c;
            struct value v;
            struct str text = file.items[k].files.items[0].text;
            compiled_init(&c, &file.items[k].files, "flow.yaml");
            if (read_value(text, &f.arena, &v) && accepts(&f, v)) {
                assert_reasons(&c, text);
            } else if (c.plan) {
                fail_msg("compiles, but the schema refuses\n%.*s", STR_ARG(text));
            }
            compiled_fini(&c);
        }
    }
    arena_fini(&f.arena);
}

int run_schema_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(says_yes_and_no),
        TEST(agrees_with_the_cases),
        TEST(what_it_accepts_has_the_right_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
