/* What kinds that wait do when nothing came in time: on_timeout gives a value, says fail or names a
 * node, which the engine runs; without it the handle `timeout` is taken if some node needs it, else
 * the step fails.
 */
#include "flow/plan.h"
#include "node/node_priv.h"

void node_on_timeout_check(struct node_check *c, const char *field) {
    struct value v = check_literal(c, field);
    if (!check_has(c, field)) {
        return;
    }
    if (!check_has_timeout(c)) {
        check_error(c, field, "needs", "\"%s\" needs \"timeout\"", field);
    }
    bool gives = v.type == VALUE_MAP && value_count(v) == 1 && value_get(v, STR("value"));
    if (v.type == VALUE_TEXT && !str_is(value_str(v), "fail")) {
        check_timeout_node(c, field);
    } else if (!value_is_null(v) && v.type != VALUE_TEXT && !gives) {
        check_error(c, field, "bad_value", "\"%s\" must be fail, {value: ...} or a node", field);
    }
}

bool node_on_timeout(struct value on_timeout, struct value *out) {
    const struct value *v = value_get(on_timeout, STR("value"));
    if (v) {
        *out = *v;
    }
    return v != NULL;
}

enum err node_timed_out(const struct step_in *in, struct value on_timeout, const char *what,
                        struct step_result *out, struct error *e) {
    char duration[40];
    bool fails = on_timeout.type == VALUE_TEXT;
    if (in->node->has_timeout_edge && !fails) {
        out->handle = STR("timeout");
        out->body = value_null();
        return OK;
    }
    time_print_duration(in->timeout_us, duration, sizeof duration);
    return error_set(e, ERR_TIMEOUT, "no %s came within %s", what, duration);
}
