/* Inside the launcher process: its state, one request taken apart, and what its files share.
 *
 * launcher_child.c serves the host, launcher_begin.c is a new process before its program,
 * launcher_zygote.c keeps zygotes and has them fork, launcher_tree.c ends trees of processes.
 */
#ifndef CAIRN_IO_LAUNCHER_CHILD_PRIV_H
#define CAIRN_IO_LAUNCHER_CHILD_PRIV_H

#include <poll.h>

#include "io/launcher_death_priv.h"
#include "io/launcher_tree_priv.h"

/* Descriptors 0 to 4 are /dev/null in the launcher: a new process gets its own put there. */
enum { FIRST_FREE_FD = 5 };

/* A fork that waits to become a step. */
struct spare {
    pid_t pid;
    uint64_t start_time;
    int sock;
};
#define ZYGOTE_SPARES 4

/* A process that forks when it is asked to; the forks are children of the launcher. */
struct zygote {
    uint32_t id; /* 0: none */
    pid_t pid;
    int sock;
    struct spare spares[ZYGOTE_SPARES];
    size_t spare_count;
    uint64_t used;  /* spares that became steps */
    bool ordered;   /* it was asked for more and has not said yet that these were all */
    bool order_met; /* some came of that order */
};

struct child {
    int sock;
    int host_pidfd;
    int signals;
    pid_t self;
    struct tree tree;
    struct proc_vec texts; /* char *: argv, NULL, env, NULL, folder */
    struct death death;
    bool over; /* the host is gone: nothing is started any more */
    struct zygote zygotes[IO_MAX_ZYGOTES];
    struct proc_vec awaited; /* struct awaited, of launcher_zygote.c */
};

/* One spawn, taken apart. */
struct request {
    const struct wire_spawn *head;
    int fds[WIRE_FDS]; /* by enum wire_fd, -1 for none */
    char **argv;
    char **env;
    const char *folder;
};

/* ---- launcher_begin.c ---- */

void launcher_say(int sock, const void *message, size_t size);
void launcher_say_failed(int sock, uint32_t id, int no, enum wire_stage stage);
/* Becomes the program, or says why not and ends. */
_Noreturn void launcher_begin(const struct child *c, const struct request *r);

/* ---- launcher_child.c ---- */

/* Forks; the pid, or -1 with errno. In the new process launcher_begin(c, r) follows. */
pid_t launcher_fork(const struct child *c, const struct request *r);

/* ---- launcher_zygote.c ---- */

void zygote_init(struct child *c);
/* r says how the zygote is started; it gets descriptor 3, on which it is asked to fork. */
void zygote_start(struct child *c, struct request *r);
/* Asks for a fork. When there is none to be had, the host is told (STAGE_ZYGOTE). */
void zygote_ask(struct child *c, const struct request *r);
/* The host wants this zygote to end, or a process that one was asked for. */
void zygote_kill(struct child *c, uint32_t id);
/* Adds what is to be polled; returns how many. Then what poll said. */
size_t zygote_poll(const struct child *c, struct pollfd *out);
void zygote_polled(struct child *c, const struct pollfd *fds, size_t count);
/* This child was waited for. */
void zygote_reaped(struct child *c, pid_t pid);
/* When the first zygote has not answered for too long, 0 for never; ends those that are due. */
int64_t zygote_due_ns(const struct child *c);
void zygote_expire(struct child *c);

#endif
