/* The launcher process: starts programs, waits for them, ends what they leave behind.
 *
 * One thread, forked from a host that may have many: so no malloc, no stdio, no locks, nothing
 * of the host but its own stack and what the kernel gives. It never talks to anyone but the host,
 * and when the host is gone (end of file on the socket, or its pidfd) it kills every descendant
 * and ends, by executing what it was given for the host's death unless that said goodbye.
 * Invariants: its descriptors 0 to 4 are /dev/null, all others are closed on exec; all signals are
 * blocked, SIGCHLD is read from a signalfd; every spawn is answered by one `gone`.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/launcher_child_priv.h"

#if defined(__SANITIZE_THREAD__)
#define FORK_COPIES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FORK_COPIES 1
#endif
#endif

/* ---- requests of the host ---- */

/* Cuts the texts of a spawn; they stay where they are. */
static bool read_texts(struct child *c, struct request *r, const char *text) {
    const char *end = text + r->head->text_bytes;
    c->texts.count = 0;
    if (r->head->argc == 0 || !launcher_cut_texts(&c->texts, &text, end, r->head->argc) ||
        !launcher_cut_texts(&c->texts, &text, end, r->head->envc)) {
        return false;
    }
    char **all = c->texts.ptr;
    r->argv = all;
    r->env = all + r->head->argc + 1;
    r->folder = text;
    return memchr(text, '\0', (size_t)(end - text)) != NULL;
}

/* vfork: the new process borrows this one's memory until it executes its program, so nothing is
 * copied. Nothing is told through that memory: what the new process has to say goes by the socket,
 * and it writes to nothing but its own part of the stack, so a copy would do as well. Under TSan it
 * is one, made by _Fork: in place of vfork it would have fork, which runs what libraries do then,
 * and libuv closes descriptors that it had in the host, where the launcher has others by now. */
pid_t launcher_fork(const struct child *c, const struct request *r) {
#ifdef FORK_COPIES
    pid_t pid = _Fork();
#else
    pid_t pid = vfork();
#endif
    if (pid == 0) {
        launcher_begin(c, r);
    }
    return pid;
}

/* 0 or an errno value. */
static int fork_process(struct child *c, const struct request *r) {
    pid_t pid = launcher_fork(c, r);
    if (pid < 0) {
        return errno;
    }
    if (tree_add(&c->tree, r->head->head.id, pid) == NULL) {
        kill(pid, SIGKILL);
        return ENOMEM;
    }
    return 0;
}

/* The texts of a zygote and of what is asked of one are always inline. */
static void with_zygote(struct child *c, struct request *r, const char *text) {
    if (!read_texts(c, r, text)) {
        launcher_say_failed(c->sock, r->head->head.id, ENOMEM, STAGE_ZYGOTE);
    } else if (r->head->head.type == WIRE_ZYGOTE) {
        zygote_start(c, r);
    } else {
        zygote_ask(c, r);
    }
}

static int start_process(struct child *c, struct request *r, const char *inline_text) {
    const char *text = inline_text;
    size_t bytes = r->head->text_bytes;
    int text_fd = r->fds[WIRE_FD_TEXT];
    if (text_fd >= 0) {
        text = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, text_fd, 0);
    }
    if (text == MAP_FAILED) {
        return errno;
    }
    int no = read_texts(c, r, text) ? fork_process(c, r) : ENOMEM;
    if (text_fd >= 0) {
        munmap((void *)(uintptr_t)text, bytes);
    }
    return no;
}

static void spawn(struct child *c, struct request *r, const char *inline_text) {
    int no = start_process(c, r, inline_text);
    if (no == 0) {
        return;
    }
    uint32_t id = r->head->head.id;
    launcher_say_failed(c->sock, id, no, STAGE_FORK);
    struct wire_gone m = {.head = {WIRE_GONE, id}};
    launcher_say(c->sock, &m, sizeof m);
}

/* Gives each received descriptor its role; those that do not come are -1. */
static void sort_fds(struct request *r, const int *got, size_t count) {
    static const uint32_t flags[WIRE_FDS] = {[WIRE_FD_IN] = WIRE_HAS_IN,
                                             [WIRE_FD_RESULT] = WIRE_HAS_RESULT,
                                             [WIRE_FD_STATUS] = WIRE_HAS_STATUS,
                                             [WIRE_FD_TEXT] = WIRE_HAS_TEXT};
    size_t next = 0;
    for (int i = 0; i < WIRE_FDS; i++) {
        bool here = flags[i] == 0 || (r->head->flags & flags[i]) != 0;
        r->fds[i] = here && next < count ? got[next++] : -1;
    }
}

static size_t received_fds(struct msghdr *m, int out[WIRE_FDS]) {
    struct cmsghdr *head = CMSG_FIRSTHDR(m);
    if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) {
        return 0;
    }
    size_t bytes = head->cmsg_len - CMSG_LEN(0);
    memcpy(out, CMSG_DATA(head), bytes);
    return bytes / sizeof(int);
}

static void handle_request(struct child *c, const char *packet, const int *fds, size_t fd_count) {
    const struct wire_head *head = (const void *)packet;
    if ((head->type == WIRE_SPAWN || head->type == WIRE_ZYGOTE) && !c->over) {
        struct request r = {.head = (const void *)packet};
        sort_fds(&r, fds, fd_count);
        if (head->type == WIRE_ZYGOTE || r.head->zygote != 0) {
            with_zygote(c, &r, packet + sizeof *r.head);
        } else {
            spawn(c, &r, packet + sizeof *r.head);
        }
    } else if (head->type == WIRE_KILL) {
        const struct wire_kill *m = (const void *)packet;
        struct launched *p = tree_find(&c->tree, m->head.id);
        if (p != NULL) {
            tree_end(&c->tree, p, m->grace_ms);
        } else {
            zygote_kill(c, m->head.id);
        }
    } else if (head->type == WIRE_ON_DEATH) {
        death_set(&c->death, (const void *)packet);
    } else if (head->type == WIRE_BYE) {
        c->death.bye = true;
    }
}

/* Takes one request. False when the host has closed its end. */
static bool take_request(struct child *c) {
    char packet[sizeof(struct wire_spawn) + WIRE_INLINE_BYTES] __attribute__((aligned(16)));
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
    } control;
    struct iovec part = {packet, sizeof packet};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    ssize_t got = recvmsg(c->sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    if (got == 0) {
        return false;
    }
    int fds[WIRE_FDS];
    size_t count = received_fds(&m, fds);
    handle_request(c, packet, fds, count);
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    return true;
}

/* ---- ends of processes ---- */

static int64_t time_us(struct timeval t) { return (int64_t)t.tv_sec * 1000000 + t.tv_usec; }

static void note_end(struct launched *p, int status, const struct rusage *use) {
    p->ended = p->unsettled = true;
    p->result = (struct wire_gone){.head = {WIRE_GONE, p->id},
                                   .status = status,
                                   .user_us = time_us(use->ru_utime),
                                   .system_us = time_us(use->ru_stime),
                                   .max_rss_kib = use->ru_maxrss};
}

static void report_gone(struct child *c) {
    struct launched *items = c->tree.launched.ptr;
    for (size_t i = c->tree.launched.count; i-- > 0;) {
        if (!items[i].gone) {
            continue;
        }
        launcher_say(c->sock, &items[i].result, sizeof items[i].result);
        tree_forget(&c->tree, &items[i]);
    }
}

static void reap(struct child *c) {
    bool main_ended = false, stray_ended = false;
    int status;
    struct rusage use;
    pid_t pid;
    while ((pid = wait4(-1, &status, WNOHANG, &use)) > 0) {
        struct launched *p = tree_find_pid(&c->tree, pid);
        if (p != NULL) {
            note_end(p, status, &use);
        }
        tree_helper_drop(&c->tree, pid);
        zygote_reaped(c, pid);
        main_ended = main_ended || p != NULL;
        stray_ended = stray_ended || p == NULL;
    }
    if (main_ended) {
        tree_settle(&c->tree);
    }
    if (stray_ended && c->tree.next_look_ns != 0) {
        tree_look(&c->tree);
    }
    report_gone(c);
}

/* ---- the process itself ---- */

static void close_inherited(int first) {
    if (close_range((unsigned)first, ~0U, 0) == 0) {
        return;
    }
    struct rlimit most;
    int end = getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur < INT_MAX ? (int)most.rlim_cur
                                                                              : 65536;
    for (int fd = first; fd < end; fd++) {
        close(fd);
    }
}

/* Moves the descriptors that are needed out of the way, closes all others, and lays /dev/null on
 * 0 to 4, where a new process gets its own put. */
static bool arrange_fds(struct child *c) {
    enum { SAFE_FD = 64 };
    c->sock = fcntl(c->sock, F_DUPFD_CLOEXEC, SAFE_FD);
    if (c->host_pidfd >= 0) {
        c->host_pidfd = fcntl(c->host_pidfd, F_DUPFD_CLOEXEC, SAFE_FD);
    }
    int low = c->sock < c->host_pidfd || c->host_pidfd < 0 ? c->sock : c->host_pidfd;
    int high = c->sock > c->host_pidfd ? c->sock : c->host_pidfd;
    if (low < 0) {
        return false;
    }
    for (int fd = 0; fd < high; fd++) {
        if (fd != low) {
            close(fd);
        }
    }
    close_inherited(high + 1);
    bool ok = open("/dev/null", O_RDWR) == 0;
    for (int fd = 1; fd < FIRST_FREE_FD; fd++) {
        ok = ok && dup3(0, fd, fd > 2 ? O_CLOEXEC : 0) == fd;
    }
    return ok;
}

/* All signals, also the two that the C library keeps to itself (32, 33) and that somebody may have
 * left ignored: hence the system call. */
static void reset_signals(void) {
    static const struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } standard; /* the kernel's struct sigaction; all zero is SIG_DFL */
    for (int signo = 1; signo < NSIG; signo++) {
        (void)syscall(SYS_rt_sigaction, signo, &standard, NULL, sizeof standard.mask);
    }
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

static bool open_signals(struct child *c) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return c->signals >= 0;
}

static int wait_ms(const struct child *c) {
    int64_t look_ns = c->tree.next_look_ns, due_ns = zygote_due_ns(c);
    if (look_ns == 0 && due_ns == 0) {
        return -1;
    }
    int64_t next_ns = look_ns == 0 || (due_ns != 0 && due_ns < look_ns) ? due_ns : look_ns;
    int64_t left_ns = next_ns - tree_now_ns();
    return left_ns <= 0 ? 0 : (int)((left_ns + 999999) / 1000000);
}

/* One round. False when the host is gone. */
static bool serve(struct child *c) {
    struct pollfd fds[3 + IO_MAX_ZYGOTES] = {{.fd = c->sock, .events = POLLIN},
                                             {.fd = c->signals, .events = POLLIN},
                                             {.fd = c->host_pidfd, .events = POLLIN}};
    size_t zygotes = zygote_poll(c, fds + 3);
    poll(fds, 3 + zygotes, wait_ms(c));
    if (fds[2].revents != 0) {
        return false;
    }
    if (fds[1].revents != 0) {
        struct signalfd_siginfo info;
        while (read(c->signals, &info, sizeof info) == (ssize_t)sizeof info) {
            continue;
        }
        reap(c);
    }
    zygote_polled(c, fds + 3, zygotes);
    zygote_expire(c);
    if (fds[0].revents != 0 && !take_request(c)) {
        return false;
    }
    if (c->tree.next_look_ns != 0 && tree_now_ns() >= c->tree.next_look_ns) {
        tree_look(&c->tree);
        report_gone(c);
    }
    return true;
}

/* What the host had still sent, perhaps what to execute now. */
static void take_last_words(struct child *c) {
    struct pollfd sock = {.fd = c->sock, .events = POLLIN};
    c->over = true;
    while (poll(&sock, 1, 0) > 0 && take_request(c)) {
        continue;
    }
}

_Noreturn void launcher_child_run(int sock, int host_pidfd, uint64_t nonce) {
    struct child c = {.sock = sock, .host_pidfd = host_pidfd, .self = getpid()};
    bool ok = arrange_fds(&c); /* first: until then the host's locks outlive the host */
    prctl(PR_SET_NAME, "cairn-launcher", 0, 0, 0);
    setsid();
    reset_signals();
    launcher_shed_memory();
    ok = ok && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 && open_signals(&c);
    tree_init(&c.tree, nonce);
    proc_vec_init(&c.texts, sizeof(char *));
    zygote_init(&c);
    death_init(&c.death);
    while (ok && serve(&c)) {
        continue;
    }
    take_last_words(&c);
    tree_kill_all(&c.tree);
    death_execute(&c.death, c.host_pidfd);
    _exit(0);
}
