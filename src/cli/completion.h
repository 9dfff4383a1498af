/* Completion for shells, made from the descriptors of the commands. A new command, option or kind
 * needs no line here.
 *
 * What may stand in a place follows from how help calls it: WORKFLOW is a workflow file, ID an
 * execution, `bash|zsh|fish` (lower case) one of these words.
 */
#ifndef CAIRN_CLI_COMPLETION_H
#define CAIRN_CLI_COMPLETION_H

#include "cli/cli.h"

enum completion_type {
    COMPLETE_NOTHING,
    COMPLETE_WORKFLOW,
    COMPLETE_FILE,
    COMPLETE_FOLDER,
    COMPLETE_ID,
    COMPLETE_WORDS,
    COMPLETE_TYPES
};

struct completion {
    enum completion_type type;
    struct str words; /* COMPLETE_WORDS: separated by blanks */
    bool repeated;    /* an argument with "..." */
};

/* What stands where help says name: "WORKFLOW...", "[DIR]", "ascii|dot|svg". Words that it makes
 * live as long as c. */
struct completion completion_of(struct cli *c, struct str name);
/* The next place of the arguments text; false at its end. */
bool completion_next(struct str *arguments, struct str *out_name);

/* Each appends a script for its shell. */
void completion_bash(struct cli *c, struct buf *out);
void completion_zsh(struct cli *c, struct buf *out);
void completion_fish(struct cli *c, struct buf *out);

#endif
