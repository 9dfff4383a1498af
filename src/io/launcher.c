/* The host's side of the launcher process: forks it, sends it requests, takes its messages.
 *
 * Everything is nonblocking and happens on the loop's thread; only io_launcher_close waits. No
 * process-global state is touched: no signal handler, no SIGPIPE (MSG_NOSIGNAL), signals blocked
 * in this thread only around the fork.
 * Invariant: messages of the launcher are taken while anything runs; what the socket has no room
 * for waits in a queue, so neither side ever waits for the other in a circle.
 */
#include "io/launcher_host_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool copy_environment(struct io_launcher *l) {
    bool ok = true;
    static const char *const names[INHERITED] = {"PATH", "HOME", "LANG", "TMPDIR"};
    for (size_t i = 0; i < INHERITED; i++) {
        size_t len = strlen(names[i]);
        l->env[i].name = names[i];
        for (char **at = environ; at != NULL && *at != NULL; at++) {
            if (l->env[i].value == NULL && strncmp(*at, names[i], len) == 0 && (*at)[len] == '=') {
                l->env[i].value = strdup(*at + len + 1);
                ok = ok && l->env[i].value != NULL;
            }
        }
    }
    return ok;
}

const char *io_launcher_env(const struct io_launcher *l, const char *name) {
    for (size_t i = 0; i < INHERITED; i++) {
        if (strcmp(l->env[i].name, name) == 0) {
            return l->env[i].value;
        }
    }
    return NULL;
}

struct io_launcher *io_launcher_open(struct io_loop *loop) {
    struct io_launcher *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->loop = loop;
    l->sock = -1;
    io_loop_clock(loop)->random(io_loop_clock(loop)->ctx, &l->nonce, sizeof l->nonce);
    if (!copy_environment(l)) {
        io_launcher_close(l);
        return NULL;
    }
    return l;
}

void **io_launcher_keep(struct io_launcher *l, void (*close)(void *thing)) {
    l->close_kept = close;
    return &l->kept;
}

size_t io_launcher_running(const struct io_launcher *l) { return l->running; }

/* ---- the launcher process ---- */

/* The launcher must not run a signal handler of the host's before it has reset them all. */
static pid_t fork_launcher(int sock, uint64_t nonce) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int host_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    pid_t pid = fork();
    int no = errno;
    if (pid == 0) {
        launcher_child_run(sock, host_pidfd, nonce);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    io_fd_close(&host_pidfd);
    errno = no;
    return pid;
}

/* ---- what is executed when this process dies ---- */

void io_launcher_on_death(struct io_launcher *l, const char *const *argv, const char *const *env) {
    l->death_argv = argv;
    l->death_env = env;
}

static uint32_t put_texts(struct buf *b, const char *const *texts) {
    uint32_t count = 0;
    for (; texts[count] != NULL; count++) {
        buf_append_cstr(b, texts[count]);
        buf_append_char(b, '\0');
    }
    return count;
}

/* The socket is new, so it has room. */
static void send_on_death(int sock, const char *const *argv, const char *const *env) {
    struct wire_on_death m = {.head = {.type = WIRE_ON_DEATH}};
    struct buf text;
    buf_init(&text, WIRE_INLINE_BYTES);
    m.argc = put_texts(&text, argv);
    m.envc = put_texts(&text, env);
    m.text_bytes = (uint32_t)text.len;
    struct iovec parts[2] = {{&m, sizeof m}, {text.ptr, text.len}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
    if (buf_ok(&text)) {
        (void)sendmsg(sock, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    buf_fini(&text);
}

static void send_bye(int sock) {
    struct wire_head m = {.type = WIRE_BYE};
    (void)send(sock, &m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_socket(void *ctx, int events);

enum err io_launcher_start(struct io_launcher *l, struct error *e) { return launcher_start(l, e); }

enum err launcher_start(struct io_launcher *l, struct error *e) {
    if (l->pid != 0) {
        return OK;
    }
    if (l->read_buffer == NULL && (l->read_buffer = malloc(LAUNCHER_READ_BYTES)) == NULL) {
        return error_nomem(e);
    }
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return io_error_errno(e, errno, "cannot start", "the launcher process");
    }
    pid_t pid = fork_launcher(pair[1], l->nonce);
    int no = errno;
    io_fd_close(&pair[1]);
    struct io_poll *poll = pid < 0 ? NULL : io_poll_open(l->loop, pair[0], 0, on_socket, l);
    if (poll == NULL) {
        io_fd_close(&pair[0]); /* which ends the launcher, if there is one */
        if (pid > 0) {
            waitpid(pid, NULL, 0);
        }
        return pid < 0 ? io_error_errno(e, no, "cannot start", "the launcher process")
                       : error_nomem(e);
    }
    l->pid = pid;
    l->sock = pair[0];
    l->poll = poll;
    l->poll_events = 0;
    if (l->death_argv != NULL) {
        send_on_death(l->sock, l->death_argv, l->death_env);
    }
    return OK;
}

void launcher_stop(struct io_launcher *l) {
    if (l->pid == 0) {
        return;
    }
    io_poll_close(l->poll);
    l->poll = NULL;
    launcher_zygotes_lost(l);
    send_bye(l->sock);
    io_fd_close(&l->sock);
    while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR) {
        continue;
    }
    l->pid = 0;
}

/* Nothing is watched while nothing runs, so that an idle launcher does not keep a loop alive. */
void launcher_watch(struct io_launcher *l) {
    int events = (l->running > 0 ? IO_READABLE : 0) | (l->unsent != NULL ? IO_WRITABLE : 0);
    if (l->poll != NULL && events != l->poll_events) {
        l->poll_events = events;
        io_poll_change(l->poll, events);
    }
}

/* ---- sending ---- */

/* 0 or an errno value; EAGAIN: later. */
static int send_packet(struct io_launcher *l, struct iovec *parts, size_t part_count,
                       const int *fds, size_t fd_count) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
    } control;
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = part_count};
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *head = &control.head;
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(head), fds, sizeof(int) * fd_count);
    }
    while (sendmsg(l->sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static int send_spawn(struct io_process *p) {
    int fds[WIRE_FDS];
    size_t count = 0;
    for (int i = 0; i < WIRE_FDS; i++) {
        if (p->fds[i] >= 0) {
            fds[count++] = p->fds[i];
        }
    }
    bool apart = p->fds[WIRE_FD_TEXT] >= 0;
    struct iovec parts[2] = {{&p->request, sizeof p->request}, {p->text.ptr, p->text.len}};
    int no = launcher_zygote_tell(p->launcher, &p->request.zygote);
    if (no == 0) {
        no = send_packet(p->launcher, parts, apart ? 1 : 2, fds, count);
    }
    if (no == 0) {
        p->sent = true;
    }
    if (no == 0 && p->request.zygote == 0) {
        process_drop_request(p);
    }
    return no;
}

static int send_kill(struct io_process *p) {
    struct wire_kill m = {.head = {WIRE_KILL, p->id}, .grace_ms = p->kill_grace_ms};
    struct iovec part = {&m, sizeof m};
    int no = send_packet(p->launcher, &part, 1, NULL, 0);
    if (no == 0) {
        p->kill_wanted = false;
    }
    return no;
}

/* Sends what the socket takes. A broken socket is left to on_socket, which sees its end. */
int launcher_flush(struct io_launcher *l) {
    int no = 0;
    while (l->unsent != NULL && no == 0) {
        struct io_process *p = l->unsent;
        if (!p->sent) {
            no = send_spawn(p);
        }
        if (no == 0 && p->kill_wanted) {
            no = send_kill(p);
        }
        if (no == 0) {
            l->unsent = p->next_unsent;
            p->next_unsent = NULL;
            p->queued = false;
        }
    }
    launcher_watch(l);
    return no;
}

int launcher_send(struct io_process *p) {
    struct io_launcher *l = p->launcher;
    if (!p->queued) {
        p->queued = true;
        if (l->unsent == NULL) {
            l->unsent = p;
        } else {
            l->unsent_end->next_unsent = p;
        }
        l->unsent_end = p;
    }
    return launcher_flush(l);
}

void launcher_unqueue(struct io_process *p) {
    struct io_launcher *l = p->launcher;
    struct io_process *before = NULL;
    for (struct io_process *at = l->unsent; at != NULL; before = at, at = at->next_unsent) {
        if (at != p) {
            continue;
        }
        if (before == NULL) {
            l->unsent = p->next_unsent;
        } else {
            before->next_unsent = p->next_unsent;
        }
        if (l->unsent_end == p) {
            l->unsent_end = before;
        }
        return;
    }
}

/* ---- what the launcher says ---- */

static struct io_process *find_process(const struct io_launcher *l, uint32_t id) {
    struct io_process *p = l->first;
    while (p != NULL && p->id != id) {
        p = p->next;
    }
    return p;
}

static void handle_message(struct io_launcher *l, const void *packet) {
    const struct wire_head *head = packet;
    const struct wire_failed *failed = packet;
    struct io_process *p = find_process(l, head->id);
    if (head->type == WIRE_ZYGOTE_GONE) {
        launcher_zygote_gone(l, head->id);
    }
    if (p == NULL || p->gone) {
        return;
    }
    if (head->type == WIRE_STARTED) {
        process_started(p, packet);
    } else if (head->type == WIRE_FAILED && failed->stage == STAGE_ZYGOTE) {
        process_again(p);
    } else if (head->type == WIRE_FAILED) {
        p->failed = *failed;
    } else if (head->type == WIRE_GONE) {
        process_gone(p, packet);
    }
}

/* Somebody killed the launcher. */
static void launcher_lost(struct io_launcher *l) {
    launcher_stop(l);
    l->unsent = NULL;
    for (struct io_process *p = l->first; p != NULL; p = p->next) {
        p->queued = false;
        process_lost(p);
    }
}

static void take_messages(struct io_launcher *l) {
    enum { MESSAGES_PER_TURN = 64 };
    for (int i = 0; i < MESSAGES_PER_TURN && l->sock >= 0; i++) {
        union {
            struct wire_started started;
            struct wire_failed failed;
            struct wire_gone gone;
        } packet;
        ssize_t got = recv(l->sock, &packet, sizeof packet, MSG_DONTWAIT);
        if (got > 0) {
            handle_message(l, &packet);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            launcher_lost(l);
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static void on_socket(void *ctx, int events) {
    struct io_launcher *l = ctx;
    l->in_callback = true;
    if ((events & IO_WRITABLE) != 0) {
        launcher_flush(l);
    }
    take_messages(l);
    l->in_callback = false;
}

void io_launcher_close(struct io_launcher *l) {
    if (l == NULL) {
        return;
    }
    ASSERT(!l->in_callback);
    if (l->kept != NULL) {
        l->close_kept(l->kept);
    }
    while (l->first != NULL) {
        process_forget(l->first);
    }
    launcher_stop(l);
    scratch_home_close(l);
    launcher_zygotes_close(l);
    for (size_t i = 0; i < INHERITED; i++) {
        free(l->env[i].value);
    }
    free(l->read_buffer);
    free(l);
}
