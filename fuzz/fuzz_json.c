/* Any bytes as JSON: parsing must not crash, and what it accepts must survive printing.
 *
 * Checked: an accepted text, printed, parses to an equal value and prints the same again;
 * the value's binary form decodes to an identical value. A broken promise aborts.
 */
#include "value/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(struct arena *a, struct value v) {
    struct buf first, second;
    struct value back;
    struct error e;
    buf_init(&first, 0);
    buf_init(&second, 0);
    value_print_json(v, 0, &first);
    ASSERT(buf_ok(&first));
    ASSERT(value_parse_json(a, buf_str(&first), &back, &e) == OK);
    ASSERT(value_equal(v, back));
    value_print_json(back, 0, &second);
    ASSERT(str_eq(buf_str(&first), buf_str(&second)));
    buf_fini(&first);
    buf_fini(&second);
}

static void check_binary(struct arena *a, struct value v) {
    struct buf b;
    struct value back;
    struct error e;
    buf_init(&b, 0);
    value_encode(v, &b);
    ASSERT(buf_ok(&b) && value_size(v) == b.len);
    ASSERT(value_decode(a, buf_str(&b), &back, &e) == OK);
    ASSERT(value_identical(v, back));
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct value v;
    struct error e;
    arena_init(&a, 0);
    if (value_parse_json(&a, (struct str){(const char *)data, size}, &v, &e) == OK) {
        check_json(&a, v);
        check_binary(&a, v);
    } else {
        ASSERT(e.code != OK && e.message[0] != '\0');
        ASSERT(str_is_utf8(str_from(e.message)));
    }
    arena_fini(&a);
    return 0;
}
