/* The binary form of the journal. One value has exactly one encoding: a decoder refuses any other,
 * so encode(decode(x)) == x and decode(encode(v)) is identical to v.
 *
 * What expressions alone know (types, optionals, keys that are not text) has no encoding: the
 * caller turns it into something else first; otherwise the buffer fails and the size is SIZE_MAX.
 * The same happens to text that is not UTF-8 (which breaks the contract of value_text).
 * Decoding must never trust a length: a list may claim no more items than bytes are left after
 * what the lists around it still need, so memory stays within a constant factor of the input.
 */
#include "value/value.h"

#include "value/value_priv.h"

/* The format. It is frozen: a new type gets a new tag, and no tag changes its meaning.
 *
 *   00 null, 01 false, 02 true             09 timestamp: zigzag seconds, varint nanoseconds
 *   03 int: zigzag varint (not -16..111)   0a duration: zigzag seconds, zigzag nanoseconds
 *   04 uint: varint                        0b list: varint count (> 15), items
 *   05 double: 8 bytes, little-endian      0c map: varint count (> 15), pairs
 *   06 double, lossy: the same             20..3f text of 0..31 bytes, the bytes
 *   07 text: varint length (> 31), bytes   40..4f list of 0..15, items
 *   08 bytes: varint length, bytes         50..5f map of 0..15, pairs
 *                                          80..ff int, tag - 0x90 (-16..111)
 *
 * A pair is: varint key length, UTF-8 key, value. Varints: 7 bits a byte, low first, shortest
 * form. Text is UTF-8. Keys of a map differ. Depth, counts and lengths as in value.h. */
enum tag {
    TAG_NULL = 0x00,
    TAG_FALSE = 0x01,
    TAG_TRUE = 0x02,
    TAG_INT = 0x03,
    TAG_UINT = 0x04,
    TAG_DOUBLE = 0x05,
    TAG_LOSSY = 0x06,
    TAG_TEXT = 0x07,
    TAG_BYTES = 0x08,
    TAG_TIMESTAMP = 0x09,
    TAG_DURATION = 0x0a,
    TAG_LIST = 0x0b,
    TAG_MAP = 0x0c,
    TAG_SHORT_TEXT = 0x20,
    TAG_SHORT_LIST = 0x40,
    TAG_SHORT_MAP = 0x50,
    TAG_SMALL_INT = 0x80,
};

#define SHORT_TEXT_MAX 31u
#define SHORT_COUNT_MAX 15u
#define SMALL_INT_MIN (-16)
#define SMALL_INT_MAX 111
#define VARINT_MAX_BYTES 10u
#define NANOS_PER_S 1000000000

static inline uint64_t zigzag(int64_t n) { return ((uint64_t)n << 1) ^ (n < 0 ? UINT64_MAX : 0); }

static inline int64_t unzigzag(uint64_t u) { return (int64_t)((u >> 1) ^ (0 - (u & 1))); }

static inline size_t varint_bytes(uint64_t u) {
    size_t bits = 64 - (size_t)__builtin_clzll(u | 1);
    return (bits + 6) / 7;
}

static inline bool is_small_int(int64_t n) { return n >= SMALL_INT_MIN && n <= SMALL_INT_MAX; }

/* --- encoding ------------------------------------------------------------------------------- */

static inline uint8_t *room(struct buf *b, size_t n) {
    if (!b->failed && b->ptr && n <= b->cap - b->len) {
        return (uint8_t *)b->ptr + b->len;
    }
    return (uint8_t *)buf_reserve(b, n);
}

static inline uint8_t *put_varint(uint8_t *p, uint64_t u) {
    for (; u >= 0x80; u >>= 7) {
        *p++ = (uint8_t)(u | 0x80);
    }
    *p++ = (uint8_t)u;
    return p;
}

static inline void advance(struct buf *b, const uint8_t *p) {
    b->len = (size_t)(p - (uint8_t *)b->ptr);
}

/* A tag and up to two varints; all scalars but doubles and text. */
static void put_tagged(struct buf *b, enum tag tag, int fields, uint64_t first, uint64_t second) {
    size_t need =
        1 + (fields > 0 ? varint_bytes(first) : 0) + (fields > 1 ? varint_bytes(second) : 0);
    uint8_t *p = room(b, need);
    if (!p) {
        return;
    }
    *p++ = (uint8_t)tag;
    if (fields > 0) {
        p = put_varint(p, first);
    }
    if (fields > 1) {
        p = put_varint(p, second);
    }
    advance(b, p);
}

static void put_int(struct buf *b, int64_t n) {
    if (!is_small_int(n)) {
        put_tagged(b, TAG_INT, 1, zigzag(n), 0);
        return;
    }
    put_tagged(b, (enum tag)(TAG_SMALL_INT + (n - SMALL_INT_MIN)), 0, 0, 0);
}

static void put_double(struct buf *b, struct value v) {
    uint8_t *p = room(b, 9);
    if (!p) {
        return;
    }
    *p++ = v.flags & VALUE_LOSSY ? TAG_LOSSY : TAG_DOUBLE;
    for (unsigned i = 0; i < 8; i++) {
        *p++ = (uint8_t)(v.unum >> (8 * i));
    }
    advance(b, p);
}

/* `head` is a tag, or -1 for none; `with_len` puts the length behind it. */
static void put_slice(struct buf *b, int head, bool with_len, struct str s) {
    uint8_t *p = room(b, (head >= 0) + (with_len ? varint_bytes(s.len) : 0) + s.len);
    if (!p) {
        return;
    }
    if (head >= 0) {
        *p++ = (uint8_t)head;
    }
    if (with_len) {
        p = put_varint(p, s.len);
    }
    if (s.len) {
        memcpy(p, s.ptr, s.len);
    }
    advance(b, p + s.len);
}

/* Ill-formed text is refused here, because the decoder would refuse it when it is too late. */
static void put_text(struct buf *b, struct str s) {
    bool is_long = s.len > SHORT_TEXT_MAX;
    if (str_is_utf8(s)) {
        put_slice(b, is_long ? TAG_TEXT : TAG_SHORT_TEXT + (int)s.len, is_long, s);
    } else {
        b->failed = true;
    }
}

static void put_key(struct buf *b, struct value key) {
    if (key.type == VALUE_TEXT && str_is_utf8(value_str(key))) {
        put_slice(b, -1, true, value_str(key));
    } else {
        b->failed = true;
    }
}

static void put_count(struct buf *b, enum tag short_tag, enum tag tag, uint32_t count) {
    if (count <= SHORT_COUNT_MAX) {
        put_tagged(b, (enum tag)(short_tag + count), 0, 0, 0);
    } else {
        put_tagged(b, tag, 1, count, 0);
    }
}

static void encode(struct value v, int depth, struct buf *b);

static void encode_children(struct value v, int depth, struct buf *b) {
    bool list = v.type == VALUE_LIST;
    if (depth >= VALUE_MAX_DEPTH) {
        b->failed = true;
        return;
    }
    if (list) {
        put_count(b, TAG_SHORT_LIST, TAG_LIST, v.extra);
    } else {
        put_count(b, TAG_SHORT_MAP, TAG_MAP, v.extra);
    }
    for (uint32_t i = 0; i < v.extra && !b->failed; i++) {
        if (!list) {
            put_key(b, v.pairs[i].key);
        }
        encode(list ? v.items[i] : v.pairs[i].val, depth + 1, b);
    }
}

static void encode(struct value v, int depth, struct buf *b) {
    switch ((enum value_type)v.type) {
    case VALUE_NULL: put_tagged(b, TAG_NULL, 0, 0, 0); return;
    case VALUE_BOOL: put_tagged(b, v.boolean ? TAG_TRUE : TAG_FALSE, 0, 0, 0); return;
    case VALUE_INT: put_int(b, v.num); return;
    case VALUE_UINT: put_tagged(b, TAG_UINT, 1, v.unum, 0); return;
    case VALUE_DOUBLE: put_double(b, v); return;
    case VALUE_TEXT: put_text(b, value_str(v)); return;
    case VALUE_BYTES: put_slice(b, TAG_BYTES, true, value_str(v)); return;
    case VALUE_TIMESTAMP: put_tagged(b, TAG_TIMESTAMP, 2, zigzag(v.num), v.extra); return;
    case VALUE_DURATION:
        put_tagged(b, TAG_DURATION, 2, zigzag(v.num), zigzag((int32_t)v.extra));
        return;
    case VALUE_LIST:
    case VALUE_MAP: encode_children(v, depth, b); return;
    case VALUE_TYPE:
    case VALUE_OPTIONAL: break;
    }
    b->failed = true;
}

void value_encode(struct value v, struct buf *out) { encode(v, 0, out); }

/* --- size ----------------------------------------------------------------------------------- */

static bool add_size(struct value v, int depth, size_t *total);

static bool add_children(struct value v, int depth, size_t *total) {
    if (depth >= VALUE_MAX_DEPTH) {
        return false;
    }
    *total += 1 + (v.extra > SHORT_COUNT_MAX ? varint_bytes(v.extra) : 0);
    for (uint32_t i = 0; i < v.extra; i++) {
        if (v.type == VALUE_LIST) {
            if (!add_size(v.items[i], depth + 1, total)) {
                return false;
            }
            continue;
        }
        struct value key = v.pairs[i].key;
        if (key.type != VALUE_TEXT) {
            return false;
        }
        *total += varint_bytes(key.extra) + key.extra;
        if (!add_size(v.pairs[i].val, depth + 1, total)) {
            return false;
        }
    }
    return true;
}

static bool add_size(struct value v, int depth, size_t *total) {
    switch ((enum value_type)v.type) {
    case VALUE_NULL:
    case VALUE_BOOL: *total += 1; return true;
    case VALUE_INT:
        *total += is_small_int(v.num) ? 1 : 1 + varint_bytes(zigzag(v.num));
        return true;
    case VALUE_UINT: *total += 1 + varint_bytes(v.unum); return true;
    case VALUE_DOUBLE: *total += 9; return true;
    case VALUE_TEXT:
        *total += (v.extra <= SHORT_TEXT_MAX ? 1 : 1 + varint_bytes(v.extra)) + v.extra;
        return true;
    case VALUE_BYTES: *total += 1 + varint_bytes(v.extra) + v.extra; return true;
    case VALUE_TIMESTAMP:
        *total += 1 + varint_bytes(zigzag(v.num)) + varint_bytes(v.extra);
        return true;
    case VALUE_DURATION:
        *total += 1 + varint_bytes(zigzag(v.num)) + varint_bytes(zigzag((int32_t)v.extra));
        return true;
    case VALUE_LIST:
    case VALUE_MAP: return add_children(v, depth, total);
    case VALUE_TYPE:
    case VALUE_OPTIONAL: return false;
    }
    return false;
}

size_t value_size(struct value v) {
    size_t total = 0;
    return add_size(v, 0, &total) ? total : SIZE_MAX;
}

/* --- decoding ------------------------------------------------------------------------------- */

struct decoder {
    const uint8_t *start;
    const uint8_t *p;
    const uint8_t *end;
    size_t owed; /* bytes that the lists and maps being read still need at least */
    struct arena *arena;
    struct error *e;
};

static enum err corrupt(const struct decoder *d, const char *what) {
    return error_set(d->e, ERR_CORRUPT, "stored value, byte %zu: %s", (size_t)(d->p - d->start),
                     what);
}

static inline size_t left(const struct decoder *d) { return (size_t)(d->end - d->p); }

static bool take_long_varint(struct decoder *d, uint64_t *out) {
    uint64_t u = 0;
    for (unsigned i = 0; i < VARINT_MAX_BYTES && d->p < d->end; i++) {
        uint8_t byte = *d->p++;
        u |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte & 0x80) {
            continue;
        }
        *out = u;
        return !(byte == 0 && i > 0) && !(i == 9 && byte > 1); /* shortest form, 64 bits */
    }
    return false;
}

static inline bool take_varint(struct decoder *d, uint64_t *out) {
    if (d->p < d->end && *d->p < 0x80) {
        *out = *d->p++;
        return true;
    }
    return take_long_varint(d, out);
}

static enum err take_slice(struct decoder *d, uint64_t len, bool utf8, struct str *out) {
    if (len > left(d) || len > VALUE_MAX_TEXT) {
        return corrupt(d, "text is longer than what is left");
    }
    struct str s = {(const char *)d->p, (size_t)len};
    if (utf8 && !str_is_utf8(s)) {
        return corrupt(d, "text is not UTF-8");
    }
    d->p += len;
    *out = s;
    return OK;
}

static enum err decode_slice(struct decoder *d, uint8_t tag, struct value *out) {
    uint64_t len;
    struct str s = {0};
    if (!take_varint(d, &len) || (tag == TAG_TEXT && len <= SHORT_TEXT_MAX)) {
        return corrupt(d, "bad length");
    }
    enum err err = take_slice(d, len, tag == TAG_TEXT, &s);
    if (err == OK) {
        *out = tag == TAG_TEXT ? value_text(s) : value_bytes(s);
    }
    return err;
}

static enum err decode_number(struct decoder *d, uint8_t tag, struct value *out) {
    uint64_t u;
    if (!take_varint(d, &u)) {
        return corrupt(d, "bad integer");
    }
    if (tag == TAG_UINT) {
        *out = value_uint(u);
        return OK;
    }
    if (is_small_int(unzigzag(u))) {
        return corrupt(d, "integer not in its shortest form");
    }
    *out = value_int(unzigzag(u));
    return OK;
}

static enum err decode_double(struct decoder *d, uint8_t tag, struct value *out) {
    if (left(d) < 8) {
        return corrupt(d, "cut short");
    }
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) {
        bits |= (uint64_t)d->p[i] << (8 * i);
    }
    d->p += 8;
    *out = (struct value){.type = VALUE_DOUBLE, .unum = bits};
    if (tag == TAG_LOSSY) {
        out->flags = VALUE_LOSSY;
    }
    return OK;
}

static enum err decode_time(struct decoder *d, uint8_t tag, struct value *out) {
    uint64_t seconds, nanos;
    if (!take_varint(d, &seconds) || !take_varint(d, &nanos)) {
        return corrupt(d, "bad time");
    }
    int64_t s = unzigzag(seconds);
    int64_t ns = tag == TAG_TIMESTAMP ? (int64_t)nanos : unzigzag(nanos);
    bool bad_sign = tag == TAG_TIMESTAMP ? ns < 0 : (s > 0 && ns < 0) || (s < 0 && ns > 0);
    if (bad_sign || ns >= NANOS_PER_S || ns <= -NANOS_PER_S) {
        return corrupt(d, "nanoseconds out of range");
    }
    *out = tag == TAG_TIMESTAMP ? value_timestamp(s, (int32_t)ns) : value_duration(s, (int32_t)ns);
    return OK;
}

static enum err decode(struct decoder *d, int depth, struct value *out);

/* Checks a count against what is left and books what its children need at least. */
static enum err open_container(struct decoder *d, uint64_t count, size_t child_bytes, int depth) {
    if (depth >= VALUE_MAX_DEPTH) {
        return corrupt(d, "nested too deep");
    }
    if (count > VALUE_MAX_COUNT || d->owed > left(d) || count * child_bytes > left(d) - d->owed) {
        return corrupt(d, "more items than bytes left");
    }
    d->owed += (size_t)count * child_bytes;
    return OK;
}

static enum err decode_list(struct decoder *d, uint64_t count, int depth, struct value *out) {
    enum err err = open_container(d, count, 1, depth);
    if (err != OK) {
        return err;
    }
    struct value *items = count ? ARENA_ARRAY(d->arena, (size_t)count, struct value) : NULL;
    if (count && !items) {
        return error_nomem(d->e);
    }
    for (uint64_t i = 0; i < count && err == OK; i++) {
        d->owed -= 1;
        err = decode(d, depth + 1, &items[i]);
    }
    if (err == OK) {
        *out = value_list(items, (size_t)count);
    }
    return err;
}

static enum err decode_pair(struct decoder *d, int depth, struct value_pair *out) {
    uint64_t len;
    struct str key = {0};
    if (!take_varint(d, &len)) {
        return corrupt(d, "bad length of a key");
    }
    enum err err = take_slice(d, len, true, &key);
    if (err != OK) {
        return err;
    }
    out->key = value_text(key);
    return decode(d, depth, &out->val);
}

static enum err decode_map(struct decoder *d, uint64_t count, int depth, struct value *out) {
    enum err err = open_container(d, count, 2, depth);
    if (err != OK) {
        return err;
    }
    struct value_pair *pairs = count ? value_pairs_alloc(d->arena, (size_t)count) : NULL;
    if (count && !pairs) {
        return error_nomem(d->e);
    }
    for (uint64_t i = 0; i < count && err == OK; i++) {
        d->owed -= 2;
        err = decode_pair(d, depth + 1, &pairs[i]);
    }
    if (err != OK) {
        return err;
    }
    if (!value_pairs_index(pairs, (size_t)count)) {
        return corrupt(d, "a key stands twice");
    }
    *out = value_map_of(pairs, (size_t)count);
    return OK;
}

static enum err decode_long_container(struct decoder *d, uint8_t tag, int depth,
                                      struct value *out) {
    uint64_t count;
    if (!take_varint(d, &count) || count <= SHORT_COUNT_MAX) {
        return corrupt(d, "bad count");
    }
    return tag == TAG_LIST ? decode_list(d, count, depth, out) : decode_map(d, count, depth, out);
}

static enum err decode_tagged(struct decoder *d, uint8_t tag, int depth, struct value *out) {
    switch (tag) {
    case TAG_NULL: *out = value_null(); return OK;
    case TAG_FALSE:
    case TAG_TRUE: *out = value_bool(tag == TAG_TRUE); return OK;
    case TAG_INT:
    case TAG_UINT: return decode_number(d, tag, out);
    case TAG_DOUBLE:
    case TAG_LOSSY: return decode_double(d, tag, out);
    case TAG_TEXT:
    case TAG_BYTES: return decode_slice(d, tag, out);
    case TAG_TIMESTAMP:
    case TAG_DURATION: return decode_time(d, tag, out);
    case TAG_LIST:
    case TAG_MAP: return decode_long_container(d, tag, depth, out);
    default: return corrupt(d, "unknown tag");
    }
}

static enum err decode(struct decoder *d, int depth, struct value *out) {
    if (d->p == d->end) {
        return corrupt(d, "cut short");
    }
    uint8_t tag = *d->p++;
    if (tag >= TAG_SMALL_INT) {
        *out = value_int((int64_t)tag - TAG_SMALL_INT + SMALL_INT_MIN);
        return OK;
    }
    if ((tag & 0xE0) == TAG_SHORT_TEXT) {
        struct str s = {0};
        enum err err = take_slice(d, tag & 0x1Fu, true, &s);
        if (err == OK) {
            *out = value_text(s);
        }
        return err;
    }
    if ((tag & 0xF0) == TAG_SHORT_LIST) {
        return decode_list(d, tag & 0x0Fu, depth, out);
    }
    if ((tag & 0xF0) == TAG_SHORT_MAP) {
        return decode_map(d, tag & 0x0Fu, depth, out);
    }
    return decode_tagged(d, tag, depth, out);
}

enum err value_decode(struct arena *a, struct str in, struct value *out, struct error *e) {
    const uint8_t *p = (const uint8_t *)(in.ptr ? in.ptr : "");
    struct decoder d = {.start = p, .p = p, .end = p + in.len, .arena = a, .e = e};
    struct value v = value_null();
    enum err err = decode(&d, 0, &v);
    if (err == OK && d.p != d.end) {
        err = corrupt(&d, "bytes after the value");
    }
    if (err == OK) {
        *out = v;
    }
    return err;
}
