/* Whether a value fits a schema, as the failure of a step: every finding with its place.
 *
 * Pure. Must never show more of the value than the schema's own messages do.
 */
#include "node/node_priv.h"
#include "schema/schema.h"

/* "at /a/0: expected ...; at /b: ...", and how many did not find room. */
static void list_findings(const struct schema_result *r, struct buf *out) {
    enum { ROOM = ERROR_MESSAGE_BYTES - 120 };
    for (uint32_t i = 0; i < r->count; i++) {
        const struct schema_error *x = &r->errors[i];
        size_t need = x->instance.len + x->message.len + 8;
        if (i && out->len + need > ROOM) {
            buf_printf(out, "; and %u more", r->count - i);
            return;
        }
        const char *place = x->instance.len ? "at " : "at the top";
        buf_printf(out, "%s%s%.*s: %.*s", i ? "; " : "", place, STR_ARG(x->instance),
                   STR_ARG(x->message));
    }
}

enum err node_fit(const struct schema *schema, struct value v, const char *what, struct arena *a,
                  struct error *e) {
    struct schema_result *r = ARENA_NEW(a, struct schema_result);
    if (!r) {
        return error_nomem(e);
    }
    enum err err = schema_check(schema, v, a, r, e);
    if (err || r->valid) {
        return err;
    }
    struct buf text;
    buf_init(&text, 0);
    list_findings(r, &text);
    error_set(e, ERR_SCHEMA, "%s does not fit the schema: %.*s", what, STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return ERR_SCHEMA;
}
