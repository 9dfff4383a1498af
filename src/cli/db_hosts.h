/* `cairn db hosts`: the processes that run executions, and no longer those that are dead.
 *
 * Rows of dead hosts are all that it ever changes.
 */
#ifndef CAIRN_CLI_DB_HOSTS_H
#define CAIRN_CLI_DB_HOSTS_H

#include "cli/session.h"

/* With a store that is there. Gives the exit status; everything is reported. */
int db_hosts(struct session *s);

#endif
