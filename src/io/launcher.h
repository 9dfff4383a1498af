/* Child processes through one small launcher process per host.
 *
 * The launcher is forked when the first process is needed. It is a subreaper: whatever a child
 * leaves behind, setsid or not, becomes its child, and when its socket to the host closes (the
 * host ended or was killed) it kills every descendant and ends. The host itself forks once.
 * Every process runs in its own process group with a token in its environment (CAIRN_ATTEMPT) by
 * which strays are told apart; pid and start time are reported before the program is executed.
 */
#ifndef CAIRN_IO_LAUNCHER_H
#define CAIRN_IO_LAUNCHER_H

#include "base/base.h"
#include "io/loop.h"

struct io_launcher;
struct io_process;

struct io_exit {
    int status;      /* exit status, -1 when killed by a signal */
    int signal;      /* 0 when it exited */
    int64_t user_us; /* of the main process and the children it waited for */
    int64_t system_us;
    int64_t max_rss_kib;
};

struct io_process_spec {
    const char *const *argv; /* argv[0] is looked up in PATH of env */
    const char *const *env;  /* NULL-terminated "NAME=value"; exactly this plus the token */
    const char *cwd;         /* NULL: the current folder */
    struct str stdin_text;   /* written to its standard input, then closed */
    /* NULL, or a variable to be added to env: a path under which any program of the tree can read
     * stdin_text again, from its start, while the process runs. */
    const char *stdin_path_env;
    uint64_t max_output_bytes; /* of stdout, and of result; more: over_limit, and it is killed.
                                * stderr is cut there with a note */
    bool want_result;          /* opens descriptor 3 for the program's result, apart from stdout */
    /* All on the loop's thread, none from inside io_process_start. started: once, before the
     * program runs, or never if exited tells of a spawn failure (only a file that exists and then
     * cannot be executed gives both). Output callbacks as it comes. exited: once, last, after
     * output ended and the whole tree is gone. spawn_error: ERR_NOT_FOUND when the program does
     * not exist. */
    void (*started)(void *ctx, int64_t pid, uint64_t start_time);
    void (*output)(void *ctx, int fd, struct str bytes); /* fd 1, 2 or 3 */
    void (*exited)(void *ctx, const struct io_exit *x, enum err spawn_error,
                   const char *spawn_message, bool over_limit);
    void *ctx;
};

/* Nothing is forked yet. */
struct io_launcher *io_launcher_open(struct io_loop *l);
/* Kills what runs, waits for the launcher to end. Processes that still run are forgotten: no
 * callback of theirs is called any more. NULL is fine. Not to be called from a callback. */
void io_launcher_close(struct io_launcher *l);
/* Starts a process; spec is copied. NULL and an error when the launcher itself cannot run. */
struct io_process *io_process_start(struct io_launcher *l, const struct io_process_spec *spec,
                                    struct error *e);
/* SIGTERM to the whole tree now, SIGKILL after grace_ms until nothing of it is left; exited
 * follows as usual. Calling it again with a shorter grace shortens it. */
void io_process_kill(struct io_process *p, int grace_ms);
/* The value that a variable had in this program's environment when the launcher was opened, for
 * handing it on (only PATH, HOME, LANG, TMPDIR); NULL when it was not set. */
const char *io_launcher_env(const struct io_launcher *l, const char *name);
/* Processes that have not reported exited. */
size_t io_launcher_running(const struct io_launcher *l);
/* Kills the process (and its tree) that has this pid and start time; nothing if there is none.
 * Blocks until they are gone, at most a second. */
void io_process_kill_stale(int64_t pid, uint64_t start_time);

#endif
