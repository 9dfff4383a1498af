/* Clocks move, random bytes differ, execution ids have their form and their order. */
#include "groups.h"

#include "io/clock.h"

static int64_t fake_us;
static uint8_t fake_noise;

static wall_us fake_wall(void *ctx) {
    (void)ctx;
    return (wall_us){fake_us};
}

static void fake_random(void *ctx, void *out, size_t size) {
    (void)ctx;
    memset(out, fake_noise, size);
}

static const struct io_clock fake_clock = {.wall = fake_wall, .random = fake_random};

static void clocks_move(void **state) {
    (void)state;
    mono_ns before = io_clock_system.mono(NULL);
    assert_true(io_clock_system.wall(NULL).us > INT64_C(1600000000000000));
    uint64_t a = 0, b = 0;
    io_clock_system.random(NULL, &a, sizeof a);
    io_clock_system.random(NULL, &b, sizeof b);
    assert_true(a != b);
    assert_true(io_clock_system.mono(NULL).ns >= before.ns);
}

static void id_has_its_form(void **state) {
    (void)state;
    char id[IO_ID_BYTES];
    int64_t last = 0;
    io_execution_id(&io_clock_system, &last, id);
    assert_int_equal(strlen(id), 25);
    assert_memory_equal(id, "exec_", 5);
    assert_int_equal(strspn(id + 5, "0123456789abcdefghijklmnopqrstuv"), 20);
    assert_true(last > 0);
}

static void id_bits_are_where_they_belong(void **state) {
    (void)state;
    char id[IO_ID_BYTES];
    int64_t last = 0;
    fake_us = 0;
    fake_noise = 0;
    io_execution_id(&fake_clock, &last, id);
    assert_string_equal(id, "exec_00000000000000000000");
    fake_noise = 0xff;
    io_execution_id(&fake_clock, &last, id);
    assert_string_equal(id, "exec_0000000003vvvvvvvvvv"); /* 52 ones below 48 zeros */
    fake_noise = 0;
    fake_us = ((INT64_C(1) << 48) - 1) * 1000;
    io_execution_id(&fake_clock, &last, id);
    assert_string_equal(id, "exec_vvvvvvvvvs0000000000");
}

static void ids_sort_by_time_and_never_go_back(void **state) {
    (void)state;
    char before[IO_ID_BYTES], after[IO_ID_BYTES];
    int64_t last = 0;
    fake_us = 1000000000000;
    for (int i = 0; i < 1000; i++) {
        fake_noise = 0xff;
        io_execution_id(&fake_clock, &last, before);
        fake_us += 1000;
        fake_noise = 0;
        io_execution_id(&fake_clock, &last, after);
        assert_true(strcmp(before, after) < 0);
    }
    int64_t highest = last;
    fake_us = 5000; /* the clock was set back */
    io_execution_id(&fake_clock, &last, after);
    assert_int_equal(last, highest);
}

int run_clock_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_move),
        cmocka_unit_test(id_has_its_form),
        cmocka_unit_test(id_bits_are_where_they_belong),
        cmocka_unit_test(ids_sort_by_time_and_never_go_back),
    };
    return cmocka_run_group_tests_name("io clock", tests, NULL, NULL);
}
