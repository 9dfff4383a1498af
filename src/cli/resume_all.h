/* `cairn resume --all`: goes on with everything that nobody runs, in one process.
 *
 * What is broken or taken by another process stops none of the others.
 */
#ifndef CAIRN_CLI_RESUME_ALL_H
#define CAIRN_CLI_RESUME_ALL_H

#include "cli/cli.h"

/* Gives the exit status; everything is reported. */
int resume_all(struct cli *c);

#endif
