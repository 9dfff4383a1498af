/* The one value type of cairn: what expressions see, what steps return, what the journal keeps.
 *
 * A value is 16 bytes, immutable once built, and borrows what it points to from an arena (or
 * static text): copying a value is copying the struct. Ten types cross the journal and come back
 * the same (model.md "Types that cross the journal"): int64 and double stay apart (3 and 3.0).
 * Maps keep the order of insertion; equality and canonical text do not depend on it.
 */
#ifndef CAIRN_VALUE_VALUE_H
#define CAIRN_VALUE_VALUE_H

#include "base/base.h"

enum value_type {
    VALUE_NULL, /* all zero bytes are null */
    VALUE_BOOL,
    VALUE_INT,
    VALUE_UINT,
    VALUE_DOUBLE,
    VALUE_TEXT,
    VALUE_BYTES,
    VALUE_TIMESTAMP, /* num = seconds since 1970, extra = nanoseconds 0..999,999,999 */
    VALUE_DURATION,  /* num = seconds, extra = nanoseconds of the same sign (as int32_t) */
    VALUE_LIST,
    VALUE_MAP,
    VALUE_TYPE,     /* a CEL type name, only inside expressions; never crosses the journal */
    VALUE_OPTIONAL, /* CEL optional: items is NULL or one value; only inside expressions */
};

struct value_pair;

struct value {
    uint8_t type; /* enum value_type */
    uint8_t flags;
    uint16_t reserved;
    uint32_t extra; /* text, bytes: length; list, map: count; times: nanoseconds */
    union {
        bool boolean;
        int64_t num;
        uint64_t unum;
        double real;
        const char *ptr;
        const struct value *items;
        const struct value_pair *pairs; /* more than 8: an index (private) follows the pairs */
    };
};

struct value_pair {
    struct value key; /* text in all that crosses the journal; CEL also: bool, int, uint */
    struct value val;
};

/* value.flags: this double was written as an integer beyond 64 bits (meta.lossy). */
#define VALUE_LOSSY 1u

#define VALUE_MAX_DEPTH 200        /* lists and maps inside one another */
#define VALUE_MAX_COUNT 10000000u  /* items of one list or map */
#define VALUE_MAX_TEXT 0x40000000u /* bytes of one text */

static inline struct value value_null(void) { return (struct value){0}; }
static inline struct value value_bool(bool b) {
    return (struct value){.type = VALUE_BOOL, .boolean = b};
}
static inline struct value value_int(int64_t i) {
    return (struct value){.type = VALUE_INT, .num = i};
}
static inline struct value value_uint(uint64_t u) {
    return (struct value){.type = VALUE_UINT, .unum = u};
}
static inline struct value value_double(double d) {
    return (struct value){.type = VALUE_DOUBLE, .real = d};
}
/* Borrows s (at most VALUE_MAX_TEXT bytes; asserted). */
struct value value_text(struct str s);
struct value value_bytes(struct str s);
struct value value_timestamp(int64_t seconds, int32_t nanos);
struct value value_timestamp_us(wall_us t);
struct value value_duration(int64_t seconds, int32_t nanos);
/* Borrows count items that the caller filled. */
struct value value_list(const struct value *items, size_t count);

static inline bool value_is_null(struct value v) { return v.type == VALUE_NULL; }
/* Content of a text or bytes value. */
static inline struct str value_str(struct value v) { return (struct str){v.ptr, v.extra}; }
/* Items of a list, pairs of a map. */
static inline size_t value_count(struct value v) { return v.extra; }
/* "null", "bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration", "list",
 * "map", "type", "optional". */
const char *value_type_name(enum value_type t);

/* Building maps and lists in an arena; on lack of memory ok turns false and the rest is ignored. */
struct value_builder {
    struct arena *arena;
    struct value *items;      /* list */
    struct value_pair *pairs; /* map */
    size_t count;
    size_t cap;
    bool ok;
};
void value_builder_init(struct value_builder *b, struct arena *arena);
void value_list_add(struct value_builder *b, struct value item);
/* Adds without looking for an earlier equal key: value_map_done keeps the last of duplicates. */
void value_map_add(struct value_builder *b, struct str key, struct value val);
void value_map_add_value(struct value_builder *b, struct value key, struct value val);
struct value value_list_done(struct value_builder *b);
struct value value_map_done(struct value_builder *b);

/* The value of a text key, or NULL (also when v is no map). O(1) for large maps. */
const struct value *value_get(struct value v, struct str key);
/* Same for any key; int, uint and double keys that are numerically equal are the same key. */
const struct value *value_get_key(struct value v, struct value key);
/* Deep equality: numbers compare by value across int, uint, double; NaN is unequal to all. */
bool value_equal(struct value a, struct value b);
/* Same type and value everywhere, order of maps and the bits of doubles included. */
bool value_identical(struct value a, struct value b);
/* There is a lossy double in it somewhere. */
bool value_is_lossy(struct value v);
/* Deep copy into an arena; null value and false when out of memory. */
MUST_USE bool value_copy(struct arena *a, struct value v, struct value *out);
/* Bytes that value_encode would write: the measure of max_output_bytes. */
size_t value_size(struct value v);

/* Binary form of the journal (docs/FORMAT.md): tag byte, then varints, raw bytes, little-endian
 * doubles. decode(encode(v)) is identical to v. Decoding borrows text from in, checks everything
 * and takes the rest from the arena. */
void value_encode(struct value v, struct buf *out);
enum err value_decode(struct arena *a, struct str in, struct value *out, struct error *e) MUST_USE;

/* JSON. value_parse_json: strict RFC 8259, UTF-8, duplicate keys refused, depth capped; integers
 * become int, then uint, beyond that lossy doubles; 3.0 stays a double. Error marks give line and
 * column. value_print_json: text for people and other programs: bytes as base64 text, timestamps
 * RFC 3339, durations "1.5s", non-finite doubles as text; indent 0 is one line. */
enum err value_parse_json(struct arena *a, struct str in, struct value *out, struct error *e)
    MUST_USE;
void value_print_json(struct value v, int indent, struct buf *out);
/* JSON with sorted keys and no spaces, types marked where JSON has none ({"$bytes": ..}, uint as
 * {"$uint": ..}): equal values give equal text. For hashes and golden files. */
void value_print_canonical(struct value v, struct buf *out);
/* How a value reads inside a template: text as it is, null as nothing, the rest as JSON. */
void value_print_text(struct value v, struct buf *out);
/* "null", 12, "some te..." for error messages: at most max_bytes. */
void value_print_short(struct value v, size_t max_bytes, struct buf *out);
/* RFC 4648 section 4, with padding. */
void value_print_base64(struct str s, struct buf *out);
/* Shortest text that reads back as the same double; always with '.', 'e' or a name like NaN. */
size_t value_print_double(double d, char out[32]);

/* Of the library behind JSON, for people. */
const char *value_jansson_version(void);

#endif
