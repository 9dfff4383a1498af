/* cairn results: what came of an execution; with --verbose the whole story: every step with its
 * attempts, times, output and error, and the conversation. Works for executions that run, failed or
 * were interrupted as well.
 */
#include "cli/outcome.h"

static int show(struct session *s) {
    struct cli *c = s->cli;
    struct str id;
    struct details d = {0};
    struct error e = {0};
    enum err err = session_find(s, c->arguments[0], &id);
    if (err) {
        return err_exit_code(err);
    }
    err = details_open(s, id, &d, &e);
    if (err) {
        details_close(&d);
        return cli_fail_error(c, &e, NULL);
    }
    if (cli_has(c, "json")) {
        cli_print_json(c, details_json(&c->arena, &d.stored, d.now, &d));
    } else {
        outcome_print_story(c, &d, cli_has(c, "verbose"));
    }
    details_close(&d);
    return 0;
}

static int run(struct cli *c) { return session_run(c, show); }

static const struct cli_option options[] = {
    {"verbose", 'v', NULL, "every step with its output, and the conversation with times"},
    {"json", 0, NULL, "prints the execution with all its steps as JSON"},
};

static const struct cli_example examples[] = {
    {"cairn results @last", "the newest execution"},
    {"cairn results exec_06f3 --verbose", "a unique beginning of an id will do"},
    {"cairn results @last --json", "for programs"},
};

const struct command command_results = {
    .name = "results",
    .arguments = "ID",
    .doc = "shows what came of an execution: its result and key messages",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
