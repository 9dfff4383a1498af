/* Reading parts of values: a.b, a["b"], a[0], a.?b, a[?0], has(a.b).
 *
 * A missing part is a fault that names what is there. On an optional the part is looked for in
 * what it holds and the result is optional again (CEL: optional field selection).
 */
#include "expr/run_priv.h"

#define NAMES_SHOWN 8u
#define NAMES_BYTES 300u

static void print_names(struct value map, struct buf *out) {
    uint32_t shown = 0;
    for (; shown < map.extra && shown < NAMES_SHOWN && out->len < NAMES_BYTES; shown++) {
        buf_append_cstr(out, shown ? ", " : "");
        value_print_short(map.pairs[shown].key, 60, out);
    }
    if (shown < map.extra) {
        buf_printf(out, " and %u more", map.extra - shown);
    }
}

static void print_nearest(struct value map, struct str name, struct buf *out) {
    struct str names[100];
    size_t count = 0;
    for (uint32_t i = 0; i < map.extra && count < ARRAY_LEN(names); i++) {
        if (map.pairs[i].key.type == VALUE_TEXT) {
            names[count++] = value_str(map.pairs[i].key);
        }
    }
    struct str near = name.len < 64 ? str_nearest(name, names, count) : (struct str){0};
    if (near.len) {
        buf_printf(out, "; did you mean \"%.*s\"?", STR_ARG(near));
    }
}

static enum err no_key(struct run *r, struct value map, struct value key) {
    if (r->quiet) {
        return ERR_EXPRESSION;
    }
    struct buf text;
    buf_init(&text, 4000);
    buf_append_cstr(&text, key.type == VALUE_TEXT ? "no field " : "no key ");
    value_print_short(key, 80, &text);
    buf_append_cstr(&text, map.extra ? "; the map has " : "; the map is empty");
    print_names(map, &text);
    if (key.type == VALUE_TEXT) {
        print_nearest(map, value_str(key), &text);
    }
    enum err err = run_fault(r, "%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return err;
}

static enum err no_fields(struct run *r, struct str name, struct value v) {
    if (v.type == VALUE_NULL) {
        return run_mismatch(r,
                            "the left side of .%.*s is null; .?%.*s gives an optional instead, "
                            "as in x.?%.*s.orValue(\"\")",
                            STR_ARG(name), STR_ARG(name), STR_ARG(name));
    }
    bool countable = v.type == VALUE_LIST || v.type == VALUE_TEXT;
    bool asks_size = str_is(name, "length") || str_is(name, "size") || str_is(name, "count");
    const char *help = countable && asks_size ? "; write .size()"
                       : v.type == VALUE_LIST ? "; take an item with [0], or map(x, x.field)"
                       : v.type == VALUE_TEXT ? "; a string has no fields"
                                              : "; it has no fields";
    return run_mismatch(r, "the left side of .%.*s is %s%s", STR_ARG(name), type_phrase(v), help);
}

static enum err wrap(struct run *r, const struct value *found, struct value *out) {
    if (found) {
        return optional_some(r, *found, out);
    }
    *out = optional_none();
    return OK;
}

enum err select_field(struct run *r, const struct step *s, struct value v, struct value *out) {
    bool optional = s->optional;
    if (v.type == VALUE_OPTIONAL) {
        if (!v.items || (optional && v.items->type == VALUE_NULL)) {
            *out = optional_none();
            return OK;
        }
        optional = true;
        v = *v.items;
    } else if (optional && v.type == VALUE_NULL) {
        *out = optional_none();
        return OK;
    }
    if (v.type != VALUE_MAP) {
        return no_fields(r, s->name, v);
    }
    const struct value *found = value_get(v, s->name);
    if (optional) {
        return wrap(r, found, out);
    }
    if (!found) {
        return no_key(r, v, value_text(s->name));
    }
    *out = *found;
    return OK;
}

/* The item an index of any number type means, NULL when there is none. False: no index at all. */
static bool list_at(struct value list, struct value key, const struct value **out) {
    double d = key.real;
    uint64_t i;
    *out = NULL;
    if (key.type == VALUE_DOUBLE) {
        if (!(d > -0x1p62 && d < 0x1p62) || (double)(int64_t)d != d) {
            return false;
        }
        i = (uint64_t)(int64_t)d;
    } else if (key.type == VALUE_INT || key.type == VALUE_UINT) {
        i = key.unum; /* a negative int is far beyond any count */
    } else {
        return false;
    }
    if (i < list.extra) {
        *out = &list.items[i];
    }
    return true;
}

static enum err out_of_range(struct run *r, struct value list, struct value key) {
    struct buf text;
    buf_init(&text, 200);
    value_print_short(key, 40, &text);
    enum err err;
    if (list.extra == 0) {
        err = run_fault(r, "index %.*s: the list is empty", STR_ARG(buf_str(&text)));
    } else {
        err = run_fault(r, "index %.*s is out of range: the list has %u item%s, [0] to [%u]",
                        STR_ARG(buf_str(&text)), list.extra, list.extra == 1 ? "" : "s",
                        list.extra - 1);
    }
    buf_fini(&text);
    return err;
}

static enum err no_index(struct run *r, struct value v, struct value key) {
    if (v.type == VALUE_NULL) {
        return run_mismatch(r, "the left side of [...] is null; x[?...] gives an optional instead");
    }
    if (v.type == VALUE_LIST) {
        return run_mismatch(r, "an index of a list is a whole number, this is %s",
                            type_phrase(key));
    }
    if (v.type == VALUE_TEXT) {
        return run_mismatch(r, "a string has no index; write charAt(i) or substring(i, j)");
    }
    return run_mismatch(r, "the left side of [...] is %s, not a list or a map", type_phrase(v));
}

/* The part that key means, NULL when there is none; a fault when v cannot have parts. */
static enum err part_at(struct run *r, struct value v, struct value key, const struct value **out) {
    if (v.type == VALUE_MAP) {
        *out = value_get_key(v, key);
        return OK;
    }
    return v.type == VALUE_LIST && list_at(v, key, out) ? OK : no_index(r, v, key);
}

enum err select_index(struct run *r, const struct step *s, struct value v, struct value key,
                      struct value *out) {
    bool optional = s->optional;
    if (v.type == VALUE_OPTIONAL) {
        if (!v.items || (optional && v.items->type == VALUE_NULL)) {
            *out = optional_none();
            return OK;
        }
        optional = true;
        v = *v.items;
    } else if (optional && v.type == VALUE_NULL) {
        *out = optional_none();
        return OK;
    }
    const struct value *found = NULL;
    enum err err = part_at(r, v, key, &found);
    if (err) {
        return err;
    }
    if (optional) {
        return wrap(r, found, out);
    }
    if (!found) {
        return v.type == VALUE_MAP ? no_key(r, v, key) : out_of_range(r, v, key);
    }
    *out = *found;
    return OK;
}

enum err select_has(struct run *r, struct value v, struct str name, struct value *out) {
    if (v.type == VALUE_OPTIONAL) {
        if (!v.items) {
            *out = value_bool(false);
            return OK;
        }
        v = *v.items;
    }
    if (v.type == VALUE_NULL) {
        return run_mismatch(r, "has(): the left side of .%.*s is null; write x.?%.*s.hasValue()",
                            STR_ARG(name), STR_ARG(name));
    }
    if (v.type != VALUE_MAP) {
        return no_fields(r, name, v);
    }
    *out = value_bool(value_get(v, name) != NULL);
    return OK;
}
