/* In the new process, before its program: descriptors, limits, folder, and the word to the host.
 *
 * Runs in a fork of the launcher process, so the same holds: no malloc, no stdio, no locks. What
 * cannot be had is told to the host as the reason why the program was not executed; it is never
 * executed with less than was asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/launcher_child_priv.h"

enum { EXIT_NOT_EXECUTED = 127 };

void launcher_say(int sock, const void *message, size_t size) {
    while (send(sock, message, size, MSG_NOSIGNAL) < 0 &&
           (errno == EINTR || errno == ENOBUFS || errno == ENOMEM)) {
        poll(NULL, 0, 10); /* the host waits for it: until the kernel has room again */
    }
}

void launcher_say_failed(int sock, uint32_t id, int no, enum wire_stage stage) {
    struct wire_failed m = {.head = {WIRE_FAILED, id}, .no = no, .stage = (int32_t)stage};
    launcher_say(sock, &m, sizeof m);
}

/* ---- in the new process, before the program ---- */

static _Noreturn void give_up(const struct child *c, const struct request *r, int no,
                              enum wire_stage stage) {
    launcher_say_failed(c->sock, r->head->head.id, no, stage);
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

/* Tells the host who it is. Nothing is lost by not waiting for an answer: what is recorded of it is
 * recorded later in any case, and until then it dies with the host. */
static void report(const struct child *c, const struct request *r) {
    struct proc_row row = {.start_time = 0};
    if (!proc_read(0, &row)) {
        row.start_time = 0;
    }
    struct wire_started m = {
        .head = {WIRE_STARTED, r->head->head.id}, .pid = getpid(), .start_time = row.start_time};
    launcher_say(c->sock, &m, sizeof m);
}

_Noreturn void launcher_begin(const struct child *c, const struct request *r) {
    char program[PATH_MAX];
    set_up_process(c, r);
    int no = find_program(r, program);
    if (no != 0) {
        give_up(c, r, no, STAGE_PROGRAM);
    }
    if (r->head->head.type != WIRE_ZYGOTE) {
        report(c, r);
    }
    execve(program, r->argv, r->env);
    give_up(c, r, errno, STAGE_EXEC);
}
