/* cairn help: what there is, or how one command is used. The same text as `cairn` alone and as
 * `cairn COMMAND --help`; nothing about a command is written here.
 */
#include "cli/cli.h"

static int run(struct cli *c) {
    if (c->argument_count == 0) {
        help_print(c);
        return 0;
    }
    const struct command *cmd = cli_command_find(str_from(c->arguments[0]));
    if (!cmd) {
        help_unknown_command(c, str_from(c->arguments[0]));
        return EXIT_INVALID;
    }
    help_print_command(c, cmd);
    return 0;
}

static const struct cli_example examples[] = {
    {"cairn help run", "the options of `cairn run`, with examples"},
};

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .doc = "shows the commands, or how one is used",
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_max = 1,
    .run = run,
};
