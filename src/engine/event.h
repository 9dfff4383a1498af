/* Events: one fact each, numbered in the journal of one execution. This is their decoded form and
 * the codec; events.def lists kinds and fields. docs/FORMAT.md has the procedure to change them.
 */
#ifndef CAIRN_ENGINE_EVENT_H
#define CAIRN_ENGINE_EVENT_H

#include "base/base.h"
#include "value/value.h"

enum event_kind {
    EVENT_NONE = 0,
#define EVENT(number, id, name, version, doc) EVENT_##id = number,
#include "engine/events.def"
#undef EVENT
};

/* A run of one node: node#iteration[index]~generation. */
struct step_id {
    uint32_t node; /* index in the plan */
    uint32_t iteration;
    int64_t index; /* foreach item, -1 for none */
    uint32_t generation;
};

static inline bool step_id_same(struct step_id a, struct step_id b) {
    return a.node == b.node && a.iteration == b.iteration && a.index == b.index &&
           a.generation == b.generation;
}

#define STEP_ID_BYTES 320 /* the longest name (256) and three numbers */

struct plan;
/* Prints a step id; out is NUL-terminated. */
struct str step_id_print(const struct plan *p, struct step_id id, char out[STEP_ID_BYTES]);
/* Parses one; false when malformed or of no node of the plan. */
bool step_id_parse(const struct plan *p, struct str text, struct step_id *out);

enum failure_effect { EFFECT_FAIL = 1, EFFECT_CONTINUE, EFFECT_HANDLED, EFFECT_VALUE };
enum content_type { CONTENT_BY_BODY, CONTENT_CONVERSATION, CONTENT_ERROR };

/* Decoded event: the fields that its kind does not have are zero. */
struct event {
    enum event_kind kind;
    uint64_t seq;
    wall_us at;
    bool has_step;
    struct step_id step;
    uint64_t present[2]; /* bit n: field n was given */
#define EVENT_FIELD_u uint64_t
#define EVENT_FIELD_i int64_t
#define EVENT_FIELD_t struct str
#define EVENT_FIELD_v struct value
#define EVENT_FIELD(number, id, type, doc) EVENT_FIELD_##type id;
#include "engine/events.def"
#undef EVENT_FIELD
};

/* Whether the field of that number was given in what was decoded. */
static inline bool event_has(const struct event *e, unsigned field) {
    return e->present[field >> 6 & 1] >> (field & 63) & 1;
}

/* A value field that went out of line. */
struct event_blob {
    char hash[SHA256_HEX_BYTES];
    size_t offset, len; /* in the buffer of blobs */
};

/* A value field longer than this is written as a blob. */
#define EVENT_INLINE_BYTES 32768u

/* Appends the body of e (its non-zero fields) to out. The bytes of values over EVENT_INLINE_BYTES
 * go to blobs instead, and their hash stands in the body. */
struct event_blobs {
    struct buf bytes;
    struct event_blob *items;
    uint32_t count, cap;
};
enum err event_encode(const struct event *e, struct buf *out, struct event_blobs *blobs,
                      struct error *err) MUST_USE;
/* Reads a body back: e->kind, seq, at and step are the caller's. Values and texts live in a or
 * borrow from body. fetch brings a blob's bytes into a. ERR_CORRUPT, ERR_UNSUPPORTED. */
struct event_fetch {
    void *ctx;
    enum err (*get)(void *ctx, struct str hash, struct arena *a, struct str *out, struct error *e);
};
enum err event_decode(struct str body, const struct event_fetch *fetch, struct arena *a,
                      struct event *e, struct error *err) MUST_USE;

/* "step_completed"; NULL for an unknown number. */
const char *event_name(unsigned kind);

struct event_row {
    unsigned number, version;
    const char *id_name, *doc;
};
const struct event_row *event_rows(size_t *out_count);

#endif
