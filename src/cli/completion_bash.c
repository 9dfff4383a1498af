/* bash: three functions that look up what the tables say, and one that reads the line. It walks
 * over the words before the cursor as the command itself does: options may stand anywhere.
 */
#include "cli/completion.h"

static const char reader[] =
    "_cairn() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} cmd= count=0 what= word i\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        case $word in\n"
    "        =) ;;\n"
    "        -*)\n"
    "            what=$(_cairn_value \"$cmd\" \"$word\")\n"
    "            [[ $what ]] || continue\n"
    "            [[ ${COMP_WORDS[i + 1]} == '=' ]] && ((i++))\n"
    "            ((i + 1 < COMP_CWORD)) && what= && ((i++)) ;;\n"
    "        *) if [[ $cmd ]]; then ((count++)); else cmd=$word; fi ;;\n"
    "        esac\n"
    "    done\n"
    "    [[ $cur == '=' ]] && cur=\n"
    "    if [[ ! $what && $cur == -* ]]; then\n"
    "        what=\"words $(_cairn_options \"$cmd\")\"\n"
    "    elif [[ ! $what && ! $cmd ]]; then\n"
    "        what=\"words $(_cairn_commands)\"\n"
    "    elif [[ ! $what ]]; then\n"
    "        what=$(_cairn_argument \"$cmd\" \"$count\")\n"
    "    fi\n"
    "    case $what in\n"
    "    words*) mapfile -t COMPREPLY < <(compgen -W \"${what#words }\" -- \"$cur\") ;;\n"
    "    file) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
    "    folder) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
    "    workflow) mapfile -t COMPREPLY < <(compgen -d -S / -- \"$cur\"\n"
    "        compgen -f -- \"$cur\" | grep -E '\\.(ya?ml|json)$') ;;\n"
    "    id) mapfile -t COMPREPLY < <(compgen -W \"@last $(cairn list --limit 30 2>/dev/null |\n"
    "        sed -n 's/^\\(exec_[^ ]*\\).*/\\1/p')\" -- \"$cur\") ;;\n"
    "    esac\n"
    "    [[ ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null\n"
    "    return 0\n"
    "}\n"
    "complete -o filenames -F _cairn cairn\n";

static void put_what(struct cli *c, struct buf *b, struct str name) {
    static const char *const names[COMPLETE_TYPES] = {"none",   "workflow", "file",
                                                      "folder", "id",       "words"};
    struct completion x = completion_of(c, name);
    buf_printf(b, "%s%s%.*s", names[x.type], x.words.len ? " " : "", STR_ARG(x.words));
}

/* Names as a pattern of case: the option's own words behind a blank. */
static void put_value(struct cli *c, struct buf *b, const char *command,
                      const struct cli_option *o) {
    if (!o->value) {
        return;
    }
    buf_printf(b, "    %s' --%s'", command, o->name);
    if (o->letter) {
        buf_printf(b, " | %s' -%c'", command, o->letter);
    }
    buf_append_cstr(b, ") echo '");
    put_what(c, b, str_from(o->value));
    buf_append_cstr(b, "' ;;\n");
}

static void put_option(struct buf *b, const struct cli_option *o) {
    buf_printf(b, " --%s", o->name);
    if (o->letter) {
        buf_printf(b, " -%c", o->letter);
    }
}

static void put_common(struct buf *b) {
    for (size_t i = 0; i < cli_common_option_count; i++) {
        put_option(b, &cli_common_options[i]);
    }
    buf_append_cstr(b, "' ;;\n");
}

static void put_options(struct buf *b) {
    buf_append_cstr(b, "_cairn_options() {\n    case $1 in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct command *cmd = cli_commands[i];
        buf_printf(b, "    %s) echo '", cmd->name);
        for (size_t k = 0; k < cmd->option_count; k++) {
            put_option(b, &cmd->options[k]);
        }
        put_common(b);
    }
    buf_append_cstr(b, "    *) echo '--version");
    put_common(b);
    buf_append_cstr(b, "    esac\n}\n");
}

static void put_values(struct cli *c, struct buf *b) {
    buf_append_cstr(b, "_cairn_value() {\n    case \"$1 $2\" in\n");
    for (size_t i = 0; i < cli_common_option_count; i++) {
        put_value(c, b, "*", &cli_common_options[i]);
    }
    for (size_t i = 0; i < cli_command_count; i++) {
        for (size_t k = 0; k < cli_commands[i]->option_count; k++) {
            put_value(c, b, cli_commands[i]->name, &cli_commands[i]->options[k]);
        }
    }
    buf_append_cstr(b, "    esac\n}\n");
}

static void put_arguments(struct cli *c, struct buf *b) {
    buf_append_cstr(b, "_cairn_argument() {\n    case \"$1 $2\" in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        struct str rest = str_from(cli_commands[i]->arguments), name;
        for (uint32_t at = 0; completion_next(&rest, &name); at++) {
            buf_printf(b, "    '%s ", cli_commands[i]->name);
            if (completion_of(c, name).repeated) {
                buf_append_cstr(b, "'*");
            } else {
                buf_printf(b, "%u'", at);
            }
            buf_append_cstr(b, ") echo '");
            put_what(c, b, name);
            buf_append_cstr(b, "' ;;\n");
        }
    }
    buf_append_cstr(b, "    esac\n}\n");
}

void completion_bash(struct cli *c, struct buf *out) {
    buf_append_cstr(out, "# Completion of cairn for bash, made by `cairn completion bash`.\n"
                         "_cairn_commands() { echo '");
    for (size_t i = 0; i < cli_command_count; i++) {
        buf_printf(out, "%s%s", i ? " " : "", cli_commands[i]->name);
    }
    buf_append_cstr(out, "'; }\n");
    put_options(out);
    put_values(c, out);
    put_arguments(c, out);
    buf_append_cstr(out, reader);
}
