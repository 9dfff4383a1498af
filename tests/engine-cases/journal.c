/* The journal of a case in memory: what a store would keep, and the fold from it.
 */
#include "cases.h"

#include <stdlib.h>

void journal_init(struct journal *j) {
    *j = (struct journal){0};
    arena_init(&j->arena, 0);
}

void journal_fini(struct journal *j) {
    arena_fini(&j->arena);
    free(j->records);
    free(j->steps);
    free(j->bodies);
    free(j->blobs);
    *j = (struct journal){0};
}

static bool grow(struct journal *j) {
    if (j->count < j->cap) {
        return true;
    }
    uint32_t cap = j->cap ? j->cap * 2 : 64;
    struct engine_record *records = realloc(j->records, cap * sizeof *records);
    j->records = records ? records : j->records;
    struct str *steps = realloc(j->steps, cap * sizeof *steps);
    j->steps = steps ? steps : j->steps;
    struct str *bodies = realloc(j->bodies, cap * sizeof *bodies);
    j->bodies = bodies ? bodies : j->bodies;
    j->cap = records && steps && bodies ? cap : j->cap;
    return records && steps && bodies;
}

static enum err blob_get(void *ctx, struct str hash, struct arena *a, struct str *out,
                         struct error *e) {
    const struct journal *j = ctx;
    (void)a;
    for (uint32_t i = 0; i < j->blob_count; i++) {
        if (str_eq(j->blobs[i].hash, hash)) {
            *out = j->blobs[i].bytes;
            return OK;
        }
    }
    return error_set(e, ERR_NOT_FOUND, "no blob %.*s was put", STR_ARG(hash));
}

static enum err add_blobs(struct journal *j, const struct engine_out *out, struct error *e) {
    for (uint32_t i = 0; i < out->blobs.count; i++) {
        const struct event_blob *blob = &out->blobs.items[i];
        if (j->blob_count == j->blob_cap) {
            uint32_t cap = j->blob_cap ? j->blob_cap * 2 : 8;
            struct journal_blob *more = realloc(j->blobs, cap * sizeof *more);
            if (!more) {
                return error_nomem(e);
            }
            j->blobs = more;
            j->blob_cap = cap;
        }
        struct str bytes = {out->blobs.bytes.ptr + blob->offset, blob->len};
        j->blobs[j->blob_count++] = (struct journal_blob){
            arena_str(&j->arena, str_from(blob->hash)), arena_str(&j->arena, bytes)};
    }
    return OK;
}

static enum err decode(const struct journal *j, const struct plan *p, uint32_t i, struct arena *a,
                       struct event *out, struct error *e) {
    struct event_fetch fetch = {(void *)(uintptr_t)j, blob_get};
    *out = (struct event){
        .kind = j->records[i].kind, .seq = j->records[i].seq, .at = j->records[i].at};
    out->has_step = j->steps[i].len > 0;
    if (out->has_step && !step_id_parse(p, j->steps[i], &out->step)) {
        return error_set(e, ERR_CORRUPT, "step id %.*s cannot be read", STR_ARG(j->steps[i]));
    }
    return event_decode(j->bodies[i], &fetch, a, out, e);
}

/* Written, read and written again an event must be the same bytes. */
static enum err check_codec(const struct journal *j, const struct plan *p, uint32_t i,
                            struct error *e) {
    struct arena a;
    struct buf again;
    struct event_blobs blobs = {0};
    struct event ev;
    char text[STEP_ID_BYTES];
    arena_init(&a, 0);
    buf_init(&again, 0);
    buf_init(&blobs.bytes, 0);
    enum err err = decode(j, p, i, &a, &ev, e);
    err = err ? err : event_encode(&ev, &again, &blobs, e);
    if (!err && (!str_eq(buf_str(&again), j->bodies[i]) ||
                 (ev.has_step && !str_eq(step_id_print(p, ev.step, text), j->steps[i])))) {
        err = error_set(e, ERR_CORRUPT, "event %u (%s) is not the same after it was read", i + 1,
                        event_name(ev.kind));
    }
    arena_fini(&a);
    buf_fini(&again);
    buf_fini(&blobs.bytes);
    free(blobs.items);
    return err;
}

enum err journal_add(struct journal *j, const struct plan *p, const struct engine_out *out,
                     struct error *e) {
    enum err err = add_blobs(j, out, e);
    for (uint32_t i = 0; i < out->record_count && !err; i++) {
        const struct engine_record *r = &out->records[i];
        if (!grow(j)) {
            return error_nomem(e);
        }
        if (r->seq != j->count + 1) {
            return error_set(e, ERR_CORRUPT, "event %llu follows event %u",
                             (unsigned long long)r->seq, j->count);
        }
        struct str step = {out->bytes.ptr + r->step_offset, r->step_len};
        struct str body = {out->bytes.ptr + r->body_offset, r->body_len};
        j->records[j->count] = *r;
        j->steps[j->count] = arena_str(&j->arena, step);
        j->bodies[j->count] = arena_str(&j->arena, body);
        err = check_codec(j, p, j->count++, e);
    }
    return err;
}

enum err journal_fold(const struct journal *j, const struct plan *p, struct engine **out,
                      struct error *e) {
    struct engine *g;
    enum err err = engine_new(p, &g, e);
    if (err) {
        return err;
    }
    struct arena a;
    arena_init(&a, 0);
    for (uint32_t i = 0; i < j->count && !err; i++) {
        struct event ev;
        arena_reset(&a);
        err = decode(j, p, i, &a, &ev, e);
        err = err ? err : engine_fold(g, &ev, e);
    }
    arena_fini(&a);
    if (err) {
        engine_free(g);
        return err;
    }
    *out = g;
    return OK;
}
