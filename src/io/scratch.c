/* Private folders: where they lie, whose they are, and how what a dead host left is found.
 *
 * <temporary folder>/cairn-steps-<user>/<number>/<attempt>: a launcher holds the byte of its number
 * in the file `lock` there, so a folder whose byte is free belongs to nobody. Must never remove a
 * folder whose byte is held, nor use one that another user could have made.
 * A folder that is empty and as it was made when its attempt ends is used for another attempt.
 * Invariant: everything below <number> is removed by its launcher or, after that was killed, by
 * the next one.
 */
#include "io/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "io/file.h"
#include "io/launcher_host_priv.h"

enum { TRIES = 64, MODE = 0700, SPARE_MOST = 32 };
#define NUMBER_STEP (INT64_C(1) << 22) /* numbers of processes are smaller */

struct scratch_home {
    struct io_launcher *launcher;
    char *base; /* .../cairn-steps-<user> */
    char *path; /* .../cairn-steps-<user>/<number> */
    struct io_lock lock;
    uint64_t last;
    uint64_t spare[SPARE_MOST]; /* numbers of folders that are there, empty and used by nobody */
    size_t spare_count;
    bool sweeping;
};

struct io_scratch {
    struct scratch_home *home;
    uint64_t number;
    char *path;
    char *beside;
    void (*gone)(void *ctx);
    void *ctx;
};

/* ---- the folder of all launchers of this user ---- */

/* In the temporary folder anybody may make anything, so what is there already is looked at. */
static enum err check_own(const char *path, struct error *e) {
    struct stat st;
    if (lstat(path, &st) != 0) {
        return io_error_errno(e, errno, "cannot use the folder", path);
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
        return error_set(e, ERR_DENIED,
                         "cannot use %s for private folders: it must be a folder of this user that "
                         "no other may enter. Remove it, or set TMPDIR to another folder",
                         path);
    }
    return OK;
}

static enum err make_base(struct scratch_home *h, struct error *e) {
    const char *given = io_launcher_env(h->launcher, "TMPDIR");
    char *real = realpath(given != NULL && given[0] == '/' ? given : P_tmpdir, NULL);
    if (real == NULL) {
        return io_error_errno(e, errno, "cannot use the temporary folder",
                              given != NULL && given[0] == '/' ? given : P_tmpdir);
    }
    int len = asprintf(&h->base, "%s/cairn-steps-%u", strcmp(real, "/") == 0 ? "" : real,
                       (unsigned)geteuid());
    free(real);
    if (len < 0) {
        h->base = NULL;
        return error_nomem(e);
    }
    if (mkdir(h->base, MODE) != 0 && errno != EEXIST) {
        return io_error_errno(e, errno, "cannot make the folder", h->base);
    }
    return check_own(h->base, e);
}

static char *below(const char *folder, const char *name) {
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* ---- what dead hosts left ---- */

static int64_t number_of(const char *name) {
    char *end;
    long long number = name[0] >= '1' && name[0] <= '9' ? strtoll(name, &end, 10) : 0;
    return number > 0 && *end == '\0' ? number : 0;
}

/* Calls each with the numbers of folders that nobody holds, until it says true. */
static bool each_stale(const char *base, struct io_lock *lock,
                       bool (*each)(const char *base, struct io_lock *lock, int64_t number)) {
    DIR *dir = opendir(base);
    bool stop = false;
    struct dirent *entry;
    while (dir != NULL && !stop && (entry = readdir(dir)) != NULL) {
        int64_t number = number_of(entry->d_name);
        stop = number > 0 && !io_lock_held(lock, number) && each(base, lock, number);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return stop;
}

static bool found(const char *base, struct io_lock *lock, int64_t number) {
    (void)base;
    (void)lock;
    (void)number;
    return true;
}

static void remove_number(const char *base, int64_t number) {
    struct error ignored; /* the next host tries again */
    char name[32];
    snprintf(name, sizeof name, "%lld", (long long)number);
    char *path = below(base, name);
    if (path != NULL) {
        (void)!io_dir_remove(path, &ignored);
    }
    free(path);
}

static bool sweep_one(const char *base, struct io_lock *lock, int64_t number) {
    struct error ignored;
    if (io_lock_take(lock, number, 0, &ignored) == OK) {
        remove_number(base, number);
        io_lock_release(lock, number);
    }
    return false;
}

/* On a thread of the pool, with a descriptor of its own: locks belong to descriptors. */
static void sweep(void *ctx) {
    struct scratch_home *h = ctx;
    struct io_lock lock;
    struct error ignored;
    char *path = below(h->base, "lock");
    if (path != NULL && io_lock_open(&lock, path, &ignored) == OK) {
        each_stale(h->base, &lock, sweep_one);
        io_lock_close(&lock);
    }
    free(path);
}

static void swept(void *ctx) { ((struct scratch_home *)ctx)->sweeping = false; }

/* ---- the folder of this launcher ---- */

static enum err take_number(struct scratch_home *h, struct error *e) {
    int64_t number = getpid();
    enum err status = ERR_STORE_BUSY;
    for (int i = 0; i < TRIES && status == ERR_STORE_BUSY; i++, number += NUMBER_STEP) {
        status = io_lock_take(&h->lock, number, 0, e);
        if (status != OK) {
            continue;
        }
        remove_number(h->base, number); /* of a host that had the same number */
        char name[32];
        snprintf(name, sizeof name, "%lld", (long long)number);
        h->path = below(h->base, name);
        if (h->path == NULL) {
            return error_nomem(e);
        }
        if (mkdir(h->path, MODE) != 0) {
            return io_error_errno(e, errno, "cannot make the folder", h->path);
        }
    }
    return status;
}

static void free_home(struct scratch_home *h) {
    io_lock_close(&h->lock);
    free(h->base);
    free(h->path);
    free(h);
}

static enum err fill_home(struct scratch_home *h, struct error *e) {
    enum err status = make_base(h, e);
    char *path = status == OK ? below(h->base, "lock") : NULL;
    if (status == OK) {
        status = path != NULL ? io_lock_open(&h->lock, path, e) : error_nomem(e);
    }
    free(path);
    return status == OK ? take_number(h, e) : status;
}

static enum err open_home(struct io_launcher *l, struct error *e) {
    if (l->scratch != NULL) {
        return OK;
    }
    struct scratch_home *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return error_nomem(e);
    }
    h->launcher = l;
    h->lock.fd = -1;
    enum err status = fill_home(h, e);
    if (status != OK) {
        free_home(h);
        return status;
    }
    h->sweeping = each_stale(h->base, &h->lock, found) && io_work_start(l->loop, sweep, swept, h);
    l->scratch = h;
    return OK;
}

void scratch_home_close(struct io_launcher *l) {
    struct scratch_home *h = l->scratch;
    struct error ignored; /* what cannot be removed now is found by the next host */
    if (h == NULL) {
        return;
    }
    while (h->sweeping) {
        io_loop_turn(l->loop, true);
    }
    (void)!io_dir_remove(h->path, &ignored);
    free_home(h);
    l->scratch = NULL;
}

/* ---- one private folder ---- */

static void free_scratch(struct io_scratch *s) {
    free(s->path);
    free(s->beside);
    free(s);
}

/* Empty and as it was made. */
static bool is_fresh(const char *path) {
    enum { TWO_ENTRIES = 2 * 24 }; /* . and .. */
    char entries[256] __attribute__((aligned(8)));
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool fresh = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
                 (st.st_mode & 07777) == MODE && flistxattr(fd, NULL, 0) <= 0 &&
                 getdents64(fd, entries, sizeof entries) == TWO_ENTRIES &&
                 getdents64(fd, entries, sizeof entries) == 0;
    io_fd_close(&fd);
    return fresh;
}

/* Making and removing a folder costs as much as starting a small program. */
static bool keep_spare(struct io_scratch *s) {
    struct scratch_home *h = s->home;
    if (h->spare_count == SPARE_MOST || !is_fresh(s->path)) {
        return false;
    }
    h->spare[h->spare_count++] = s->number;
    return true;
}

struct io_scratch *io_scratch_open(struct io_launcher *l, struct error *e) {
    if (open_home(l, e) != OK) {
        return NULL;
    }
    struct io_scratch *s = calloc(1, sizeof *s);
    if (s == NULL) {
        error_nomem(e);
        return NULL;
    }
    struct scratch_home *h = l->scratch;
    bool spare = h->spare_count > 0;
    char name[32];
    s->home = h;
    s->number = spare ? h->spare[--h->spare_count] : ++h->last;
    snprintf(name, sizeof name, "%llu", (unsigned long long)s->number);
    s->path = below(h->path, name);
    s->beside = s->path != NULL && asprintf(&s->beside, "%s.input", s->path) < 0 ? NULL : s->beside;
    if (s->path == NULL || s->beside == NULL) {
        error_nomem(e);
    } else if (!spare && mkdir(s->path, MODE) != 0) {
        io_error_errno(e, errno, "cannot make the folder", s->path);
    } else {
        return s;
    }
    free_scratch(s);
    return NULL;
}

const char *io_scratch_path(const struct io_scratch *s) { return s->path; }

const char *io_scratch_beside(const struct io_scratch *s) { return s->beside; }

static void remove_scratch(void *ctx) {
    struct io_scratch *s = ctx;
    struct error ignored; /* it goes with the folder of the launcher */
    (void)!io_dir_remove(s->path, &ignored);
}

static void removed(void *ctx) {
    struct io_scratch *s = ctx;
    void (*gone)(void *) = s->gone;
    void *gone_ctx = s->ctx;
    free_scratch(s);
    gone(gone_ctx);
}

bool io_scratch_close(struct io_scratch *s, void (*gone)(void *ctx), void *ctx) {
    unlink(s->beside);
    s->gone = gone;
    s->ctx = ctx;
    bool done = keep_spare(s) || rmdir(s->path) == 0 || errno == ENOENT;
    if (!done && io_work_start(s->home->launcher->loop, remove_scratch, removed, s)) {
        return false;
    }
    free_scratch(s);
    return true;
}

void io_scratch_drop(struct io_scratch *s) { free_scratch(s); }

/* ---- files below a folder ---- */

const char *io_below_refuse(struct str path) {
    if (path.len == 0) {
        return "it is empty";
    }
    if (path.ptr[0] == '/') {
        return "it is absolute";
    }
    if (path.len >= PATH_MAX / 2 || memchr(path.ptr, '\0', path.len) != NULL) {
        return "it is no path";
    }
    for (struct str rest = path; rest.len > 0;) {
        struct str part = str_split(rest, '/', &rest);
        if (str_is(part, "..")) {
            return "it has a part ..";
        }
        if (part.len == 0 || str_is(part, ".") || part.len > NAME_MAX) {
            return "it has an empty part, a part . or one that is too long";
        }
    }
    return path.ptr[path.len - 1] == '/' ? "it is a folder" : NULL;
}

static int write_new(const char *path, struct str bytes) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, MODE);
    if (fd < 0) {
        return errno;
    }
    int no = 0;
    while (no == 0 && bytes.len > 0) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put < 0) {
            no = errno == EINTR ? 0 : errno;
            continue;
        }
        bytes.ptr += put;
        bytes.len -= (size_t)put;
    }
    io_fd_close(&fd);
    return no;
}

enum err io_below_write(const char *folder, struct str path, struct str bytes, struct error *e) {
    char full[PATH_MAX];
    ASSERT(io_below_refuse(path) == NULL);
    int len = snprintf(full, sizeof full, "%s/%.*s", folder, STR_ARG(path));
    if (len < 0 || (size_t)len >= sizeof full) {
        return error_set(e, ERR_INVALID, "the path %.*s is too long", STR_ARG(path));
    }
    char *slash = strrchr(full, '/');
    *slash = '\0';
    enum err status = io_dir_make(full, MODE, e);
    *slash = '/';
    if (status != OK) {
        return status;
    }
    int no = write_new(full, bytes);
    return no != 0 ? io_error_errno(e, no, "cannot write", full) : OK;
}
