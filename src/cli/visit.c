/* Pages of the store put together: each is read into an arena of its own, and the next one begins
 * behind the last id of the one before. A row that is written meanwhile may be missed; none comes
 * twice.
 */
#include "cli/visit.h"

enum { PAGE = 200 };

enum err visit_status(const struct visitor *v, const char *status, struct str after,
                      struct error *e) {
    struct store_filter f = v->filter;
    char last[IO_ID_BYTES] = "";
    bool stop = false;
    enum err err = OK;
    f.limit = PAGE;
    f.status = str_from(status);
    f.after = after;
    uint32_t count = PAGE;
    while (!err && !stop && count == PAGE) {
        struct store_execution *rows = NULL;
        struct arena a;
        arena_init(&a, 0);
        err = store_execution_list(v->s->store, &f, &a, &rows, &count, e);
        for (uint32_t i = 0; !err && !stop && i < count; i++) {
            err = v->visit(v->ctx, &rows[i], &stop, e);
        }
        if (!err && count) {
            struct str id = rows[count - 1].fixed.id;
            memcpy(last, id.ptr, id.len < sizeof last ? id.len : sizeof last - 1);
            f.after = str_from(last);
        }
        arena_fini(&a);
    }
    return err;
}
