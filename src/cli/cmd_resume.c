/* cairn resume: goes on with an execution that was paused, left waiting or interrupted.
 *
 * What was completed does not run again; a step that was in flight when its process died does. An
 * execution that nobody runs is run by this process, to its end; with --all every one of them.
 */
#include "cli/request.h"
#include "cli/resume_all.h"

static int run(struct cli *c) {
    bool all = cli_has(c, "all");
    if (all && c->argument_count) {
        return cli_fail(c, ERR_USAGE, NULL, "--all goes on with everything: it takes no ID");
    }
    if (!all && !c->argument_count) {
        return cli_fail(c, ERR_USAGE, "--all goes on with all that is interrupted",
                        "`cairn resume` needs ID");
    }
    if (all) {
        return resume_all(c);
    }
    struct request q = {.ask = {.type = REQUEST_RESUME}, .left = LEFT_TAKEN, .done = "goes on"};
    return request_run(c, &q);
}

static const struct cli_option options[] = {
    {"all", 0, NULL, "every execution that is interrupted, or was left and waits for a time"},
    BACKGROUND_OPTION,
    RUNNING_OPTIONS,
};

static const struct cli_example examples[] = {
    {"cairn resume @last", "after Ctrl-C, a crash, or cairn pause"},
    {"cairn resume exec_06f3 --quiet > result.txt", "the result alone"},
    {"cairn resume --all --background", "after a restart of the machine"},
};

const struct command command_resume = {
    .name = "resume",
    .arguments = "[ID]",
    .doc = "goes on with an execution that was paused, left waiting or interrupted",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_max = 1,
    .run = run,
};
