/* Dotted paths into a value: `servers.0.name` is a key of a map, an item of a list (from 0), a key.
 * A key that has a dot itself cannot be named.
 *
 * Values are immutable: putting builds new maps and lists along the path and shares the rest.
 */
#include <stdio.h>

#include "node/file_priv.h"

static enum err refuse_path(struct str path, struct error *e) {
    size_t parts = 1;
    for (size_t i = 0; i < path.len; i++) {
        parts += path.ptr[i] == '.';
    }
    if (parts > VALUE_MAX_DEPTH) {
        return error_set(e, ERR_INVALID, "a key has more than %d parts", VALUE_MAX_DEPTH);
    }
    return path.len ? OK : error_set(e, ERR_INVALID, "a key is empty");
}

static bool index_of(struct value list, struct str part, size_t *out) {
    uint64_t n;
    bool ok = list.type == VALUE_LIST && str_to_uint64(part, &n) && n < value_count(list);
    *out = ok ? (size_t)n : 0;
    return ok;
}

/* What stands there instead: "has no b; it has a, c" or "is a list of 3". */
static enum err refuse_part(struct value at, struct str path, struct str part, struct error *e) {
    char there[200];
    size_t len = 0;
    if (at.type == VALUE_LIST) {
        (void)snprintf(there, sizeof there, "a list of %zu", value_count(at));
    } else if (at.type == VALUE_MAP) {
        len = (size_t)snprintf(there, sizeof there, "a map %s",
                               value_count(at) ? "of" : "of nothing");
        for (size_t i = 0; i < value_count(at) && i < 8; i++) {
            struct str key = str_sub(value_str(at.pairs[i].key), 0, 40);
            int more =
                snprintf(there + len, sizeof there - len, "%s %.*s", i ? "," : "", STR_ARG(key));
            len = more > 0 && len + (size_t)more < sizeof there ? len + (size_t)more : len;
        }
    } else {
        (void)snprintf(there, sizeof there, "a %s", value_type_name(at.type));
    }
    return error_set(e, ERR_NOT_FOUND, "there is no \"%.*s\" (key %.*s) in %s",
                     STR_ARG(str_sub(part, 0, 100)), STR_ARG(str_sub(path, 0, 200)), there);
}

static enum err get_one(struct value v, struct str path, struct value *out, struct error *e) {
    enum err err = refuse_path(path, e);
    struct str rest = path;
    while (!err && rest.len) {
        struct str part = str_split(rest, '.', &rest);
        const struct value *found = value_get(v, part);
        size_t i;
        if (!found && !index_of(v, part, &i)) {
            return refuse_part(v, path, part, e);
        }
        v = found ? *found : v.items[i];
    }
    *out = v;
    return err;
}

static enum err refuse_keys(struct error *e) {
    return error_set(e, ERR_INVALID, "keys must be a dotted path or a list of them");
}

enum err file_keys_get(struct value v, struct value keys, struct arena *a, struct value *out,
                       struct error *e) {
    struct value_builder b;
    if (keys.type == VALUE_TEXT) {
        return get_one(v, value_str(keys), out, e);
    }
    if (keys.type != VALUE_LIST) {
        return refuse_keys(e);
    }
    value_builder_init(&b, a);
    for (size_t i = 0; i < value_count(keys); i++) {
        struct value one;
        if (keys.items[i].type != VALUE_TEXT) {
            return refuse_keys(e);
        }
        enum err err = get_one(v, value_str(keys.items[i]), &one, e);
        if (err) {
            return err;
        }
        value_map_add(&b, value_str(keys.items[i]), one);
    }
    *out = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

/* ---- putting ---- */

struct putting {
    struct str path;
    struct value value;
    struct arena *arena;
    struct error *e;
};

/* The map or list v with item at key or, in a list, at index. */
static enum err put_item(const struct putting *p, struct value v, struct str key, size_t index,
                         struct value *item) {
    struct value_builder b;
    bool list = v.type == VALUE_LIST, found = false;
    value_builder_init(&b, p->arena);
    for (size_t i = 0; i < value_count(v); i++) {
        bool here = list ? i == index : str_eq(value_str(v.pairs[i].key), key);
        found |= here;
        if (list) {
            value_list_add(&b, here ? *item : v.items[i]);
        } else {
            value_map_add_value(&b, v.pairs[i].key, here ? *item : v.pairs[i].val);
        }
    }
    if (!found && !list) {
        value_map_add(&b, key, *item);
    }
    *item = list ? value_list_done(&b) : value_map_done(&b);
    return b.ok ? OK : error_nomem(p->e);
}

/* As deep as the path has parts, which are bounded. */
static enum err put(const struct putting *p, struct value v, struct str rest, struct value *out) {
    if (!rest.len) {
        *out = p->value;
        return OK;
    }
    size_t i = 0;
    struct str part = str_split(rest, '.', &rest);
    bool fits = v.type == VALUE_NULL || v.type == VALUE_MAP || index_of(v, part, &i);
    if (!fits) {
        return refuse_part(v, p->path, part, p->e);
    }
    const struct value *old = v.type == VALUE_LIST ? &v.items[i] : value_get(v, part);
    enum err err = put(p, old ? *old : value_null(), rest, out);
    return err ? err : put_item(p, v, part, i, out);
}

static enum err put_one(struct value v, struct str path, struct value value, struct arena *a,
                        struct value *out, struct error *e) {
    struct putting p = {path, value, a, e};
    enum err err = refuse_path(path, e);
    struct value done;
    err = err ? err : put(&p, v, path, &done);
    if (!err) {
        *out = done;
    }
    return err;
}

/* As deep as the two values are, which are bounded. */
static struct value merge(struct value v, struct value more, struct value_builder *outer) {
    struct value_builder b;
    if (v.type != VALUE_MAP || more.type != VALUE_MAP) {
        return more;
    }
    value_builder_init(&b, outer->arena);
    for (size_t i = 0; i < value_count(v); i++) {
        const struct value *other = value_get_key(more, v.pairs[i].key);
        value_map_add_value(&b, v.pairs[i].key,
                            other ? merge(v.pairs[i].val, *other, &b) : v.pairs[i].val);
    }
    for (size_t i = 0; i < value_count(more); i++) {
        if (!value_get_key(v, more.pairs[i].key)) {
            value_map_add_value(&b, more.pairs[i].key, more.pairs[i].val);
        }
    }
    struct value done = value_map_done(&b);
    outer->ok &= b.ok;
    return done;
}

static enum err merge_all(struct value v, struct value value, struct arena *a, struct value *out,
                          struct error *e) {
    struct value_builder outer;
    value_builder_init(&outer, a);
    if (value.type != VALUE_MAP || (v.type != VALUE_MAP && v.type != VALUE_NULL)) {
        bool file = value.type == VALUE_MAP;
        return error_set(e, ERR_INVALID,
                         "without keys an update merges two maps, but the %s is a %s",
                         file ? "file" : "value", value_type_name(file ? v.type : value.type));
    }
    *out = merge(v, value, &outer);
    return outer.ok ? OK : error_nomem(e);
}

enum err file_keys_put(struct value v, struct value keys, struct value value, struct arena *a,
                       struct value *out, struct error *e) {
    if (keys.type == VALUE_NULL) {
        return merge_all(v, value, a, out, e);
    }
    if (keys.type == VALUE_TEXT) {
        return put_one(v, value_str(keys), value, a, out, e);
    }
    enum err err = keys.type == VALUE_LIST ? OK : refuse_keys(e);
    for (size_t i = 0; !err && i < value_count(keys); i++) {
        struct value key = keys.items[i];
        const struct value *one = key.type == VALUE_TEXT ? value_get(value, value_str(key)) : NULL;
        if (!one) {
            return error_set(e, ERR_INVALID,
                             "with a list of keys the value must be a map that has each of them");
        }
        err = put_one(v, value_str(key), *one, a, &v, e);
    }
    *out = v;
    return err;
}
