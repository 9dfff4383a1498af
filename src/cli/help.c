/* Help, made from the descriptors alone: a new command or option needs no line here.
 *
 * It goes to stdout, for it is what was asked for; only mistakes are told on stderr.
 */
#include "cli/cli.h"

static uint32_t option_width(const struct cli_option *o) {
    uint32_t width = 6 + (uint32_t)strlen(o->name);
    return o->value ? width + 1 + (uint32_t)strlen(o->value) : width;
}

static void print_option(struct buf *b, const struct cli_option *o, uint32_t column) {
    if (o->letter) {
        buf_printf(b, "  -%c, --%s", o->letter, o->name);
    } else {
        buf_printf(b, "      --%s", o->name);
    }
    if (o->value) {
        buf_printf(b, " %s", o->value);
    }
    text_pad(b, column - option_width(o));
    buf_printf(b, "%s\n", o->doc);
}

static uint32_t widest_option(const struct cli_option *options, size_t count, uint32_t least) {
    for (size_t i = 0; i < count; i++) {
        uint32_t width = option_width(&options[i]);
        least = width > least ? width : least;
    }
    return least;
}

void help_print_command(struct cli *c, const struct command *cmd) {
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "cairn %s: %s\n\nusage: cairn %s%s%s [options]\n", cmd->name, cmd->doc,
               cmd->name, cmd->arguments[0] ? " " : "", cmd->arguments);
    if (cmd->details) {
        buf_printf(&b, "\n%s\n", cmd->details);
    }
    uint32_t column = widest_option(cli_common_options, cli_common_option_count, 0);
    column = widest_option(cmd->options, cmd->option_count, column) + 2;
    buf_append_cstr(&b, "\noptions:\n");
    for (size_t i = 0; i < cmd->option_count; i++) {
        print_option(&b, &cmd->options[i], column);
    }
    for (size_t i = 0; i < cli_common_option_count; i++) {
        print_option(&b, &cli_common_options[i], column);
    }
    buf_append_cstr(&b, cmd->example_count ? "\nexamples:\n" : "");
    for (size_t i = 0; i < cmd->example_count; i++) {
        buf_printf(&b, "  %s\n      %s\n", cmd->examples[i].command, cmd->examples[i].doc);
    }
    sink_flush(&c->out, &b);
    buf_fini(&b);
}

void help_print(struct cli *c) {
    struct buf b;
    uint32_t column = 0;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct command *cmd = cli_commands[i];
        uint32_t width = (uint32_t)(strlen(cmd->name) + strlen(cmd->arguments));
        column = width > column ? width : column;
    }
    buf_init(&b, 0);
    buf_append_cstr(&b, "cairn runs workflows of AI agents and ordinary steps so that no execution "
                        "is ever lost.\n\nusage: cairn COMMAND [options]\n\ncommands:\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct command *cmd = cli_commands[i];
        buf_printf(&b, "  %s %s", cmd->name, cmd->arguments);
        text_pad(&b, column + 3 - (uint32_t)(strlen(cmd->name) + strlen(cmd->arguments)));
        buf_printf(&b, "%s\n", cmd->doc);
    }
    buf_append_cstr(&b, "\n`cairn COMMAND --help` shows its options, with examples. "
                        "`cairn --version` tells the version.\n"
                        "Executions are kept in --store URL, else CAIRN_STORE, else "
                        "~/.local/state/cairn/cairn.db.\n");
    sink_flush(&c->out, &b);
    buf_fini(&b);
}

void help_unknown_command(struct cli *c, struct str word) {
    struct str names[40];
    size_t count = 0;
    for (size_t i = 0; i < cli_command_count && count < ARRAY_LEN(names); i++) {
        names[count++] = str_from(cli_commands[i]->name);
    }
    struct str near = str_nearest(word, names, count);
    struct str help = arena_printf(&c->arena, "did you mean \"%.*s\"?", STR_ARG(near));
    bool is_file =
        str_ends(word, STR(".yaml")) || str_ends(word, STR(".yml")) || str_ends(word, STR(".json"));
    if (is_file) {
        help = arena_printf(&c->arena, "did you mean `cairn run %.*s`?", STR_ARG(word));
    }
    bool meant = near.len || is_file;
    cli_fail(c, ERR_USAGE, meant ? help.ptr : "`cairn help` lists the commands",
             "unknown command \"%.*s\"", STR_ARG(str_sub(word, 0, 100)));
}
