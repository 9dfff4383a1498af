/* The host's side of the launcher, shared by its two halves: launcher.c (the launcher process, its
 * socket, what goes over it) and launcher_process.c (one process: what it is given, what it writes,
 * how it ends).
 */
#ifndef CAIRN_IO_LAUNCHER_HOST_PRIV_H
#define CAIRN_IO_LAUNCHER_HOST_PRIV_H

#include <sys/types.h>

#include "io/io_priv.h"
#include "io/launcher.h"
#include "io/launcher_priv.h"

#define LAUNCHER_READ_BYTES 65536
#define PROCESS_PIPES 4

struct inherited {
    const char *name;
    char *value;
};
#define INHERITED 4

/* A zygote as the host knows it; see launcher_zygotes.c. */
struct zygote_ref {
    uint32_t id;     /* 0: none */
    bool told;       /* the launcher was told to start it and it has not ended since */
    uint32_t deaths; /* in a row, without a fork */
    uint64_t used;   /* when it was last wanted, by a counter */
    struct wire_spawn request;
    struct buf text;
    size_t text_bytes; /* of the text: what tells it apart */
};

struct io_launcher {
    struct io_loop *loop;
    pid_t pid; /* 0: none has been forked */
    int sock;
    struct io_poll *poll;
    int poll_events;
    uint64_t nonce;
    uint32_t last_id;
    size_t running;
    struct io_process *first;  /* all that have not exited */
    struct io_process *unsent; /* what the socket had no room for, in order */
    struct io_process *unsent_end;
    struct inherited env[INHERITED];
    const char *const *death_argv; /* NULL: nothing is executed should this process die */
    const char *const *death_env;
    struct zygote_ref zygotes[IO_MAX_ZYGOTES];
    uint64_t zygotes_used;
    bool in_callback;
    char *read_buffer; /* LAUNCHER_READ_BYTES */
    void *kept;        /* see io_launcher_keep */
    void (*close_kept)(void *thing);
    struct scratch_home *scratch; /* NULL until the first private folder is made; see scratch.c */
};

struct output_pipe {
    struct io_process *process;
    int fd;     /* -1: ended */
    int number; /* what the program knows it as: 1 to 4 */
    struct io_poll *poll;
    uint64_t seen_bytes;
    bool noted; /* stderr: that the rest is dropped */
};

struct io_process {
    struct io_launcher *launcher;
    struct io_process *next, *previous;
    struct io_process *next_unsent;
    uint32_t id;
    void (*started)(void *ctx, int64_t pid, uint64_t start_time);
    void (*output)(void *ctx, int fd, struct str bytes);
    void (*exited)(void *ctx, const struct io_exit *x, enum err spawn_error,
                   const char *spawn_message, bool over_limit);
    void *ctx;
    uint64_t max_output_bytes;
    bool keep_running;
    char *program; /* argv[0], for messages */
    char *folder;
    /* the request, until it is sent; one that asks for a fork of a zygote, until it has started */
    struct wire_spawn request;
    struct buf text;
    int fds[WIRE_FDS]; /* the launcher's ends, by enum wire_fd */
    bool queued, sent, kill_wanted, killed;
    int kill_grace_ms;
    /* the process */
    struct output_pipe pipes[PROCESS_PIPES];
    int input_fd;              /* kept open for stdin_path_env, else -1 */
    int feed_fd;               /* of a process that is fed, until its end, else -1 */
    struct io_poll *feed_poll; /* while there is something that it has not taken */
    struct buf unfed;
    size_t unfed_at;
    bool feed_ended;
    int64_t pid;
    uint64_t start_time;
    struct io_timer *timer; /* until its pipes are watched; from its end, until they are given up */
    bool watched_late;      /* its pipes are watched a moment after its start */
    struct wire_failed failed; /* head.type 0: it was executed */
    bool gone, over_limit, stdout_cut, lost;
    struct io_exit result;
};

/* Forks the launcher process if there is none. */
enum err launcher_start(struct io_launcher *l, struct error *e) MUST_USE;
/* Closes the socket and waits for the launcher process to end, which kills all it started. */
void launcher_stop(struct io_launcher *l);
/* To be called when running or unsent may have changed. */
void launcher_watch(struct io_launcher *l);
/* Queues what p has to say (its request, a kill) and sends what the socket takes: 0, or an errno
 * value when something stays behind, which is tried again when the socket is writable. */
int launcher_send(struct io_process *p);
int launcher_flush(struct io_launcher *l);
void launcher_unqueue(struct io_process *p);

/* What the launcher says about a process; gone may end it, and with it free p. */
void process_started(struct io_process *p, const struct wire_started *m);
void process_gone(struct io_process *p, const struct wire_gone *m);
/* There was no fork to be had: asks for a fresh program. */
void process_again(struct io_process *p);
/* The launcher itself is gone. p ends in a later turn. */
void process_lost(struct io_process *p);
/* The request is sent or not wanted any more: frees what belongs to it. */
void process_drop_request(struct io_process *p);
/* Removes all private folders of this launcher; when nothing runs any more. */
void scratch_home_close(struct io_launcher *l);

/* The zygote for this spec, made known when it is new; 0: it is not to be had. */
uint32_t launcher_zygote(struct io_launcher *l, const struct io_zygote_spec *spec,
                         const struct io_limits *limits);
/* To be called before the launcher is asked for a fork: has it started. 0 or an errno value; *id is
 * 0 afterwards when it has been ended to make room for another. */
int launcher_zygote_tell(struct io_launcher *l, uint32_t *id);
void launcher_zygote_worked(struct io_launcher *l, uint32_t id);
void launcher_zygote_gone(struct io_launcher *l, uint32_t id);
/* With the launcher process all zygotes are gone. */
void launcher_zygotes_lost(struct io_launcher *l);
void launcher_zygotes_close(struct io_launcher *l);

/* Closes all that belongs to feeding it. */
void process_feed_close(struct io_process *p);
/* Makes the stream that becomes its standard input: false with errno. */
bool process_feed_open(struct io_process *p);

/* Frees p without a word to its owner. */
void process_forget(struct io_process *p);

#endif
