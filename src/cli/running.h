/* An execution while this process runs it, whether it was submitted here (`run`) or taken over
 * (`resume`, `answer`, `cancel`): what happens is watched, people are asked on a terminal, Ctrl-C
 * pauses, and the end is told.
 *
 * Owned by the command, which calls the functions in this order: open, attach, turn, tell, close.
 */
#ifndef CAIRN_CLI_RUNNING_H
#define CAIRN_CLI_RUNNING_H

#include "cli/background.h"
#include "cli/load.h"
#include "cli/outcome.h"
#include "cli/prompt.h"
#include "cli/watch.h"

struct running {
    struct cli *c;
    struct session s;
    struct background background; /* on when this process has no user in front of it */
    struct workflow w;            /* of `run` only */
    struct watch watch;
    struct prompt prompt;
    struct run *run;
    struct str id;
    struct io_signal *signals[2];
    bool waited;         /* for a store that others hold */
    uint32_t interrupts; /* SIGINT that came */
    bool leaving;        /* SIGTERM: without waiting for what runs */
    bool recorded;       /* something of it since this process has it, but a claim */
    bool ended, lost, left;
    bool asks_again; /* steps that waited before are asked about here, too */
    struct error why_lost;
    int64_t ticket; /* of a request whose verdict is awaited, 0 none */
    struct str verdict;
    void (*told)(void *ctx); /* called when it is there; may be NULL */
    void *told_ctx;
};

/* The session with its store (made when make), loop and host, and the signals. Reported. */
enum err running_open(struct running *x, bool make) MUST_USE;
/* After a claim that failed: to be tried again, see session_waits; false also when somebody wants
 * out. */
bool running_waits(struct running *x, const struct error *why);
/* The execution that this process runs from now on: shown as the options say. Reported. */
enum err running_watch(struct running *x, struct run *r) MUST_USE;
/* After that, of one that was taken over: how its steps stand, and with asks_again what it waits
 * for. Reported. */
enum err running_catch_up(struct running *x) MUST_USE;
/* Turns until it ends, is lost, waits for what nobody here can give (not in the background), is
 * paused, or somebody wants out. Reported. */
enum err running_turn(struct running *x) MUST_USE;
/* Tells how it ended or was left; gives the exit status. */
int running_tell(struct running *x);
void running_close(struct running *x);

/* The options that all these commands have, for their tables. */
#define RUNNING_OPTIONS                                                                     \
    {"json", 0, NULL, "prints the whole execution as one JSON document at the end"},        \
        {"json-lines", 0, NULL, "prints each event as a line of JSON as it is recorded"}, { \
        "quiet", 'q', NULL, "prints the result alone, no progress"                          \
    }
/* --json and --json-lines exclude each other. Reported. */
enum err running_options_check(struct cli *c) MUST_USE;
/* The document of --json is wanted at the end; in the background it was another one, of before. */
bool running_wants_json(const struct running *x);

/* ---- run_end.c: the ways out; each gives the exit status ---- */
int run_tell_end(struct running *x);
int run_tell_lost(struct running *x);
int run_tell_interrupted(struct running *x);
int run_tell_left(struct running *x);

#endif
