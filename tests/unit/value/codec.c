/* The binary form: exact bytes of every type (they are frozen), round trips of random values,
 * value_size, and what cannot be encoded.
 */
#include "groups.h"

#include <math.h>
#include <stdlib.h>

/* Bytes on a heap block of just that size, so that reading past the end is found. */
static struct str tight_copy(struct str s) {
    char *p = malloc(s.len ? s.len : 1);
    assert_non_null(p);
    if (s.len)
        memcpy(p, s.ptr, s.len);
    return (struct str){p, s.len};
}

static void check_bytes(struct value v, const char *hex) {
    struct buf b;
    char text[600];
    buf_init(&b, 0);
    value_encode(v, &b);
    assert_true(buf_ok(&b));
    assert_true(b.len < 300);
    hex_encode((const uint8_t *)b.ptr, b.len, text);
    assert_string_equal(text, hex);
    assert_int_equal(value_size(v), b.len);
    struct arena a;
    struct value back;
    struct error e;
    arena_init(&a, 0);
    assert_int_equal(value_decode(&a, buf_str(&b), &back, &e), OK);
    assert_true(value_identical(v, back));
    arena_fini(&a);
    buf_fini(&b);
}

static void scalars_have_these_bytes(void **state) {
    (void)state;
    check_bytes(value_null(), "00");
    check_bytes(value_bool(false), "01");
    check_bytes(value_bool(true), "02");
    check_bytes(value_int(-16), "80");
    check_bytes(value_int(0), "90");
    check_bytes(value_int(111), "ff");
    check_bytes(value_int(-17), "0321");
    check_bytes(value_int(112), "03e001");
    check_bytes(value_int(INT64_MAX), "03feffffffffffffffff01");
    check_bytes(value_int(INT64_MIN), "03ffffffffffffffffff01");
    check_bytes(value_uint(0), "0400");
    check_bytes(value_uint(UINT64_MAX), "04ffffffffffffffffff01");
    check_bytes(value_double(1.0), "05000000000000f03f");
    check_bytes(value_double(-0.0), "050000000000000080");
    struct value lossy = value_double(1e20);
    lossy.flags = VALUE_LOSSY;
    check_bytes(lossy, "06408cb5781daf1544");
}

static void texts_and_times_have_these_bytes(void **state) {
    (void)state;
    check_bytes(value_text(STR("")), "20");
    check_bytes(value_text(STR("abc")), "23616263");
    check_bytes(value_text(STR("0123456789012345678901234567890")),
                "3f30313233343536373839303132333435363738393031323334353637383930");
    check_bytes(value_text(STR("01234567890123456789012345678901")),
                "07203031323334353637383930313233343536373839303132333435363738393031");
    check_bytes(value_bytes((struct str){"\0\xFF", 2}), "080200ff");
    check_bytes(value_timestamp(1, 5), "090205");
    check_bytes(value_timestamp(-1, 999999999), "0901ff93ebdc03");
    check_bytes(value_duration(-1, -1), "0a0101");
    check_bytes(value_duration(0, 1), "0a0002");
}

static void containers_have_these_bytes(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    check_bytes(json_value(&a, "[]"), "40");
    check_bytes(json_value(&a, "{}"), "50");
    check_bytes(json_value(&a, "[1,[null]]"), "42914100");
    check_bytes(json_value(&a, "{\"a\":1,\"\":[]}"), "520161910040");
    check_bytes(json_value(&a, "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"),
                "4f909090909090909090909090909090");
    check_bytes(json_value(&a, "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"),
                "0b1090909090909090909090909090909090");
    arena_fini(&a);
}

static void check_round_trip(uint64_t seed, int depth) {
    struct arena a;
    struct buf b, again;
    struct error e;
    struct value back;
    arena_init(&a, 0);
    buf_init(&b, 0);
    buf_init(&again, 0);
    struct value v = random_value(&a, &seed, depth);
    value_encode(v, &b);
    assert_true(buf_ok(&b));
    assert_int_equal(value_size(v), b.len);
    struct str tight = tight_copy(buf_str(&b));
    if (value_decode(&a, tight, &back, &e) != OK)
        fail_msg("%s", e.message);
    assert_true(value_identical(v, back));
    value_encode(back, &again);
    assert_true(str_eq(buf_str(&again), buf_str(&b)));
    free((void *)(uintptr_t)tight.ptr);
    buf_fini(&b);
    buf_fini(&again);
    arena_fini(&a);
}

static void random_values_come_back(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++)
        check_round_trip(seed, (int)(seed % 7));
}

static void large_map_comes_back_with_its_index(void **state) {
    (void)state;
    struct arena a;
    struct buf b;
    struct value_builder builder;
    struct value back;
    struct error e;
    arena_init(&a, 0);
    buf_init(&b, 0);
    value_builder_init(&builder, &a);
    for (unsigned i = 0; i < 5000; i++)
        value_map_add(&builder, arena_printf(&a, "key %u", i), value_int(i));
    value_encode(value_map_done(&builder), &b);
    assert_int_equal(value_decode(&a, buf_str(&b), &back, &e), OK);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(value_get(back, arena_printf(&a, "key %u", i))->num, i);
    assert_null(value_get(back, STR("key")));
    buf_fini(&b);
    arena_fini(&a);
}

static void check_not_encodable(struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_encode(v, &b);
    assert_false(buf_ok(&b));
    buf_fini(&b);
}

static void what_expressions_alone_know_is_refused(void **state) {
    (void)state;
    struct arena a;
    struct value_builder b;
    arena_init(&a, 0);
    struct value type = {.type = VALUE_TYPE, .ptr = "int", .extra = 3};
    struct value optional = {.type = VALUE_OPTIONAL};
    check_not_encodable(type);
    check_not_encodable(optional);
    assert_true(value_size(type) == SIZE_MAX);
    check_not_encodable(value_list(&optional, 1));
    assert_true(value_size(value_list(&optional, 1)) == SIZE_MAX);
    value_builder_init(&b, &a);
    value_map_add_value(&b, value_int(1), value_int(2));
    struct value map = value_map_done(&b);
    check_not_encodable(map);
    assert_true(value_size(map) == SIZE_MAX);
    check_not_encodable(value_text(STR("\xFF"))); /* the decoder would refuse it */
    arena_fini(&a);
}

static void encode_stops_at_the_limit_of_the_buffer(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    struct value v = json_value(&a, "{\"key\":[1,2,\"text that is longer than thirty-one\"]}");
    for (size_t max = 1; max <= value_size(v); max++) {
        struct buf b;
        buf_init(&b, max);
        value_encode(v, &b);
        assert_int_equal(buf_ok(&b), max == value_size(v));
        assert_true(b.len <= max);
        buf_fini(&b);
    }
    arena_fini(&a);
}

int run_codec_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(scalars_have_these_bytes),
        TEST(texts_and_times_have_these_bytes),
        TEST(containers_have_these_bytes),
        TEST(random_values_come_back),
        TEST(large_map_comes_back_with_its_index),
        TEST(what_expressions_alone_know_is_refused),
        TEST(encode_stops_at_the_limit_of_the_buffer),
    };
    return cmocka_run_group_tests_name("value: codec", tests, NULL, NULL);
}
