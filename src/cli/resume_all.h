/* `cairn resume --all`: goes on with everything that nobody runs, in one process. */
#ifndef CAIRN_CLI_RESUME_ALL_H
#define CAIRN_CLI_RESUME_ALL_H

#include "cli/cli.h"

/* Gives the exit status; everything is reported. */
int resume_all(struct cli *c);

#endif
