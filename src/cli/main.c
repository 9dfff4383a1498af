/* The program: reads the command line, calls the command, and tells when its output went nowhere.
 *
 * A reader of stdout that leaves early (`cairn list | head -1`) is no error; a full disk is.
 */
#include <errno.h>
#include <signal.h>

#include "cli/cli.h"
#include "cli/keys.h"
#include "io/file.h"
#include "store/store.h"

#define COMMAND(name) extern const struct command command_##name;
#include "cli/commands.def"
#undef COMMAND

const struct command *const cli_commands[] = {
#define COMMAND(name) &command_##name,
#include "cli/commands.def"
#undef COMMAND
};
const size_t cli_command_count = ARRAY_LEN(cli_commands);

const struct command *cli_command_find(struct str name) {
    for (size_t i = 0; i < cli_command_count; i++) {
        if (str_is(name, cli_commands[i]->name)) {
            return cli_commands[i];
        }
    }
    return NULL;
}

static int dispatch(struct cli *c) {
    if (!c->command && cli_has(c, "version")) {
        return version_print(c);
    }
    if (!c->command) {
        help_print(c);
        return 0;
    }
    if (cli_has(c, "help")) {
        help_print_command(c, c->command);
        return 0;
    }
    return c->command->run(c);
}

int main(int argc, char **argv) {
    struct cli c = {0};
    signal(SIGPIPE, SIG_IGN);
    io_streams_hold();
    keys_take_environment();
    signal(SIGXFSZ, SIG_IGN); /* a file as large as it may be is an error of writing too */
    store_process_set_up();
    arena_init(&c.arena, 0);
    sink_init(&c.out, 1);
    sink_init(&c.err, 2);
    int status = cli_parse(&c, argc, argv) ? EXIT_INVALID : dispatch(&c);
    if (c.out.failed && c.out.failed != EPIPE) {
        cli_fail(&c, ERR_IO, NULL, "cannot write the output: %s", strerrordesc_np(c.out.failed));
        status = status ? status : EXIT_STORE;
    }
    arena_fini(&c.arena);
    return status;
}
