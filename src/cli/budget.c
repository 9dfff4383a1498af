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

struct str text_budget_retry(struct str type, struct str message, struct arena *a) {
    const struct str before = STR("over the budget of ");
    if (!str_is(type, "budget") || !str_starts(message, before)) {
        return STR("");
    }
    struct str rest = str_sub(message, before.len, message.len);
    (void)str_split(rest, ' ', &rest); /* the amount */
    struct str key = str_split(rest, ' ', &rest);
    key.len -= key.len && key.ptr[key.len - 1] == ':';
    return budget_find(key) == BUDGET_KINDS
               ? STR("")
               : arena_printf(a, " --budget %.*s=AMOUNT", STR_ARG(key));
}
