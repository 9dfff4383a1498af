/* cairn resume: goes on with an execution that was paused, left waiting or interrupted.
 *
 * What was completed does not run again; a step that was in flight when its process died does. An
 * execution that nobody runs is run by this process, to its end.
 */
#include "cli/request.h"

static int run(struct cli *c) {
    struct request q = {.ask = {.type = REQUEST_RESUME}, .take = true, .done = "goes on"};
    return request_run(c, &q);
}

static const struct cli_option options[] = {RUNNING_OPTIONS};

static const struct cli_example examples[] = {
    {"cairn resume @last", "after Ctrl-C, a crash, or cairn pause"},
    {"cairn resume exec_06f3 --quiet > result.txt", "the result alone"},
};

const struct command command_resume = {
    .name = "resume",
    .arguments = "ID",
    .doc = "goes on with an execution that was paused, left waiting or interrupted",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
