/* cairn pause: nothing of an execution starts any more; what runs goes on to its end.
 *
 * The process that runs it leaves when nothing is in flight; `cairn resume` goes on.
 */
#include "cli/request.h"

static int run(struct cli *c) {
    struct request q = {.ask = {.type = REQUEST_PAUSE}, .left = LEFT_REFUSED, .done = "paused"};
    return request_run(c, &q);
}

static const struct cli_example examples[] = {
    {"cairn pause @last", "the newest execution"},
};

const struct command command_pause = {
    .name = "pause",
    .arguments = "ID",
    .doc = "starts nothing more of an execution until it is resumed",
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
