/* A command with --background: the process that the user started waits until another one, which
 * runs the same command, has recorded the execution as its own, and then leaves.
 *
 * Until then that other one tells its errors where the user sees them, and the exit status is
 * passed on; from then on it writes into its log, a file beside the store.
 */
#ifndef CAIRN_CLI_BACKGROUND_H
#define CAIRN_CLI_BACKGROUND_H

#include "cli/session.h"
#include "io/detach.h"

struct background {
    struct cli *c;
    struct io_detach detach;
    bool on;     /* this is the process in the background, or is about to be */
    bool told;   /* the user knows, nobody waits any more */
    bool pauses; /* it only goes back, to be paused then: told so */
    struct str log;
    struct sink out, err; /* the user's, until told */
};

/* Forks when --background was given, before anything is opened. False in the process that was
 * started: *out_status is what it ends with. True in the one that does the work, also without
 * --background. */
bool background_begin(struct background *b, struct cli *c, int *out_status);
/* In the background what is written from now on goes to <store>-logs/<name>.log. Reported. */
enum err background_log(struct background *b, struct session *s, struct str name) MUST_USE;
/* What was asked for is recorded and owned by this process: told (the id on stdout) and left
 * alone. */
void background_tell(struct background *b, struct session *s, struct str id);
/* The same of several, which were told by then but for --json: these items. */
void background_tell_all(struct background *b, struct session *s, struct value items);
/* Another process runs it already, or it has ended (owner_pid 0): the same is said, and this
 * process is not needed. Gives the exit status. */
int background_tell_other(struct background *b, struct session *s, struct str id,
                          int64_t owner_pid);
/* It came to nothing, or to an end before anybody was told: what is written goes to the user
 * again. With drop the log is not kept. */
void background_back(struct background *b, bool drop);

/* For the option tables. */
#define BACKGROUND_OPTION \
    { "background", 0, NULL, "prints the id and goes on without the terminal, logging" }

#endif
