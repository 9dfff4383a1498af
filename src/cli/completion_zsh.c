/* zsh: one `_arguments` per command, with the one-line docs of the descriptors. The script works
 * both from a folder of $fpath and when it is sourced.
 */
#include "cli/completion.h"

/* Inside of single quotes, in a field of _arguments or _describe: colons and brackets are marks. */
static void put_doc(struct buf *b, const char *text) {
    for (; *text; text++) {
        if (*text == '\'') {
            buf_append_cstr(b, "'\\''");
            continue;
        }
        if (strchr(":[]\\", *text)) {
            buf_append_char(b, '\\');
        }
        buf_append_char(b, *text);
    }
}

/* ":name:action" */
static void put_action(struct cli *c, struct buf *b, struct str name) {
    static const char *const actions[COMPLETE_TYPES] = {
        [COMPLETE_NOTHING] = " ",     [COMPLETE_WORKFLOW] = "_files -g \"*.(yaml|yml|json)\"",
        [COMPLETE_FILE] = "_files",   [COMPLETE_FOLDER] = "_files -/",
        [COMPLETE_ID] = "_cairn_ids", [COMPLETE_WORDS] = NULL};
    struct completion x = completion_of(c, name);
    struct buf label;
    buf_init(&label, 0);
    buf_append(&label, name);
    buf_append_char(&label, '\0');
    buf_append_char(b, ':');
    put_doc(b, buf_ok(&label) ? label.ptr : "");
    buf_fini(&label);
    if (actions[x.type]) {
        buf_printf(b, ":%s", actions[x.type]);
    } else {
        buf_printf(b, ":(%.*s)", STR_ARG(x.words));
    }
}

static void put_option(struct cli *c, struct buf *b, const struct cli_option *o) {
    for (int form = 0; form < 2; form++) {
        if (form == 1 && !o->letter) {
            return;
        }
        buf_append_cstr(b, " \\\n            '*");
        if (form == 1) {
            buf_printf(b, "-%c%s[", o->letter, o->value ? "+" : "");
        } else {
            buf_printf(b, "--%s%s[", o->name, o->value ? "=" : "");
        }
        put_doc(b, o->doc);
        buf_append_char(b, ']');
        if (o->value) {
            put_action(c, b, str_from(o->value));
        }
        buf_append_char(b, '\'');
    }
}

static void put_options(struct cli *c, struct buf *b, const struct cli_option *options,
                        size_t count) {
    for (size_t i = 0; i < count; i++) {
        put_option(c, b, &options[i]);
    }
}

static void put_command(struct cli *c, struct buf *b, const struct command *cmd) {
    struct str rest = str_from(cmd->arguments), name;
    buf_printf(b, "        %s) _arguments -s -S", cmd->name);
    for (uint32_t at = 1; completion_next(&rest, &name); at++) {
        buf_append_cstr(b, " \\\n            '");
        if (completion_of(c, name).repeated) {
            buf_append_char(b, '*');
        } else {
            buf_printf(b, "%u%s", at, str_starts(name, STR("[")) ? ":" : "");
        }
        put_action(c, b, name);
        buf_append_char(b, '\'');
    }
    put_options(c, b, cmd->options, cmd->option_count);
    put_options(c, b, cli_common_options, cli_common_option_count);
    buf_append_cstr(b, " ;;\n");
}

void completion_zsh(struct cli *c, struct buf *out) {
    buf_append_cstr(out, "#compdef cairn\n"
                         "# Completion of cairn for zsh, made by `cairn completion zsh`.\n"
                         "_cairn_ids() {\n"
                         "    local -a ids\n"
                         "    ids=(@last ${(f)\"$(cairn list --limit 30 2>/dev/null |\n"
                         "        sed -n 's/^\\(exec_[^ ]*\\).*/\\1/p')\"})\n"
                         "    compadd -a ids\n"
                         "}\n"
                         "_cairn() {\n"
                         "    local state line curcontext=$curcontext\n"
                         "    local -a commands\n"
                         "    commands=(\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        buf_printf(out, "        '%s:", cli_commands[i]->name);
        put_doc(out, cli_commands[i]->doc);
        buf_append_cstr(out, "'\n");
    }
    buf_append_cstr(out, "    )\n    _arguments -C '1:command:->command' '*::argument:->argument'");
    buf_append_cstr(out, " \\\n            '--version[the version]'");
    put_options(c, out, cli_common_options, cli_common_option_count);
    buf_append_cstr(out, "\n    case $state in\n"
                         "    command) _describe command commands ;;\n"
                         "    argument)\n"
                         "        case $words[1] in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        put_command(c, out, cli_commands[i]);
    }
    buf_append_cstr(out, "        esac ;;\n    esac\n}\n"
                         "if [[ $funcstack[1] == _cairn ]]; then\n    _cairn \"$@\"\n"
                         "else\n    compdef _cairn cairn\nfi\n");
}
