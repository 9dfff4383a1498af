/* Emitting: an event of the decision under way is numbered, applied to the state and encoded, in
 * that order; effects are listed beside. The only way a decision changes anything.
 */
#include <stdlib.h>

#include "engine/engine_priv.h"

void engine_out_init(struct engine_out *o) {
    *o = (struct engine_out){0};
    buf_init(&o->bytes, 0);
    buf_init(&o->blobs.bytes, 0);
}

void engine_out_reset(struct engine_out *o) {
    for (uint32_t i = 0; i < o->effect_count; i++) {
        flight_unref(o->effects[i].flight);
    }
    o->record_count = o->effect_count = o->verdict_count = o->blobs.count = 0;
    buf_reset(&o->bytes);
    buf_reset(&o->blobs.bytes);
}

void engine_out_fini(struct engine_out *o) {
    engine_out_reset(o);
    free(o->records);
    free(o->effects);
    free(o->verdicts);
    free(o->blobs.items);
    buf_fini(&o->bytes);
    buf_fini(&o->blobs.bytes);
    *o = (struct engine_out){0};
}

/* Room for one more item in a growing array. */
static bool grow(void **items, uint32_t count, uint32_t *cap, size_t size) {
    if (count < *cap) {
        return true;
    }
    uint32_t want = *cap ? *cap * 2 : 16;
    void *more = realloc(*items, want * size);
    if (!more) {
        return false;
    }
    *items = more;
    *cap = want;
    return true;
}

struct event event_of_step(enum event_kind kind, struct step_id step) {
    return (struct event){.kind = kind, .has_step = true, .step = step};
}

struct event event_of_node(const struct engine *g, enum event_kind kind, uint32_t node) {
    const struct node_state *n = &g->nodes[node];
    return event_of_step(kind, (struct step_id){node, n->iteration, -1, n->generation});
}

/* Texts of events are UTF-8, whatever a kind said and wherever a message was cut: they become
 * values, which have no other. */
static bool clean(struct engine *g, struct str *text) {
    if (str_is_utf8(*text)) {
        return true;
    }
    char *copy = arena_alloc(&g->arena, text->len);
    for (size_t pos = 0; copy && pos < text->len;) {
        size_t from = pos;
        bool bad = str_utf8_next(*text, &pos) == 0xFFFD && pos == from + 1;
        memcpy(copy + from, bad ? "?" : text->ptr + from, pos - from);
    }
    *text = (struct str){copy, text->len};
    return copy != NULL;
}

enum err engine_emit(struct engine *g, struct event *ev, struct error *e) {
    struct engine_out *o = g->out;
    ASSERT(o);
    if (g->superseded) {
        return OK; /* the rollback was the last of the decision */
    }
    if (!clean(g, &ev->error_type) || !clean(g, &ev->message) || !clean(g, &ev->reason) ||
        !clean(g, &ev->text)) {
        return error_nomem(e);
    }
    void *records = o->records;
    if (!grow(&records, o->record_count, &o->record_cap, sizeof *o->records)) {
        return error_nomem(e);
    }
    o->records = records;
    ev->seq = g->seq + 1;
    ev->at = g->now;
    ev->follows = !g->first_record;
    g->first_record = false;
    struct engine_record *r = &o->records[o->record_count++];
    *r = (struct engine_record){.kind = ev->kind, .seq = ev->seq, .at = ev->at};
    r->step_offset = o->bytes.len;
    if (ev->has_step) {
        char text[STEP_ID_BYTES];
        buf_append(&o->bytes, step_id_print(g->plan, ev->step, text));
    }
    r->step_len = o->bytes.len - r->step_offset;
    r->body_offset = o->bytes.len;
    enum err err = event_encode(ev, &o->bytes, &o->blobs, e);
    r->body_len = o->bytes.len - r->body_offset;
    if (err) {
        return err;
    }
    return buf_ok(&o->bytes) ? engine_apply(g, ev, e) : error_nomem(e);
}

enum err engine_emit_end(struct engine *g, struct event *ev, struct error *e) {
    enum err err = engine_emit(g, ev, e);
    bool auxiliary = g->plan->nodes[ev->step.node].role && ev->step.index < 0;
    return err || !auxiliary ? err : engine_aux_ended(g, ev->step.node, e);
}

enum err engine_emit_effect(struct engine *g, const struct engine_effect *fx, struct error *e) {
    struct engine_out *o = g->out;
    ASSERT(o);
    void *effects = o->effects;
    if (!grow(&effects, o->effect_count, &o->effect_cap, sizeof *o->effects)) {
        return error_nomem(e);
    }
    o->effects = effects;
    o->effects[o->effect_count] = *fx;
    if (fx->flight) {
        flight_ref(fx->flight);
    }
    o->effect_count++;
    return OK;
}

static enum err put_verdict(struct engine *g, const struct engine_input *in, const char *word,
                            const char *text, struct error *e) {
    struct engine_out *o = g->out;
    if (!in->ticket) {
        return OK;
    }
    void *verdicts = o->verdicts;
    if (!grow(&verdicts, o->verdict_count, &o->verdict_cap, sizeof *o->verdicts)) {
        return error_nomem(e);
    }
    o->verdicts = verdicts;
    struct engine_verdict *v = &o->verdicts[o->verdict_count++];
    *v = (struct engine_verdict){.ticket = in->ticket, .offset = o->bytes.len};
    buf_printf(&o->bytes, "%s%s%s", word, text ? ": " : "", text ? text : "");
    v->len = o->bytes.len - v->offset;
    return buf_ok(&o->bytes) ? OK : error_nomem(e);
}

enum err engine_verdict(struct engine *g, const struct engine_input *in, const char *refusal,
                        struct error *e) {
    return put_verdict(g, in, refusal ? "refused" : "accepted", refusal, e);
}

enum err engine_verdict_accept(struct engine *g, const struct engine_input *in, const char *note,
                               struct error *e) {
    return put_verdict(g, in, "accepted", note, e);
}
