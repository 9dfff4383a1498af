/* wait: lets time pass, for a duration or until a moment, or waits for a signal.
 *
 * Nothing runs while it waits: the moment is recorded with the step, so a wait goes on over a
 * crash, and one whose time passed meanwhile is over at once. A signal that came before is taken.
 */
#include "flow/plan.h"
#include "node/node_priv.h"

enum { FOR, UNTIL, SIGNAL, ON_TIMEOUT, FIELDS };

static const struct field fields[FIELDS] = {
    [FOR] = {.name = "for",
             .type = FIELD_DURATION,
             .one_of = "moment",
             .doc = "how long, from when the step is ready: 30s, 1h30m"},
    [UNTIL] = {.name = "until",
               .type = FIELD_STRUCTURE,
               .one_of = "moment",
               .doc = "the moment: an RFC 3339 time as text, or {{ }} with a timestamp; one that "
                      "has passed does not wait"},
    [SIGNAL] = {.name = "signal",
                .type = FIELD_TEMPLATE,
                .one_of = "moment",
                .doc = "the name of a signal: `cairn signal ID NAME` sends it, before or while the "
                       "step waits"},
    [ON_TIMEOUT] = {.name = "on_timeout",
                    .type = FIELD_STRUCTURE,
                    .needs = "signal",
                    .doc =
                        "with timeout: fail, {value: ...}, the body when none came in time, or the "
                        "name of a node that runs then. "
                        "When not given, the handle timeout is taken if a node needs it, else "
                        "the step fails"},
};

static bool read_moment(struct value v, int64_t *out_us) {
    int64_t seconds = 0;
    int32_t ns = 0;
    if (v.type == VALUE_TIMESTAMP) {
        *out_us = v.num * 1000000 + v.extra / 1000;
        return true;
    }
    if (v.type != VALUE_TEXT || !time_parse_rfc3339(str_trim(value_str(v)), &seconds, &ns)) {
        return false;
    }
    *out_us = seconds * 1000000 + ns / 1000;
    return true;
}

/* Whether a signal can ever have this name: who waits for another would wait for ever. */
static bool may_be_sent(struct str name) { return name.len && name.len <= SIGNAL_MOST_BYTES; }

static void check(struct node_check *c) {
    struct value until = check_literal(c, "until");
    int64_t ignored;
    if (!value_is_null(until) && !read_moment(until, &ignored)) {
        check_error(c, "until", "bad_value",
                    "until must be a time like 2026-12-24T18:00:00Z, or {{ }} with one");
    }
    bool signal = check_has(c, "signal");
    struct value name = check_literal(c, "signal");
    if (name.type == VALUE_TEXT && !may_be_sent(value_str(name))) {
        check_error(c, "signal", "bad_value", "the name of a signal has 1 to %d bytes",
                    SIGNAL_MOST_BYTES);
    }
    if (signal) {
        node_on_timeout_check(c, "on_timeout");
    }
    if (signal && check_has_timeout(c) && !check_is_foreach(c)) {
        check_exit(c, "out");
        check_exit(c, "timeout");
    }
}

static enum err wait_for_signal(const struct step_in *in, wall_us now, struct step_wait *out,
                                struct error *e) {
    struct value_builder b;
    struct str name = value_str(in->fields[SIGNAL]);
    if (!may_be_sent(name)) {
        return error_at(e, ERR_INVALID, in->node->field_marks[SIGNAL], "the name of the signal %s",
                        name.len ? "is longer than 256 bytes" : "is empty");
    }
    value_builder_init(&b, out->arena);
    value_map_add(&b, STR("for"), value_text(STR("signal")));
    value_map_add(&b, STR("signal"), in->fields[SIGNAL]);
    out->request = value_map_done(&b);
    out->due.us = in->timeout_us ? now.us + in->timeout_us : 0;
    return b.ok ? OK : error_nomem(e);
}

static enum err wait(const struct step_in *in, wall_us now, struct step_wait *out,
                     struct error *e) {
    struct value_builder b;
    bool until = in->node->field_marks[UNTIL].line != 0;
    if (in->node->field_marks[SIGNAL].line) {
        return wait_for_signal(in, now, out, e);
    }
    out->due.us = now.us + in->fields[FOR].num;
    if (until && !read_moment(in->fields[UNTIL], &out->due.us)) {
        struct buf shown;
        buf_init(&shown, 0);
        value_print_short(in->fields[UNTIL], 80, &shown);
        error_at(e, ERR_INVALID, in->node->field_marks[UNTIL],
                 "\"until\" must be a time like 2026-12-24T18:00:00Z, not %.*s",
                 STR_ARG(buf_str(&shown)));
        buf_fini(&shown);
        return ERR_INVALID;
    }
    out->due.us = out->due.us > 0 ? out->due.us : 1; /* long ago, but not never */
    value_builder_init(&b, out->arena);
    value_map_add(&b, STR("for"), value_text(STR("time")));
    out->request = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

static enum err signalled(const struct step_in *in, const struct step_wake *w,
                          struct step_result *out, struct error *e) {
    struct value_builder meta;
    value_builder_init(&meta, out->arena);
    out->handle = in->node->handle_count > 1 ? STR("out") : STR("");
    if (w->answered) {
        value_map_add(&meta, STR("signalledBy"), value_text(w->by.len ? w->by : STR("somebody")));
        value_map_add(&meta, STR("signal"), value_int(w->signal));
        out->body = w->answer;
    } else if (node_on_timeout(in->fields[ON_TIMEOUT], &out->body)) {
        value_map_add(&meta, STR("timedOut"), value_bool(true));
    } else {
        return node_timed_out(in, in->fields[ON_TIMEOUT], "signal", out, e);
    }
    out->meta = value_map_done(&meta);
    return meta.ok ? OK : error_nomem(e);
}

static enum err woken(const struct step_in *in, const struct step_wake *w, struct step_result *out,
                      struct error *e) {
    bool for_signal = in->node->field_marks[SIGNAL].line != 0;
    if (w->aided) {
        out->body = w->answer;
        out->handle = in->node->handle_count > 1 ? STR("out") : STR("");
        return OK;
    }
    if (w->answered && !w->signal) {
        return error_set(e, ERR_INVALID, "the step waits for %s, not for an answer",
                         for_signal ? "a signal" : "a time");
    }
    if (for_signal) {
        return signalled(in, w, out, e);
    }
    out->body = value_null();
    return OK;
}

const struct node_kind node_wait = {
    .name = "wait",
    .doc = "lets time pass, for a while or until a moment, or waits for a signal",
    .body_doc = "null; of a signal its payload, with meta signalledBy",
    .fields = fields,
    .field_count = FIELDS,
    .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT,
    .example = "type: wait\n"
               "for: 10ms\n",
    .check = check,
    .wait = wait,
    .woken = woken,
};
