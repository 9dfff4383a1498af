/* Any bytes as the binary form of a value: decoding must not crash or take memory out of
 * proportion, and what it accepts must encode to the very same bytes.
 *
 * Printing, canonical text and copying run on every accepted value. A broken promise aborts.
 */
#include "value/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same_bytes(struct value v, struct str in) {
    struct buf b;
    buf_init(&b, 0);
    value_encode(v, &b);
    ASSERT(buf_ok(&b) && str_eq(buf_str(&b), in));
    ASSERT(value_size(v) == b.len);
    buf_fini(&b);
}

static void check_texts(struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 2, &b);
    value_print_canonical(v, &b);
    value_print_text(v, &b);
    ASSERT(buf_ok(&b) && str_is_utf8(buf_str(&b)));
    buf_reset(&b);
    value_print_short(v, 40, &b);
    ASSERT(buf_ok(&b) && b.len <= 40);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str in = {(const char *)data, size};
    struct arena a;
    struct value v, copy;
    struct error e;
    arena_init(&a, 0);
    enum err err = value_decode(&a, in, &v, &e);
    ASSERT(err == OK || err == ERR_CORRUPT);
    ASSERT(a.used_bytes <= 64 + size * 80);
    if (err == OK) {
        check_same_bytes(v, in);
        check_texts(v);
        ASSERT(value_copy(&a, v, &copy) && value_identical(v, copy));
    }
    arena_fini(&a);
    return 0;
}
