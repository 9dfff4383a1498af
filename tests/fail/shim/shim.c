/* Preloaded into the real binary: fails the n-th call of one function of the C library.
 *
 *   FAIL_CALL   which: a row of `rows`
 *   FAIL_N      the n-th call, from 1; 0 or not set: none
 *   FAIL_ERRNO  how it fails; 0: it does half of what it was told (write, read), or is interrupted
 *   FAIL_ALL    set: all calls from the n-th on
 *   FAIL_WHO    "host" (default): the process itself; "launcher": the one that it forks
 *   FAIL_COUNT  a file that the number of calls is written to, in 8 bytes, as they happen
 *
 * Calls that libraries make reach it too (SQLite, libuv), those inside libc do not. Left out are
 * pipes and threads that libuv makes for itself: it ends the process without them, so cairn tries
 * out before whether there are any. Programs that are executed have an environment of their own,
 * without any of this.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HOST, LAUNCHER, NOBODY };

static const char *wanted;
static int64_t fail_n;
static int fail_errno;
static int fail_all;
static int who = NOBODY;
static pid_t first;
static _Atomic int64_t own;
static _Atomic int64_t *calls = &own;

static void *next(const char *name) {
    void *p = dlsym(RTLD_NEXT, name);
    if (!p) {
        abort();
    }
    return p;
}

static int64_t number(const char *name) {
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *count = getenv("FAIL_COUNT"), *of = getenv("FAIL_WHO");
    wanted = getenv("FAIL_CALL");
    fail_n = number("FAIL_N");
    fail_errno = (int)number("FAIL_ERRNO");
    fail_all = getenv("FAIL_ALL") != NULL;
    first = (pid_t)syscall(SYS_getpid);
    int fd = count ? (int)syscall(SYS_openat, AT_FDCWD, count, O_RDWR | O_CREAT, 0600) : -1;
    if (fd >= 0 && syscall(SYS_ftruncate, fd, 8) == 0) {
        void *p = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        calls = p == MAP_FAILED ? &own : p;
    }
    if (fd >= 0) {
        syscall(SYS_close, fd);
    }
    who = of && !strcmp(of, "launcher") ? LAUNCHER : HOST;
}

/* This call is one of those that fail. */
static int fails(const char *name) {
    if (who == NOBODY || !wanted || strcmp(wanted, name) != 0) {
        return 0;
    }
    pid_t self = (pid_t)syscall(SYS_getpid);
    if ((self == first) != (who == HOST)) {
        return 0;
    }
    int64_t n = atomic_fetch_add(calls, 1) + 1;
    if (!fail_n || (fail_all ? n < fail_n : n != fail_n)) {
        return 0;
    }
    errno = fail_errno ? fail_errno : EINTR;
    return 1;
}

static int is_of_libuv(void *caller) {
    Dl_info of;
    return dladdr(caller, &of) && of.dli_fname && strstr(of.dli_fname, "libuv");
}

#define REAL(name)                 \
    static __typeof__(name) *real; \
    real = real ? real : (__typeof__(name) *)next(#name)

#define CALL(type, name, row, params, ...) \
    type name params {                     \
        REAL(name);                        \
        if (fails(row)) {                  \
            return (type)-1;               \
        }                                  \
        return real(__VA_ARGS__);          \
    }

/* A file, or what the process was started with. Pipes inside the process do not fail. */
static int may_fail(int fd) {
    struct stat st;
    return fd <= 2 || (syscall(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode));
}

/* Half of it, when it is not an error that is wanted. */
#define HALVED(name, row, params, half, ...)          \
    ssize_t name params {                             \
        REAL(name);                                   \
        if (may_fail(fd) && fails(row)) {             \
            return fail_errno || n < 2 ? -1 : (half); \
        }                                             \
        return real(__VA_ARGS__);                     \
    }

HALVED(write, "write", (int fd, const void *p, size_t n), real(fd, p, n / 2), fd, p, n)
HALVED(pwrite, "pwrite", (int fd, const void *p, size_t n, off_t at), real(fd, p, n / 2, at), fd, p,
       n, at)
HALVED(pwrite64, "pwrite", (int fd, const void *p, size_t n, off64_t at), real(fd, p, n / 2, at),
       fd, p, n, at)
HALVED(read, "read", (int fd, void *p, size_t n), real(fd, p, n / 2), fd, p, n)
HALVED(pread, "pread", (int fd, void *p, size_t n, off_t at), real(fd, p, n / 2, at), fd, p, n, at)
HALVED(pread64, "pread", (int fd, void *p, size_t n, off64_t at), real(fd, p, n / 2, at), fd, p, n,
       at)
CALL(ssize_t, writev, "write", (int fd, const struct iovec *v, int n), fd, v, n)
CALL(ssize_t, sendmsg, "send", (int fd, const struct msghdr *m, int flags), fd, m, flags)
CALL(ssize_t, send, "send", (int fd, const void *p, size_t n, int flags), fd, p, n, flags)
CALL(ssize_t, recvmsg, "recv", (int fd, struct msghdr *m, int flags), fd, m, flags)
CALL(ssize_t, recv, "recv", (int fd, void *p, size_t n, int flags), fd, p, n, flags)
CALL(int, fsync, "fsync", (int fd), fd)
CALL(int, fdatasync, "fsync", (int fd), fd)
CALL(int, ftruncate, "ftruncate", (int fd, off_t n), fd, n)
CALL(int, ftruncate64, "ftruncate", (int fd, off64_t n), fd, n)
CALL(int, flock, op &LOCK_UN ? "unlock" : "lock", (int fd, int op), fd, op)
CALL(int, mkdir, "mkdir", (const char *path, mode_t mode), path, mode)
CALL(int, rename, "rename", (const char *from, const char *to), from, to)
CALL(int, link, "rename", (const char *from, const char *to), from, to)
CALL(int, renameat2, "rename",
     (int from_fd, const char *from, int to_fd, const char *to, unsigned flags), from_fd, from,
     to_fd, to, flags)
CALL(int, socketpair, "socketpair", (int a, int b, int c, int pair[2]), a, b, c, pair)
CALL(pid_t, fork, "fork", (void))
int pipe2(int fd[2], int flags) {
    REAL(pipe2);
    int ours = !is_of_libuv(__builtin_return_address(0));
    return ours && fails("pipe") ? -1 : real(fd, flags);
}

CALL(int, dup, "dup", (int fd), fd)
CALL(int, dup2, "dup", (int fd, int to), fd, to)
CALL(int, dup3, "dup", (int fd, int to, int flags), fd, to, flags)
CALL(int, epoll_create1, "epoll_create", (int flags), flags)
CALL(int, eventfd, "epoll_create", (unsigned n, int flags), n, flags)
CALL(int, memfd_create, "memfd", (const char *name, unsigned flags), name, flags)
CALL(pid_t, waitpid, "wait", (pid_t pid, int *status, int flags), pid, status, flags)
CALL(int, poll, "poll", (struct pollfd * p, nfds_t n, int ms), p, n, ms)
CALL(int, epoll_wait, "epoll_wait", (int fd, struct epoll_event *ev, int n, int ms), fd, ev, n, ms)
CALL(int, epoll_pwait, "epoll_wait",
     (int fd, struct epoll_event *ev, int n, int ms, const sigset_t *s), fd, ev, n, ms, s)
CALL(int, fstat, "stat", (int fd, struct stat *st), fd, st)
CALL(int, stat, "stat", (const char *path, struct stat *st), path, st)
CALL(int, lstat, "stat", (const char *path, struct stat *st), path, st)

void *mmap64(void *at, size_t n, int prot, int flags, int fd, off64_t from) {
    REAL(mmap64);
    return fails("mmap") ? MAP_FAILED : real(at, n, prot, flags, fd, from);
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t from) {
    REAL(mmap);
    return fails("mmap") ? MAP_FAILED : real(at, n, prot, flags, fd, from);
}

int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *ctx) {
    REAL(pthread_create);
    int ours = !is_of_libuv(__builtin_return_address(0));
    return ours && fails("thread") ? EAGAIN : real(t, a, f, ctx);
}

/* --- with a mode that may be there --- */

#define OPEN(name, params, last, ...)                                        \
    int name params {                                                        \
        REAL(name);                                                          \
        va_list ap;                                                          \
        va_start(ap, last);                                                  \
        mode_t mode = last & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0; \
        va_end(ap);                                                          \
        return fails("open") ? -1 : real(__VA_ARGS__, mode);                 \
    }
OPEN(open, (const char *path, int flags, ...), flags, path, flags)
OPEN(open64, (const char *path, int flags, ...), flags, path, flags)
OPEN(openat, (int dir, const char *path, int flags, ...), flags, dir, path, flags)
OPEN(openat64, (int dir, const char *path, int flags, ...), flags, dir, path, flags)

static int sets_lock(int op) {
    return op == F_SETLK || op == F_SETLKW || op == F_OFD_SETLK || op == F_OFD_SETLKW;
}

/* Giving a lock back does not fail on any file system that a store may lie on. */
static int gives_back(int op, const struct flock *l) {
    return sets_lock(op) && l->l_type == F_UNLCK;
}

#define FCNTL(name)                                                           \
    int name(int fd, int op, ...) {                                           \
        REAL(name);                                                           \
        va_list ap;                                                           \
        va_start(ap, op);                                                     \
        void *what = va_arg(ap, void *);                                      \
        va_end(ap);                                                           \
        const char *row = sets_lock(op)                            ? "lock"   \
                          : op == F_DUPFD || op == F_DUPFD_CLOEXEC ? "dup"    \
                                                                   : "fcntl"; \
        return !gives_back(op, what) && fails(row) ? -1 : real(fd, op, what); \
    }
FCNTL(fcntl)
FCNTL(fcntl64)

/* openat2, pidfd_open and the like, which have no function of their own. */
long syscall(long nr, ...) {
    REAL(syscall);
    va_list ap;
    long a[6];
    va_start(ap, nr);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(ap, long);
    }
    va_end(ap);
    if (nr != SYS_getpid && nr != SYS_close && who != NOBODY && fails("syscall")) {
        return -1;
    }
    return real(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
