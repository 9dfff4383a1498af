/* fish: a line for every command, option and argument. fish offers files of its own accord; that is
 * turned off, so that only what fits is offered.
 */
#include <stdio.h>

#include "cli/completion.h"

static const char *const sources[COMPLETE_TYPES] = {
    [COMPLETE_NOTHING] = NULL,
    [COMPLETE_WORKFLOW] = "(__fish_complete_suffix .yaml; __fish_complete_suffix .yml; "
                          "__fish_complete_suffix .json)",
    [COMPLETE_FILE] = "(__fish_complete_path)",
    [COMPLETE_FOLDER] = "(__fish_complete_directories)",
    [COMPLETE_ID] = "@last (cairn list --limit 30 2>/dev/null | string match -r \"^exec_\\\\S+\")",
    [COMPLETE_WORDS] = NULL};

static void put_quoted(struct buf *b, const char *text) {
    buf_append_char(b, '\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') {
            buf_append_char(b, '\\');
        }
        buf_append_char(b, *text);
    }
    buf_append_char(b, '\'');
}

/* " -a '...'" with what may stand there. */
static void put_source(struct cli *c, struct buf *b, struct str name) {
    struct completion x = completion_of(c, name);
    if (x.words.len) {
        buf_printf(b, " -a '%.*s'", STR_ARG(x.words));
    } else if (sources[x.type]) {
        buf_printf(b, " -a '%s'", sources[x.type]);
    }
}

static void put_option(struct cli *c, struct buf *b, const char *condition,
                       const struct cli_option *o) {
    buf_printf(b, "complete -c cairn%s -l %s", condition, o->name);
    if (o->letter) {
        buf_printf(b, " -s %c", o->letter);
    }
    if (o->value) {
        buf_append_cstr(b, " -x");
        put_source(c, b, str_from(o->value));
    }
    buf_append_cstr(b, " -d ");
    put_quoted(b, o->doc);
    buf_append_char(b, '\n');
}

static void put_command(struct cli *c, struct buf *b, const struct command *cmd) {
    char condition[100];
    buf_printf(b, "complete -c cairn -n __fish_use_subcommand -a %s -d ", cmd->name);
    put_quoted(b, cmd->doc);
    buf_append_char(b, '\n');
    snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'", cmd->name);
    struct str rest = str_from(cmd->arguments), name;
    while (completion_next(&rest, &name)) {
        enum completion_type type = completion_of(c, name).type;
        if (type != COMPLETE_NOTHING) {
            buf_printf(b, "complete -c cairn%s", condition);
            put_source(c, b, name);
            buf_append_char(b, '\n');
        }
    }
    for (size_t i = 0; i < cmd->option_count; i++) {
        put_option(c, b, condition, &cmd->options[i]);
    }
}

void completion_fish(struct cli *c, struct buf *out) {
    buf_append_cstr(out, "# Completion of cairn for fish, made by `cairn completion fish`.\n"
                         "complete -c cairn -f\n");
    for (size_t i = 0; i < cli_common_option_count; i++) {
        put_option(c, out, "", &cli_common_options[i]);
    }
    buf_append_cstr(out,
                    "complete -c cairn -n __fish_use_subcommand -l version -d 'the version'\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        put_command(c, out, cli_commands[i]);
    }
}
