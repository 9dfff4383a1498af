/* The launcher process: starts programs, waits for them, ends what they leave behind.
 *
 * One thread, forked from a host that may have many: so no malloc, no stdio, no locks, nothing
 * of the host but its own stack and what the kernel gives. It never talks to anyone but the host,
 * and when the host is gone (end of file on the socket, or its pidfd) it kills every descendant
 * and ends, by executing what it was given for the host's death unless that said goodbye.
 * Invariants: its descriptors 0 to 4 are /dev/null, all others are closed on exec; all signals are
 * blocked, SIGCHLD is read from a signalfd; every spawn is answered by one `gone`.
 */
#include "io/launcher_priv.h"

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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/launcher_death_priv.h"
#include "io/launcher_tree_priv.h"

enum { FIRST_FREE_FD = 5, EXIT_NOT_EXECUTED = 127 };

struct child {
    int sock;
    int host_pidfd;
    int signals;
    pid_t self;
    struct tree tree;
    struct proc_vec texts; /* char *: argv, NULL, env, NULL, folder */
    struct death death;
    bool over; /* the host is gone: nothing is started any more */
};

/* One spawn, taken apart. */
struct request {
    const struct wire_spawn *head;
    int fds[WIRE_FDS]; /* by enum wire_fd, -1 for none */
    char **argv;
    char **env;
    const char *folder;
};

static void send_wire(int sock, const void *message, size_t size) {
    while (send(sock, message, size, MSG_NOSIGNAL) < 0 &&
           (errno == EINTR || errno == ENOBUFS || errno == ENOMEM)) {
        poll(NULL, 0, 10); /* the host waits for it: until the kernel has room again */
    }
}

static void send_failed(int sock, uint32_t id, int no, enum wire_stage stage) {
    struct wire_failed m = {.head = {WIRE_FAILED, id}, .no = no, .stage = (int32_t)stage};
    send_wire(sock, &m, sizeof m);
}

/* ---- in the new process, before the program ---- */

static _Noreturn void give_up(const struct child *c, const struct request *r, int no,
                              enum wire_stage stage) {
    send_failed(c->sock, r->head->head.id, no, stage);
    _exit(EXIT_NOT_EXECUTED);
}

static void place_fd(const struct child *c, const struct request *r, int from, int to) {
    if (from >= 0 && dup2(from, to) < 0) {
        give_up(c, r, errno, STAGE_SETUP);
    }
}

/* Both limits, so that the program cannot raise it again; never above what is allowed here. */
static void set_limit(const struct child *c, const struct request *r, __rlimit_resource_t what,
                      uint64_t most) {
    struct rlimit limit;
    if (getrlimit(what, &limit) != 0) {
        give_up(c, r, errno, STAGE_SETUP);
    }
    limit.rlim_max = limit.rlim_max < most ? limit.rlim_max : most;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(what, &limit) != 0) {
        give_up(c, r, errno, STAGE_SETUP);
    }
}

static void contain_process(const struct child *c, const struct request *r) {
    const struct io_limits *limits = &r->head->limits;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        give_up(c, r, errno, STAGE_SETUP);
    }
    set_limit(c, r, RLIMIT_CORE, 0);
    set_limit(c, r, RLIMIT_FSIZE, limits->file_bytes);
    set_limit(c, r, RLIMIT_NPROC, limits->processes);
    set_limit(c, r, RLIMIT_DATA, limits->memory_bytes);
    set_limit(c, r, RLIMIT_NOFILE, limits->open_files);
    umask(077);
    /* All are closed on exec already, each where it was opened; this is for what was forgotten. */
    (void)close_range(FIRST_FREE_FD, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void set_up_process(const struct child *c, const struct request *r) {
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != c->self) {
        _exit(EXIT_NOT_EXECUTED);
    }
    setsid(); /* a session of its own: a process group too, and no terminal to ask */
    sigprocmask(SIG_SETMASK, &none, NULL);
    place_fd(c, r, r->fds[WIRE_FD_IN], 0);
    place_fd(c, r, r->fds[WIRE_FD_OUT], 1);
    place_fd(c, r, r->fds[WIRE_FD_ERR], 2);
    place_fd(c, r, r->fds[WIRE_FD_RESULT], 3);
    place_fd(c, r, r->fds[WIRE_FD_STATUS], 4);
    contain_process(c, r);
    if (chdir(r->folder) != 0) {
        give_up(c, r, errno, STAGE_FOLDER);
    }
}

static const char *env_find(char *const *env, struct str name_equals) {
    for (; *env != NULL; env++) {
        if (strncmp(*env, name_equals.ptr, name_equals.len) == 0) {
            return *env + name_equals.len;
        }
    }
    return NULL;
}

/* 0 for a file that may be executed, else an errno value. */
static int check_program(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return EACCES;
    }
    return access(path, X_OK) != 0 ? errno : 0;
}

/* The path of the program, looked up like a shell does; an errno value otherwise. */
static int find_program(const struct request *r, char out[PATH_MAX]) {
    struct str name = str_from(r->argv[0]);
    if (name.len == 0 || name.len >= PATH_MAX) {
        return name.len == 0 ? ENOENT : ENAMETOOLONG;
    }
    if (memchr(name.ptr, '/', name.len) != NULL) {
        memcpy(out, name.ptr, name.len + 1);
        return check_program(out);
    }
    const char *path = env_find(r->env, STR("PATH="));
    struct str rest = str_from(path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
    int answer = ENOENT;
    while (rest.len > 0) {
        struct str part = str_split(rest, ':', &rest);
        if (part.len + name.len + 2 > PATH_MAX) {
            continue;
        }
        size_t at = 0;
        if (part.len > 0) {
            memcpy(out, part.ptr, part.len);
            at = part.len;
            out[at++] = '/';
        }
        memcpy(out + at, name.ptr, name.len + 1);
        int no = check_program(out);
        if (no == 0) {
            return 0;
        }
        if (no == EACCES) {
            answer = EACCES;
        }
    }
    return answer;
}

/* Tells the host who it is and waits until the host has taken note. */
static void report_and_wait(const struct child *c, const struct request *r) {
    struct proc_row row = {.start_time = 0};
    if (!proc_read(0, &row)) {
        row.start_time = 0;
    }
    struct wire_started m = {
        .head = {WIRE_STARTED, r->head->head.id}, .pid = getpid(), .start_time = row.start_time};
    send_wire(c->sock, &m, sizeof m);
    uint64_t go;
    ssize_t got;
    do {
        got = read(r->fds[WIRE_FD_GO], &go, sizeof go);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof go) {
        give_up(c, r, EIO, STAGE_SETUP);
    }
}

static _Noreturn void run_process(const struct child *c, const struct request *r) {
    char program[PATH_MAX];
    set_up_process(c, r);
    int no = find_program(r, program);
    if (no != 0) {
        give_up(c, r, no, STAGE_PROGRAM);
    }
    report_and_wait(c, r);
    execve(program, r->argv, r->env);
    give_up(c, r, errno, STAGE_EXEC);
}

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

/* Forks; 0 or an errno value. _Fork runs no handlers of the host's libraries in the new process,
 * which would touch memory whose locks other threads of the host held. */
static int fork_process(struct child *c, const struct request *r) {
    pid_t pid = _Fork();
    if (pid < 0) {
        return errno;
    }
    if (pid == 0) {
        run_process(c, r);
    }
    if (tree_add(&c->tree, r->head->head.id, pid) == NULL) {
        kill(pid, SIGKILL);
        return ENOMEM;
    }
    return 0;
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
    send_failed(c->sock, id, no, STAGE_FORK);
    struct wire_gone m = {.head = {WIRE_GONE, id}};
    send_wire(c->sock, &m, sizeof m);
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
    if (head->type == WIRE_SPAWN && !c->over) {
        struct request r = {.head = (const void *)packet};
        sort_fds(&r, fds, fd_count);
        spawn(c, &r, packet + sizeof *r.head);
    } else if (head->type == WIRE_KILL) {
        const struct wire_kill *m = (const void *)packet;
        struct launched *p = tree_find(&c->tree, m->head.id);
        if (p != NULL) {
            tree_end(&c->tree, p, m->grace_ms);
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
        send_wire(c->sock, &items[i].result, sizeof items[i].result);
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
    if (c->tree.next_look_ns == 0) {
        return -1;
    }
    int64_t left_ns = c->tree.next_look_ns - tree_now_ns();
    return left_ns <= 0 ? 0 : (int)((left_ns + 999999) / 1000000);
}

/* One round. False when the host is gone. */
static bool serve(struct child *c) {
    struct pollfd fds[] = {{.fd = c->sock, .events = POLLIN},
                           {.fd = c->signals, .events = POLLIN},
                           {.fd = c->host_pidfd, .events = POLLIN}};
    poll(fds, ARRAY_LEN(fds), wait_ms(c));
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
    death_init(&c.death);
    while (ok && serve(&c)) {
        continue;
    }
    take_last_words(&c);
    tree_kill_all(&c.tree);
    death_execute(&c.death, c.host_pidfd);
    _exit(0);
}
