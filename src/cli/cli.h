/* The command line: what its files share.
 *
 * A command is one file cmd_<name>.c with one constant descriptor and one row of commands.def;
 * help follows from the descriptor. This is the composition root: only here are a store, a loop,
 * a host and the table of node kinds put together, and only here is there process-global state
 * (environment, signals, standard streams). stdout carries results, stderr everything else.
 */
#ifndef CAIRN_CLI_CLI_H
#define CAIRN_CLI_CLI_H

#include "base/base.h"
#include "cli/text.h"
#include "value/value.h"

struct cli;

struct cli_option {
    const char *name;  /* without the dashes */
    char letter;       /* short form, 0 for none */
    const char *value; /* what its value is called in help; NULL: it takes none */
    const char *doc;
};

struct cli_example {
    const char *command, *doc;
};

struct command {
    const char *name;
    const char *arguments; /* as help shows them: "WORKFLOW", "" for none */
    const char *doc;       /* one line */
    const char *details;   /* more lines for its own help, or NULL */
    const struct cli_option *options;
    size_t option_count;
    const struct cli_example *examples;
    size_t example_count;
    size_t arguments_min, arguments_max;
    int (*run)(struct cli *c); /* returns the exit status */
};

/* One option as it was given. */
struct cli_given {
    const struct cli_option *option;
    const char *value;
};

/* One invocation. Slices and texts live as long as it. */
struct cli {
    struct arena arena;
    const struct command *command;
    const char *const *arguments;
    size_t argument_count;
    const struct cli_given *given;
    size_t given_count;
    struct sink out, err;
};

#define EXIT_INVALID 2     /* usage, or a workflow with errors */
#define EXIT_WAITING 3     /* left waiting or paused */
#define EXIT_STORE 4       /* store trouble */
#define EXIT_INTERRUPT 130 /* left by SIGINT or SIGTERM */

/* Rows of commands.def. */
extern const struct command *const cli_commands[];
extern const size_t cli_command_count;
const struct command *cli_command_find(struct str name);

/* ---- args.c ---- */

/* Options that every command understands. */
extern const struct cli_option cli_common_options[];
extern const size_t cli_common_option_count;
/* Reads a command line into c; a mistake is reported. ERR_USAGE, ERR_NOMEM. */
enum err cli_parse(struct cli *c, int argc, char **argv) MUST_USE;
bool cli_has(const struct cli *c, const char *option);
/* The value given last, or NULL. */
const char *cli_value(const struct cli *c, const char *option);
/* The value of a duration option, in seconds without a unit; *out unchanged when not given. A
 * mistake is reported. */
enum err cli_duration(struct cli *c, const char *option, int64_t *out_us) MUST_USE;
/* A whole number within [min, max], likewise. */
enum err cli_number(struct cli *c, const char *option, uint32_t min, uint32_t max, uint32_t *out)
    MUST_USE;
/* Two options of which one would not be heeded; help may be NULL. ERR_USAGE, reported. */
enum err cli_exclude(struct cli *c, const char *one, const char *other, const char *help) MUST_USE;
/* NAME=VALUE cut at the first '='; false when there is none or the name is empty. */
bool cli_pair(const char *text, struct str *out_name, struct str *out_value);
/* All labels (--label name=value) as a map of texts, null without any. A mistake is reported. */
/* --budget; ERR_USAGE when it is none. */
struct budget;
enum err cli_budget(struct cli *c, struct budget *out) MUST_USE;
enum err cli_labels(struct cli *c, struct value *out) MUST_USE;

/* ---- help.c ---- */

void help_print(struct cli *c);
void help_print_command(struct cli *c, const struct command *command);
/* " did you mean" for a word that is no command; reported as an error. */
void help_unknown_command(struct cli *c, struct str word);

/* ---- version.c ---- */

/* `cairn --version`, with --verbose also what it is made of. Returns the exit status. */
int version_print(struct cli *c);

/* ---- report.c ---- */

/* A document on stdout, indented, with a newline. */
void cli_print_json(struct cli *c, struct value v);

/* On stderr that a list goes on: the same command line, from the last row on. */
void cli_tell_more(struct cli *c, struct str last);

/* "error: <message>", then help indented when it is not NULL; returns the exit status of code. */
int cli_fail(struct cli *c, enum err code, const char *help, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The same for an error that was returned, with its place. */
int cli_fail_error(struct cli *c, const struct error *e, const char *help);
/* Findings with file:line:column and, last, how many there were. */
void cli_findings(struct cli *c, const struct diag *d);
/* "2 errors, 1 warning" into out. */
void cli_count_findings(const struct diag *d, struct buf *out);

#endif
