/* What functions share: their arguments, the names of types, text measured in code points.
 *
 * A wrong argument is a mismatch of types: it names the function, what it takes and what came.
 */
#include "expr/run_priv.h"

static const struct {
    const char *phrase;
    const char *name;
} types[] = {
    [VALUE_NULL] = {"null", "null_type"},
    [VALUE_BOOL] = {"a bool", "bool"},
    [VALUE_INT] = {"an int", "int"},
    [VALUE_UINT] = {"a uint", "uint"},
    [VALUE_DOUBLE] = {"a double", "double"},
    [VALUE_TEXT] = {"a string", "string"},
    [VALUE_BYTES] = {"bytes", "bytes"},
    [VALUE_TIMESTAMP] = {"a timestamp", "google.protobuf.Timestamp"},
    [VALUE_DURATION] = {"a duration", "google.protobuf.Duration"},
    [VALUE_LIST] = {"a list", "list"},
    [VALUE_MAP] = {"a map", "map"},
    [VALUE_TYPE] = {"a type", "type"},
    [VALUE_OPTIONAL] = {"an optional", "optional_type"},
};

const char *type_phrase(struct value v) { return types[v.type].phrase; }

struct str type_name(struct value v) {
    return str_from(types[v.type].name);
}

struct value type_value(struct str name) {
    return (struct value){.type = VALUE_TYPE, .extra = (uint32_t)name.len, .ptr = name.ptr};
}

bool type_find(struct str name, struct value *out) {
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_is(name, types[i].name)) {
            *out = type_value(str_from(types[i].name));
            return true;
        }
    }
    return false;
}

enum err arg_wrong(struct run *r, const char *fn, const struct value *args, uint32_t i,
                   const char *takes) {
    const char *help = args[i].type == VALUE_OPTIONAL ? "; take its value with orValue(...)" : "";
    if (i == 0) {
        return run_mismatch(r, "%s() works on %s, this is %s%s", fn, takes, type_phrase(args[i]),
                            help);
    }
    static const char *const which[] = {"", "", "second ", "third "};
    return run_mismatch(r, "the %sargument of %s() is %s, this is %s%s", i < 4 ? which[i] : "", fn,
                        takes, type_phrase(args[i]), help);
}

enum err arg_text(struct run *r, const char *fn, const struct value *args, uint32_t i,
                  struct str *out) {
    if (args[i].type != VALUE_TEXT) {
        return arg_wrong(r, fn, args, i, "a string");
    }
    *out = value_str(args[i]);
    return OK;
}

enum err arg_int(struct run *r, const char *fn, const struct value *args, uint32_t i,
                 int64_t *out) {
    bool fits = args[i].type == VALUE_INT || (args[i].type == VALUE_UINT && args[i].num >= 0);
    if (!fits) {
        return arg_wrong(r, fn, args, i, "an int");
    }
    *out = args[i].num;
    return OK;
}

void text_start(struct run *r, struct buf *b) {
    size_t left = r->arena->cap_bytes - r->arena->used_bytes;
    buf_init(b, left < VALUE_MAX_TEXT ? left + 1 : VALUE_MAX_TEXT);
}

enum err text_done(struct run *r, struct buf *b, struct value *out) {
    enum err err = OK;
    if (!buf_ok(b)) {
        err = b->starved ? error_nomem(r->e) : run_memory_exceeded(r);
    } else {
        err = run_charge_bytes(r, b->len);
        err = err ? err : run_text(r, buf_str(b), out);
    }
    buf_fini(b);
    return err;
}

size_t text_length(struct str s) {
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++) {
        count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    }
    return count;
}

size_t text_offset(struct str s, int64_t index) {
    for (size_t i = 0; i < s.len; i++) {
        if (((unsigned char)s.ptr[i] & 0xc0) != 0x80 && index-- == 0) {
            return i;
        }
    }
    return index == 0 ? s.len : SIZE_MAX;
}
