/* Which processes keep a store from us, or its log from starting anew: read from /proc/locks, where
 * SQLite's own locks on the -shm file stand with the pid of their process.
 *
 * Must never open the -shm file: closing it would drop the locks that SQLite holds for us on it.
 * Only for messages: what cannot be seen (another namespace, no /proc) is not known.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "store/sqlite_priv.h"

enum { SHM_WRITE = 120, SHM_READ = 123, SHM_READ_LAST = 127, TEXT_BYTES = 64 * 1024 };

static size_t read_small(const char *path, char *out, size_t out_bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t got = 0;
    while (fd >= 0 && len + 1 < out_bytes && (got = read(fd, out + len, out_bytes - 1 - len)) > 0) {
        len += (size_t)got;
    }
    if (fd >= 0) {
        close(fd);
    }
    out[len] = '\0';
    return len;
}

/* Bytes of the -shm file, and how they are locked. */
struct range {
    const char *how;
    unsigned long from, to;
};

static bool is_lock_on(const char *line, const struct stat *st, struct range want, long *out_pid) {
    char how[8];
    unsigned major_no, minor_no;
    unsigned long inode, from, to;
    return sscanf(line, "%*s POSIX %*s %7s %ld %x:%x:%lu %lu %lu", how, out_pid, &major_no,
                  &minor_no, &inode, &from, &to) == 7 &&
           strcmp(how, want.how) == 0 && *out_pid > 0 && inode == st->st_ino &&
           minor_no == minor(st->st_dev) && from <= want.to && to >= want.from;
}

static uint32_t holders(const struct sqlite_store *s, struct range want, long *out, uint32_t room) {
    char path[PATH_MAX];
    struct stat st;
    uint32_t count = 0;
    char *text = malloc(TEXT_BYTES), *save = NULL;
    snprintf(path, sizeof path, "%s-shm", s->path);
    if (text && stat(path, &st) == 0 && read_small("/proc/locks", text, TEXT_BYTES)) {
        for (char *line = strtok_r(text, "\n", &save); line && count < room;
             line = strtok_r(NULL, "\n", &save)) {
            count += is_lock_on(line, &st, want, &out[count]);
        }
    }
    free(text);
    return count;
}

static long writer_pid(const struct sqlite_store *s) {
    long pid = 0;
    return holders(s, (struct range){"WRITE", SHM_WRITE, SHM_WRITE}, &pid, 1) ? pid : 0;
}

uint32_t sqlite_readers(const struct sqlite_store *s, long *out_pids, uint32_t room) {
    uint32_t count = holders(s, (struct range){"READ", SHM_READ, SHM_READ_LAST}, out_pids, room);
    uint32_t others = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (out_pids[i] != (long)getpid()) {
            out_pids[others++] = out_pids[i];
        }
    }
    return others;
}

bool sqlite_process_name(long pid, char *out, size_t out_bytes) {
    char path[40];
    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    bool known = pid > 0 && read_small(path, out, out_bytes) > 0;
    out[known ? strcspn(out, "\n") : 0] = '\0';
    return known;
}

enum err sqlite_error_busy(struct sqlite_store *s, struct error *e) {
    long pid = writer_pid(s); /* for which the holder of our byte may be waiting itself */
    char name[32] = "";
    if (!pid) {
        pid = sqlite_noted_pid(s);
    }
    if (!sqlite_process_name(pid, name, sizeof name)) {
        return error_set(e, ERR_STORE_BUSY,
                         "another process is writing to the store %s, waited %d s: try again",
                         s->path, s->wait_ms / 1000);
    }
    return error_set(e, ERR_STORE_BUSY,
                     "process %ld (%s) is writing to the store %s, waited %d s: try again, or end "
                     "that process",
                     pid, name, s->path, s->wait_ms / 1000);
}
