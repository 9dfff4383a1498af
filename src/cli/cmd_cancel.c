/* cairn cancel: ends an execution: what runs is stopped, what waits or is pending never runs.
 *
 * One that nobody runs is taken over for it, so that it is recorded as cancelled.
 */
#include "cli/request.h"

static int run(struct cli *c) {
    struct request q = {.ask = {.type = REQUEST_CANCEL}, .left = LEFT_WHOLE, .done = "cancelled"};
    return request_run(c, &q);
}

static const struct cli_option options[] = {RUNNING_OPTIONS};

static const struct cli_example examples[] = {
    {"cairn cancel @last", "the newest execution"},
    {"cairn cancel exec_06f3", "a unique beginning of an id will do"},
};

const struct command command_cancel = {
    .name = "cancel",
    .arguments = "ID",
    .doc = "ends an execution: what runs is stopped, only `finally` still runs",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
