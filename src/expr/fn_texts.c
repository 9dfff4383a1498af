/* Functions that make new strings: split, join, replace, case, reverse. What they make comes from
 * the arena of the evaluation and is charged by size before it is made.
 */
#include "expr/run_priv.h"

/* Argument i as a limit: none, or a negative one, means as many as there are. */
static enum err arg_limit(struct run *r, const char *fn, const struct value *args, uint32_t count,
                          uint32_t i, uint64_t *out) {
    int64_t limit = -1;
    enum err err = i < count ? arg_int(r, fn, args, i, &limit) : OK;
    *out = limit < 0 ? UINT64_MAX : (uint64_t)limit;
    return err;
}

/* The end of the part that starts at from: where sep stands, or of one character without sep. */
static size_t part_end(struct str s, struct str sep, size_t from) {
    if (sep.len) {
        size_t at = str_find(s, sep, from);
        return at == SIZE_MAX ? s.len : at;
    }
    size_t to = from;
    str_utf8_next(s, &to);
    return to;
}

static struct value split(struct value_builder *b, struct str s, struct str sep, uint64_t limit) {
    size_t from = 0;
    if (limit && (s.len || sep.len)) {
        for (;;) {
            size_t to = b->count + 1 < limit ? part_end(s, sep, from) : s.len;
            value_list_add(b, value_text(str_sub(s, from, to)));
            if (to == s.len || !b->ok) {
                break;
            }
            from = to + sep.len;
        }
    }
    return value_list_done(b);
}

enum err fn_split(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    struct str s, sep;
    uint64_t limit = 0;
    enum err err = arg_text(r, "split", args, 0, &s);
    err = err ? err : arg_text(r, "split", args, 1, &sep);
    err = err ? err : arg_limit(r, "split", args, count, 2, &limit);
    err = err ? err : run_charge(r, s.len);
    if (err) {
        return err;
    }
    struct value_builder b;
    value_builder_init(&b, r->arena);
    *out = split(&b, s, sep, limit);
    r->built = true;
    return b.ok ? OK : run_memory_exceeded(r);
}

enum err fn_join(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    struct str sep = {0};
    if (args[0].type != VALUE_LIST) {
        return arg_wrong(r, "join", args, 0, "a list of strings");
    }
    enum err err = count > 1 ? arg_text(r, "join", args, 1, &sep) : OK;
    err = err ? err : run_charge(r, args[0].extra);
    if (err) {
        return err;
    }
    struct buf b;
    text_start(r, &b);
    for (uint32_t i = 0; i < args[0].extra && buf_ok(&b); i++) {
        struct value item = args[0].items[i];
        if (item.type != VALUE_TEXT) {
            buf_fini(&b);
            return run_mismatch(r, "join() needs a list of strings, [%u] is %s; map(x, string(x))",
                                i, type_phrase(item));
        }
        buf_append(&b, i ? sep : (struct str){0});
        buf_append(&b, value_str(item));
    }
    return text_done(r, &b, out);
}

/* Without `old` the new text goes before each character and at the end. */
static void replace(struct buf *b, struct str s, struct str old, struct str new, uint64_t limit) {
    size_t from = 0;
    for (uint64_t i = 0; i < limit && buf_ok(b); i++) {
        size_t at = old.len || i == 0 ? str_find(s, old, from) : part_end(s, old, from);
        if (at == SIZE_MAX || (!old.len && i > 0 && from >= s.len)) {
            break;
        }
        buf_append(b, str_sub(s, from, at));
        buf_append(b, new);
        from = at + old.len;
    }
    buf_append(b, str_sub(s, from, s.len));
}

enum err fn_replace(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    struct str s, old, new;
    uint64_t limit = 0;
    enum err err = arg_text(r, "replace", args, 0, &s);
    err = err ? err : arg_text(r, "replace", args, 1, &old);
    err = err ? err : arg_text(r, "replace", args, 2, &new);
    err = err ? err : arg_limit(r, "replace", args, count, 3, &limit);
    err = err ? err : run_charge_bytes(r, s.len);
    if (err) {
        return err;
    }
    struct buf b;
    text_start(r, &b);
    replace(&b, s, old, new, limit);
    return text_done(r, &b, out);
}

/* Adds delta to the bytes from first to last. */
static enum err shift_case(struct run *r, const char *fn, const struct value *args, char first,
                           int delta, struct value *out) {
    struct str s;
    enum err err = arg_text(r, fn, args, 0, &s);
    err = err ? err : run_charge_bytes(r, s.len);
    if (err) {
        return err;
    }
    char *text = run_alloc(r, s.len + 1, 1);
    if (!text) {
        return run_memory_exceeded(r);
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        text[i] = c >= first && c < first + 26 ? (char)(c + delta) : c;
    }
    *out = value_text((struct str){text, s.len});
    return OK;
}

enum err fn_lower_ascii(struct run *r, const struct value *args, uint32_t count,
                        struct value *out) {
    (void)count;
    return shift_case(r, "lowerAscii", args, 'A', 'a' - 'A', out);
}

enum err fn_upper_ascii(struct run *r, const struct value *args, uint32_t count,
                        struct value *out) {
    (void)count;
    return shift_case(r, "upperAscii", args, 'a', 'A' - 'a', out);
}

enum err fn_reverse(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    struct str s;
    enum err err = arg_text(r, "reverse", args, 0, &s);
    err = err ? err : run_charge_bytes(r, s.len);
    if (err) {
        return err;
    }
    char *text = run_alloc(r, s.len + 1, 1);
    if (!text) {
        return run_memory_exceeded(r);
    }
    for (size_t pos = 0; pos < s.len;) {
        size_t from = pos;
        str_utf8_next(s, &pos);
        memcpy(text + s.len - pos, s.ptr + from, pos - from);
    }
    *out = value_text((struct str){text, s.len});
    return OK;
}
