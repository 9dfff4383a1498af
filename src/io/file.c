/* Files and folders, blocking. Written so that a reader never sees half a file and an interrupted
 * writer never loses the old one.
 *
 * Must never follow a link while removing a tree, nor wait for a writer when a path turns out to
 * be a named pipe. Invariant: a failure leaves no temporary file and no open descriptor behind.
 */
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/io_priv.h"

enum { READ_FIRST_BYTES = 4096, REMOVE_MAX_DEPTH = 100, MIB = 1 << 20 };

const char *io_errno_text(int no) {
    const char *text = strerrordesc_np(no);
    return text != NULL ? text : "unknown error";
}

static enum err errno_code(int no) {
    switch (no) {
    case ENOENT:
    case ENOTDIR: return ERR_NOT_FOUND;
    case EISDIR:
    case EINVAL: return ERR_INVALID;
    case ENOMEM: return ERR_NOMEM;
    default: return ERR_IO;
    }
}

enum err io_error_errno(struct error *e, int no, const char *what, const char *path) {
    return error_set(e, errno_code(no), "%s %s: %s", what, path, io_errno_text(no));
}

void io_fd_close(int *fd) {
    int saved = errno;
    if (*fd >= 0) {
        close(*fd); /* Linux closes it also when it says EINTR */
    }
    *fd = -1;
    errno = saved;
}

static ssize_t read_some(int fd, char *at, size_t size) {
    ssize_t got;
    do {
        got = read(fd, at, size);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Regular files, and pipes that somebody writes; a folder or a device has no contents to take. */
static enum err check_readable(int fd, const char *path, struct stat *st, struct error *e) {
    if (fstat(fd, st) != 0) {
        return io_error_errno(e, errno, "cannot read", path);
    }
    if (S_ISDIR(st->st_mode)) {
        return error_set(e, ERR_INVALID, "cannot read %s: it is a folder", path);
    }
    if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode)) {
        return error_set(e, ERR_INVALID, "cannot read %s: it is no ordinary file", path);
    }
    if (S_ISFIFO(st->st_mode) && fcntl(fd, F_SETFL, 0) != 0) {
        return io_error_errno(e, errno, "cannot read", path);
    }
    return OK;
}

static enum err too_large(size_t max_bytes, struct error *e) {
    bool round = max_bytes >= MIB && max_bytes % MIB == 0;
    return error_set(e, ERR_LIMIT, "it is larger than %zu %s", round ? max_bytes / MIB : max_bytes,
                     round ? "MiB" : "bytes");
}

enum err io_fd_read_all(int fd, size_t guess, size_t max_bytes, struct arena *a, struct str *out,
                        struct error *e) {
    size_t cap = guess + 1 > READ_FIRST_BYTES ? guess + 1 : READ_FIRST_BYTES;
    size_t len = 0;
    char *text = arena_alloc(a, cap + 1);
    for (;;) {
        if (text == NULL) {
            return error_nomem(e);
        }
        ssize_t got = read_some(fd, text + len, cap - len);
        if (got < 0) {
            return error_set(e, errno_code(errno), "%s", io_errno_text(errno));
        }
        len += (size_t)got;
        if (len > max_bytes) {
            return too_large(max_bytes, e);
        }
        if (got == 0) {
            break;
        }
        if (len == cap) {
            char *larger = arena_alloc(a, cap * 2 + 1);
            if (larger != NULL) {
                memcpy(larger, text, len);
            }
            text = larger;
            cap *= 2;
        }
    }
    text[len] = '\0';
    *out = (struct str){text, len};
    return OK;
}

static enum err check_private(const char *path, const struct stat *st, struct error *e) {
    if (st->st_uid != geteuid()) {
        return error_set(e, ERR_DENIED, "cannot read %s: it belongs to another user", path);
    }
    if (st->st_mode & (S_IRWXG | S_IRWXO)) {
        return error_set(e, ERR_DENIED,
                         "cannot read %s: others than you may read or change it (mode %04o); run "
                         "chmod 600 %s",
                         path, (unsigned)st->st_mode & 07777, path);
    }
    return OK;
}

static enum err read_file(const char *path, size_t max_bytes, bool private, struct arena *a,
                          struct str *out, struct error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return io_error_errno(e, errno, "cannot read", path);
    }
    struct stat st;
    enum err status = check_readable(fd, path, &st, e);
    if (status == OK && private) {
        status = check_private(path, &st, e);
    }
    if (status == OK && (uint64_t)st.st_size > max_bytes) {
        status = error_wrap(e, too_large(max_bytes, e), "cannot read %s", path);
    } else if (status == OK) {
        status = io_fd_read_all(fd, (size_t)st.st_size, max_bytes, a, out, e);
        if (status == OK && out->len == 0 && S_ISFIFO(st.st_mode)) {
            status = error_set(e, ERR_INVALID, "nothing came out of this pipe");
        }
        if (status != OK) {
            error_wrap(e, status, "cannot read %s", path);
        }
    }
    io_fd_close(&fd);
    return status;
}

enum err io_file_read(const char *path, size_t max_bytes, struct arena *a, struct str *out,
                      struct error *e) {
    return read_file(path, max_bytes, false, a, out, e);
}

enum err io_file_read_private(const char *path, size_t max_bytes, struct arena *a, struct str *out,
                              struct error *e) {
    return read_file(path, max_bytes, true, a, out, e);
}

int io_fd_write_all(int fd, struct str text) {
    while (text.len > 0) {
        ssize_t put = write(fd, text.ptr, text.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return errno;
        }
        text.ptr += put;
        text.len -= (size_t)put;
    }
    return 0;
}

/* The folder part of path ("." when it has none) into out. */
static bool folder_of(const char *path, char out[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= PATH_MAX) {
        return false;
    }
    memcpy(out, len > 0 ? path : ".", len > 0 ? len : 1);
    out[len > 0 ? len : 1] = '\0';
    return true;
}

/* Makes a rename durable. Some file systems cannot sync a folder: that is no failure. */
static int sync_folder(const char *path) {
    char folder[PATH_MAX];
    if (!folder_of(path, folder)) {
        return 0;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    int no = fsync(fd) != 0 && errno == EIO ? EIO : 0;
    io_fd_close(&fd);
    return no;
}

/* Closes fd when all of text is on the disk, or not. An errno value, 0 for success. */
static int write_synced(int fd, struct str text) {
    int no = io_fd_write_all(fd, text);
    if (no == 0 && fsync(fd) != 0 && errno != EINVAL) {
        no = errno;
    }
    if (close(fd) != 0 && no == 0) {
        no = errno;
    }
    return no;
}

/* An errno value, 0 for success. */
static int write_replace(const char *path, struct str text, unsigned mode) {
    char temp[PATH_MAX + 32];
    uint64_t noise;
    io_clock_system.random(NULL, &noise, sizeof noise);
    snprintf(temp, sizeof temp, "%s.tmp-%016llx", path, (unsigned long long)noise);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, mode);
    if (fd < 0) {
        return errno;
    }
    int no = write_synced(fd, text);
    if (no == 0 && rename(temp, path) != 0) {
        no = errno;
    }
    if (no != 0) {
        unlink(temp);
        return no;
    }
    return sync_folder(path);
}

/* A file of this name, whoever made it and when, is left alone: O_EXCL. */
static int write_new(const char *path, struct str text, unsigned mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, mode);
    if (fd < 0) {
        return errno;
    }
    int no = write_synced(fd, text);
    if (no != 0) {
        unlink(path);
        return no;
    }
    return sync_folder(path);
}

static int write_through(const char *path, struct str text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno;
    }
    int no = io_fd_write_all(fd, text);
    if (close(fd) != 0 && no == 0) {
        no = errno;
    }
    return no;
}

/* Replacing a device or a pipe by a file is never meant: those are written to. A link stays a
 * link: the file it leads to is replaced. */
static int write_path(const char *path, struct str text, unsigned mode) {
    struct stat st;
    char target[PATH_MAX];
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && realpath(path, target) != NULL) {
        path = target;
    }
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? EISDIR : write_through(path, text);
    }
    return write_replace(path, text, mode);
}

static enum err write_checked(const char *path, bool make_dirs, struct error *e) {
    char folder[PATH_MAX];
    if (strlen(path) >= PATH_MAX || !folder_of(path, folder)) {
        return io_error_errno(e, ENAMETOOLONG, "cannot write", path);
    }
    enum err status = make_dirs ? io_dir_make(folder, 0777, e) : OK;
    return status == OK ? OK : error_wrap(e, status, "cannot write %s", path);
}

enum err io_file_write(const char *path, struct str text, unsigned mode, bool make_dirs,
                       struct error *e) {
    enum err status = write_checked(path, make_dirs, e);
    if (status != OK) {
        return status;
    }
    int no = write_path(path, text, mode);
    return no != 0 ? io_error_errno(e, no, "cannot write", path) : OK;
}

enum err io_file_create(const char *path, struct str text, unsigned mode, bool make_dirs,
                        struct error *e) {
    enum err status = write_checked(path, make_dirs, e);
    if (status != OK) {
        return status;
    }
    int no = write_new(path, text, mode);
    if (no == EEXIST) {
        return error_set(e, ERR_CONFLICT, "%s is there already and was left as it is", path);
    }
    return no != 0 ? io_error_errno(e, no, "cannot write", path) : OK;
}

void io_streams_hold(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            continue;
        }
        /* The lowest free number is fd itself. */
        int got = open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_NOCTTY);
        if (got != fd && got >= 0) {
            close(got);
        }
    }
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum err io_dir_make(const char *path, unsigned mode, struct error *e) {
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part) {
        return io_error_errno(e, len == 0 ? ENOENT : ENAMETOOLONG, "cannot make folder", path);
    }
    if (is_folder(path)) {
        return OK;
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        part[i] = '\0';
        int no = mkdir(part, mode) != 0 ? errno : 0;
        if (no != 0 && !is_folder(part)) {
            if (no == EEXIST) {
                return error_set(e, ERR_IO, "cannot make folder %s: something else has its name",
                                 part);
            }
            return io_error_errno(e, no, "cannot make folder", part);
        }
        part[i] = path[i];
    }
    return OK;
}

struct removal {
    int root;       /* the folder to be removed */
    unsigned moved; /* what was moved into it */
};

static int remove_at(struct removal *r, int parent, const char *name, int depth);

/* What lies too deep is moved up and comes with the next pass, so that the depth that a program
 * made costs neither stack nor descriptors. */
static int move_up(struct removal *r, int parent, const char *name) {
    enum { TRIES = 1000 };
    int no = EEXIST;
    for (int i = 0; i < TRIES && (no == EEXIST || no == ENOTEMPTY || no == ENOTDIR); i++) {
        char moved[32];
        snprintf(moved, sizeof moved, "cairn-deep-%u", r->moved++);
        no = renameat(parent, name, r->root, moved) == 0 ? 0 : errno;
        if (no == EACCES && fchmodat(parent, name, 0700, 0) == 0) {
            no = renameat(parent, name, r->root, moved) == 0 ? 0 : errno;
        }
    }
    return no;
}

static int remove_entries(struct removal *r, DIR *dir, int depth) {
    int no = 0;
    struct dirent *entry;
    rewinddir(dir);
    while (no == 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            no = remove_at(r, dirfd(dir), entry->d_name, depth + 1);
        }
    }
    return no;
}

static int remove_contents(struct removal *r, int fd, int depth) {
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        io_fd_close(&fd);
        return ENOMEM;
    }
    r->root = depth == 0 ? dirfd(dir) : r->root;
    unsigned before;
    int no;
    do {
        before = r->moved;
        no = remove_entries(r, dir, depth);
    } while (no == 0 && depth == 0 && r->moved != before);
    closedir(dir);
    return no;
}

/* Removes a file, a link or, with all in it, a folder. An errno value, 0 for success. */
static int remove_at(struct removal *r, int parent, const char *name, int depth) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return errno;
    }
    if (depth > REMOVE_MAX_DEPTH) {
        return move_up(r, parent, name);
    }
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0) {
        fd = openat(parent, name, flags);
    }
    if (fd < 0) {
        return errno;
    }
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        (void)!fchmod(fd, 0700); /* a program may have made its folder read-only */
    }
    int no = remove_contents(r, fd, depth);
    if (no == 0 && unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        no = errno;
    }
    return no;
}

enum err io_dir_remove(const char *path, struct error *e) {
    struct stat st;
    if (lstat(path, &st) != 0) {
        if (errno == ENOENT) {
            return OK;
        }
        return io_error_errno(e, errno, "cannot remove", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return error_set(e, ERR_INVALID, "cannot remove %s: it is no folder", path);
    }
    struct removal r = {.root = -1};
    int no = remove_at(&r, AT_FDCWD, path, 0);
    return no != 0 ? io_error_errno(e, no, "cannot remove", path) : OK;
}

enum err io_dir_temp(const char *parent, char *out, size_t out_bytes, struct error *e) {
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/cairn-XXXXXX", parent != NULL ? parent : P_tmpdir);
    if (len < 0 || (size_t)len >= sizeof path || (size_t)len >= out_bytes) {
        return error_set(e, ERR_INVALID, "the path of the temporary folder is too long");
    }
    if (mkdtemp(path) == NULL) {
        return io_error_errno(e, errno, "cannot make a folder in", parent ? parent : P_tmpdir);
    }
    memcpy(out, path, (size_t)len + 1);
    return OK;
}

bool io_path_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

int io_terminal_open(void) { return open("/dev/tty", O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); }
