/* Any bytes as the body of an event: decoding must not crash or take memory out of proportion, and
 * what it accepts must come back the same after it was encoded again.
 *
 * Blobs are not there: a body that names one is refused as such. A broken promise aborts.
 */
#include <stdlib.h>

#include "engine/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SAME_u(id) (one->id == two->id)
#define SAME_i(id) (one->id == two->id)
#define SAME_t(id) str_eq(one->id, two->id)
#define SAME_v(id) value_identical(one->id, two->id)

static void check_same(const struct event *one, const struct event *two) {
#define EVENT_FIELD(number, id, type, doc) ASSERT(SAME_##type(id));
#include "engine/events.def"
#undef EVENT_FIELD
}

static enum err get_blob(void *ctx, struct str hash, struct arena *a, struct str *out,
                         struct error *e) {
    const struct event_blobs *all = ctx;
    for (uint32_t i = 0; i < all->count; i++) {
        if (str_is(hash, all->items[i].hash)) {
            *out = arena_str(
                a, (struct str){all->bytes.ptr + all->items[i].offset, all->items[i].len});
            return out->ptr ? OK : error_nomem(e);
        }
    }
    return error_set(e, ERR_NOT_FOUND, "no such blob");
}

static void check_again(const struct event *ev, struct arena *a) {
    struct event_blobs blobs = {0};
    struct event_fetch fetch = {&blobs, get_blob};
    struct event back = {0};
    struct buf b;
    struct error e;
    buf_init(&b, 0);
    buf_init(&blobs.bytes, 0);
    ASSERT(event_encode(ev, &b, &blobs, &e) == OK);
    ASSERT(event_decode(buf_str(&b), &fetch, a, &back, &e) == OK);
    check_same(ev, &back);
    buf_fini(&b);
    buf_fini(&blobs.bytes);
    free(blobs.items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct event ev = {0};
    struct error e;
    arena_init(&a, 0);
    enum err err = event_decode((struct str){(const char *)data, size}, NULL, &a, &ev, &e);
    ASSERT(err == OK || err == ERR_CORRUPT || err == ERR_UNSUPPORTED || err == ERR_NEED_BLOB);
    ASSERT(a.used_bytes <= 64 + size * 80);
    if (err == OK) {
        check_again(&ev, &a);
    }
    arena_fini(&a);
    return 0;
}
