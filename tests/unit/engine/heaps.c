/* The heap of numbers: order, duplicates, growth.
 */
#include "engine/heap.h"
#include "groups.h"

static void numbers_come_out_in_order(void **state) {
    struct heap h = {0};
    uint32_t x = 12345, before = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        x = x * 1103515245 + 12345;
        assert_true(heap_push(&h, x % 300)); /* many stand in it several times */
    }
    for (int i = 0; i < 1000; i++) {
        uint32_t next = heap_pop(&h);
        assert_true(next >= before);
        before = next;
    }
    assert_int_equal(h.count, 0);
    heap_fini(&h);
}

static void pushing_between_pops_keeps_order(void **state) {
    struct heap h = {0};
    (void)state;
    assert_true(heap_push(&h, 5) && heap_push(&h, 1) && heap_push(&h, 9));
    assert_int_equal(heap_pop(&h), 1);
    assert_true(heap_push(&h, 0) && heap_push(&h, 7));
    assert_int_equal(heap_pop(&h), 0);
    assert_int_equal(heap_pop(&h), 5);
    assert_int_equal(heap_pop(&h), 7);
    assert_int_equal(heap_pop(&h), 9);
    heap_fini(&h);
    heap_fini(&h);
}

int run_heap_tests(void) {
    const struct CMUnitTest tests[] = {TEST(numbers_come_out_in_order),
                                       TEST(pushing_between_pops_keeps_order)};
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
