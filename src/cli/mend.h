/* A retry on a mended workflow or with other inputs: reads them, and says before anything is done
 * what is kept, what runs anew and what of the kept is defined otherwise now.
 */
#ifndef CAIRN_CLI_MEND_H
#define CAIRN_CLI_MEND_H

#include "cli/running.h"

/* --workflow FILE and -i of the command line, for a retry of the execution; nothing when neither is
 * given. Reported; nothing is written. */
enum err mend_read(struct running *x, struct str id, struct host_retry *q) MUST_USE;
#endif
