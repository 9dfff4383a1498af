/* Two processes out of one, and how the second gets away from the first.
 *
 * Must never leave the second one behind unknown: as long as it has not left, the kernel ends it
 * with the first (PR_SET_PDEATHSIG). Invariant: after io_detach_leave no descriptor is open that
 * the caller had opened, so whoever reads the caller's pipes to their end does not wait for it.
 */
#include "io/detach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"
#include "io/io_priv.h"

/* Ours are all closed on exec, so what is not was there before. */
static void remember_fds(struct io_detach *d) {
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL && d->caller_count < IO_DETACH_FDS) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        int flags = fcntl(fd, F_GETFD);
        if (fd > STDERR_FILENO && flags >= 0 && !(flags & FD_CLOEXEC)) {
            d->caller[d->caller_count++] = fd;
        }
    }
    if (dir) {
        closedir(dir);
    }
}

enum err io_detach_fork(struct io_detach *d, struct error *e) {
    int ends[2];
    *d = (struct io_detach){.pipe = -1, .out = -1, .err = -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return io_error_errno(e, errno, "cannot start", "a process in the background");
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    int no = errno;
    d->pipe = ends[pid == 0];
    io_fd_close(&ends[pid != 0]);
    if (pid < 0) {
        io_fd_close(&d->pipe);
        return io_error_errno(e, no, "cannot start", "a process in the background");
    }
    d->child = pid;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != parent) {
            _exit(EXIT_FAILURE);
        }
        remember_fds(d);
    }
    return OK;
}

int io_detach_wait(struct io_detach *d, int *out_signal) {
    unsigned char status;
    ssize_t got;
    *out_signal = 0;
    do {
        got = read(d->pipe, &status, 1);
    } while (got < 0 && errno == EINTR);
    io_fd_close(&d->pipe);
    if (got == 1) {
        return status;
    }
    int how = 0;
    while (waitpid((pid_t)d->child, &how, 0) < 0 && errno == EINTR) {
        continue;
    }
    *out_signal = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    return WEXITSTATUS(how);
}

static int open_log(struct io_detach *d, const char *path) {
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
    int fd = open(path, flags | O_EXCL, 0600);
    d->made = fd >= 0 ? path : NULL;
    return fd < 0 && errno == EEXIST ? open(path, flags, 0600) : fd;
}

enum err io_detach_file(struct io_detach *d, const char *path, struct error *e) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    enum err err = folder ? io_dir_make(folder, 0700, e) : error_nomem(e);
    free(folder);
    if (err) {
        return err;
    }
    int fd = open_log(d, path);
    d->out = fd < 0 ? -1 : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    d->err = fd < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (d->err < 0 || d->out < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) {
        err = io_error_errno(e, errno, "cannot write", path);
    }
    io_fd_close(&fd);
    if (err) {
        io_detach_back(d, true);
    }
    return err;
}

void io_detach_back(struct io_detach *d, bool drop) {
    if (d->out >= 0) {
        (void)dup2(d->out, STDOUT_FILENO);
    }
    if (d->err >= 0) {
        (void)dup2(d->err, STDERR_FILENO);
    }
    io_fd_close(&d->out);
    io_fd_close(&d->err);
    if (drop && d->made) {
        (void)unlink(d->made);
    }
}

void io_detach_alone(void) {
    signal(SIGHUP, SIG_IGN);
    setsid();
    prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

void io_detach_leave(struct io_detach *d, int status) {
    unsigned char word = (unsigned char)status;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        io_fd_close(&null);
    }
    io_fd_close(&d->out);
    io_fd_close(&d->err);
    for (size_t i = 0; i < d->caller_count; i++) {
        close(d->caller[i]);
    }
    (void)io_fd_write_all(d->pipe, (struct str){(const char *)&word, 1});
    io_fd_close(&d->pipe);
}
