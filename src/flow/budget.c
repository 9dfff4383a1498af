/* Budgets: what people write, what journals keep, what is shown. See budget.h.
 *
 * Every amount is checked here, once: it is no less than 0 and so small that sums of many never
 * overflow.
 */
#include "flow/budget.h"

#include <inttypes.h>
#include <math.h>

#include "flow/flow_priv.h"

#define MOST INT64_C(1000000000000) /* of steps, tokens, calls */
#define MOST_USD 1000000

static const struct {
    const char *key;
} kinds[] = {
#define BUDGET(id, key, doc) [BUDGET_##id] = {key},
#include "flow/budget.def"
#undef BUDGET
};

const char *budget_key(enum budget_kind kind) { return kinds[kind].key; }

enum budget_kind budget_find(struct str key) {
    for (int i = 0; i < BUDGET_KINDS; i++) {
        if (str_is(key, kinds[i].key)) {
            return (enum budget_kind)i;
        }
    }
    return BUDGET_KINDS;
}

bool budget_any(const struct budget *b) {
    for (int i = 0; i < BUDGET_KINDS; i++) {
        if (b->has[i]) {
            return true;
        }
    }
    return false;
}

/* ---- what people write ---- */

static enum err read_usd(struct value v, int64_t *out, struct error *e) {
    double usd = v.type == VALUE_INT ? (double)v.num : v.type == VALUE_DOUBLE ? v.real : -1;
    if (!(usd >= 0 && usd <= MOST_USD)) {
        return error_set(e, ERR_INVALID, "\"usd\": expected a number of US dollars from 0 to %d",
                         MOST_USD);
    }
    *out = llround(usd * BUDGET_NANO_USD);
    return OK;
}

static enum err read_time(struct value v, int64_t *out, struct error *e) {
    if (v.type != VALUE_TEXT || !time_parse_duration(value_str(v), out) || *out <= 0) {
        return error_set(e, ERR_INVALID,
                         "\"time\": expected a duration of more than 0, such as 10m or 1h30m");
    }
    return OK;
}

static enum err read_count(enum budget_kind kind, struct value v, int64_t *out, struct error *e) {
    if (v.type != VALUE_INT || v.num < 0 || v.num > MOST) {
        return error_set(e, ERR_INVALID, "\"%s\": expected a whole number from 0 to %" PRId64,
                         kinds[kind].key, MOST);
    }
    *out = v.num;
    return OK;
}

static enum err read_on_exceed(struct value v, enum on_exceed *out, struct error *e) {
    struct str word = v.type == VALUE_TEXT ? value_str(v) : STR("");
    if (!str_is(word, "pause") && !str_is(word, "fail")) {
        return error_set(e, ERR_INVALID, "\"on_exceed\": expected pause or fail");
    }
    *out = str_is(word, "fail") ? EXCEED_FAIL : EXCEED_PAUSE;
    return OK;
}

enum err budget_read(struct budget *b, struct str key, struct value v, struct error *e) {
    enum budget_kind kind = budget_find(key);
    int64_t amount = 0;
    if (str_is(key, "on_exceed")) {
        return read_on_exceed(v, &b->on_exceed, e);
    }
    if (kind == BUDGET_KINDS) {
        return error_set(e, ERR_NOT_FOUND,
                         "a budget has no \"%.*s\"; it has steps, tokens, usd, llm_calls, time and "
                         "on_exceed",
                         STR_ARG(str_sub(key, 0, 60)));
    }
    enum err err = kind == BUDGET_USD    ? read_usd(v, &amount, e)
                   : kind == BUDGET_TIME ? read_time(v, &amount, e)
                                         : read_count(kind, v, &amount, e);
    if (!err) {
        b->has[kind] = true;
        b->limit[kind] = amount;
    }
    return err;
}

enum err budget_read_text(struct budget *b, struct str key, struct str text, struct error *e) {
    enum budget_kind kind = budget_find(key);
    struct value v = value_text(text);
    struct error ignored;
    struct arena a;
    if (kind == BUDGET_KINDS || kind == BUDGET_TIME) {
        return budget_read(b, key, v, e);
    }
    arena_init(&a, 0);
    for (size_t i = 0; i < 2 && text.len && strchr("+$", text.ptr[0]); i++) {
        text = str_sub(text, 1, text.len);
    }
    if (value_parse_json(&a, text, &v, &ignored)) {
        v = value_null();
    }
    enum err err = budget_read(b, key, v, e);
    arena_fini(&a);
    return err;
}

bool flow_budget_read(struct unit *u) {
    static const char *const keys[] = {
#define BUDGET(id, key, doc) key,
#include "flow/budget.def"
#undef BUDGET
        "on_exceed", NULL};
    const struct yaml_node *n = u->def.budget;
    struct budget b = {0};
    if (!n || !flow_map_get(u, n, "budget")) {
        return true;
    }
    bool wrong = false;
    flow_keys_check(u, n, "budget", keys, NULL);
    for (uint32_t i = 0; i < n->count; i++) {
        struct error why;
        struct value v;
        if (!flow_keep_value(u->s, n->pairs[i].value, &v)) {
            return false;
        }
        if (budget_read(&b, n->pairs[i].key->text, v, &why)) {
            wrong = true;
            if (why.code == ERR_INVALID) {
                diag_error(u->s->diag, n->pairs[i].value->mark, "bad_value", "%s", why.message);
            }
        }
    }
    if (!wrong && !budget_any(&b)) {
        struct diag_item *item =
            diag_error(u->s->diag, n->mark, "bad_value", "\"budget\": it limits nothing");
        diag_help(u->s->diag, item, "for example {usd: 0.50, llm_calls: 40}");
    }
    u->plan->budget = b;
    return true;
}

/* ---- what is shown ---- */

static void print_usd(int64_t nano, struct buf *out) {
    int64_t whole = nano / BUDGET_NANO_USD, rest = nano % BUDGET_NANO_USD;
    int digits = 9;
    while (digits > 2 && rest % 10 == 0) {
        rest /= 10;
        digits--;
    }
    buf_printf(out, "$%" PRId64 ".%0*" PRId64, whole, digits, rest);
}

void budget_print(enum budget_kind kind, int64_t amount, struct buf *out) {
    char text[40];
    if (kind == BUDGET_USD) {
        print_usd(amount, out);
    } else if (kind == BUDGET_TIME) {
        time_print_duration(amount, text, sizeof text);
        buf_append_cstr(out, text);
    } else {
        buf_printf(out, "%" PRId64, amount);
    }
}

/* ---- what journals keep ---- */

struct value budget_value(const struct budget *b, struct arena *a) {
    struct value_builder map;
    value_builder_init(&map, a);
    for (int i = 0; i < BUDGET_KINDS; i++) {
        if (b->has[i]) {
            value_map_add(&map, str_from(kinds[i].key), value_int(b->limit[i]));
        }
    }
    if (b->on_exceed) {
        value_map_add(&map, STR("on_exceed"),
                      value_text(b->on_exceed == EXCEED_FAIL ? STR("fail") : STR("pause")));
    }
    return value_map_done(&map);
}

void budget_from_value(struct value v, struct budget *out) {
    *out = (struct budget){0};
    for (size_t i = 0; v.type == VALUE_MAP && i < value_count(v); i++) {
        struct str key = value_str(v.pairs[i].key);
        struct value amount = v.pairs[i].val;
        enum budget_kind kind = budget_find(key);
        if (kind != BUDGET_KINDS && amount.type == VALUE_INT) {
            out->has[kind] = true;
            out->limit[kind] = amount.num;
        } else if (str_is(key, "on_exceed") && amount.type == VALUE_TEXT) {
            out->on_exceed = str_is(value_str(amount), "fail") ? EXCEED_FAIL : EXCEED_PAUSE;
        }
    }
}
