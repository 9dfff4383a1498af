/* Reading a command line by the option tables of the descriptors.
 *
 * Options come before or after the command and its arguments, as --name=value, --name value, -n
 * value or -nvalue; "--" ends them. A mistake is reported with what was meant, perhaps, and gives
 * ERR_USAGE. Nothing is guessed: an option may not be shortened.
 */
#include "cli/cli.h"

#include <stdio.h>

const struct cli_option cli_common_options[] = {
    {"store", 0, "URL", "where executions are kept: a file, or sqlite:FILE"},
    {"help", 'h', NULL, "shows how it is used"},
};
const size_t cli_common_option_count = ARRAY_LEN(cli_common_options);

/* Known without a command only. */
static const struct cli_option top_options[] = {
    {"version", 0, NULL, "the version"},
    {"verbose", 'v', NULL, "more of it"},
};

struct parser {
    struct cli *c;
    int argc, at;
    char **argv;
    const char **arguments;
    struct cli_given *given;
};

static const struct cli_option *find_in(const struct cli_option *options, size_t count,
                                        struct str name) {
    for (size_t i = 0; i < count; i++) {
        bool short_form = name.len == 1 && options[i].letter;
        if (short_form ? name.ptr[0] == options[i].letter : str_is(name, options[i].name)) {
            return &options[i];
        }
    }
    return NULL;
}

/* With a command: its options; without: those that stand alone. */
static const struct cli_option *find_option(const struct command *cmd, struct str name) {
    const struct cli_option *o = find_in(cli_common_options, cli_common_option_count, name);
    if (o) {
        return o;
    }
    return cmd ? find_in(cmd->options, cmd->option_count, name)
               : find_in(top_options, ARRAY_LEN(top_options), name);
}

/* Before the command is known: does any command's option of this name take a value? */
static bool takes_value(struct str name) {
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_option *o = find_option(cli_commands[i], name);
        if (o && o->value) {
            return true;
        }
    }
    return false;
}

struct option_text {
    struct str name;   /* "store", or one letter */
    struct str dashed; /* as it was typed: "--store" */
    const char *value; /* what came behind in the same word, or NULL */
};

static struct option_text split(const char *word) {
    struct option_text t = {0};
    if (word[1] != '-') {
        t.name = (struct str){word + 1, 1};
        t.dashed = (struct str){word, 2};
        t.value = word[2] ? word + 2 : NULL;
        return t;
    }
    size_t len = strcspn(word, "=");
    t.name = (struct str){word + 2, len - 2};
    t.dashed = (struct str){word, len};
    t.value = word[len] ? word + len + 1 : NULL;
    return t;
}

static bool is_option(const char *word) { return word[0] == '-' && word[1]; }

/* The first word that is neither an option nor an option's value. */
static int find_command(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (!is_option(argv[i])) {
            return i;
        }
        if (!strcmp(argv[i], "--")) {
            return i + 1 < argc ? i + 1 : 0;
        }
        struct option_text t = split(argv[i]);
        i += takes_value(t.name) && !t.value;
    }
    return 0;
}

static enum err usage_error(struct parser *p, const char *help, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static enum err usage_error(struct parser *p, const char *help, const char *fmt, ...) {
    char text[500];
    char more[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const struct command *cmd = p->c->command;
    if (!help) {
        snprintf(more, sizeof more, "`cairn %s%s--help` shows what there is", cmd ? cmd->name : "",
                 cmd ? " " : "");
        help = more;
    }
    cli_fail(p->c, ERR_USAGE, help, "%s", text);
    return ERR_USAGE;
}

static enum err unknown_option(struct parser *p, struct option_text t) {
    const struct command *cmd = p->c->command;
    struct str names[40];
    size_t count = 0;
    for (size_t i = 0; i < cli_common_option_count; i++) {
        names[count++] = str_from(cli_common_options[i].name);
    }
    for (size_t i = 0; cmd && i < cmd->option_count && count < ARRAY_LEN(names); i++) {
        names[count++] = str_from(cmd->options[i].name);
    }
    if (!cmd) {
        names[count++] = STR("version");
    }
    struct str near = str_nearest(t.name, names, count);
    char help[100];
    snprintf(help, sizeof help, "did you mean --%.*s?", STR_ARG(near));
    return usage_error(p, near.len ? help : NULL, "unknown option %.*s%s%s%s",
                       STR_ARG(str_sub(t.dashed, 0, 60)), cmd ? " of `cairn " : "",
                       cmd ? cmd->name : "", cmd ? "`" : "");
}

static enum err read_option(struct parser *p) {
    struct option_text t = split(p->argv[p->at]);
    const struct cli_option *o = find_option(p->c->command, t.name);
    if (!o) {
        return unknown_option(p, t);
    }
    if (!o->value && t.value) {
        return usage_error(p, NULL, "the option %.*s takes no value", STR_ARG(t.dashed));
    }
    if (o->value && !t.value) {
        t.value = p->at + 1 < p->argc ? p->argv[++p->at] : NULL;
        if (!t.value) {
            return usage_error(p, NULL, "the option %.*s needs a value: %.*s %s", STR_ARG(t.dashed),
                               STR_ARG(t.dashed), o->value);
        }
    }
    p->given[p->c->given_count++] = (struct cli_given){o, t.value};
    return OK;
}

static enum err check_count(struct parser *p) {
    const struct command *cmd = p->c->command;
    size_t count = p->c->argument_count;
    if (!cmd || cli_has(p->c, "help")) {
        return OK;
    }
    if (count < cmd->arguments_min) {
        return usage_error(p, NULL, "`cairn %s` needs %s", cmd->name, cmd->arguments);
    }
    if (count > cmd->arguments_max) {
        const char *extra = p->arguments[cmd->arguments_max];
        return usage_error(p, NULL, "`cairn %s` does not know what to do with \"%.100s\"",
                           cmd->name, extra);
    }
    return OK;
}

static enum err read_words(struct parser *p, int command_at) {
    bool options = true;
    for (p->at = 1; p->at < p->argc; p->at++) {
        const char *word = p->argv[p->at];
        enum err err = OK;
        if (options && !strcmp(word, "--")) {
            options = false;
        } else if (p->at == command_at) {
            continue;
        } else if (options && is_option(word)) {
            err = read_option(p);
        } else {
            p->arguments[p->c->argument_count++] = word;
        }
        if (err) {
            return err;
        }
    }
    return OK;
}

enum err cli_parse(struct cli *c, int argc, char **argv) {
    struct parser p = {.c = c, .argc = argc, .argv = argv};
    p.arguments = ARENA_ARRAY(&c->arena, (size_t)argc + 1, const char *);
    p.given = ARENA_ARRAY(&c->arena, (size_t)argc + 1, struct cli_given);
    if (!p.arguments || !p.given) {
        cli_fail(c, ERR_NOMEM, NULL, "out of memory");
        return ERR_NOMEM;
    }
    c->arguments = p.arguments;
    c->given = p.given;
    int at = find_command(argc, argv);
    if (at) {
        c->command = cli_command_find(str_from(argv[at]));
        if (!c->command) {
            help_unknown_command(c, str_from(argv[at]));
            return ERR_USAGE;
        }
    }
    enum err err = read_words(&p, at);
    return err ? err : check_count(&p);
}

const char *cli_value(const struct cli *c, const char *option) {
    for (size_t i = c->given_count; i > 0; i--) {
        if (!strcmp(c->given[i - 1].option->name, option)) {
            return c->given[i - 1].value ? c->given[i - 1].value : "";
        }
    }
    return NULL;
}

bool cli_has(const struct cli *c, const char *option) { return cli_value(c, option) != NULL; }

/* A number alone, as other programs take it: seconds. */
static bool read_seconds(struct str text, int64_t *out_us) {
    uint64_t n;
    if (!str_to_uint64(text, &n) || n > 36525u * UINT64_C(86400)) {
        return false;
    }
    *out_us = (int64_t)n * 1000000;
    return true;
}

enum err cli_duration(struct cli *c, const char *option, int64_t *out_us) {
    const char *text = cli_value(c, option);
    int64_t us = 0;
    if (!text) {
        return OK;
    }
    if ((!read_seconds(str_from(text), &us) && !time_parse_duration(str_from(text), &us)) ||
        us == 0) {
        cli_fail(c, ERR_USAGE, "write a number and a unit of d, h, m, s or ms: 90s, 1h30m",
                 "--%s: expected a duration of more than 0 and at most 100 years, got \"%.60s\"",
                 option, text);
        return ERR_USAGE;
    }
    *out_us = us;
    return OK;
}

enum err cli_number(struct cli *c, const char *option, uint32_t min, uint32_t max, uint32_t *out) {
    const char *text = cli_value(c, option);
    uint64_t n = 0;
    if (!text) {
        return OK;
    }
    if (!str_to_uint64(str_from(text), &n) || n < min || n > max) {
        cli_fail(c, ERR_USAGE, NULL, "--%s: expected a number from %u to %u, got \"%.60s\"", option,
                 min, max, text);
        return ERR_USAGE;
    }
    *out = (uint32_t)n;
    return OK;
}

enum err cli_exclude(struct cli *c, const char *one, const char *other, const char *help) {
    if (!cli_has(c, one) || !cli_has(c, other)) {
        return OK;
    }
    cli_fail(c, ERR_USAGE, help, "--%s and --%s exclude each other", one, other);
    return ERR_USAGE;
}

bool cli_pair(const char *text, struct str *out_name, struct str *out_value) {
    const char *sign = strchr(text, '=');
    if (!sign || sign == text) {
        return false;
    }
    *out_name = (struct str){text, (size_t)(sign - text)};
    *out_value = str_from(sign + 1);
    return true;
}

enum err cli_labels(struct cli *c, struct value *out) {
    struct value_builder b;
    value_builder_init(&b, &c->arena);
    for (size_t i = 0; i < c->given_count; i++) {
        struct str name, value;
        if (strcmp(c->given[i].option->name, "label") != 0) {
            continue;
        }
        if (!cli_pair(c->given[i].value, &name, &value)) {
            cli_fail(c, ERR_USAGE, "write --label NAME=VALUE",
                     "--label: expected a name and a value, got \"%.60s\"", c->given[i].value);
            return ERR_USAGE;
        }
        if (!str_is_utf8(name) || !str_is_utf8(value)) {
            cli_fail(c, ERR_USAGE, NULL, "--label: the text is not UTF-8");
            return ERR_USAGE;
        }
        value_map_add(&b, name, value_text(value));
    }
    *out = b.count ? value_map_done(&b) : value_null();
    return b.ok ? OK : ERR_NOMEM;
}
