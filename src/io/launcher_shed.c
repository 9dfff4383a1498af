/* Making the launcher small: giving back the memory it inherited from the host and never reads.
 *
 * Every program is started by a fork of the launcher, and a fork takes time for each page that is
 * there: 50 MB inherited from a host make it four times as slow. Only large private anonymous
 * memory is given back (the heap, its arenas, stacks of other threads); never the stack and the
 * thread data in use, never what may hold variables of a library (memory behind a mapped file).
 * Functions must be bound already when this has run, as they are with -fno-plt or -z now: binding
 * them later may read the heap. Hence nothing is done in builds without optimisation, nor under
 * sanitizers, which keep their own books in anonymous memory.
 */
#include "io/launcher_priv.h"

#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEP_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KEEP_MEMORY 1
#endif
#endif

#ifdef KEEP_MEMORY

void launcher_shed_memory(void) {}

#else

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SHED_MIN_BYTES = 256 << 10, MARGIN_BYTES = 128 << 10 };

struct region {
    uintptr_t start, end;
    bool shed; /* private, writable, anonymous */
    bool has_file;
};

static uintptr_t hex_number(const char **at) {
    uintptr_t number = 0;
    for (;; (*at)++) {
        char c = **at;
        if (c >= '0' && c <= '9')
            number = number << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            number = number << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return number;
    }
}

/* "start-end rwxp offset device inode   path": the path is empty, [name] or a file. */
static bool read_region(const char *line, struct region *out) {
    struct region r;
    r.start = hex_number(&line);
    if (*line++ != '-')
        return false;
    r.end = hex_number(&line);
    if (strlen(line) < 6)
        return false;
    bool writable = line[2] == 'w' && line[4] == 'p';
    const char *path = strpbrk(line, "/[");
    r.has_file = path != NULL && *path == '/';
    r.shed = writable && (path == NULL || strcmp(path, "[heap]") == 0);
    *out = r;
    return true;
}

static void give_back(uintptr_t start, uintptr_t end) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    start = (start + page - 1) & ~(page - 1);
    end &= ~(page - 1);
    if (end > start && end - start >= SHED_MIN_BYTES)
        madvise((void *)start, end - start, MADV_DONTNEED);
}

/* What is in use: this thread's data (it may share a region with other memory), and its stack,
 * which for a thread of the host's lies below that data. */
static struct region used_region(void) {
    uintptr_t data = (uintptr_t)pthread_self(), no = (uintptr_t)&errno;
    return (struct region){.start = (data < no ? data : no) - MARGIN_BYTES,
                           .end = (data > no ? data : no) + MARGIN_BYTES};
}

static void shed(const struct region *r, bool after_file) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    struct region used = used_region();
    if (!r->shed || after_file || (frame >= r->start && frame < r->end))
        return;
    if (used.end <= r->start || used.start >= r->end)
        give_back(r->start, r->end);
    else {
        give_back(r->start, used.start);
        give_back(used.end, r->end);
    }
}

void launcher_shed_memory(void) {
    char text[8192];
    size_t len = 0;
    bool after_file = false;
    uintptr_t before = 0;
    ssize_t got;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (got = read(fd, text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)got;
        char *line = text, *end;
        while ((end = memchr(line, '\n', len - (size_t)(line - text))) != NULL) {
            struct region r;
            *end = '\0';
            if (read_region(line, &r)) {
                shed(&r, after_file && r.start == before);
                after_file = r.has_file;
                before = r.end;
            }
            line = end + 1;
        }
        len -= (size_t)(line - text);
        memmove(text, line, len);
    }
    if (fd >= 0)
        close(fd);
}

#endif
