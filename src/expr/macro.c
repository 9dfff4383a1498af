/* The forms with a variable: all, exists, exists_one, map, filter, optMap, optFlatMap; and or and
 * orValue, whose argument is evaluated only when needed. A map is walked by its keys.
 *
 * all and exists absorb faults as && and || do; the others stop at the first.
 */
#include "expr/run_priv.h"

static const char *const names[] = {
    [MACRO_ALL] = "all",
    [MACRO_EXISTS] = "exists",
    [MACRO_EXISTS_ONE] = "exists_one",
    [MACRO_MAP] = "map",
    [MACRO_FILTER] = "filter",
    [MACRO_OPT_MAP] = "optMap",
    [MACRO_OPT_FLAT_MAP] = "optFlatMap",
    [MACRO_OR] = "or",
    [MACRO_OR_VALUE] = "orValue",
};

static struct value element(struct value v, uint32_t i) {
    return v.type == VALUE_LIST ? v.items[i] : v.pairs[i].key;
}

static enum err test(struct run *r, const struct step *s, struct value item, bool *out) {
    r->locals[s->local] = item;
    return eval_bool(r, s->args[1], "the condition must be", out);
}

static enum err eval_quantifier(struct run *r, const struct step *s, struct value v, bool decides,
                                struct value *out) {
    bool quiet = r->quiet;
    enum err first = OK;
    enum err err = OK;
    bool is = !decides;
    for (uint32_t i = 0; i < v.extra && is != decides; i++) {
        err = test(r, s, element(v, i), &is);
        if (err && err != ERR_EXPRESSION) {
            break;
        }
        if (err) {
            first = err;
            is = !decides;
            r->quiet = true;
            err = OK;
        }
    }
    r->quiet = quiet;
    *out = value_bool(is);
    return err || is == decides ? err : first;
}

static enum err eval_exists_one(struct run *r, const struct step *s, struct value v,
                                struct value *out) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < v.extra; i++) {
        bool is = false;
        enum err err = test(r, s, element(v, i), &is);
        if (err) {
            return err;
        }
        found += is;
    }
    *out = value_bool(found == 1);
    return OK;
}

static enum err eval_list(struct run *r, const struct step *s, struct value v, struct value *out) {
    bool filters = s->macro == MACRO_FILTER;
    struct value_builder b;
    value_builder_init(&b, r->arena);
    for (uint32_t i = 0; i < v.extra; i++) {
        bool keep = true;
        struct value item = element(v, i);
        enum err err = OK;
        if (filters || s->count == 3) {
            err = test(r, s, item, &keep);
        }
        if (!err && keep && !filters) {
            r->locals[s->local] = item;
            err = eval_node(r, s->args[s->count - 1], &item);
        }
        if (err) {
            return err;
        }
        if (keep) {
            value_list_add(&b, item);
        }
    }
    r->built = true;
    *out = value_list_done(&b);
    return b.ok ? OK : run_memory_exceeded(r);
}

static enum err eval_optional(struct run *r, const struct step *s, struct value v,
                              struct value *out) {
    if (!v.items) {
        *out = v;
        return OK;
    }
    r->locals[s->local] = *v.items;
    struct value result;
    enum err err = eval_node(r, s->args[1], &result);
    if (err) {
        return err;
    }
    if (s->macro == MACRO_OPT_MAP) {
        return optional_some(r, result, out);
    }
    if (result.type != VALUE_OPTIONAL) {
        r->at = s->args[1]->offset;
        return run_mismatch(r,
                            "optFlatMap() needs an optional from its second argument, this is "
                            "%s; use optMap()",
                            type_phrase(result));
    }
    *out = result;
    return OK;
}

static enum err eval_or(struct run *r, const struct step *s, struct value v, struct value *out) {
    bool unwraps = s->macro == MACRO_OR_VALUE;
    if (v.items) {
        *out = unwraps ? *v.items : v;
        return OK;
    }
    struct value other;
    enum err err = eval_node(r, s->args[0], &other);
    if (err) {
        return err;
    }
    if (!unwraps && other.type != VALUE_OPTIONAL) {
        r->at = s->offset;
        return run_mismatch(r, "or() takes an optional, this is %s; use orValue()",
                            type_phrase(other));
    }
    *out = other;
    return OK;
}

static bool is_optional_macro(const struct step *s) {
    return s->macro == MACRO_OR || s->macro == MACRO_OR_VALUE || s->macro == MACRO_OPT_MAP ||
           s->macro == MACRO_OPT_FLAT_MAP;
}

static enum err no_receiver(struct run *r, const struct step *s, struct value v) {
    const char *name = names[s->macro];
    if (is_optional_macro(s)) {
        return run_mismatch(r, "%s() works on an optional, as x.?field gives, this is %s", name,
                            type_phrase(v));
    }
    const char *help = v.type == VALUE_NULL       ? "; x.?field.orValue([]) avoids that"
                       : v.type == VALUE_OPTIONAL ? "; take its value with orValue([])"
                                                  : "";
    return run_mismatch(r, "%s() works on a list or a map, this is %s%s", name, type_phrase(v),
                        help);
}

enum err eval_macro(struct run *r, const struct step *s, struct value v, struct value *out) {
    bool fits = is_optional_macro(s) ? v.type == VALUE_OPTIONAL
                                     : v.type == VALUE_LIST || v.type == VALUE_MAP;
    if (!fits) {
        return no_receiver(r, s, v);
    }
    switch (s->macro) {
    case MACRO_ALL: return eval_quantifier(r, s, v, false, out);
    case MACRO_EXISTS: return eval_quantifier(r, s, v, true, out);
    case MACRO_EXISTS_ONE: return eval_exists_one(r, s, v, out);
    case MACRO_MAP:
    case MACRO_FILTER: return eval_list(r, s, v, out);
    case MACRO_OR:
    case MACRO_OR_VALUE: return eval_or(r, s, v, out);
    default: return eval_optional(r, s, v, out);
    }
}
