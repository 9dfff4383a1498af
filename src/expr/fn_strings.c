/* Functions that look into a string, or take a part of it. Positions count code points from 0.
 *
 * Parts borrow from the string. Each is charged by the bytes that it may go through.
 */
#include "expr/run_priv.h"

/* Two strings, and the steps that going through them costs. */
static enum err two_texts(struct run *r, const char *fn, const struct value *args, struct str *s,
                          struct str *t) {
    enum err err = arg_text(r, fn, args, 0, s);
    err = err ? err : arg_text(r, fn, args, 1, t);
    return err ? err : run_charge_bytes(r, s->len + t->len);
}

static enum err outside(struct run *r, const char *fn, int64_t index, struct str s) {
    size_t length = text_length(s);
    return run_fault(r, "%s(): index %lld is out of range: the string has %zu character%s", fn,
                     (long long)index, length, length == 1 ? "" : "s");
}

/* Argument i as a byte offset into s, at most its end. */
static enum err arg_offset(struct run *r, const char *fn, const struct value *args, uint32_t i,
                           struct str s, size_t *out) {
    int64_t index = 0;
    enum err err = arg_int(r, fn, args, i, &index);
    if (err) {
        return err;
    }
    *out = index < 0 ? SIZE_MAX : text_offset(s, index);
    return *out == SIZE_MAX ? outside(r, fn, index, s) : OK;
}

enum err fn_size(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    switch (args[0].type) {
    case VALUE_TEXT:
        *out = value_int((int64_t)text_length(value_str(args[0])));
        return run_charge_bytes(r, args[0].extra);
    case VALUE_BYTES:
    case VALUE_LIST:
    case VALUE_MAP: *out = value_int(args[0].extra); return OK;
    default: return arg_wrong(r, "size", args, 0, "a string, bytes, a list or a map");
    }
}

enum err fn_contains(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    struct str s, t;
    if (args[0].type == VALUE_LIST) {
        return run_mismatch(r, "contains() works on a string, this is a list; write item in list");
    }
    enum err err = two_texts(r, "contains", args, &s, &t);
    *out = value_bool(!err && str_find(s, t, 0) != SIZE_MAX);
    return err;
}

enum err fn_starts_with(struct run *r, const struct value *args, uint32_t count,
                        struct value *out) {
    (void)count;
    struct str s, t;
    enum err err = two_texts(r, "startsWith", args, &s, &t);
    *out = value_bool(!err && str_starts(s, t));
    return err;
}

enum err fn_ends_with(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    struct str s, t;
    enum err err = two_texts(r, "endsWith", args, &s, &t);
    *out = value_bool(!err && str_ends(s, t));
    return err;
}

/* At most this many states for the pattern: its repetitions {n,m} multiply what they repeat. */
static uint64_t pattern_weight(struct str pattern) {
    uint64_t weight = pattern.len + 1;
    for (size_t i = 0; i < pattern.len; i++) {
        uint64_t n = 0;
        while (i < pattern.len && pattern.ptr[i] >= '0' && pattern.ptr[i] <= '9' && n < 100000) {
            n = n * 10 + (uint64_t)(pattern.ptr[i++] - '0');
        }
        weight *= n > 1 ? n : 1;
        if (weight >= REGEX_MAX_PROGRAM) {
            return REGEX_MAX_PROGRAM;
        }
    }
    return weight;
}

/* The pattern as a program; that of the last call when it is the same, as in a loop. */
static enum err get_regex(struct run *r, struct str pattern, struct error *why) {
    if (r->regex && str_eq(r->pattern, pattern)) {
        return OK;
    }
    r->regex = NULL;
    r->pattern = pattern;
    enum err err = run_charge(r, pattern_weight(pattern));
    return err ? err : regex_compile(r->arena, pattern, &r->regex, why);
}

enum err fn_matches(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    struct str s, pattern;
    struct error why;
    bool found = false;
    why.message[0] = '\0';
    enum err err = two_texts(r, "matches", args, &s, &pattern);
    err = err ? err : run_charge(r, s.len * pattern_weight(pattern) / 64);
    if (err) {
        return err;
    }
    err = get_regex(r, pattern, &why);
    if (!err) {
        struct arena scratch; /* given back at once: a loop may search many texts */
        arena_init(&scratch, 0);
        err = regex_search(r->regex, s, &scratch, &found, &why);
        r->arena->starved = r->arena->starved || scratch.starved;
        arena_fini(&scratch);
    }
    *out = value_bool(found);
    switch ((int)err) {
    case ERR_INVALID: return run_mismatch(r, "matches(): %s", why.message);
    case ERR_NOMEM: return run_memory_exceeded(r);
    case ERR_LIMIT: return why.message[0] ? run_limit(r, "matches(): %s", why.message) : err;
    default: return err;
    }
}

enum err fn_char_at(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    struct str s;
    size_t from = 0;
    enum err err = arg_text(r, "charAt", args, 0, &s);
    err = err ? err : arg_offset(r, "charAt", args, 1, s, &from);
    if (err) {
        return err;
    }
    size_t to = from;
    if (to < s.len) {
        str_utf8_next(s, &to);
    }
    *out = value_text(str_sub(s, from, to));
    return run_charge_bytes(r, s.len);
}

static struct value position(struct str s, size_t offset) {
    return value_int(offset == SIZE_MAX ? -1 : (int64_t)text_length(str_sub(s, 0, offset)));
}

enum err fn_index_of(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    struct str s, t;
    size_t from = 0;
    enum err err = two_texts(r, "indexOf", args, &s, &t);
    if (!err && count == 3) {
        err = arg_offset(r, "indexOf", args, 2, s, &from);
    }
    if (!err) {
        *out = position(s, str_find(s, t, from));
    }
    return err;
}

enum err fn_last_index_of(struct run *r, const struct value *args, uint32_t count,
                          struct value *out) {
    struct str s, t;
    size_t upto = 0;
    enum err err = two_texts(r, "lastIndexOf", args, &s, &t);
    if (!err && count == 3) {
        err = arg_offset(r, "lastIndexOf", args, 2, s, &upto);
    }
    if (err) {
        return err;
    }
    size_t start = t.len > s.len ? 0 : s.len - t.len;
    if (count == 3 && upto < start) {
        start = upto;
    }
    err = run_charge(r, t.len > 64 ? s.len * (t.len / 64) : 0);
    size_t found = SIZE_MAX;
    for (size_t i = start + 1; !err && found == SIZE_MAX && t.len <= s.len && i-- > 0;) {
        if (memcmp(s.ptr + i, t.len ? t.ptr : "", t.len) == 0) {
            found = i;
        }
    }
    *out = position(s, found);
    return err;
}

enum err fn_substring(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    struct str s;
    size_t from = 0;
    enum err err = arg_text(r, "substring", args, 0, &s);
    size_t to = err ? 0 : s.len;
    err = err ? err : arg_offset(r, "substring", args, 1, s, &from);
    if (!err && count == 3) {
        err = arg_offset(r, "substring", args, 2, s, &to);
    }
    if (err) {
        return err;
    }
    if (from > to) {
        return run_fault(r, "substring(): from %lld is behind to %lld", (long long)args[1].num,
                         (long long)args[2].num);
    }
    *out = value_text(str_sub(s, from, to));
    return run_charge_bytes(r, s.len);
}

/* Unicode White_Space. */
static bool is_space(uint32_t cp) {
    return (cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
           cp == 0x205f || cp == 0x3000;
}

enum err fn_trim(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    struct str s;
    enum err err = arg_text(r, "trim", args, 0, &s);
    if (err) {
        return err;
    }
    size_t from = SIZE_MAX;
    size_t to = 0;
    for (size_t pos = 0; pos < s.len;) {
        size_t start = pos;
        if (!is_space(str_utf8_next(s, &pos))) {
            from = from == SIZE_MAX ? start : from;
            to = pos;
        }
    }
    *out = value_text(from == SIZE_MAX ? str_sub(s, 0, 0) : str_sub(s, from, to));
    return run_charge_bytes(r, s.len);
}
