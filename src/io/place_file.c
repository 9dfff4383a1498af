/* Reading and writing a file whose place was found: whole or not at all, ordinary files only.
 *
 * What is written is on disk before OK is returned. Invariant: a failure leaves no temporary file,
 * and a text that was appended in part is taken away again where that is safe.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/io_priv.h"
#include "io/place_priv.h"

static const char *name_of(const struct io_place *p) { return p->path + p->name_at; }

static enum err not_ordinary(const struct io_place *p, const char *what, unsigned mode,
                             struct error *e) {
    return error_set(e, ERR_INVALID, "cannot %s %.*s: it is %s", what,
                     STR_ARG(str_sub(p->given, 0, 400)),
                     S_ISDIR(mode) ? "a folder" : "no ordinary file");
}

enum err io_place_read(struct io_place *p, size_t max_bytes, struct arena *a, struct str *out,
                       struct error *e) {
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = io_beneath_open(p->root, p->path, flags, 0);
    struct stat st = {0};
    if (fd < 0 || fstat(fd, &st) != 0) {
        int no = errno;
        io_fd_close(&fd);
        return io_place_error(p, no, "read", e);
    }
    enum err err = OK;
    if (!S_ISREG(st.st_mode)) {
        err = not_ordinary(p, "read", st.st_mode, e);
    } else if ((uint64_t)st.st_size > max_bytes) {
        err = error_set(e, ERR_LIMIT, "it is larger than %zu bytes", max_bytes);
    } else {
        err = io_fd_read_all(fd, (size_t)st.st_size, max_bytes, a, out, e);
    }
    io_fd_close(&fd);
    bool wrap = err && err != ERR_INVALID && err != ERR_NOMEM;
    return wrap ? error_wrap(e, err, "cannot read %.*s", STR_ARG(str_sub(p->given, 0, 400))) : err;
}

enum err io_place_lock(struct io_place *p, struct error *e) {
    int no = io_place_enter(p);
    if (no) {
        return io_place_error(p, no, "write", e);
    }
    int status;
    do {
        status = flock(p->folder, LOCK_EX | LOCK_NB);
    } while (status != 0 && errno == EINTR);
    if (status == 0) {
        return OK;
    }
    if (errno == EWOULDBLOCK) {
        return error_set(e, ERR_STORE_BUSY, "another process is writing in the folder of %.*s",
                         STR_ARG(str_sub(p->given, 0, 400)));
    }
    return io_place_error(p, errno, "lock the folder of", e);
}

/* The mode that a new content gets; refuses what is no ordinary file. */
static enum err find_mode(const struct io_place *p, unsigned *out, struct error *e) {
    struct stat st;
    *out = 0;
    if (fstatat(p->folder, name_of(p), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? OK : io_place_error(p, errno, "write", e);
    }
    if (S_ISLNK(st.st_mode)) {
        return io_place_error(p, ELOOP, "write", e);
    }
    *out = st.st_mode & 07777;
    return S_ISREG(st.st_mode) ? OK : not_ordinary(p, "write", st.st_mode, e);
}

static int write_and_close(int fd, struct str text, unsigned mode) {
    int no = mode && fchmod(fd, mode) != 0 ? errno : 0;
    no = no ? no : io_fd_write_all(fd, text);
    if (no == 0 && fsync(fd) != 0 && errno != EINVAL) {
        no = errno;
    }
    if (close(fd) != 0 && no == 0) {
        no = errno;
    }
    return no;
}

enum err io_place_write(struct io_place *p, struct str text, struct error *e) {
    char temp[64];
    uint64_t noise;
    unsigned mode;
    int no = io_place_enter(p);
    if (no) {
        return io_place_error(p, no, "write", e);
    }
    enum err err = find_mode(p, &mode, e);
    if (err) {
        return err;
    }
    io_clock_system.random(NULL, &noise, sizeof noise);
    snprintf(temp, sizeof temp, ".cairn-%016llx.tmp", (unsigned long long)noise);
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
    int fd = openat(p->folder, temp, flags, mode ? 0600 : 0644);
    if (fd < 0) {
        return io_place_error(p, errno, "write", e);
    }
    no = write_and_close(fd, text, mode);
    if (no == 0 && renameat(p->folder, temp, p->folder, name_of(p)) != 0) {
        no = errno;
    }
    if (no != 0) {
        unlinkat(p->folder, temp, 0);
        return io_place_error(p, no, "write", e);
    }
    /* Some file systems cannot sync a folder: that is no failure. */
    no = fsync(p->folder) != 0 && errno == EIO ? EIO : 0;
    return no ? io_place_error(p, no, "write", e) : OK;
}

/* One write, so that whoever reads meanwhile sees all of it or nothing. A part of it (a full disk)
 * is taken away again, unless somebody else has written behind it. */
static int append_text(int fd, struct str text, bool own_line, off_t size) {
    char last = '\n';
    bool open_line = own_line && size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
    struct iovec parts[] = {{(void *)(uintptr_t) "\n", open_line},
                            {(void *)(uintptr_t)text.ptr, text.len}};
    ssize_t put;
    do {
        put = writev(fd, parts, ARRAY_LEN(parts));
    } while (put < 0 && errno == EINTR);
    if (put == (ssize_t)(text.len + open_line)) {
        return fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    }
    int no = put < 0 ? errno : ENOSPC;
    struct stat st;
    if (put > 0 && fstat(fd, &st) == 0 && st.st_size == size + put) {
        (void)!ftruncate(fd, size);
    }
    return no;
}

enum err io_place_append(struct io_place *p, struct str text, bool own_line, struct error *e) {
    int flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    struct stat st;
    int no = io_place_enter(p);
    if (no) {
        return io_place_error(p, no, "write", e);
    }
    int fd = openat(p->folder, name_of(p), flags, 0644);
    if (fd < 0 || fstat(fd, &st) != 0) {
        no = errno;
        io_fd_close(&fd);
        return io_place_error(p, no, "write", e);
    }
    enum err err = OK;
    if (!S_ISREG(st.st_mode)) {
        err = not_ordinary(p, "write", st.st_mode, e);
    } else if ((no = append_text(fd, text, own_line, st.st_size)) != 0) {
        err = io_place_error(p, no, "write", e);
    } else if (fsync(p->folder) != 0 && errno == EIO) { /* the file may be new */
        err = io_place_error(p, EIO, "write", e);
    }
    io_fd_close(&fd);
    return err;
}
