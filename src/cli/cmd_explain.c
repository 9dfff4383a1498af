/* cairn explain: why an execution is not moving, or how it ended, and what to do about it.
 *
 * Works for every status and whoever runs it; only looks.
 */
#include "cli/approves.h"
#include "cli/budget.h"
#include "cli/explain.h"
#include "cli/losses.h"
#include "cli/outcome.h"
#include "cli/undone.h"

enum { STEPS_SHOWN = 30, NAMES_SHOWN = 6 };

static void put_time(struct buf *b, const char *word, struct value map, const char *name) {
    struct str text = details_text(map, name);
    int64_t seconds;
    int32_t ns;
    if (time_parse_rfc3339(text, &seconds, &ns)) {
        buf_printf(b, " %s ", word);
        text_clock(b, (wall_us){seconds * 1000000 + ns / 1000});
    }
}

static int64_t number(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return v && v->type == VALUE_INT ? v->num : 0;
}

/* "attempt 2 of 4"; those after a crash count, too, so there may be more. */
static void put_attempt(struct buf *b, struct value step, const char *name) {
    long long attempt = number(step, name), all = number(step, "attempts");
    buf_printf(b, "attempt %lld", attempt);
    if (all > 1) {
        buf_printf(b, " of %lld", all > attempt ? all : attempt);
    }
}

/* Why it stands, since when and until when, and which attempt it is. */
static void put_how(struct buf *b, struct value step) {
    if (number(step, "nextAttempt")) {
        put_attempt(b, step, "attempt");
        buf_append_cstr(b, " failed; ");
        put_attempt(b, step, "nextAttempt");
        put_time(b, "begins at", step, "nextAt");
        return;
    }
    text_clean(b, details_text(step, "why"));
    put_time(b, "since", step, "since");
    put_time(b, "until", step, "until");
    const struct value *items = value_get(step, STR("items"));
    if (items) {
        buf_printf(b, ", %lld of %lld items ended", (long long)number(*items, "ended"),
                   (long long)number(*items, "total"));
    }
    if (number(step, "attempt") > 1) {
        buf_append_cstr(b, ", ");
        put_attempt(b, step, "attempt");
    }
}

static void put_step(struct buf *b, struct value step) {
    const struct value *request = value_get(step, STR("request"));
    struct str error = details_text(step, "error"), remedy = details_text(step, "remedy");
    buf_append_cstr(b, "  ");
    text_clean(b, details_text(step, "step"));
    buf_append_cstr(b, ": ");
    put_how(b, step);
    if (details_text(step, "execution").len) {
        buf_printf(b, ", its sub-workflow is %.*s", STR_ARG(details_text(step, "executionStatus")));
    }
    buf_append_char(b, '\n');
    if (error.len) {
        text_message_block(b, error, "      ", TEXT_IN_RESULTS);
    }
    if (request && details_text(*request, "prompt").len) {
        text_message_block(b, details_text(*request, "prompt"), "      ", TEXT_IN_RESULTS);
        approves_put(b, *request, "      ");
    }
    if (remedy.len) {
        buf_printf(b, "      %.*s\n", STR_ARG(remedy));
    }
}

static void put_steps(struct buf *b, struct value steps) {
    size_t count = value_count(steps);
    for (size_t i = 0; i < count && i < STEPS_SHOWN; i++) {
        put_step(b, steps.items[i]);
    }
    if (count > STEPS_SHOWN) {
        buf_printf(b, "  and %zu more steps: --json shows all\n", count - STEPS_SHOWN);
    }
}

static void put_answers(struct buf *b, struct value answers) {
    for (size_t i = 0; i < value_count(answers); i++) {
        struct value a = answers.items[i];
        bool dropped = str_is(details_text(a, "status"), "dropped");
        buf_append_cstr(b, dropped ? "  an answer to " : "  an answer is kept for ");
        text_clean(b, details_text(a, "step"));
        buf_append_cstr(b, ", from ");
        text_clean(b, details_text(a, "by"));
        put_time(b, "since", a, "since");
        if (dropped) {
            buf_append_cstr(b, ", came before it asked and was dropped: ");
            text_clean(b, details_text(a, "why"));
        }
        buf_append_char(b, '\n');
    }
}

static void put_error(struct buf *b, struct value error) {
    struct str place = details_text(error, "place"), node = details_text(error, "node");
    buf_append_cstr(b, "  ");
    text_clean(b, details_text(error, "type"));
    buf_append_cstr(b, ": ");
    text_message(b, details_text(error, "message"), TEXT_IN_RESULTS);
    buf_append_char(b, '\n');
    if (node.len) {
        buf_append_cstr(b, "  at node ");
        text_clean(b, node);
        buf_append_cstr(b, " (");
        text_clean(b, place);
        buf_append_cstr(b, ")\n");
    }
}

/* What was told as the error of the execution is not told again. */
static void put_failures(struct buf *b, struct value rows, const struct value *error) {
    struct str told = error ? details_text(*error, "node") : STR("");
    for (size_t i = 0; i < value_count(rows) && i < STEPS_SHOWN; i++) {
        const struct value *why = value_get(rows.items[i], STR("error"));
        if (str_eq(details_text(rows.items[i], "node"), told)) {
            continue;
        }
        buf_append_cstr(b, "    step ");
        text_clean(b, details_text(rows.items[i], "step"));
        buf_append_cstr(b, " failed: ");
        outcome_print_error_text(b, *why);
        buf_append_char(b, '\n');
    }
}

static void put_inbox(struct buf *b, struct value rows) {
    for (size_t i = 0; i < value_count(rows) && i < STEPS_SHOWN; i++) {
        struct value row = rows.items[i];
        buf_append_cstr(b, "      ");
        text_clean(b, details_text(row, "request"));
        if (details_text(row, "step").len) {
            buf_append_char(b, ' ');
            text_clean(b, details_text(row, "step"));
        }
        buf_append_cstr(b, ", from ");
        text_clean(b, details_text(row, "by"));
        put_time(b, "since", row, "since");
        buf_append_char(b, '\n');
    }
}

static void put_requests(struct buf *b, struct value v) {
    if (number(v, "requests")) {
        buf_printf(b, "  requests not taken yet: %lld\n", (long long)number(v, "requests"));
        put_inbox(b, *value_get(v, STR("inbox")));
    }
}

static void put_owner(struct buf *b, struct value v) {
    const struct value *owner = value_get(v, STR("owner"));
    const struct value *alive = owner ? value_get(*owner, STR("alive")) : NULL;
    const struct value *pid = owner ? value_get(*owner, STR("pid")) : NULL;
    if (alive && alive->boolean && pid) {
        buf_printf(b, "  run by process %lld", (long long)pid->num);
        put_time(b, "with a lease until", *owner, "leaseUntil");
        buf_append_char(b, '\n');
    } else if (pid) {
        buf_printf(b, "  the process that ran it (%lld) is gone\n", (long long)pid->num);
    } else {
        buf_append_cstr(b, "  nobody runs it\n");
    }
}

/* "  undoing what completed after event 12, to go back there, for ann: paused" */
static void put_undo(struct buf *b, struct value v) {
    const struct value *undo = value_get(v, STR("undo"));
    const struct value *to = undo ? value_get(*undo, STR("to")) : NULL;
    struct str by = undo ? details_text(*undo, "by") : STR("");
    if (!undo || undo->type != VALUE_MAP) {
        return;
    }
    buf_append_cstr(b, "  undoing what completed");
    if (to && to->type == VALUE_INT) {
        buf_printf(b, " after event %lld, to go back there", (long long)to->num);
    }
    if (by.len) {
        buf_append_cstr(b, to && to->type == VALUE_INT ? ", for " : ", by ");
        text_clean(b, by);
    }
    buf_printf(b, ": %.*s\n", STR_ARG(details_text(*undo, "state")));
    undone_print(b, *undo, "    ");
}

static void put_names(struct buf *b, const struct value *names) {
    for (size_t i = 0; names && i < value_count(*names) && i <= NAMES_SHOWN; i++) {
        buf_append_cstr(b, i ? ", " : "");
        text_clean(b, i == NAMES_SHOWN ? STR("...") : value_str(names->items[i]));
    }
}

/* "  budget: $0.40 of $0.50 usd used, $0.20 more asked for by draft (the budget of exec_...)" */
static void put_budget(struct buf *b, struct value v) {
    const struct value *budget = value_get(v, STR("budget"));
    for (size_t i = 0; budget && i < value_count(*budget); i++) {
        struct value part = budget->pairs[i].val;
        const struct value *by = value_get(part, STR("askedBy"));
        buf_append_cstr(b, "  budget: ");
        text_budget_part(b, value_str(budget->pairs[i].key), part);
        buf_append_cstr(b, " used");
        if (by && value_count(*by)) {
            buf_append_cstr(b, ", ");
            text_budget_asked(b, value_str(budget->pairs[i].key), part);
            buf_append_cstr(b, " more asked for by ");
            put_names(b, by);
        }
        if (!str_eq(details_text(part, "of"), details_text(v, "id"))) {
            buf_printf(b, " (the budget of %.*s)", STR_ARG(details_text(part, "of")));
        }
        buf_append_char(b, '\n');
    }
}

/* "  breaker of api.example: open since 12:00:03.101 after 5 failures in a row, next probe at" */
static void put_breakers(struct buf *b, struct value v) {
    const struct value *all = value_get(v, STR("breakers"));
    for (size_t i = 0; all && i < value_count(*all); i++) {
        struct value x = all->items[i];
        const struct value *holds = value_get(x, STR("holds"));
        const struct value *probes = value_get(x, STR("probes"));
        buf_append_cstr(b, "  breaker of ");
        text_clean(b, details_text(x, "service"));
        buf_append_cstr(b, ": ");
        text_clean(b, details_text(x, "state"));
        put_time(b, "since", x, "since");
        if (number(x, "failures")) {
            buf_printf(b, " after %lld failures in a row", (long long)number(x, "failures"));
        }
        buf_append_cstr(b, details_text(x, "nextProbe").len ? "," : "");
        put_time(b, "next probe at", x, "nextProbe");
        buf_append_cstr(b, probes && value_count(*probes) ? "; probed by " : "");
        put_names(b, probes);
        buf_append_cstr(b, holds && value_count(*holds) ? "; holds back " : "");
        put_names(b, holds);
        buf_append_char(b, '\n');
    }
}

/* Only where the workflow limits them. */
static void put_slots(struct buf *b, struct value v) {
    const struct value *slots = value_get(v, STR("slots"));
    const struct value *by = slots ? value_get(*slots, STR("holders")) : NULL;
    const struct value *waiting = slots ? value_get(*slots, STR("waiting")) : NULL;
    if (!by || !number(*slots, "limit")) {
        return;
    }
    buf_printf(b, "  slots: %lld of %lld in use", (long long)number(*slots, "used"),
               (long long)number(*slots, "limit"));
    buf_append_cstr(b, value_count(*by) ? ", by " : "");
    put_names(b, by);
    buf_append_cstr(b, waiting && value_count(*waiting) ? "; wanted by " : "");
    put_names(b, waiting);
    buf_append_char(b, '\n');
}

/* What a command is for; told where there are several. */
static const char *note_of(struct str command) {
    static const struct {
        const char *verb, *note;
    } rows[] = {{"results", "what each step did"},
                {"logs", "what its steps printed"},
                {"watch", "shows it as it goes"},
                {"resume", "goes on with it"},
                {"explain", "of its sub-workflow"},
                {"answer", "answers what a step asks"},
                {"signal", "tells it what a step waits for"}};
    struct str rest = command, verb;
    (void)str_split(rest, ' ', &rest);
    verb = str_split(rest, ' ', &rest);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_is(verb, rows[i].verb)) {
            return rows[i].note;
        }
    }
    bool mended = str_find(rest, STR(" --workflow "), 0) != SIZE_MAX;
    return !str_is(verb, "retry") ? ""
           : mended               ? "once the file is mended, with it"
                                  : "tries again what failed";
}

static void put_remedies(struct buf *b, struct value list) {
    for (size_t i = 0; i < value_count(list); i++) {
        struct str command = value_str(list.items[i]);
        const char *note = value_count(list) > 1 ? note_of(command) : "";
        buf_printf(b, "%s%.*s%s%s\n", i ? "       " : "to do: ", STR_ARG(command),
                   note[0] ? "  # " : "", note);
    }
}

static void print(struct cli *c, struct value v) {
    struct buf b;
    const struct value *error = value_get(v, STR("error"));
    const struct value *steps = value_get(v, STR("steps"));
    const struct value *remedies = value_get(v, STR("remedies"));
    struct str status = details_text(v, "status");
    bool live = value_get(v, STR("slots"))->type == VALUE_MAP; /* it has not ended */
    buf_init(&b, 0);
    buf_printf(&b, "execution %.*s of ", STR_ARG(details_text(v, "id")));
    text_clean(&b, details_text(v, "workflow"));
    buf_append_cstr(&b, ": ");
    text_colour(&b, &c->out, text_status_colour(status), status);
    for (const char *const *by = (const char *const[]){"pausedBy", "cancelledBy", NULL}; *by;
         by++) {
        if (value_get(v, str_from(*by))) {
            buf_append_cstr(&b, " by ");
            text_clean(&b, details_text(v, *by));
        }
    }
    put_time(&b, "since", v, "pausedAt");
    buf_append_char(&b, '\n');
    if (value_get(v, STR("pausedWhy"))) {
        buf_append_cstr(&b, "  ");
        text_message(&b, details_text(v, "pausedWhy"), TEXT_IN_RESULTS);
        buf_append_char(&b, '\n');
    }
    if (error) {
        put_error(&b, *error);
    }
    put_failures(&b, *value_get(v, STR("failures")), error);
    losses_print_stopped(&b, *value_get(v, STR("stopped")), error ? *error : value_null(), status);
    losses_print(&b, *value_get(v, STR("notRun")));
    put_undo(&b, v);
    put_budget(&b, v);
    if (live) {
        put_owner(&b, v);
    }
    put_requests(&b, v);
    if (live) {
        put_breakers(&b, v);
        put_slots(&b, v);
        put_steps(&b, *steps);
        put_answers(&b, *value_get(v, STR("answers")));
    }
    if (remedies) {
        put_remedies(&b, *remedies);
    }
    sink_flush(&c->out, &b);
    buf_fini(&b);
}

static int explain(struct session *s) {
    struct cli *c = s->cli;
    struct str id;
    struct value v;
    struct error e = {0};
    enum err err = session_find(s, c->arguments[0], &id);
    if (err) {
        return err_exit_code(err);
    }
    if (explain_value(s, id, &v, &e)) {
        return cli_fail_error(c, &e, NULL);
    }
    if (cli_has(c, "json")) {
        cli_print_json(c, v);
    } else {
        print(c, v);
    }
    return 0;
}

static int run(struct cli *c) { return session_run(c, explain); }

static const struct cli_option options[] = {
    {"json", 0, NULL, "prints the reasons as JSON"},
};

static const struct cli_example examples[] = {
    {"cairn explain @last", "the newest execution"},
    {"cairn explain exec_06f3 --json", "for programs"},
};

const struct command command_explain = {
    .name = "explain",
    .arguments = "ID",
    .doc = "says why an execution is where it is, and what to do",
    .details =
        "What failed and what was lost by it, what was undone, who runs it, requests that were not "
        "taken\nyet, breakers of services, slots, budgets of its tree, and of each step that has "
        "not ended why it\nstands, in which attempt, and what it needs. Last come the commands "
        "that help. --json has all\nsections always, also where there is nothing to tell.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
