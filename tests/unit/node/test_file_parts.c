/* The parts of the file kind: formats, lines and keys. */
#include "groups.h"

#include "node/file_priv.h"

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct value json(const char *text) {
    struct value v = value_null();
    if (value_parse_json(&arena, str_from(text), &v, NULL)) {
        fail_msg("no JSON: %s", text);
    }
    return v;
}

static const char *print(struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    struct str text = arena_str(&arena, buf_str(&b));
    buf_fini(&b);
    return text.ptr;
}

static void formats_by_extension(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum file_format format;
    } rows[] = {{"a.json", FILE_JSON},    {"a.b.jsonl", FILE_JSONL}, {"a.ndjson", FILE_JSONL},
                {"x/y.yaml", FILE_YAML},  {"y.yml", FILE_YAML},      {"y.csv", FILE_CSV},
                {"y.csv.txt", FILE_TEXT}, {"json", FILE_TEXT},       {"", FILE_TEXT}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(file_format_of(str_from(rows[i].path)), rows[i].format);
    }
}

static void check_decode(enum file_format f, struct str text, const char *expected) {
    struct value v = value_null();
    struct error e = {0};
    enum err err = file_decode(f, text, &arena, &v, &e);
    const char *got = err ? e.message : print(v);
    if (strcmp(got, expected) != 0) {
        fail_msg("%.*s: %s", STR_ARG(text), got);
    }
}

static void texts_are_decoded(void **state) {
    (void)state;
    check_decode(FILE_JSON, STR("\xEF\xBB\xBF{\"a\": 1}"), "{\"a\":1}");
    check_decode(FILE_JSON, STR("{\"a\":1,\n \"a\":2}"),
                 "line 2, column 4: JSON: duplicate object key near '\"a\"'");
    check_decode(FILE_JSONL, STR("1\r\n\n{\"a\":2}\n"), "[1,{\"a\":2}]");
    check_decode(FILE_JSONL, STR(""), "[]");
    check_decode(FILE_YAML, STR("a: [1, yes]\n"), "{\"a\":[1,\"yes\"]}");
    check_decode(FILE_YAML, STR(""), "null");
    check_decode(FILE_CSV,
                 STR("\xEF\xBB\xBF"
                     "a\n1\n"),
                 "[{\"a\":\"1\"}]");
    check_decode(FILE_CSV, STR("a\n1,2\n"),
                 "line 2, column 1: this row has 2 fields, but the first row names 1 columns");
    check_decode(FILE_TEXT, STR("\xEF\xBB\xBFx\r\n"), "\"x\\r\\n\"");
    check_decode(FILE_TEXT, STR("\xFF"), "the file is not text in UTF-8 (format: bytes reads any)");
    check_decode(FILE_BYTES, STR("\xFF\x00"), "\"/wA=\"");
}

static void broken_yaml_and_json_lines_name_the_line(void **state) {
    (void)state;
    struct value v;
    struct error e = {0};
    assert_int_equal(file_decode(FILE_YAML, STR("a: 1\nb: [\n"), &arena, &v, &e), ERR_INVALID);
    assert_memory_equal(e.message, "line ", 5);
    assert_int_equal(file_decode(FILE_JSONL, STR("1\n2 x\n"), &arena, &v, &e), ERR_INVALID);
    assert_memory_equal(e.message, "line 2, column 3: ", 18);
}

static void check_lines(struct value lines, const char *expected) {
    uint64_t from, to;
    struct value v = value_null();
    bool ok = file_lines_parse(lines, &from, &to);
    if (ok && from) {
        struct error e;
        struct str text = STR("one\r\ntwo\n\nfour");
        assert_int_equal(file_lines_cut(text, from, to, &arena, &v, &e), OK);
    }
    assert_string_equal(ok ? print(v) : "refused", expected);
}

static void lines_are_cut(void **state) {
    (void)state;
    check_lines(value_bool(true), "[\"one\",\"two\",\"\",\"four\"]");
    check_lines(value_bool(false), "null");
    check_lines(value_null(), "null");
    check_lines(value_int(2), "[\"two\"]");
    check_lines(value_text(STR("2-3")), "[\"two\",\"\"]");
    check_lines(value_text(STR("3-")), "[\"\",\"four\"]");
    check_lines(value_text(STR("4-99")), "[\"four\"]");
    check_lines(value_text(STR("9-")), "[]");
    check_lines(value_int(0), "refused");
    check_lines(value_double(1.5), "refused");
    check_lines(value_text(STR("3-2")), "refused");
    check_lines(value_text(STR("-2")), "refused");
    check_lines(value_text(STR("0-2")), "refused");
    check_lines(value_text(STR("x")), "refused");
    check_lines(value_text(STR("1-2-3")), "refused");
    check_lines(value_text(STR("")), "refused");
}

static void check_get(const char *keys, const char *expected) {
    struct value v = json("{\"a\": {\"b\": [10, {\"c\": null}], \"0\": \"z\"}, \"d\": 1}");
    struct value got;
    struct error e;
    enum err err = file_keys_get(v, json(keys), &arena, &got, &e);
    const char *said = err ? e.message : print(got);
    if (strcmp(said, expected) != 0) {
        fail_msg("%s: %s", keys, said);
    }
}

static void keys_select(void **state) {
    (void)state;
    check_get("\"d\"", "1");
    check_get("\"a.b.0\"", "10");
    check_get("\"a.b.1.c\"", "null");
    check_get("\"a.0\"", "\"z\"");
    check_get("[\"d\", \"a.b.0\"]", "{\"d\":1,\"a.b.0\":10}");
    check_get("[]", "{}");
    check_get("\"a.x\"", "there is no \"x\" (key a.x) in a map of b, 0");
    check_get("\"a.b.2\"", "there is no \"2\" (key a.b.2) in a list of 2");
    check_get("\"d.e\"", "there is no \"e\" (key d.e) in a int");
    check_get("\"\"", "a key is empty");
    check_get("7", "keys must be a dotted path or a list of them");
    check_get("[7]", "keys must be a dotted path or a list of them");
}

static void check_put(const char *v, const char *keys, const char *value, const char *expected) {
    struct value got;
    struct error e;
    enum err err = file_keys_put(json(v), json(keys), json(value), &arena, &got, &e);
    const char *said = err ? e.message : print(got);
    if (strcmp(said, expected) != 0) {
        fail_msg("%s %s %s: %s", v, keys, value, said);
    }
}

static void keys_are_put(void **state) {
    (void)state;
    check_put("null", "\"a.b\"", "1", "{\"a\":{\"b\":1}}");
    check_put("{\"x\":0,\"a\":{\"c\":2}}", "\"a.b\"", "[1]", "{\"x\":0,\"a\":{\"c\":2,\"b\":[1]}}");
    check_put("{\"a\":null}", "\"a.b\"", "1", "{\"a\":{\"b\":1}}");
    check_put("{\"a\":[1,{\"b\":2}]}", "\"a.1.b\"", "3", "{\"a\":[1,{\"b\":3}]}");
    check_put("{\"a\":1}", "[\"a\",\"b.c\"]", "{\"a\":2,\"b.c\":3}", "{\"a\":2,\"b\":{\"c\":3}}");
    check_put("{\"a\":[1]}", "\"a.1\"", "3", "there is no \"1\" (key a.1) in a list of 1");
    check_put("{\"a\":1}", "\"a.b\"", "3", "there is no \"b\" (key a.b) in a int");
    check_put("{}", "[\"a\",\"b\"]", "{\"a\":2}",
              "with a list of keys the value must be a map that has each of them");
    check_put("{}", "[\"a\"]", "2",
              "with a list of keys the value must be a map that has each of them");
}

static void maps_are_merged(void **state) {
    (void)state;
    check_put("{\"a\":{\"x\":1,\"y\":2},\"l\":[1]}", "null", "{\"a\":{\"y\":3,\"z\":4},\"l\":[]}",
              "{\"a\":{\"x\":1,\"y\":3,\"z\":4},\"l\":[]}");
    check_put("null", "null", "{\"a\":null}", "{\"a\":null}");
    check_put("[]", "null", "{\"a\":1}",
              "without keys an update merges two maps, but the file is a list");
    check_put("{}", "null", "5", "without keys an update merges two maps, but the value is a int");
}

static void paths_have_a_limit(void **state) {
    (void)state;
    struct value got;
    struct error e;
    char *path = arena_alloc(&arena, 2001);
    for (int i = 0; i < 2000; i += 2) {
        memcpy(path + i, "a.", 2);
    }
    struct value key = value_text((struct str){path, 1999});
    assert_int_equal(file_keys_put(value_null(), key, value_int(1), &arena, &got, &e), ERR_INVALID);
    assert_string_equal(e.message, "a key has more than 200 parts");
    assert_int_equal(file_keys_get(value_null(), key, &arena, &got, &e), ERR_INVALID);
}

int file_parts_tests(void) {
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(formats_by_extension),
        ROW(texts_are_decoded),
        ROW(broken_yaml_and_json_lines_name_the_line),
        ROW(lines_are_cut),
        ROW(keys_select),
        ROW(keys_are_put),
        ROW(maps_are_merged),
        ROW(paths_have_a_limit),
    };
#undef ROW
    return cmocka_run_group_tests_name("node file parts", tests, NULL, NULL);
}
