/* Child processes through one small launcher process per host.
 *
 * The launcher is forked when the first process is needed. It is a subreaper: whatever a child
 * leaves behind, setsid or not, becomes its child, and when its socket to the host closes (the
 * host ended or was killed) it kills every descendant and ends. The host itself forks once.
 * Every process runs in its own process group with a token in its environment (CAIRN_ATTEMPT) by
 * which strays are told apart; pid and start time are reported before the program is executed.
 * A program that is started often may be a zygote, which the launcher has fork (io_zygote_spec).
 * Every process gains no new privileges, has the limits of its spec, makes files only its user may
 * read (umask 077), and has no descriptors but 0 to 2 and those that the spec asks for.
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
    bool stdout_cut; /* keep_running: there was more than max_output_bytes */
};

/* Limits of a process, which those that it starts inherit. 0 means the default, IO_LIMIT_*; none
 * is ever above what this program itself is allowed. No process writes a core file. */
struct io_limits {
    uint64_t file_bytes;   /* of any file it writes (RLIMIT_FSIZE) */
    uint64_t processes;    /* of this user together, threads counted, and nothing for root, as the
                            * kernel has it (RLIMIT_NPROC) */
    uint64_t open_files;   /* of each process (RLIMIT_NOFILE) */
    uint64_t memory_bytes; /* private and writable, of each process (RLIMIT_DATA): not its address
                            * space, of which some programs reserve far more than they use */
};

#define IO_LIMIT_FILE_BYTES (UINT64_C(64) << 30)
#define IO_LIMIT_PROCESSES UINT64_C(16384)
#define IO_LIMIT_OPEN_FILES UINT64_C(16384)
#define IO_LIMIT_MEMORY_BYTES (UINT64_C(64) << 30)

/* A program that stays and forks: a fork is a process as if it had been started afresh, with what
 * the program has in memory by then. How it is asked to fork stands in launcher_zygote.c. It has a
 * variable CAIRN_ROOM, so that a fork can lay its environment over the one that /proc shows. */
struct io_zygote_spec {
    const char *const *argv;
    const char *const *env;
    bool from_second; /* the first process is started afresh: one alone is cheaper that way */
};

struct io_process_spec {
    const char *const *argv; /* argv[0] is looked up in PATH of env */
    const char *const *env;  /* NULL-terminated "NAME=value"; exactly this plus the token */
    const char *cwd;         /* NULL: the current folder */
    struct str stdin_text;   /* written to its standard input, then closed */
    bool feeds;              /* instead: a stream socket, written to by io_process_feed */
    /* NULL, or a variable to be added to env: a path under which any program of the tree can read
     * stdin_text again, from its start, while the process runs. */
    const char *stdin_path_env;
    uint64_t max_output_bytes; /* of stdout, and of result; more: over_limit, and it is killed.
                                * stderr is cut there with a note */
    bool keep_running;         /* stdout over the limit is dropped (io_exit.stdout_cut) instead */
    bool want_result;          /* opens descriptor 3 for the program's result, apart from stdout */
    bool want_status;          /* opens descriptor 4 for what a wrapper of the program reports */
    struct io_limits limits;
    /* NULL, or: to be a fork of this one, which is kept; argv is for when there is none to be had.
     * Needs stdin_text or feeds, and want_result; no want_status. 32 KiB of arguments and
     * environment. */
    const struct io_zygote_spec *zygote;
    /* All on the loop's thread, none from inside io_process_start. started: once, told before the
     * program runs, or never if exited tells of a spawn failure (only a file that exists and then
     * cannot be executed gives both). Output callbacks as it comes. exited: once, last, after
     * output ended and the whole tree is gone. spawn_error: ERR_NOT_FOUND when the program does
     * not exist. */
    void (*started)(void *ctx, int64_t pid, uint64_t start_time);
    void (*output)(void *ctx, int fd, struct str bytes); /* fd 1 to 4 */
    void (*exited)(void *ctx, const struct io_exit *x, enum err spawn_error,
                   const char *spawn_message, bool over_limit);
    void *ctx;
};

/* Nothing is forked yet. NULL when out of memory. */
struct io_launcher *io_launcher_open(struct io_loop *l);
/* A program (argv[0] is a path) that the launcher process executes, with exactly this environment,
 * when this process has died without closing the launcher, and all it started is killed. Both
 * lists end with NULL, are borrowed until the launcher is closed, and hold 32 KiB together; what is
 * larger is ignored. To be set before the first process is started. */
void io_launcher_on_death(struct io_launcher *l, const char *const *argv, const char *const *env);
/* Forks the launcher process now, not with the first process. */
enum err io_launcher_start(struct io_launcher *l, struct error *e) MUST_USE;
/* Kills what runs, waits for the launcher to end. Processes that still run are forgotten: no
 * callback of theirs is called any more. NULL is fine. Not to be called from a callback. */
void io_launcher_close(struct io_launcher *l);
/* Starts a process; spec is copied. NULL and an error when the launcher itself cannot run. */
struct io_process *io_process_start(struct io_launcher *l, const struct io_process_spec *spec,
                                    struct error *e);
/* Of a process that is fed. What it is given goes out as it takes it; from here on the limit of its
 * output counts anew. False without memory: it may have got a part of it. io_process_feed_end: it
 * reads the end after what it was given. */
bool io_process_feed(struct io_process *p, struct str bytes) MUST_USE;
void io_process_feed_end(struct io_process *p);
/* False when the other end is closed: it has died, which will be told, or reads no more. */
bool io_process_takes(const struct io_process *p);
/* Passes on what stands in the pipes of its standard output and error; from `output`, too. True
 * when more was printed since it was fed than is passed on (io_exit.stdout_cut). */
bool io_process_drain(struct io_process *p);
/* SIGTERM to the whole tree now, SIGKILL after grace_ms until nothing of it is left; exited
 * follows as usual. Calling it again with a shorter grace shortens it. */
void io_process_kill(struct io_process *p, int grace_ms);
/* The value that a variable had in this program's environment when the launcher was opened, for
 * handing it on (only PATH, HOME, LANG, TMPDIR); NULL when it was not set. */
const char *io_launcher_env(const struct io_launcher *l, const char *name);
/* Processes that have not reported exited. */
size_t io_launcher_running(const struct io_launcher *l);
/* A place for one thing that goes with the launcher, NULL at first: `close` is called with it when
 * the launcher is closed, before its processes are forgotten. */
void **io_launcher_keep(struct io_launcher *l, void (*close)(void *thing));
/* Kills the process (and its tree) that has this pid and start time; nothing if there is none.
 * Blocks until they are gone, at most a second. */
void io_process_kill_stale(int64_t pid, uint64_t start_time);
/* The same for all processes with text (such as "NAME=beginning") in their environment: those that
 * left the tree of the one that was recorded. Never this process. */
void io_process_kill_marked(struct str text);

#endif
