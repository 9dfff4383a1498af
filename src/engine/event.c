/* The codec of event bodies. A body is a row of fields: field number (one byte), then the field by
 * its type: u varint, i zigzag varint, t length and bytes, v one byte (0 inline, 1 blob) and length
 * and the encoded value, or the blob's 32-byte hash. Fields that are zero or empty are left out.
 *
 * To change an event: never change what a released number means. Add a field (old bodies simply
 * lack it), or add a new event number and keep decoding the old one. A field number is never used
 * again. Then: a golden journal in tests/golden, docs/FORMAT.md, and ENGINE_RULES if a decision
 * depends on it.
 */
#include "engine/event.h"

#include <stdlib.h>

const char *event_name(unsigned kind) {
    static const char *const names[] = {
#define EVENT(number, id, name, version, doc) [number] = name,
#include "engine/events.def"
#undef EVENT
    };
    return kind < ARRAY_LEN(names) ? names[kind] : NULL;
}

const struct event_row *event_rows(size_t *out_count) {
    static const struct event_row rows[] = {
#define EVENT(number, id, name, version, doc) {number, version, name, doc},
#include "engine/events.def"
#undef EVENT
    };
    *out_count = ARRAY_LEN(rows);
    return rows;
}

static void put_varint(struct buf *b, uint64_t n) {
    char bytes[10];
    size_t len = 0;
    while (n >= 0x80) {
        bytes[len++] = (char)(n | 0x80);
        n >>= 7;
    }
    bytes[len++] = (char)n;
    buf_append(b, (struct str){bytes, len});
}

static void put_u(struct buf *b, unsigned number, uint64_t n) {
    if (n) {
        buf_append_char(b, (char)number);
        put_varint(b, n);
    }
}

static void put_i(struct buf *b, unsigned number, int64_t n) {
    put_u(b, number, ((uint64_t)n << 1) ^ (uint64_t)(n >> 63));
}

static void put_t(struct buf *b, unsigned number, struct str s) {
    if (s.len) {
        buf_append_char(b, (char)number);
        put_varint(b, s.len);
        buf_append(b, s);
    }
}

/* Moves the encoded value at the end of b out of line. */
static enum err put_blob(struct buf *b, size_t from, struct event_blobs *blobs, struct error *e) {
    struct str bytes = {b->ptr + from, b->len - from};
    if (blobs->count == blobs->cap) {
        uint32_t cap = blobs->cap ? blobs->cap * 2 : 8;
        struct event_blob *more = realloc(blobs->items, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        blobs->items = more;
        blobs->cap = cap;
    }
    struct event_blob *blob = &blobs->items[blobs->count++];
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&h);
    sha256_update(&h, bytes);
    sha256_final(&h, digest);
    hex_encode(digest, sizeof digest, blob->hash);
    blob->hash[SHA256_HEX_BYTES - 1] = '\0';
    blob->offset = blobs->bytes.len;
    blob->len = bytes.len;
    buf_append(&blobs->bytes, bytes);
    b->len = from;
    buf_append(b, (struct str){(const char *)digest, sizeof digest});
    return buf_ok(&blobs->bytes) ? OK : error_nomem(e);
}

static enum err put_v(struct buf *b, unsigned number, struct value v, struct event_blobs *blobs,
                      struct error *e) {
    if (value_is_null(v)) {
        return OK;
    }
    size_t size = value_size(v);
    buf_append_char(b, (char)number);
    buf_append_char(b, size > EVENT_INLINE_BYTES);
    if (size <= EVENT_INLINE_BYTES) {
        put_varint(b, size);
        value_encode(v, b);
        return OK;
    }
    size_t from = b->len;
    value_encode(v, b);
    return buf_ok(b) ? put_blob(b, from, blobs, e) : error_nomem(e);
}

enum err event_encode(const struct event *e, struct buf *out, struct event_blobs *blobs,
                      struct error *err) {
    enum err code = OK;
/* Most fields of most events are empty: that is seen here. */
#define PUT_u(number, id) \
    if (e->id)            \
    put_u(out, number, e->id)
#define PUT_i(number, id) \
    if (e->id)            \
    put_i(out, number, e->id)
#define PUT_t(number, id) \
    if (e->id.len)        \
    put_t(out, number, e->id)
#define PUT_v(number, id)      \
    if (!value_is_null(e->id)) \
    code = code ? code : put_v(out, number, e->id, blobs, err)
#define EVENT_FIELD(number, id, type, doc) PUT_##type(number, id);
#include "engine/events.def"
#undef EVENT_FIELD
    return code ? code : buf_ok(out) ? OK : error_nomem(err);
}

struct reader {
    struct str in;
    size_t at;
    struct arena *arena;
    const struct event_fetch *fetch;
    struct error *error;
};

static enum err broken(struct reader *r) {
    return error_set(r->error, ERR_CORRUPT, "an event's body is malformed at byte %zu", r->at);
}

static enum err get_varint(struct reader *r, uint64_t *out) {
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->in.len; shift += 7) {
        uint8_t byte = (uint8_t)r->in.ptr[r->at++];
        if (shift == 63 && byte > 1) {
            break; /* more than 64 bits */
        }
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = n;
            return OK;
        }
    }
    return broken(r);
}

static enum err get_u(struct reader *r, uint64_t *out) { return get_varint(r, out); }

static enum err get_i(struct reader *r, int64_t *out) {
    uint64_t n = 0;
    enum err err = get_varint(r, &n);
    *out = (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
    return err;
}

static enum err get_t(struct reader *r, struct str *out) {
    uint64_t len = 0;
    enum err err = get_varint(r, &len);
    if (err || len > r->in.len - r->at) {
        return err ? err : broken(r);
    }
    *out = (struct str){r->in.ptr + r->at, (size_t)len};
    r->at += (size_t)len;
    return OK;
}

static enum err get_v(struct reader *r, struct value *out) {
    struct str bytes;
    if (r->at >= r->in.len) {
        return broken(r);
    }
    char where = r->in.ptr[r->at++];
    if (where == 0) {
        enum err err = get_t(r, &bytes);
        return err ? err : value_decode(r->arena, bytes, out, r->error);
    }
    if (where != 1 || r->in.len - r->at < SHA256_BYTES) {
        return broken(r);
    }
    char hash[SHA256_HEX_BYTES];
    hex_encode((const uint8_t *)r->in.ptr + r->at, SHA256_BYTES, hash);
    r->at += SHA256_BYTES;
    if (!r->fetch) {
        return error_set(r->error, ERR_NEED_BLOB, "blob %.64s is needed", hash);
    }
    enum err err = r->fetch->get(r->fetch->ctx, (struct str){hash, SHA256_HEX_BYTES - 1}, r->arena,
                                 &bytes, r->error);
    return err ? err : value_decode(r->arena, bytes, out, r->error);
}

enum err event_decode(struct str body, const struct event_fetch *fetch, struct arena *a,
                      struct event *e, struct error *err) {
    struct reader r = {body, 0, a, fetch, err};
    while (r.at < body.len) {
        unsigned number = (uint8_t)body.ptr[r.at++];
        enum err code = OK;
        switch (number) {
#define EVENT_FIELD(n, id, type, doc)  \
    case n:                            \
        code = get_##type(&r, &e->id); \
        break;
#include "engine/events.def"
#undef EVENT_FIELD
        default:
            return error_set(err, ERR_UNSUPPORTED,
                             "an event has field %u, which this cairn does not know: use a newer "
                             "version",
                             number);
        }
        if (code) {
            return code;
        }
        if (event_has(e, number)) {
            return broken(&r); /* given twice */
        }
        e->present[number >> 6 & 1] |= 1ull << (number & 63);
    }
    return OK;
}
