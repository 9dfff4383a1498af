/* Budgets on the command line. The option --budget: usd=2,tokens=50000,on_exceed=fail; what it says
 * goes before the budget of the workflow, key by key, and is recorded with the execution. And how
 * much of one is used, for people.
 */
#include "cli/budget.h"

#include <math.h>

#include "cli/cli.h"
#include "flow/budget.h"

static enum err refuse(struct cli *c, const char *why) {
    cli_fail(c, ERR_USAGE, "for example --budget usd=2,tokens=50000,time=30m,on_exceed=fail",
             "--budget: %s", why);
    return ERR_USAGE;
}

static enum err read_part(struct cli *c, struct str part, struct budget *out) {
    struct error e = {0};
    size_t sign = str_find(part, STR("="), 0);
    if (sign == SIZE_MAX || sign == 0) {
        error_set(&e, ERR_INVALID, "expected KEY=VALUE, got \"%.*s\"",
                  STR_ARG(str_sub(part, 0, 60)));
        return refuse(c, e.message);
    }
    struct str text = str_sub(part, sign + 1, part.len);
    enum err err = budget_read_text(out, str_sub(part, 0, sign), text, &e);
    return err ? refuse(c, e.message) : OK;
}

enum err cli_budget(struct cli *c, struct budget *out) {
    struct str left = str_from(cli_value(c, "budget"));
    if (!cli_has(c, "budget")) {
        return OK;
    }
    for (bool more = true; more;) {
        size_t comma = str_find(left, STR(","), 0);
        more = comma != SIZE_MAX;
        enum err err = read_part(c, str_sub(left, 0, more ? comma : left.len), out);
        if (err) {
            return err;
        }
        left = more ? str_sub(left, comma + 1, left.len) : left;
    }
    return OK;
}

static int64_t amount_of(enum budget_kind kind, struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    double n = v && v->type == VALUE_INT      ? (double)v->num
               : v && v->type == VALUE_DOUBLE ? v->real
                                              : 0;
    return llround(kind == BUDGET_USD ? n * BUDGET_NANO_USD : kind == BUDGET_TIME ? n * 1e6 : n);
}

void text_budget_part(struct buf *b, struct str key, struct value part) {
    enum budget_kind kind = budget_find(key);
    if (kind == BUDGET_KINDS) {
        return;
    }
    int64_t reserved = amount_of(kind, part, "reserved"), used = amount_of(kind, part, "used");
    used -= kind == BUDGET_TIME ? used % 1000 : 0; /* milliseconds are enough */
    budget_print(kind, used, b);
    buf_append_cstr(b, " of ");
    budget_print(kind, amount_of(kind, part, "limit"), b);
    buf_printf(b, " %.*s", STR_ARG(key));
    if (reserved) {
        buf_append_cstr(b, ", and ");
        budget_print(kind, reserved, b);
        buf_append_cstr(b, " reserved");
    }
}

void text_budget_asked(struct buf *b, struct str key, struct value part) {
    enum budget_kind kind = budget_find(key);
    if (kind != BUDGET_KINDS) {
        budget_print(kind, amount_of(kind, part, "asked"), b);
    }
}

static size_t find_last(struct str s, struct str what) {
    size_t last = SIZE_MAX, at = str_find(s, what, 0);
    while (at != SIZE_MAX) {
        last = at;
        at = str_find(s, what, at + 1);
    }
    return last;
}

/* "sub-workflow NAME (ID) failed: over the budget of 3 llm_calls of execution ID: 3 used": without
 * "of execution" it is the own budget of the one that failed first. Names may contain anything. */
enum budget_need budget_need_of(const struct engine_error *why, struct str id, struct arena *a,
                                struct str *out_option) {
    const struct str before = STR("over the budget of "), of = STR("of execution ");
    size_t at = str_is(why->type, "budget") ? find_last(why->message, before) : SIZE_MAX;
    *out_option = STR("");
    if (at == SIZE_MAX) {
        return BUDGET_NEEDS_NOTHING;
    }
    bool here = str_find(why->message, STR("sub-workflow "), 0) > at;
    struct str rest = str_sub(why->message, at + before.len, why->message.len);
    (void)str_split(rest, ' ', &rest); /* the amount */
    rest = str_split(rest, ':', &rest);
    struct str key = str_split(rest, ' ', &rest);
    if (budget_find(key) == BUDGET_KINDS) {
        return BUDGET_NEEDS_NOTHING;
    }
    here = str_starts(rest, of) ? str_eq(str_sub(rest, of.len, rest.len), id) : here;
    if (here) {
        *out_option = arena_printf(a, " --budget %.*s=AMOUNT", STR_ARG(key));
    }
    return here ? BUDGET_NEEDS_OPTION : BUDGET_NEEDS_FILE;
}
