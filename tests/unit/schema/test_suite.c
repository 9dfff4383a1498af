/* Runs the JSON Schema Test Suite (draft 2020-12) when ../shared/data has it, one test per
 * verdict. The tests of the formats that cairn asserts run without "$schema", as forms are.
 *
 * tests/cases/schema/suite_differences.jsonl names what differs, and why: with "test" one
 * verdict, without it a group whose schema is refused. It must still differ, so that the list
 * cannot grow stale.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema_tests.h"
#include "support/jsonl.h"

#define SUITE "../shared/data/json_schema_suite/tests/draft2020-12/"
#define DIFFERENCES "tests/cases/schema/suite_differences.jsonl"

struct one {
    struct str file;
    struct str group;
    struct str test;
    struct value schema;
    struct value data;
    bool valid;
};

static struct arena suite_arena;
static struct value differences;

static const struct value *difference(const struct one *t) {
    for (size_t i = 0; i < value_count(differences); i++) {
        struct value d = differences.items[i];
        const struct value *test = value_get(d, STR("test"));
        if (str_eq(jsonl_text(d, "file"), t->file) && str_eq(jsonl_text(d, "group"), t->group) &&
            (!test || str_eq(value_str(*test), t->test))) {
            return &differences.items[i];
        }
    }
    return NULL;
}

/* The verdict; empty text when it is the right one. */
static const char *run_one(const struct one *t, struct arena *a, bool *refused) {
    const struct schema *s = NULL;
    struct error e = {0};
    struct schema_result result;
    *refused = schema_compile(a, t->schema, &s, &e) != OK;
    if (*refused) {
        return arena_printf(a, "refused: %s", e.message).ptr;
    }
    if (schema_check(s, t->data, a, &result, &e) != OK) {
        return arena_printf(a, "stopped: %s", e.message).ptr;
    }
    assert_true(result.valid == (result.count == 0));
    for (uint32_t i = 0; i < result.count; i++) {
        assert_true(result.errors[i].message.len > 0 && result.errors[i].keyword.len > 0);
    }
    if (result.valid == t->valid) {
        return "";
    }
    return result.valid ? "should not be valid" : result.errors[0].message.ptr;
}

static void test_one(void **state) {
    const struct one *t = *state;
    struct arena a;
    arena_init(&a, 0);
    bool refused;
    const char *problem = run_one(t, &a, &refused);
    const struct value *known = difference(t);
    bool group = known && !value_get(*known, STR("test"));
    if (known && (!problem[0] || group != refused)) {
        fail_msg("differs no longer as %s says: %s", DIFFERENCES, problem);
    }
    if (!known && problem[0]) {
        fail_msg("%s", problem);
    }
    arena_fini(&a);
    if (known) {
        skip();
    }
}

static void absent(void **state) {
    (void)state;
    skip();
}

/* The schema as a form has it. */
static struct value without_dialect(struct value schema) {
    struct value_builder b;
    value_builder_init(&b, &suite_arena);
    for (size_t i = 0; schema.type == VALUE_MAP && i < value_count(schema); i++) {
        if (!str_is(value_str(schema.pairs[i].key), "$schema")) {
            value_map_add_value(&b, schema.pairs[i].key, schema.pairs[i].val);
        }
    }
    return schema.type == VALUE_MAP ? value_map_done(&b) : schema;
}

static size_t add_group(struct value group, struct str file, struct CMUnitTest *tests,
                        size_t count) {
    bool form = str_starts(file, STR("optional/format/"));
    struct value schema = *value_get(group, STR("schema"));
    const struct value *list = value_get(group, STR("tests"));
    for (size_t i = 0; i < value_count(*list); i++, count++) {
        struct one *t = ARENA_NEW(&suite_arena, struct one);
        t->file = file;
        t->group = jsonl_text(group, "description");
        t->test = jsonl_text(list->items[i], "description");
        t->schema = form ? without_dialect(schema) : schema;
        t->data = *value_get(list->items[i], STR("data"));
        t->valid = value_get(list->items[i], STR("valid"))->boolean;
        tests[count] = (struct CMUnitTest){
            .name = arena_printf(&suite_arena, "%.*s: %.*s: %.*s", STR_ARG(file), STR_ARG(t->group),
                                 STR_ARG(t->test))
                        .ptr,
            .test_func = test_one,
            .initial_state = t,
        };
    }
    return count;
}

#define MAX_TESTS 10000

static int run_file(const char *path) {
    struct str text, file = arena_str(&suite_arena, str_from(path + strlen(SUITE)));
    struct value groups;
    struct error e = {0};
    if (!file_read(path, &suite_arena, &text) ||
        value_parse_json(&suite_arena, text, &groups, &e) != OK) {
        (void)fprintf(stderr, "%s: %s\n", path, e.message);
        return 1;
    }
    struct CMUnitTest *tests = calloc(MAX_TESTS, sizeof *tests);
    size_t count = 0;
    for (size_t i = 0; tests && i < value_count(groups) && count < MAX_TESTS - 1000; i++) {
        count = add_group(groups.items[i], file, tests, count);
    }
    int failed = tests ? _cmocka_run_group_tests(path, tests, count, NULL, NULL) : 1;
    free(tests);
    return failed;
}

static const char *const optional[] = {
    "anchor",      "bignum",           "dynamicRef",          "float-overflow", "id",
    "no-schema",   "non-bmp-regex",    "refOfUnknownKeyword", "unknownKeyword", "ecmascript-regex",
    "format/date", "format/date-time", "format/duration",     "format/email",   "format/hostname",
    "format/ipv4", "format/ipv6",      "format/time",         "format/uri",     "format/uuid",
};

static int run_all(void) {
    glob_t files;
    int failed = 0;
    if (glob(SUITE "*.json", 0, NULL, &files) != 0) {
        const struct CMUnitTest tests[] = {{.name = "no " SUITE, .test_func = absent}};
        return cmocka_run_group_tests_name("schema suite", tests, NULL, NULL);
    }
    for (size_t i = 0; i < files.gl_pathc; i++) {
        failed += run_file(files.gl_pathv[i]);
    }
    globfree(&files);
    for (size_t i = 0; i < ARRAY_LEN(optional); i++) {
        failed += run_file(arena_printf(&suite_arena, SUITE "optional/%s.json", optional[i]).ptr);
    }
    return failed;
}

int run_suite(void) {
    arena_init(&suite_arena, 0);
    int failed = 1;
    if (jsonl_read(DIFFERENCES, &suite_arena, &differences)) {
        failed = run_all();
    }
    arena_fini(&suite_arena);
    return failed;
}
