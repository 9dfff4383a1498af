/* Random values from a seed: every type, borders of every range, odd text, small and large maps.
 *
 * The same seed gives the same value on every machine, so a failing seed can be run again.
 */
#include "groups.h"

/* splitmix64 */
uint64_t random_next(uint64_t *seed) {
    uint64_t z = (*seed += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t *seed, uint64_t n) { return random_next(seed) % n; }

/* Any number of bits is as likely as any other, so small numbers and borders are common. */
static uint64_t any_number(uint64_t *seed) {
    uint64_t u = random_next(seed) >> below(seed, 64);
    return below(seed, 4) == 0 ? UINT64_MAX - u : u;
}

static struct value any_double(uint64_t *seed) {
    static const double special[] = {0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, 3.0, -2.5};
    struct value v = value_double(special[below(seed, ARRAY_LEN(special))]);
    if (below(seed, 2))
        v.unum = random_next(seed); /* any bits: infinities and NaNs too */
    if (below(seed, 8) == 0)
        v.flags = VALUE_LOSSY;
    return v;
}

static struct str any_text(struct arena *a, uint64_t *seed) {
    static const char *const pieces[] = {
        "a",  "key",  "\xC3\xA4", "\xE2\x82\xAC",     "\"", "\\",
        "\n", "\x7F", "$map",     "\xF0\x9F\x98\x80", " ",  "\x01"};
    struct buf b;
    buf_init(&b, 0);
    for (uint64_t n = below(seed, below(seed, 10) ? 6 : 60); n > 0; n--)
        buf_append_cstr(&b, pieces[below(seed, ARRAY_LEN(pieces))]);
    if (below(seed, 8) == 0)
        buf_append_char(&b, '\0');
    struct str s = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return s;
}

static struct value any_time(uint64_t *seed) {
    int64_t s = (int64_t)any_number(seed);
    int32_t ns = below(seed, 2) ? (int32_t)below(seed, 1000000000) : 0;
    if (below(seed, 2))
        return value_timestamp(s, ns);
    return value_duration(s, s < 0 ? -ns : ns);
}

static struct value any_list(struct arena *a, uint64_t *seed, int depth) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint64_t n = below(seed, below(seed, 10) ? 5 : 40); n > 0; n--)
        value_list_add(&b, random_value(a, seed, depth));
    return value_list_done(&b);
}

static struct value any_map(struct arena *a, uint64_t *seed, int depth) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint64_t n = below(seed, below(seed, 10) ? 5 : 40); n > 0; n--)
        value_map_add(&b, any_text(a, seed), random_value(a, seed, depth));
    return value_map_done(&b);
}

struct value random_value(struct arena *a, uint64_t *seed, int depth) {
    switch (below(seed, depth > 0 ? 14 : 10)) {
    case 0: return value_null();
    case 1: return value_bool(below(seed, 2));
    case 2: return value_int((int64_t)below(seed, 200) - 50);
    case 3: return value_int((int64_t)any_number(seed));
    case 4: return value_uint(any_number(seed));
    case 5: return any_double(seed);
    case 6: return value_bytes(any_text(a, seed));
    case 7: return any_time(seed);
    case 8:
    case 9: return value_text(any_text(a, seed));
    case 10:
    case 11: return any_list(a, seed, depth - 1);
    default: return any_map(a, seed, depth - 1);
    }
}

struct value json_value(struct arena *a, const char *text) {
    struct value v = value_null();
    struct error e;
    if (value_parse_json(a, str_from(text), &v, &e) != OK)
        fail_msg("%s: %s", text, e.message);
    return v;
}
