/* Plans compiled from the store, found by the hash of what they are made of and their entry (an
 * inline sub-workflow has its parent's files).
 */
#include <stdlib.h>

#include "host/host_priv.h"

void shelf_init(struct shelf *s, struct store *store, struct kind_table kinds) {
    *s = (struct shelf){.store = store, .kinds = kinds};
}

bool plan_is(const struct plan *p, struct str hash, struct str entry) {
    return str_is(hash, p->hash) && str_eq(entry, p->entry);
}

/* The plan is the shelf's from now on, also after an error: then it is freed. */
static enum err keep(struct shelf *s, struct plan *p, struct error *e) {
    if (s->count == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 4;
        struct plan **more = realloc(s->plans, cap * sizeof *more);
        if (!more) {
            plan_free(p);
            return error_nomem(e);
        }
        s->plans = more;
        s->cap = cap;
    }
    s->plans[s->count++] = p;
    return OK;
}

static enum err compile(struct shelf *s, struct str hash, struct str entry, struct plan **out,
                        struct error *e) {
    struct arena a;
    struct str bundle;
    arena_init(&a, 0);
    enum err err = store_workflow_get(s->store, hash, &a, &bundle, e);
    err = err ? err : host_bundle_compile(bundle, entry, s->kinds, out, e);
    arena_fini(&a);
    return err;
}

enum err shelf_find(struct shelf *s, struct str hash, struct str entry, const struct plan **out,
                    struct error *e) {
    struct plan *p;
    for (uint32_t i = 0; i < s->count; i++) {
        if (plan_is(s->plans[i], hash, entry)) {
            *out = s->plans[i];
            return OK;
        }
    }
    enum err err = compile(s, hash, entry, &p, e);
    err = err ? err : keep(s, p, e);
    *out = err ? NULL : p;
    return err;
}

void shelf_fini(struct shelf *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        plan_free(s->plans[i]);
    }
    free(s->plans);
    *s = (struct shelf){0};
}
