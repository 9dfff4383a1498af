/* Reading /proc without malloc or stdio, for a process forked from a program with many threads.
 *
 * Must never wait, nor follow anything but numbers that the kernel wrote. Invariant: rows are
 * ordered by pid, and a row that is marked stays marked until the next scan.
 */
#include "io/proc_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { VEC_FIRST_ITEMS = 256, STAT_BYTES = 1024, ENVIRON_BYTES = 8192 };

void proc_vec_init(struct proc_vec *v, size_t item_bytes) {
    *v = (struct proc_vec){.item_bytes = item_bytes};
}

void proc_vec_fini(struct proc_vec *v) {
    if (v->ptr != NULL) {
        munmap(v->ptr, v->cap * v->item_bytes);
    }
    proc_vec_init(v, v->item_bytes);
}

static bool vec_grow(struct proc_vec *v) {
    size_t cap = v->cap > 0 ? v->cap * 2 : VEC_FIRST_ITEMS;
    void *ptr = v->ptr == NULL
                    ? mmap(NULL, cap * v->item_bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                    : mremap(v->ptr, v->cap * v->item_bytes, cap * v->item_bytes, MREMAP_MAYMOVE);
    if (ptr == MAP_FAILED) {
        return false;
    }
    v->ptr = ptr;
    v->cap = cap;
    return true;
}

void *proc_vec_add(struct proc_vec *v) {
    if (v->count == v->cap && !vec_grow(v)) {
        return NULL;
    }
    char *item = (char *)v->ptr + v->count++ * v->item_bytes;
    memset(item, 0, v->item_bytes);
    return item;
}

void proc_vec_drop(struct proc_vec *v, size_t i) {
    ASSERT(i < v->count);
    v->count--;
    if (i < v->count) {
        memcpy((char *)v->ptr + i * v->item_bytes, (char *)v->ptr + v->count * v->item_bytes,
               v->item_bytes);
    }
}

static char *put_number(char *at, uint64_t number) {
    char digits[20];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

/* "/proc/<pid>/<leaf>" into out (64 bytes are enough for our leaves); pid 0 is "self". */
static void path_of(char out[64], pid_t pid, const char *leaf) {
    char *at = out;
    memcpy(at, "/proc/", 6);
    at += 6;
    if (pid > 0) {
        at = put_number(at, (uint64_t)pid);
    } else {
        memcpy(at, "self", 4);
        at += 4;
    }
    *at++ = '/';
    size_t len = strlen(leaf);
    ASSERT(len < 32);
    memcpy(at, leaf, len + 1);
}

/* Reads a small file of /proc whole; the length, or 0. */
static size_t read_small(pid_t pid, const char *leaf, char *out, size_t out_bytes) {
    char path[64];
    path_of(path, pid, leaf);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t got = read(fd, out, out_bytes);
    close(fd);
    return got > 0 ? (size_t)got : 0;
}

static uint64_t next_number(const char **at, const char *end) {
    while (*at < end && (**at < '0' || **at > '9')) {
        (*at)++;
    }
    uint64_t number = 0;
    while (*at < end && **at >= '0' && **at <= '9') {
        number = number * 10 + (uint64_t)(*(*at)++ - '0');
    }
    return number;
}

/* "pid (name) S ppid pgrp session ...": the name may hold anything, so fields are counted from
 * the last bracket. Fields 4, 5, 6 and 22 are wanted; negative ones lose their sign unread. */
bool proc_read(pid_t pid, struct proc_row *out) {
    char text[STAT_BYTES];
    size_t len = read_small(pid, "stat", text, sizeof text);
    const char *end = text + len;
    const char *at = len > 0 ? memrchr(text, ')', len) : NULL;
    if (at == NULL || end - at < 4) {
        return false;
    }
    const char *head = text;
    struct proc_row row = {.pid = (pid_t)next_number(&head, end)};
    at += 2;
    row.zombie = *at == 'Z' || *at == 'X';
    row.ppid = (pid_t)next_number(&at, end);
    row.pgid = (pid_t)next_number(&at, end);
    row.sid = (pid_t)next_number(&at, end);
    for (int field = 7; field <= 22; field++) {
        row.start_time = next_number(&at, end);
    }
    *out = row;
    return true;
}

/* Rows come ordered from the kernel; should one not, it is moved to its place. */
static bool add_row(struct proc_vec *rows, const struct proc_row *row) {
    if (proc_vec_add(rows) == NULL) {
        return false;
    }
    struct proc_row *items = rows->ptr;
    size_t i = rows->count - 1;
    for (; i > 0 && items[i - 1].pid > row->pid; i--) {
        items[i] = items[i - 1];
    }
    items[i] = *row;
    return true;
}

static bool scan_names(struct proc_vec *rows, const char *names, size_t len) {
    for (size_t at = 0; at < len;) {
        struct dirent64 head; /* only the fixed part is read by name */
        memcpy(&head, names + at, offsetof(struct dirent64, d_name));
        const char *name = names + at + offsetof(struct dirent64, d_name);
        at += head.d_reclen;
        struct proc_row row;
        const char *end = name + strlen(name);
        pid_t pid = *name >= '1' && *name <= '9' ? (pid_t)next_number(&name, end) : 0;
        if (pid > 0 && proc_read(pid, &row) && !add_row(rows, &row)) {
            return false;
        }
    }
    return true;
}

bool proc_scan(struct proc_vec *rows) {
    rows->count = 0;
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    char names[8192] __attribute__((aligned(8)));
    bool ok = true;
    for (;;) {
        long got = syscall(SYS_getdents64, fd, names, sizeof names);
        if (got <= 0) {
            ok = ok && got == 0;
            break;
        }
        ok = scan_names(rows, names, (size_t)got) && ok;
    }
    close(fd);
    return ok;
}

struct proc_row *proc_find(const struct proc_vec *rows, pid_t pid) {
    struct proc_row *items = rows->ptr;
    size_t low = 0, high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (items[middle].pid < pid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < rows->count && items[low].pid == pid ? &items[low] : NULL;
}

void proc_spread(struct proc_vec *rows) {
    struct proc_row *items = rows->ptr;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < rows->count; i++) {
            const struct proc_row *parent =
                items[i].mark == 0 && items[i].ppid > 1 ? proc_find(rows, items[i].ppid) : NULL;
            if (parent != NULL && parent->mark != 0) {
                items[i].mark = parent->mark;
                changed = true;
            }
        }
    }
}

size_t proc_signal(const struct proc_vec *rows, uint32_t mark, int signo, pid_t keep_pgid) {
    const struct proc_row *items = rows->ptr;
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        if (items[i].mark != mark || items[i].zombie) {
            continue;
        }
        count++;
        if (signo == SIGKILL && items[i].pgid > 1 && items[i].pgid != keep_pgid) {
            kill(-items[i].pgid, SIGKILL);
        }
        kill(items[i].pid, signo);
        if (signo == SIGTERM) {
            kill(items[i].pid, SIGCONT); /* a stopped process could not act on it */
        }
    }
    return count;
}

/* The number after the first match in text, or -1; end of text ends the number too. */
static int64_t number_after(const char *text, size_t len, struct str prefix) {
    const char *hit = memmem(text, len, prefix.ptr, prefix.len);
    if (hit == NULL) {
        return -1;
    }
    hit += prefix.len;
    return (int64_t)next_number(&hit, text + len);
}

/* The environment may be larger than the buffer: the tail of each piece is looked at again with
 * the next one, so that no match is cut. */
int64_t proc_token_find(pid_t pid, struct str prefix) {
    enum { NUMBER_BYTES = 24 };
    char path[64], text[ENVIRON_BYTES];
    size_t tail = prefix.len + NUMBER_BYTES;
    ASSERT(tail < sizeof text / 2);
    path_of(path, pid, "environ");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int64_t number = -1;
    size_t len = 0;
    ssize_t got = 1;
    while (number < 0 && got > 0) {
        got = read(fd, text + len, sizeof text - len);
        len += got > 0 ? (size_t)got : 0;
        size_t whole = got > 0 ? (len > tail ? len - tail : 0) : len;
        const char *hit = memmem(text, len, prefix.ptr, prefix.len);
        if (hit != NULL && (size_t)(hit - text) < whole) {
            number = number_after(hit, len - (size_t)(hit - text), prefix);
        }
        memmove(text, text + whole, len - whole);
        len -= whole;
    }
    close(fd);
    return number;
}
