/* foreach.matrix: the items are all combinations of its lists, as maps, the first list changing
 * slowest; less those that an entry of `exclude` fits, then those of `include`. How many there are
 * is known, and limited, before any is made.
 */
#include "engine/engine_priv.h"

struct matrix {
    const struct plan_foreach *f;
    struct expr_env *env;
    struct value *lists; /* by axis */
    struct value exclude, include;
};

static enum err eval_list(const struct pval *v, struct expr_env *env, const char *kind,
                          struct str name, struct value *out, struct error *why) {
    enum err err = pval_eval(v, env, out, why);
    if (!err && out->type != VALUE_LIST) {
        err = error_set(why, ERR_EXPRESSION, "foreach.%s%.*s must be a list, it is %s", kind,
                        STR_ARG(name), value_type_name((enum value_type)out->type));
    }
    return err;
}

/* exclude or include: a list of maps, empty when not given. */
static enum err eval_maps(const struct pval *v, struct expr_env *env, const char *name,
                          struct value *out, struct error *why) {
    *out = value_list(NULL, 0);
    enum err err = v->type == PVAL_NONE ? OK : eval_list(v, env, "", str_from(name), out, why);
    for (size_t i = 0; !err && i < value_count(*out); i++) {
        if (out->items[i].type != VALUE_MAP) {
            err = error_set(why, ERR_EXPRESSION, "foreach.%s[%zu] must be a map, it is %s", name, i,
                            value_type_name((enum value_type)out->items[i].type));
        }
    }
    return err;
}

static enum err count_items(const struct matrix *m, size_t *out, struct error *why) {
    size_t count = 1;
    for (uint32_t i = 0; i < m->f->axis_count; i++) {
        count *= value_count(m->lists[i]); /* no overflow: see the check below */
        if (count > m->f->max_items) {
            break;
        }
    }
    for (uint32_t i = 0; i < m->f->axis_count; i++) {
        count = value_count(m->lists[i]) ? count : 0;
    }
    *out = count;
    if (count + value_count(m->include) > m->f->max_items) {
        return error_set(why, ERR_LIMIT, "foreach.matrix has more items than max_items %u",
                         m->f->max_items);
    }
    return OK;
}

/* Some entry of exclude has nothing that the item has not. */
static bool is_excluded(const struct matrix *m, struct value item) {
    for (size_t i = 0; i < value_count(m->exclude); i++) {
        struct value entry = m->exclude.items[i];
        bool fits = true;
        for (size_t k = 0; k < value_count(entry) && fits; k++) {
            const struct value *has = value_get_key(item, entry.pairs[k].key);
            fits = has && value_equal(*has, entry.pairs[k].val);
        }
        if (fits) {
            return true;
        }
    }
    return false;
}

/* The combination of this number: a number whose digits, the last one fastest, index the lists. */
static struct value combine(const struct matrix *m, size_t number, size_t count, bool *ok) {
    struct value_builder b;
    value_builder_init(&b, m->env->arena);
    for (uint32_t i = 0; i < m->f->axis_count; i++) {
        count /= value_count(m->lists[i]);
        value_map_add(&b, m->f->axes[i].name, m->lists[i].items[number / count]);
        number %= count;
    }
    struct value item = value_map_done(&b);
    *ok = *ok && b.ok;
    return item;
}

static enum err build(const struct matrix *m, size_t count, struct value *out, struct error *why) {
    struct value_builder b;
    bool ok = true;
    value_builder_init(&b, m->env->arena);
    for (size_t i = 0; i < count && ok; i++) {
        struct value item = combine(m, i, count, &ok);
        if (!is_excluded(m, item)) {
            value_list_add(&b, item);
        }
    }
    for (size_t i = 0; i < value_count(m->include); i++) {
        value_list_add(&b, m->include.items[i]);
    }
    *out = value_list_done(&b);
    return ok && b.ok ? OK : error_nomem(why);
}

enum err matrix_items(const struct plan_foreach *f, struct expr_env *env, struct value *out,
                      struct error *why) {
    struct matrix m = {.f = f, .env = env};
    size_t count = 0;
    m.lists = ARENA_ARRAY(env->arena, f->axis_count, struct value);
    enum err err = m.lists ? OK : error_nomem(why);
    for (uint32_t i = 0; i < f->axis_count && !err; i++) {
        err = eval_list(&f->axes[i].values, env, "matrix.", f->axes[i].name, &m.lists[i], why);
    }
    err = err ? err : eval_maps(&f->exclude, env, "exclude", &m.exclude, why);
    err = err ? err : eval_maps(&f->include, env, "include", &m.include, why);
    err = err ? err : count_items(&m, &count, why);
    return err ? err : build(&m, count, out, why);
}
