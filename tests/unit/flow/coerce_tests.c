/* Reading a value as another type: each row is a type, a value as CEL, and what comes of it. */
#include "groups.h"

#include "expr/expr.h"
#include "flow/coerce.h"

static const struct row {
    enum coercion type;
    const char *from;
    const char *to; /* canonical text, or NULL: refused */
} rows[] = {
    {COERCE_NONE, "1", "1"},
    {COERCE_STRING, "'a'", "\"a\""},
    {COERCE_STRING, "42", "\"42\""},
    {COERCE_STRING, "42u", "\"42\""},
    {COERCE_STRING, "3.0", "\"3.0\""},
    {COERCE_STRING, "true", "\"true\""},
    {COERCE_STRING, "b'ab'", "\"ab\""},
    {COERCE_STRING, "b'\\xff'", NULL},
    {COERCE_STRING, "duration('90s')", "\"90s\""},
    {COERCE_STRING, "timestamp('2026-01-02T03:04:05Z')", "\"2026-01-02T03:04:05Z\""},
    {COERCE_STRING, "null", NULL},
    {COERCE_STRING, "[1]", NULL},
    {COERCE_INTEGER, "'42'", "42"},
    {COERCE_INTEGER, "'-3.0'", "-3"},
    {COERCE_INTEGER, "3.0", "3"},
    {COERCE_INTEGER, "3.5", NULL},
    {COERCE_INTEGER, "'3.5'", NULL},
    {COERCE_INTEGER, "1e300", NULL},
    {COERCE_INTEGER, "9223372036854775808.0", NULL},
    {COERCE_INTEGER, "-9223372036854775808.0", "-9223372036854775808"},
    {COERCE_INTEGER, "18446744073709551615u", "{\"$uint\":\"18446744073709551615\"}"},
    {COERCE_INTEGER, "'18446744073709551616'", NULL},
    {COERCE_INTEGER, "true", NULL},
    {COERCE_INTEGER, "''", NULL},
    {COERCE_INTEGER, "'0x10'", NULL},
    {COERCE_INTEGER, "null", NULL},
    {COERCE_NUMBER, "'0.5'", "0.5"},
    {COERCE_NUMBER, "7", "7"},
    {COERCE_NUMBER, "'NaN'", NULL},
    {COERCE_NUMBER, "'true'", NULL},
    {COERCE_BOOLEAN, "'true'", "true"},
    {COERCE_BOOLEAN, "'false'", "false"},
    {COERCE_BOOLEAN, "'yes'", NULL},
    {COERCE_BOOLEAN, "1", NULL},
    {COERCE_ARRAY, "'[1, {\"a\": null}]'", "[1,{\"a\":null}]"},
    {COERCE_ARRAY, "[1]", "[1]"},
    {COERCE_ARRAY, "'{}'", NULL},
    {COERCE_ARRAY, "1", NULL},
    {COERCE_OBJECT, "'{\"a\": 1}'", "{\"a\":1}"},
    {COERCE_OBJECT, "[1]", NULL},
    {COERCE_NULL, "null", "null"},
    {COERCE_NULL, "'null'", NULL},
    {COERCE_TIMESTAMP, "'2026-01-02T03:04:05.5+01:00'",
     "{\"$timestamp\":\"2026-01-02T02:04:05.5Z\"}"},
    {COERCE_TIMESTAMP, "'yesterday'", NULL},
    {COERCE_TIMESTAMP, "0", NULL},
    {COERCE_DURATION, "'1m30s'", "{\"$duration\":\"90s\"}"},
    {COERCE_DURATION, "'-1.5s'", "{\"$duration\":\"-1.5s\"}"},
    {COERCE_DURATION, "'90'", NULL},
    {COERCE_DURATION, "90", NULL},
    {COERCE_BYTES, "'ab'", "{\"$bytes\":\"YWI=\"}"},
    {COERCE_BYTES, "1", NULL},
};

static struct value value_of(struct arena *a, const char *text) {
    struct diag d;
    struct error e;
    struct value v;
    const struct expr *x;
    struct expr_env env = {.arena = a};
    diag_init(&d, a);
    assert_int_equal(expr_compile(a, str_from(text), (struct mark){0}, NULL, &x, &d), OK);
    assert_int_equal(expr_eval(x, &env, &v, &e), OK);
    return v;
}

static void every_row(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        struct buf b;
        struct error e = {0};
        struct value out = value_text(STR("untouched"));
        arena_init(&a, 0);
        buf_init(&b, 0);
        enum err err = coercion_apply(rows[i].type, value_of(&a, rows[i].from), &a, &out, &e);
        value_print_canonical(out, &b);
        bool right = rows[i].to ? err == OK && str_is(buf_str(&b), rows[i].to)
                                : err == ERR_INVALID && str_is(value_str(out), "untouched");
        if (!right) {
            fail_msg("row %zu: %s as %d: %s %.*s %s", i, rows[i].from, rows[i].type, err_name(err),
                     STR_ARG(buf_str(&b)), e.message);
        }
        buf_fini(&b);
        arena_fini(&a);
    }
}

static void the_message_is_short(void **state) {
    struct arena a;
    struct error e = {0};
    char long_text[500];
    struct value out;
    (void)state;
    arena_init(&a, 0);
    memset(long_text, 'x', sizeof long_text);
    struct value v = value_text((struct str){long_text, sizeof long_text});
    assert_int_equal(coercion_apply(COERCE_INTEGER, v, &a, &out, &e), ERR_INVALID);
    assert_true(strlen(e.message) < 120);
    assert_non_null(strstr(e.message, "expected integer, got string \"xxx"));
    arena_fini(&a);
}

int run_coerce_tests(void) {
    const struct CMUnitTest tests[] = {TEST(every_row), TEST(the_message_is_short)};
    return cmocka_run_group_tests_name("coercions", tests, NULL, NULL);
}
