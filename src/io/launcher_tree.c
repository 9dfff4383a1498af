/* Ending trees of processes: whom to signal and when nothing is left.
 *
 * Runs in the launcher process: no malloc, no stdio. It must never wait for one tree while
 * another needs attention (tree_kill_all, at the very end, is the exception), and never signal a
 * process that is no descendant. Each look is one scan of /proc for all trees being ended; a
 * normal end without strays needs none. Invariant: next_look_ns is 0 only if no tree is ending.
 */
#include "io/launcher_tree_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    REST_GRACE_MS = 100, /* for what a program that has ended left running */
    GIVE_UP_MS = 5000,   /* SIGKILL has not helped: the process hangs in the kernel */
    LOOK_FIRST_MS = 2,
    LOOK_MOST_MS = 50,
};

struct known {
    pid_t pid;
    uint64_t start_time;
    uint32_t id;
};

int64_t tree_now_ns(void) { return io_clock_system.mono(NULL).ns; }

void tree_init(struct tree *t, uint64_t nonce) {
    proc_vec_init(&t->launched, sizeof(struct launched));
    proc_vec_init(&t->rows, sizeof(struct proc_row));
    proc_vec_init(&t->known, sizeof(struct known));
    proc_vec_init(&t->helpers, sizeof(struct helper));
    t->nonce = nonce;
    t->self = getpid();
    t->next_look_ns = 0;
    t->look_pause_ns = 0;
}

struct launched *tree_add(struct tree *t, uint32_t id, pid_t pid) {
    struct launched *p = proc_vec_add(&t->launched);
    if (p != NULL) {
        p->id = id;
        p->pid = pid;
    }
    return p;
}

bool tree_helper_add(struct tree *t, uint32_t id, pid_t pid) {
    struct helper *h = proc_vec_add(&t->helpers);
    if (h != NULL) {
        *h = (struct helper){.id = id, .pid = pid};
    }
    return h != NULL;
}

static const struct helper *helper_find(const struct tree *t, uint32_t id, pid_t pid) {
    const struct helper *items = t->helpers.ptr;
    for (size_t i = 0; i < t->helpers.count; i++) {
        if (items[i].pid == pid || (id != 0 && items[i].id == id)) {
            return &items[i];
        }
    }
    return NULL;
}

void tree_helper_drop(struct tree *t, pid_t pid) {
    const struct helper *h = helper_find(t, 0, pid);
    if (h != NULL) {
        proc_vec_drop(&t->helpers, (size_t)(h - (const struct helper *)t->helpers.ptr));
    }
}

struct launched *tree_find(struct tree *t, uint32_t id) {
    struct launched *items = t->launched.ptr;
    for (size_t i = 0; i < t->launched.count; i++) {
        if (items[i].id == id) {
            return &items[i];
        }
    }
    return NULL;
}

struct launched *tree_find_pid(struct tree *t, pid_t pid) {
    struct launched *items = t->launched.ptr;
    for (size_t i = 0; i < t->launched.count; i++) {
        if (items[i].pid == pid && !items[i].ended) {
            return &items[i];
        }
    }
    return NULL;
}

static uint32_t known_find(const struct tree *t, const struct proc_row *row) {
    const struct known *items = t->known.ptr;
    for (size_t i = 0; i < t->known.count; i++) {
        if (items[i].pid == row->pid && items[i].start_time == row->start_time) {
            return items[i].id;
        }
    }
    return 0;
}

static void known_forget(struct tree *t, uint32_t id) {
    for (size_t i = t->known.count; i-- > 0;) {
        if (((struct known *)t->known.ptr)[i].id == id) {
            proc_vec_drop(&t->known, i);
        }
    }
}

/* Processes of ending trees, so that they are recognised when their parents are gone. */
static void known_note(struct tree *t, uint32_t id) {
    const struct proc_row *rows = t->rows.ptr;
    for (size_t i = 0; i < t->rows.count; i++) {
        struct known *k;
        if (rows[i].mark != id || known_find(t, &rows[i]) != 0 ||
            (k = proc_vec_add(&t->known)) == NULL) {
            continue;
        }
        *k = (struct known){.pid = rows[i].pid, .start_time = rows[i].start_time, .id = id};
    }
}

static uint32_t token_find(const struct tree *t, pid_t pid) {
    char prefix[sizeof LAUNCHER_TOKEN_NAME + 17];
    size_t len = sizeof LAUNCHER_TOKEN_NAME - 1;
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(t->nonce >> (56 - 8 * i));
    }
    memcpy(prefix, LAUNCHER_TOKEN_NAME, len);
    hex_encode(bytes, sizeof bytes, prefix + len);
    prefix[len + 16] = '-';
    int64_t id = proc_token_find(pid, (struct str){prefix, len + 17});
    return id > 0 ? (uint32_t)id : 0;
}

/* A stray without any sign of where it comes from belongs to a tree that is ending if no program
 * that still runs is old enough to have started it. */
static uint32_t elder_find(const struct tree *t, const struct proc_row *stray) {
    const struct launched *items = t->launched.ptr;
    uint32_t found = 0;
    for (size_t i = 0; i < t->launched.count; i++) {
        const struct proc_row *main_row = proc_find(&t->rows, items[i].pid);
        if (items[i].ending || items[i].unsettled) {
            found = items[i].id;
        } else if (main_row != NULL && main_row->start_time <= stray->start_time) {
            return 0;
        }
    }
    return found;
}

static uint32_t stray_owner(struct tree *t, const struct proc_row *row) {
    uint32_t id = known_find(t, row);
    const struct launched *items = t->launched.ptr;
    for (size_t i = 0; id == 0 && i < t->launched.count; i++) {
        if (items[i].pid == row->sid) {
            id = items[i].id;
        }
    }
    if (id == 0) {
        id = token_find(t, row->pid);
    }
    if (helper_find(t, id, row->pid) != NULL) {
        return 0;
    }
    return id != 0 && tree_find(t, id) != NULL ? id : elder_find(t, row);
}

/* Scans /proc and marks every process of a tree with the id of its main process. */
static bool scan(struct tree *t) {
    if (!proc_scan(&t->rows)) {
        return false;
    }
    struct proc_row *rows = t->rows.ptr;
    for (size_t i = 0; i < t->rows.count; i++) {
        if (rows[i].ppid != t->self) {
            continue;
        }
        const struct launched *p = tree_find_pid(t, rows[i].pid);
        rows[i].mark = p != NULL ? p->id : rows[i].zombie ? 0 : stray_owner(t, &rows[i]);
    }
    proc_spread(&t->rows);
    return true;
}

static bool has_live(const struct tree *t, uint32_t id) {
    const struct proc_row *rows = t->rows.ptr;
    for (size_t i = 0; i < t->rows.count; i++) {
        if (rows[i].mark == id && !rows[i].zombie) {
            return true;
        }
    }
    return false;
}

static void look_soon(struct tree *t) {
    t->look_pause_ns = LOOK_FIRST_MS * NS_PER_MS;
    t->next_look_ns = tree_now_ns() + t->look_pause_ns;
}

/* Without /proc the process group is all that can be reached. */
static void signal_tree(struct tree *t, const struct launched *p, int signo, bool scanned) {
    if (scanned) {
        known_note(t, p->id);
        proc_signal(&t->rows, p->id, signo, getpgrp());
    }
    if (!p->ended) {
        kill(p->pid, signo); /* it may not have become leader of its group yet */
    }
    if (!scanned && kill(-p->pid, signo) == 0 && signo == SIGTERM) {
        kill(-p->pid, SIGCONT);
    }
}

static void set_deadline(struct launched *p, int64_t now_ns, int grace_ms) {
    int64_t at_ns = now_ns + (grace_ms > 0 ? grace_ms : 0) * NS_PER_MS;
    if (!p->ending || at_ns < p->kill_at_ns) {
        p->kill_at_ns = at_ns;
        p->give_up_at_ns = at_ns + GIVE_UP_MS * NS_PER_MS;
    }
    p->ending = true;
}

void tree_end(struct tree *t, struct launched *p, int grace_ms) {
    bool first = !p->ending;
    set_deadline(p, tree_now_ns(), grace_ms);
    if (first && grace_ms > 0) {
        signal_tree(t, p, SIGTERM, scan(t));
    }
    look_soon(t);
    if (grace_ms <= 0) {
        tree_look(t);
    }
}

/* True when every child of this process is a main process, or when that cannot be known here. */
static bool no_strays(struct tree *t) {
    char text[4096];
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, text, sizeof text);
    close(fd);
    if (got < 0 || got == (ssize_t)sizeof text) {
        return false;
    }
    const char *end = text + got;
    pid_t pid = 0;
    for (const char *at = text; at < end; at++) {
        if (*at >= '0' && *at <= '9') {
            pid = pid * 10 + (*at - '0');
            continue;
        }
        if (pid != 0 && tree_find_pid(t, pid) == NULL && helper_find(t, 0, pid) == NULL) {
            return false;
        }
        pid = 0;
    }
    return true;
}

static void settle_one(struct tree *t, struct launched *p, bool scanned) {
    p->unsettled = false;
    if (!scanned || !has_live(t, p->id)) {
        p->gone = true;
        return;
    }
    bool was_ending = p->ending;
    set_deadline(p, tree_now_ns(), REST_GRACE_MS);
    if (!was_ending) {
        signal_tree(t, p, SIGTERM, true);
    }
    look_soon(t);
}

void tree_settle(struct tree *t) {
    struct launched *items = t->launched.ptr;
    bool scanned = !no_strays(t) && scan(t);
    for (size_t i = 0; i < t->launched.count; i++) {
        if (items[i].unsettled) {
            settle_one(t, &items[i], scanned);
        }
    }
}

void tree_look(struct tree *t) {
    int64_t now_ns = tree_now_ns();
    bool scanned = scan(t), killing = false;
    int64_t next_ns = INT64_MAX;
    struct launched *items = t->launched.ptr;
    for (size_t i = 0; i < t->launched.count; i++) {
        if (!items[i].ending) {
            continue;
        }
        items[i].gone =
            items[i].ended && (!has_live(t, items[i].id) || now_ns >= items[i].give_up_at_ns);
        if (items[i].gone) {
            continue;
        }
        if (now_ns >= items[i].kill_at_ns) {
            signal_tree(t, &items[i], SIGKILL, scanned);
            killing = true;
        } else if (items[i].kill_at_ns < next_ns) {
            next_ns = items[i].kill_at_ns;
        }
    }
    t->look_pause_ns = t->look_pause_ns * 2 < LOOK_MOST_MS * NS_PER_MS ? t->look_pause_ns * 2
                                                                       : LOOK_MOST_MS * NS_PER_MS;
    if (killing && now_ns + t->look_pause_ns < next_ns) {
        next_ns = now_ns + t->look_pause_ns;
    }
    t->next_look_ns = next_ns == INT64_MAX ? 0 : next_ns;
}

void tree_forget(struct tree *t, struct launched *p) {
    known_forget(t, p->id);
    proc_vec_drop(&t->launched, (size_t)(p - (struct launched *)t->launched.ptr));
}

/* True when there is no child left; descendants become children when their parents end. */
static bool reap_all(void) {
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno != EINTR) {
            return true;
        }
        if (pid == 0) {
            return false;
        }
    }
}

void tree_kill_all(struct tree *t) {
    enum { EVERYTHING = 1 };
    int64_t give_up_ns = tree_now_ns() + GIVE_UP_MS * NS_PER_MS;
    t->launched.count = 0;
    while (!reap_all() && tree_now_ns() < give_up_ns) {
        bool scanned = proc_scan(&t->rows);
        struct proc_row *rows = t->rows.ptr;
        for (size_t i = 0; scanned && i < t->rows.count; i++) {
            if (rows[i].ppid == t->self) {
                rows[i].mark = EVERYTHING;
            }
        }
        proc_spread(&t->rows);
        proc_signal(&t->rows, EVERYTHING, SIGKILL, getpgrp());
        poll(NULL, 0, 1);
    }
}
