/* Power loss, see power.h. Files are known by inode, so that renaming one changes nothing of it.
 *
 * Must never change what callers see: every call reaches the kernel as it is. A file's durable
 * bytes and the operations on it since are kept in memory; a sync applies them.
 */
#include "power.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILES_MOST = 64, SMALL_SECTOR = 512, LARGE_SECTOR = 4096 };

struct bytes {
    char *ptr;
    size_t len, cap;
};

struct operation {
    struct operation *next;
    bool truncates;
    size_t at, len; /* at: the new size when it truncates */
    char data[];
};

struct file {
    ino_t inode; /* 0: deleted, and only an old name may still lead to it */
    struct bytes durable;
    struct operation *first, *last;
};

struct name {
    char text[NAME_MAX + 1];
    struct file *file;
};

static struct {
    bool on;
    char folder[PATH_MAX];
    dev_t device;
    ino_t inode;
    struct file files[FILES_MOST];
    int file_count;
    struct name names[FILES_MOST]; /* as synced */
    int name_count;
    uint64_t steps, syncs;
    void (*step)(void *ctx);
    void *ctx;
} disk;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool inside; /* what the watcher itself does is not watched */

static void broken(const char *what) {
    fprintf(stderr, "power.c: %s\n", what);
    abort();
}

static void *must(void *p) {
    if (!p) {
        broken("no memory");
    }
    return p;
}

/* --- bytes and operations --- */

static void resize(struct bytes *b, size_t len) {
    if (len > b->cap) {
        b->cap = len * 2;
        b->ptr = must(realloc(b->ptr, b->cap));
    }
    if (len > b->len) {
        memset(b->ptr + b->len, 0, len - b->len);
    }
    b->len = len;
}

static void put(struct bytes *b, size_t at, const char *data, size_t len) {
    if (at + len > b->len) {
        resize(b, at + len);
    }
    if (len) {
        memcpy(b->ptr + at, data, len);
    }
}

static void apply(struct bytes *b, const struct operation *op) {
    if (op->truncates) {
        resize(b, op->at);
    } else {
        put(b, op->at, op->data, op->len);
    }
}

static void remember(struct file *f, struct operation *op) {
    op->next = NULL;
    if (f->last) {
        f->last->next = op;
    } else {
        f->first = op;
    }
    f->last = op;
}

static void settle(struct file *f) {
    struct operation *next;
    for (struct operation *op = f->first; op; op = next) {
        next = op->next;
        apply(&f->durable, op);
        free(op);
    }
    f->first = f->last = NULL;
}

/* --- files and names --- */

static void load(struct file *f, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        broken("cannot read a file of the folder");
    }
    resize(&f->durable, (size_t)st.st_size);
    ssize_t got = pread(fd, f->durable.ptr, f->durable.len, 0);
    f->durable.len = got > 0 ? (size_t)got : 0;
    close(fd);
}

static struct file *find(ino_t inode) {
    for (int i = 0; i < disk.file_count; i++) {
        if (disk.files[i].inode == inode) {
            return &disk.files[i];
        }
    }
    if (disk.file_count == FILES_MOST) {
        broken("too many files");
    }
    struct file *f = &disk.files[disk.file_count++];
    *f = (struct file){.inode = inode};
    return f;
}

/* A WAL-index: it is not on a disk, and SQLite holds a lock of the process when it changes one. */
static bool is_index(const char *path) {
    size_t len = strlen(path);
    return len > 4 && strcmp(path + len - 4, "-shm") == 0;
}

/* The file behind a descriptor if it lies in the folder; a folder of its own is none. */
static struct file *file_of(int fd) {
    struct stat st;
    char link[40], path[PATH_MAX];
    if (!disk.on || inside || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        st.st_dev != disk.device) {
        return NULL;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    size_t folder = strlen(disk.folder);
    bool in = len > 0 && (size_t)len > folder && path[folder] == '/' &&
              strncmp(path, disk.folder, folder) == 0 && !is_index(path);
    return in ? find(st.st_ino) : NULL;
}

static bool is_folder(int fd) {
    struct stat st;
    return disk.on && !inside && fstat(fd, &st) == 0 && st.st_dev == disk.device &&
           st.st_ino == disk.inode;
}

/* The names that the folder has now. */
static int list_names(struct name *out, bool first) {
    int count = 0;
    DIR *d = must(opendir(disk.folder));
    for (struct dirent *x; (x = readdir(d));) {
        if (x->d_type != DT_REG) {
            continue;
        }
        if (count == FILES_MOST) {
            broken("too many names");
        }
        struct name *n = &out[count++];
        snprintf(n->text, sizeof n->text, "%s", x->d_name);
        n->file = find(x->d_ino);
        if (first) {
            char path[PATH_MAX + NAME_MAX + 2];
            snprintf(path, sizeof path, "%s/%s", disk.folder, n->text);
            load(n->file, path);
        }
    }
    closedir(d);
    return count;
}

void power_watch(const char *folder, void (*step)(void *ctx), void *ctx) {
    struct stat st;
    power_stop();
    if (!realpath(folder, disk.folder) || stat(disk.folder, &st) != 0) {
        broken("no such folder");
    }
    disk.device = st.st_dev;
    disk.inode = st.st_ino;
    disk.step = step;
    disk.ctx = ctx;
    disk.name_count = list_names(disk.names, true);
    disk.on = true;
}

void power_stop(void) {
    for (int i = 0; i < disk.file_count; i++) {
        settle(&disk.files[i]);
        free(disk.files[i].durable.ptr);
    }
    memset(&disk, 0, sizeof disk);
}

uint64_t power_steps(void) { return disk.steps; }
uint64_t power_syncs(void) { return disk.syncs; }

/* --- an image --- */

enum mode {
    MODE_NOTHING, /* nothing that was not synced is there */
    MODE_ALL,     /* all of it is */
    MODE_PREFIX,  /* what came first, and a part of what was under way */
    MODE_LAST,    /* the other way round */
    MODE_SMALL,   /* any sectors of 512 bytes, torn at any byte */
    MODE_LARGE,   /* any sectors of 4 KiB, torn at 512 bytes */
    MODE_COUNT
};

struct fate {
    enum mode mode;
    uint64_t state;
};

static uint64_t draw(struct fate *f, uint64_t below) {
    f->state = f->state * 6364136223846793005u + 1442695040888963407u;
    return (f->state >> 33) % below;
}

/* A write that the cut met on its way. */
static void put_pieces(struct bytes *b, const struct operation *op, struct fate *f) {
    size_t sector = f->mode == MODE_SMALL ? SMALL_SECTOR : LARGE_SECTOR;
    size_t end = op->at + op->len;
    for (size_t at = op->at, next; at < end; at = next) {
        next = (at / sector + 1) * sector;
        next = next < end ? next : end;
        uint64_t chance = draw(f, 8);
        size_t len = next - at;
        if (chance == 0) {
            len = f->mode == MODE_SMALL ? draw(f, len) : len / 2 / SMALL_SECTOR * SMALL_SECTOR;
        }
        if (chance < 5 && len) {
            put(b, at, op->data + (at - op->at), len);
        }
    }
}

static void put_some(struct bytes *b, const struct file *file, struct fate *f) {
    size_t count = 0, i = 0;
    for (const struct operation *op = file->first; op; op = op->next) {
        count++;
    }
    size_t cut = draw(f, count + 1);
    for (const struct operation *op = file->first; op; op = op->next, i++) {
        bool whole = f->mode == MODE_ALL || (f->mode == MODE_PREFIX && i < cut) ||
                     (f->mode == MODE_LAST && i >= cut);
        bool pieces = f->mode >= MODE_SMALL || (f->mode == MODE_PREFIX && i == cut);
        if (whole || (pieces && op->truncates && draw(f, 2))) {
            apply(b, op);
        } else if (pieces && !op->truncates) {
            put_pieces(b, op, f);
        }
    }
}

static bool write_bytes(const char *path, const struct bytes *b) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, b->ptr, b->len) == (ssize_t)b->len;
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

static bool write_file(const char *to, const struct name *n, struct fate *f) {
    static const char rubbish[32768] = "what is left of a WAL-index";
    struct bytes b = {0};
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", to, n->text);
    if (is_index(n->text)) {
        put(&b, 0, rubbish, draw(f, 2) ? sizeof rubbish : 0);
    } else {
        put(&b, 0, n->file->durable.ptr ? n->file->durable.ptr : "", n->file->durable.len);
        put_some(&b, n->file, f);
    }
    bool good = write_bytes(path, &b);
    free(b.ptr);
    return good;
}

static const struct name *with_text(const struct name *names, int count, const char *text) {
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i].text, text) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

static bool takes_new(struct fate *f) {
    return f->mode == MODE_ALL || (f->mode != MODE_NOTHING && draw(f, 2));
}

/* For each name the file that it had when the folder was synced, or the one it has now. */
static bool write_names(const char *to, struct fate *f) {
    static struct name now[FILES_MOST];
    int count = list_names(now, false);
    bool good = true;
    for (int i = 0; i < count && good; i++) {
        const struct name *old = with_text(disk.names, disk.name_count, now[i].text);
        const struct name *n = old && old->file == now[i].file ? old : takes_new(f) ? &now[i] : old;
        good = !n || write_file(to, n, f);
    }
    for (int i = 0; i < disk.name_count && good; i++) {
        const struct name *old = &disk.names[i];
        if (!with_text(now, count, old->text) && !takes_new(f)) {
            good = write_file(to, old, f);
        }
    }
    return good;
}

static void empty_folder(const char *path) {
    char name[PATH_MAX + NAME_MAX + 2];
    DIR *d = must(opendir(path));
    for (struct dirent *x; (x = readdir(d));) {
        snprintf(name, sizeof name, "%s/%s", path, x->d_name);
        if (x->d_type == DT_REG) {
            unlink(name);
        }
    }
    closedir(d);
}

bool power_image(const char *to, uint64_t seed) {
    struct fate f = {(enum mode)(seed % MODE_COUNT), seed * 2654435761u + 1};
    bool was_inside = inside;
    inside = true;
    empty_folder(to);
    pthread_mutex_lock(&lock);
    bool good = write_names(to, &f);
    pthread_mutex_unlock(&lock);
    inside = was_inside;
    return good;
}

/* --- between the C library and its callers --- */

static void stepped(bool sync) {
    disk.steps++;
    disk.syncs += sync;
    void (*step)(void *ctx) = disk.step;
    void *ctx = disk.ctx;
    pthread_mutex_unlock(&lock);
    if (step) {
        inside = true;
        step(ctx);
        inside = false;
    }
    pthread_mutex_lock(&lock);
}

static void note(int fd, bool truncates, const void *data, size_t len, off_t at) {
    int no = errno;
    pthread_mutex_lock(&lock);
    struct file *f = file_of(fd);
    if (f) {
        struct operation *op = must(malloc(sizeof *op + len));
        *op = (struct operation){.truncates = truncates, .at = (size_t)at, .len = len};
        if (len) {
            memcpy(op->data, data, len);
        }
        remember(f, op);
        stepped(false);
    }
    pthread_mutex_unlock(&lock);
    errno = no;
}

static int sync_by(long call, int fd) {
    int rc = (int)syscall(call, fd);
    if (rc != 0) {
        return rc;
    }
    pthread_mutex_lock(&lock);
    struct file *f = file_of(fd);
    if (f) {
        settle(f);
        stepped(true);
    } else if (is_folder(fd)) {
        disk.name_count = list_names(disk.names, false);
        stepped(true);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* A name was changed. */
static void note_name(int rc) {
    int no = errno;
    pthread_mutex_lock(&lock);
    if (disk.on && !inside && rc == 0) {
        stepped(false);
    }
    pthread_mutex_unlock(&lock);
    errno = no;
}

static ssize_t write_at(int fd, const void *data, size_t len, off_t at) {
    ssize_t done = syscall(SYS_pwrite64, fd, data, len, at);
    if (done > 0) {
        note(fd, false, data, (size_t)done, at);
    }
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) {
    return write_at(fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) {
    return write_at(fd, data, len, at);
}

static int cut_to(int fd, off_t size) {
    int rc = (int)syscall(SYS_ftruncate, fd, size);
    if (rc == 0) {
        note(fd, true, NULL, 0, size);
    }
    return rc;
}

int ftruncate(int fd, off_t size) { return cut_to(fd, size); }
int ftruncate64(int fd, off64_t size) { return cut_to(fd, size); }
int fsync(int fd) { return sync_by(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }

/* The inode of a deleted file may be given to another one. */
static void forget_inode(const char *path) {
    struct stat st;
    pthread_mutex_lock(&lock);
    if (disk.on && !inside && stat(path, &st) == 0 && st.st_dev == disk.device &&
        st.st_nlink == 1) {
        for (int i = 0; i < disk.file_count; i++) {
            struct file *f = &disk.files[i];
            f->inode = f->inode == st.st_ino ? 0 : f->inode;
        }
    }
    pthread_mutex_unlock(&lock);
}

int unlink(const char *path) {
    forget_inode(path);
    int rc = (int)syscall(SYS_unlink, path);
    if (!is_index(path)) {
        note_name(rc);
    }
    return rc;
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    int rc = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    note_name(rc);
    return rc;
}
