/* yaml_print: what it looks like, and that it reads back identical, whatever is in it. */
#include <math.h>

#include "yaml_tests.h"

static struct str printed(struct arena *a, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    yaml_print(v, &b);
    struct str text = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

static void check(const char *json, const char *yaml) {
    struct arena a;
    struct value v;
    arena_init(&a, 0);
    assert_int_equal(value_parse_json(&a, str_from(json), &v, NULL), OK);
    assert_string_equal(printed(&a, v).ptr, yaml);
    arena_fini(&a);
}

static void what_it_looks_like(void **state) {
    (void)state;
    check("null", "null\n");
    check("\"a\"", "a\n");
    check("[]", "[]\n");
    check("{\"name\":\"x y\",\"n\":3,\"d\":3.0,\"list\":[1,[2,{\"a\":true,\"b\":[]}]],\"m\":{}}",
          "name: \"x y\"\n\"n\": 3\nd: 3.0\nlist:\n  - 1\n  - - 2\n    - a: true\n      b: []\n"
          "m: {}\n");
    check("[\"yes\",\"Null\",\"-\",\"1.5\",\"\",\"a: b\",\"l\\n\\t\\\"\\\\\",\"#\",\"v1.2-rc\"]",
          "- \"yes\"\n- \"Null\"\n- \"-\"\n- \"1.5\"\n- \"\"\n- \"a: b\"\n- \"l\\n\\t\\\"\\\\\"\n"
          "- \"#\"\n- v1.2-rc\n");
}

static void reads_back(struct value v, struct arena *a) {
    struct parsed p;
    struct value back = value_null();
    struct str text = printed(a, v);
    parse(&p, text);
    if (p.err || !yaml_to_value(&p.arena, p.root, &back) || !value_identical(v, back)) {
        fail_msg("%s in:\n%s", finding(&p, 0), text.ptr);
    }
    parsed_fini(&p);
}

static void every_character_reads_back(void **state) {
    (void)state;
    static const char *const odd[] = {"\xC2\x85",
                                      "\xE2\x80\xA8",
                                      "\xEF\xBB\xBF",
                                      "\xEF\xBF\xBF",
                                      "\xF0\x9F\x98\x80",
                                      " x",
                                      "x ",
                                      "\r\n",
                                      "{{ a }}",
                                      "&a",
                                      "*a",
                                      "!t",
                                      "%",
                                      "@",
                                      "`",
                                      "?",
                                      "---",
                                      "...",
                                      "~",
                                      "0x1",
                                      "1e3",
                                      ".inf",
                                      "=",
                                      "<<",
                                      "a b",
                                      "_",
                                      "é"};
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(odd) + 128; i++) {
        char one = (char)(i - ARRAY_LEN(odd));
        struct str s = i < ARRAY_LEN(odd) ? str_from(odd[i]) : (struct str){&one, 1};
        struct value_builder map, list;
        value_builder_init(&map, &a);
        value_builder_init(&list, &a);
        value_list_add(&list, value_text(s));
        value_map_add(&map, s, value_list_done(&list));
        reads_back(value_map_done(&map), &a);
        reads_back(value_text(s), &a);
    }
    arena_fini(&a);
}

static void numbers_read_back(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    const struct value numbers[] = {
        value_int(INT64_MIN),   value_uint(UINT64_MAX), value_double(1e300), value_double(-0.0),
        value_double(0.1),      value_double(5e-324),   value_double(3),     value_double(1e16),
        value_double(HUGE_VAL), value_double(-HUGE_VAL)};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        reads_back(numbers[i], &a);
    }
    assert_string_equal(printed(&a, value_double(NAN)).ptr, ".nan\n");
    arena_fini(&a);
}

static void long_keys_and_deep_values_read_back(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    char *key = arena_alloc(&a, 5000);
    memset(key, '"', 5000);
    struct value v = value_int(1);
    for (int i = 0; i < 180; i++) {
        struct value_builder b;
        value_builder_init(&b, &a);
        if (i % 3 == 1) {
            value_list_add(&b, v);
            v = value_list_done(&b);
        } else {
            value_map_add(&b, (struct str){key, i < 20 ? 5000 : 3}, v);
            value_map_add(&b, STR("z"), value_null());
            v = value_map_done(&b);
        }
    }
    reads_back(v, &a);
    arena_fini(&a);
}

int run_print(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_looks_like),
        cmocka_unit_test(every_character_reads_back),
        cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(long_keys_and_deep_values_read_back),
    };
    return cmocka_run_group_tests_name("yaml print", tests, NULL, NULL);
}
