/* cairn checkpoint: gives the present moment of an execution a name, to go back to.
 *
 * Asked of who runs it. Of an execution that nobody runs it is recorded, and nothing goes on.
 */
#include "cli/request.h"

static int run(struct cli *c) {
    struct request q = {
        .ask = {.type = REQUEST_CHECKPOINT}, .left = LEFT_RECORDED, .done = "checkpoint"};
    q.ask.step = str_from(c->arguments[1]);
    if (!str_is_name(q.ask.step)) {
        return cli_fail(c, ERR_USAGE, "a name has small letters, digits and _, and no digit first",
                        "\"%.*s\" cannot be the name of a checkpoint",
                        STR_ARG(str_sub(q.ask.step, 0, 100)));
    }
    return request_run(c, &q);
}

static const struct cli_option options[] = {
    {"quiet", 'q', NULL, "says nothing when it is recorded"},
};

static const struct cli_example examples[] = {
    {"cairn checkpoint @last before_review", "cairn rollback goes back to it as @before_review"},
};

const struct command command_checkpoint = {
    .name = "checkpoint",
    .arguments = "ID NAME",
    .doc = "gives the present moment of an execution a name",
    .details = "Several moments may have the same name: a rollback goes to the latest that counts.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run,
};
