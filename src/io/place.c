/* Where a path may lie, and following it without ever leaving that folder.
 *
 * The kernel follows the path in one call that refuses to leave (openat2, Linux 5.6). Without that
 * call it is followed part by part, and then no link is followed at all. Invariant: no descriptor
 * opened here lies outside of the root, whatever is renamed or linked meanwhile.
 */
#include "io/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/io_priv.h"
#include "io/place_priv.h"

enum { RACE_TRIES = 32 };

/* ---- which folder, and the path below it ---- */

/* What of path lies below folder; false when it is elsewhere. */
static bool below(struct str path, const char *folder, struct str *out) {
    struct str root = str_from(folder);
    while (root.len > 0 && root.ptr[root.len - 1] == '/') {
        root.len--;
    }
    if (!str_starts(path, root) || (path.len > root.len && path.ptr[root.len] != '/')) {
        return false;
    }
    *out = str_sub(path, root.len, path.len);
    return true;
}

static bool find_root(const struct io_bounds *b, struct str path, struct io_place *p,
                      struct str *out) {
    p->root_path = b->folder;
    *out = path;
    if (path.ptr[0] != '/' || below(path, b->folder, out)) {
        return true;
    }
    for (size_t i = 0; b->also && b->also[i]; i++) {
        p->root_path = b->also[i];
        if (below(path, b->also[i], out)) {
            return true;
        }
    }
    return false;
}

static enum err outside(const struct io_bounds *b, const struct io_place *p, struct error *e) {
    return error_set(e, ERR_DENIED, "\"%.*s\" lies outside of %s and every other allowed folder",
                     STR_ARG(str_sub(p->given, 0, 200)), b->folder);
}

/* The parts of rest into p->path. */
static enum err keep_parts(const struct io_bounds *b, struct io_place *p, struct str rest,
                           struct error *e) {
    size_t len = 0;
    bool names_file = false;
    while (rest.len) {
        bool last = !memchr(rest.ptr, '/', rest.len);
        struct str part = str_split(rest, '/', &rest);
        names_file = last && part.len && !str_is(part, ".");
        if (str_is(part, "..")) {
            return outside(b, p, e);
        }
        if (!part.len || str_is(part, ".")) {
            continue;
        }
        if (len + part.len + 2 > sizeof p->path) {
            return error_set(e, ERR_INVALID, "the path is longer than %d bytes", IO_PATH_BYTES);
        }
        if (len) {
            p->path[len++] = '/';
        }
        p->name_at = len;
        memcpy(p->path + len, part.ptr, part.len);
        len += part.len;
    }
    p->path[len] = '\0';
    return names_file ? OK
                      : error_set(e, ERR_INVALID, "\"%.*s\" is a folder; it must name a file",
                                  STR_ARG(str_sub(p->given, 0, 200)));
}

enum err io_place_open(const struct io_bounds *b, struct str path, struct io_place *out,
                       struct error *e) {
    struct str rest;
    *out = (struct io_place){.given = path, .root = -1, .folder = -1};
    if (!str_trim(path).len) {
        return error_set(e, ERR_INVALID, "the path is empty");
    }
    if (memchr(path.ptr, 0, path.len)) {
        return error_set(e, ERR_INVALID, "the path has a NUL character in it");
    }
    if (!find_root(b, path, out, &rest)) {
        return outside(b, out, e);
    }
    enum err err = keep_parts(b, out, rest, e);
    if (err) {
        return err;
    }
    out->root = open(out->root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return out->root < 0 ? io_error_errno(e, errno, "cannot open the folder", out->root_path) : OK;
}

void io_place_close(struct io_place *p) {
    io_fd_close(&p->folder);
    io_fd_close(&p->root);
}

/* ---- following it ---- */

int io_beneath_walk(int root, const char *path, int flags, unsigned mode) {
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);
    struct str rest = str_from(path);
    while (at >= 0) {
        char part[IO_PATH_BYTES];
        struct str name = str_split(rest, '/', &rest);
        memcpy(part, name.ptr, name.len);
        part[name.len] = '\0';
        bool last = rest.len == 0;
        int way = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        int next = openat(at, part, last ? flags | O_NOFOLLOW : way, mode);
        io_fd_close(&at);
        if (last) {
            return next;
        }
        at = next;
    }
    return -1;
}

int io_beneath_open(int root, const char *path, int flags, unsigned mode) {
    struct open_how how = {.flags = (uint64_t)(unsigned)flags,
                           .mode = flags & O_CREAT ? mode : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = -1;
    int tries = 0;
    do {
        fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < RACE_TRIES)));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) { /* EPERM: sandboxes that do not know it */
        return io_beneath_walk(root, path, flags, mode);
    }
    return (int)fd;
}

enum err io_place_error(const struct io_place *p, int no, const char *what, struct error *e) {
    struct str shown = str_sub(p->given, 0, 400);
    switch (no) {
    case EXDEV:
        return error_set(e, ERR_DENIED, "cannot %s %.*s: a link on the way leads out of %s", what,
                         STR_ARG(shown), p->root_path);
    case ELOOP:
        return error_set(e, ERR_DENIED, "cannot %s %.*s: it is a link", what, STR_ARG(shown));
    case ENXIO: /* a pipe or socket without another end */
        return error_set(e, ERR_INVALID, "cannot %s %.*s: it is no ordinary file", what,
                         STR_ARG(shown));
    default: {
        struct error why;
        enum err code = io_error_errno(&why, no, "", "");
        return error_set(e, code, "cannot %s %.*s: %s", what, STR_ARG(shown), io_errno_text(no));
    }
    }
}

/* ---- the folder of the file ---- */

/* Makes the folder path[0..len) below root when it is missing; its parent is there. */
static int make_folder(const struct io_place *p, size_t parent_len, size_t len) {
    char parent[IO_PATH_BYTES], name[IO_PATH_BYTES];
    size_t name_at = parent_len ? parent_len + 1 : 0;
    memcpy(parent, p->path, parent_len);
    parent[parent_len] = '\0';
    memcpy(name, p->path + name_at, len - name_at);
    name[len - name_at] = '\0';
    int fd =
        io_beneath_open(p->root, parent_len ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int no = mkdirat(fd, name, 0777) != 0 && errno != EEXIST ? errno : 0;
    io_fd_close(&fd);
    return no;
}

static int make_folders(const struct io_place *p) {
    size_t parent_len = 0;
    for (size_t i = 1; i < p->name_at; i++) {
        if (p->path[i] == '/') {
            int no = make_folder(p, parent_len, i);
            if (no) {
                return no;
            }
            parent_len = i;
        }
    }
    return 0;
}

int io_place_enter(struct io_place *p) {
    char folder[IO_PATH_BYTES] = ".";
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    if (p->folder >= 0) {
        return 0;
    }
    if (p->name_at) {
        memcpy(folder, p->path, p->name_at - 1);
        folder[p->name_at - 1] = '\0';
    }
    p->folder = io_beneath_open(p->root, folder, flags, 0);
    if (p->folder < 0 && errno == ENOENT) {
        int no = make_folders(p);
        if (no) {
            return no;
        }
        p->folder = io_beneath_open(p->root, folder, flags, 0);
    }
    return p->folder < 0 ? errno : 0;
}
