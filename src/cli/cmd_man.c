/* cairn man: the manual page, in roff, from the same descriptors as the help. `make install` keeps
 * what it prints as cairn(1).
 */
#include "cli/cli.h"

static const struct cli_example exits[] = {
    {"0", "completed; or what was asked for was done"},
    {"1", "failed, partial or cancelled; an expression that failed"},
    {"2", "wrong usage, a workflow, inputs or an id with errors, or a request that is refused"},
    {"3", "left waiting or paused"},
    {"4", "trouble with the store or the output"},
    {"130", "left by SIGINT or SIGTERM"},
};

static const struct cli_example variables[] = {
    {"CAIRN_STORE", "where executions are kept, when --store does not say so"},
    {"XDG_STATE_HOME", "the store is cairn/cairn.db there when neither does; else ~/.local/state"},
    {"CAIRN_WAIT_FOR_SPACE", "how long a full disk is waited out: 30s; else 10 minutes"},
    {"NO_COLOR", "when it is not empty: no colours"},
    {"TERM", "dumb: no colours and no live progress"},
};

/* Text of a line. A dot or an apostrophe at its beginning would be a request. */
static void put(struct buf *b, const char *text) {
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\'')) {
            buf_append_cstr(b, "\\&");
        }
        switch (*text) {
        case '\\': buf_append_cstr(b, "\\e"); break;
        case '-': buf_append_cstr(b, "\\-"); break;
        case '\'': buf_append_cstr(b, "\\(aq"); break;
        case '`': buf_append_cstr(b, "\\(ga"); break;
        case '^': buf_append_cstr(b, "\\(ha"); break;
        case '~': buf_append_cstr(b, "\\(ti"); break;
        default: buf_append_char(b, *text);
        }
        begins = *text == '\n';
    }
}

static void put_line(struct buf *b, const char *text) {
    put(b, text);
    buf_append_char(b, '\n');
}

static void put_rows(struct buf *b, const struct cli_example *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(b, ".TP\n.B ");
        put_line(b, rows[i].command);
        put_line(b, rows[i].doc);
    }
}

static void put_option(struct buf *b, const struct cli_option *o) {
    buf_append_cstr(b, ".TP\n");
    if (o->letter) {
        buf_printf(b, "\\fB\\-%c\\fR, ", o->letter);
    }
    buf_append_cstr(b, "\\fB\\-\\-");
    put(b, o->name);
    buf_append_cstr(b, "\\fR");
    if (o->value) {
        buf_append_cstr(b, " \\fI");
        put(b, o->value);
        buf_append_cstr(b, "\\fR");
    }
    buf_append_char(b, '\n');
    put_line(b, o->doc);
}

static void put_command(struct buf *b, const struct command *cmd) {
    buf_printf(b, ".SS \"cairn %s%s", cmd->name, cmd->arguments[0] ? " " : "");
    put(b, cmd->arguments);
    buf_append_cstr(b, "\"\n");
    put_line(b, cmd->doc);
    if (cmd->details) {
        buf_append_cstr(b, ".PP\n");
        put_line(b, cmd->details);
    }
    for (size_t i = 0; i < cmd->option_count; i++) {
        put_option(b, &cmd->options[i]);
    }
    for (size_t i = 0; i < cmd->example_count; i++) {
        buf_append_cstr(b, ".PP\nExample: ");
        put_line(b, cmd->examples[i].doc);
        buf_append_cstr(b, ".PP\n.nf\n.RS\n");
        put_line(b, cmd->examples[i].command);
        buf_append_cstr(b, ".RE\n.fi\n");
    }
}

static int run(struct cli *c) {
    struct buf b;
    buf_init(&b, 0);
    buf_append_cstr(&b, ".TH CAIRN 1 \"\" \"cairn " CAIRN_VERSION "\" \"User Commands\"\n"
                        ".SH NAME\ncairn \\- durable execution of workflows\n"
                        ".SH SYNOPSIS\n.B cairn\n.I COMMAND\n[options]\n"
                        ".SH DESCRIPTION\n"
                        "cairn runs workflows of AI agents and ordinary steps so that no execution "
                        "is ever lost.\nOptions may stand anywhere; \\fB\\-\\-\\fR ends them.\n"
                        "An execution is named by its id, by a beginning that fits one only, or by "
                        "\\fB@last\\fR, the newest.\n"
                        ".SH COMMANDS\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        put_command(&b, cli_commands[i]);
    }
    buf_append_cstr(&b, ".SH OPTIONS OF EVERY COMMAND\n");
    for (size_t i = 0; i < cli_common_option_count; i++) {
        put_option(&b, &cli_common_options[i]);
    }
    buf_append_cstr(&b, ".SH EXIT STATUS\n");
    put_rows(&b, exits, ARRAY_LEN(exits));
    buf_append_cstr(&b, ".SH ENVIRONMENT\n");
    put_rows(&b, variables, ARRAY_LEN(variables));
    buf_append_cstr(&b, ".SH FILES\n.TP\n.I \\(ti/.local/state/cairn/cairn.db\nthe store\n"
                        ".TP\n.I \\(ti/.local/state/cairn/cairn.db-logs/\nwhat was told in the "
                        "background\n");
    sink_flush(&c->out, &b);
    buf_fini(&b);
    return 0;
}

static const struct cli_example examples[] = {
    {"cairn man > cairn.1", "to be read with `man -l cairn.1`"},
};

const struct command command_man = {
    .name = "man",
    .arguments = "",
    .doc = "prints the manual page",
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .run = run,
};
