/* cairn signal: tells an execution by a name that something happened, from any process.
 *
 * Durable when this says so. A step that waits for the name takes it; one that comes before its
 * step waits is kept. An execution that nobody runs is taken over and run on here.
 */
#include "cli/request.h"

static int run(struct cli *c) {
    struct request q = {.ask = {.type = REQUEST_SIGNAL}, .left = LEFT_TAKEN, .done = "sent"};
    struct error e = {0};
    const char *payload = c->argument_count == 3 ? c->arguments[2] : "null";
    q.ask.step = str_from(c->arguments[1]);
    if (!str_is_utf8(q.ask.step) || !q.ask.step.len || q.ask.step.len > SIGNAL_MOST_BYTES) {
        return cli_fail(c, ERR_USAGE, NULL,
                        "the name of a signal is a text of 1 to %d bytes in UTF-8",
                        SIGNAL_MOST_BYTES);
    }
    if (value_parse_json(&c->arena, str_from(payload), &q.ask.value, &e)) {
        return cli_fail(c, ERR_USAGE, "quote a text twice: '\"text\"'",
                        "the payload is no JSON: %s", e.message);
    }
    return request_run(c, &q);
}

static const struct cli_option options[] = {RUNNING_OPTIONS};

static const struct cli_example examples[] = {
    {"cairn signal @last paid", "for a step with signal: paid"},
    {"cairn signal exec_06f3 paid '{\"amount\": 12}'", "with a payload, the body of the step"},
};

const struct command command_signal = {
    .name = "signal",
    .arguments = "ID NAME [JSON]",
    .doc = "tells an execution that something happened",
    .details = "The oldest step that waits for the name takes it, once. A signal that comes before "
               "its step\nwaits is kept for it.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 2,
    .arguments_max = 3,
    .run = run,
};
