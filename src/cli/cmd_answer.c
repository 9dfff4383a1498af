/* cairn answer: answers a step that waits for a person, from any process.
 *
 * The answer is durable when this says so. An execution that nobody runs is taken over and run on
 * here. What the step refuses (no such choice, a value the form does not fit) is said with why.
 */
#include "cli/request.h"

static int run(struct cli *c) {
    bool named = c->argument_count == 3;
    struct str value = str_from(c->arguments[named ? 2 : 1]);
    struct request q = {.ask = {.type = REQUEST_ANSWER}, .left = LEFT_TAKEN, .done = "answered"};
    if (!str_is_utf8(value)) {
        return cli_fail(c, ERR_USAGE, NULL, "the answer is not UTF-8 text");
    }
    q.ask.step = named ? str_from(c->arguments[1]) : STR("");
    q.ask.value = value_text(value);
    return request_run(c, &q);
}

static const struct cli_option options[] = {RUNNING_OPTIONS};

static const struct cli_example examples[] = {
    {"cairn answer @last yes", "the only step that waits"},
    {"cairn answer exec_06f3 approve no", "a step by its name"},
    {"cairn answer @last review '{\"score\": 4, \"why\": \"clear\"}'", "a form, as JSON"},
};

const struct command command_answer = {
    .name = "answer",
    .arguments = "ID [STEP] VALUE",
    .doc = "answers a step that waits for a person",
    .details = "A text for a free answer, one of the choices, or JSON for a form. STEP may be left "
               "out\nwhen only one step waits.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 2,
    .arguments_max = 3,
    .run = run,
};
