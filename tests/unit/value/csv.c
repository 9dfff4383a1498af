/* CSV: the rows of tests/cases/csv. read.jsonl has texts with their value or their error as
 * "line:column: message", print.jsonl values with their text or error. What is printed of a table
 * of texts reads back the same.
 */
#include "groups.h"

#include "support/jsonl.h"
#include "value/csv.h"

static void open_cases(struct arena *a, const char *path, struct value *out) {
    arena_init(a, 0);
    if (!jsonl_read(path, a, out) || value_count(*out) == 0) {
        fail_msg("no cases in %s", path);
    }
}

static void check_round_trip(struct arena *a, const char *name, struct value rows) {
    struct csv_style style = {0};
    struct value back;
    struct buf text;
    buf_init(&text, 0);
    assert_int_equal(value_print_csv(rows, &style, a, &text, NULL), OK);
    assert_int_equal(value_parse_csv(a, buf_str(&text), &back, NULL), OK);
    if (!value_identical(rows, back)) {
        fail_msg("%s: printed as %.*s", name, STR_ARG(buf_str(&text)));
    }
    buf_fini(&text);
}

static void reading(void **state) {
    (void)state;
    struct arena a;
    struct value cases;
    open_cases(&a, "tests/cases/csv/read.jsonl", &cases);
    for (size_t i = 0; i < value_count(cases); i++) {
        struct value c = cases.items[i], got = value_int(42);
        const char *name = arena_str(&a, jsonl_text(c, "name")).ptr;
        const struct value *value = value_get(c, STR("value"));
        struct error e = {0};
        enum err err = value_parse_csv(&a, jsonl_text(c, "csv"), &got, &e);
        struct str said = arena_printf(&a, "%u:%u: %s", e.mark.line, e.mark.column, e.message);
        if (!value &&
            (err != ERR_INVALID || !str_eq(said, jsonl_text(c, "error")) || got.num != 42)) {
            fail_msg("%s: error %d, %s", name, (int)err, said.ptr);
        } else if (value && (err || !value_identical(*value, got))) {
            fail_msg("%s: error %d, %s", name, (int)err, said.ptr);
        } else if (value) {
            check_round_trip(&a, name, got);
        }
    }
    arena_fini(&a);
}

static void printing(void **state) {
    (void)state;
    struct arena a;
    struct value cases;
    open_cases(&a, "tests/cases/csv/print.jsonl", &cases);
    for (size_t i = 0; i < value_count(cases); i++) {
        struct value c = cases.items[i];
        struct csv_style style = {0};
        struct error e = {0};
        struct buf text;
        buf_init(&text, 0);
        enum err err = value_print_csv(*value_get(c, STR("value")), &style, &a, &text, &e);
        bool is_error = value_get(c, STR("error")) != NULL;
        struct str got = is_error ? str_from(e.message) : buf_str(&text);
        if ((err == ERR_INVALID) != is_error ||
            !str_eq(got, jsonl_text(c, is_error ? "error" : "csv"))) {
            fail_msg("%.*s: %.*s", STR_ARG(jsonl_text(c, "name")), STR_ARG(got));
        }
        buf_fini(&text);
    }
    arena_fini(&a);
}

static void bytes_that_are_no_text_are_refused(void **state) {
    (void)state;
    struct arena a;
    struct value v;
    struct error e;
    arena_init(&a, 0);
    assert_int_equal(value_parse_csv(&a, STR("a\n\xFF\n"), &v, &e), ERR_INVALID);
    assert_string_equal(e.message, "the table is not text in UTF-8");
    arena_fini(&a);
}

static void memory_that_does_not_do_is_an_error(void **state) {
    (void)state;
    struct arena a;
    struct value v;
    struct error e;
    for (size_t cap = 16; cap < 1200; cap += 16) {
        arena_init(&a, cap);
        enum err err = value_parse_csv(&a, STR("a,b,c\n1,\"2\"\"\",3\n4,5,6\n"), &v, &e);
        if (err == OK) {
            assert_int_equal(value_count(v), 2);
        } else {
            assert_int_equal(err, ERR_NOMEM);
        }
        arena_fini(&a);
    }
}

static void a_header_tells_its_line_end(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t columns;
        bool crlf;
    } rows[] = {{"", 0, true},          {"a,b", 2, true},           {"a,b\r\n1,2", 2, true},
                {"a\n1\r\n", 1, false}, {"\"a\r\nb\"\n", 1, false}, {"\r\n\r\na\r\n", 1, true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        struct value names;
        bool crlf = false;
        arena_init(&a, 0);
        assert_int_equal(value_parse_csv_header(&a, str_from(rows[i].text), &names, &crlf, NULL),
                         OK);
        if (value_count(names) != rows[i].columns || crlf != rows[i].crlf) {
            fail_msg("%s", rows[i].text);
        }
        arena_fini(&a);
    }
}

static void rows_for_given_columns(void **state) {
    (void)state;
    struct arena a;
    struct error e;
    struct buf text;
    arena_init(&a, 0);
    buf_init(&text, 0);
    struct csv_style style = {
        .columns = json_value(&a, "[\"b\",\"a\"]"), .no_header = true, .lf = true};
    struct value rows = json_value(&a, "[{\"a\":1,\"b\":2},{\"a\":3}]");
    assert_int_equal(value_print_csv(rows, &style, &a, &text, &e), OK);
    assert_str(buf_str(&text), "2,1\n,3\n");
    struct value odd = json_value(&a, "{\"a\":1,\"c\":2}");
    assert_int_equal(value_print_csv(odd, &style, &a, &text, &e), ERR_INVALID);
    assert_string_equal(e.message, "the table has no column \"c\"");
    buf_fini(&text);
    arena_fini(&a);
}

int run_csv_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(reading),
        TEST(printing),
        TEST(bytes_that_are_no_text_are_refused),
        TEST(memory_that_does_not_do_is_an_error),
        TEST(a_header_tells_its_line_end),
        TEST(rows_for_given_columns),
    };
    return cmocka_run_group_tests_name("value csv", tests, NULL, NULL);
}
