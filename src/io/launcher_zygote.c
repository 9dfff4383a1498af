/* Zygotes in the launcher process: kept, asked to fork, given up.
 *
 * A zygote is a program that forks twice when it is asked to, so that the second fork becomes a
 * child of the launcher (a subreaper) like any other process it started, with a session of its own
 * and waiting for its `go`. Between the launcher and it goes one SOCK_SEQPACKET pair: the question
 * is {id, number of variables}, the variables and the folder, each NUL-terminated, with the
 * descriptors of the process in the order of enum wire_fd; the answer is {id, pid}, pid 0 when it
 * could not. Nothing waits for a zygote: what it does not answer is given back to the host, which
 * starts a fresh program instead. It may be killed by anyone at any time.
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/launcher_child_priv.h"

#define ANSWER_MOST_NS INT64_C(60000000000) /* the first has to wait for its modules */

struct question {
    uint32_t id;
    uint32_t envc;
};

struct answer {
    uint32_t id;
    int32_t pid;
};

static struct zygote *zygote_find(struct child *c, uint32_t id) {
    for (size_t i = 0; id != 0 && i < IO_MAX_ZYGOTES; i++) {
        if (c->zygotes[i].id == id) {
            return &c->zygotes[i];
        }
    }
    return NULL;
}

static struct awaited *awaited_find(const struct child *c, uint32_t id) {
    struct awaited *items = c->awaited.ptr;
    for (size_t i = 0; i < c->awaited.count; i++) {
        if (items[i].id == id) {
            return &items[i];
        }
    }
    return NULL;
}

static void awaited_drop(struct child *c, const struct awaited *w) {
    proc_vec_drop(&c->awaited, (size_t)(w - (struct awaited *)c->awaited.ptr));
}

static void say_gone(const struct child *c, uint32_t id, int status) {
    struct wire_gone m = {.head = {WIRE_GONE, id}, .status = status};
    launcher_say(c->sock, &m, sizeof m);
}

/* ---- its life ---- */

static void end_zygote(struct child *c, struct zygote *z) {
    uint32_t id = z->id;
    close(z->sock);
    kill(z->pid, SIGKILL); /* it is waited for later, so this is no one else's number */
    *z = (struct zygote){.sock = -1};
    struct awaited *items = c->awaited.ptr;
    for (size_t i = c->awaited.count; i-- > 0;) {
        if (items[i].zygote == id) {
            launcher_say_failed(c->sock, items[i].id, EPIPE, STAGE_ZYGOTE);
            proc_vec_drop(&c->awaited, i);
        }
    }
    struct wire_head m = {WIRE_ZYGOTE_GONE, id};
    launcher_say(c->sock, &m, sizeof m);
}

static struct zygote *free_place(struct child *c) {
    for (size_t i = 0; i < IO_MAX_ZYGOTES; i++) {
        if (c->zygotes[i].id == 0) {
            return &c->zygotes[i];
        }
    }
    return NULL;
}

void zygote_start(struct child *c, struct request *r) {
    uint32_t id = r->head->head.id;
    struct zygote *z = free_place(c);
    int pair[2] = {-1, -1};
    pid_t pid = -1;
    if (z != NULL && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
        r->fds[WIRE_FD_RESULT] = pair[1];
        pid = launcher_fork(c, r);
        close(pair[1]);
    }
    if (pid > 0 && tree_helper_add(&c->tree, id, pid)) {
        *z = (struct zygote){.id = id, .pid = pid, .sock = pair[0]};
        return;
    }
    if (pid > 0) {
        kill(pid, SIGKILL);
    }
    if (pair[0] >= 0) {
        close(pair[0]);
    }
    struct wire_head m = {WIRE_ZYGOTE_GONE, id};
    launcher_say(c->sock, &m, sizeof m);
}

/* ---- forks ---- */

static bool send_question(const struct zygote *z, const struct request *r) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
    } control;
    int fds[WIRE_FDS];
    size_t count = 0;
    for (int i = 0; i < WIRE_FDS; i++) {
        if (r->fds[i] >= 0) {
            fds[count++] = r->fds[i];
        }
    }
    struct question q = {.id = r->head->head.id, .envc = r->head->envc};
    const char *texts = r->head->envc > 0 ? r->env[0] : r->folder;
    size_t text_bytes = (size_t)(r->folder + strlen(r->folder) + 1 - texts);
    struct iovec parts[2] = {{&q, sizeof q}, {(void *)(uintptr_t)texts, text_bytes}};
    struct msghdr m = {.msg_iov = parts,
                       .msg_iovlen = 2,
                       .msg_control = &control,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    memset(&control, 0, sizeof control);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * count);
    return sendmsg(z->sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

void zygote_ask(struct child *c, const struct request *r) {
    uint32_t id = r->head->head.id;
    struct zygote *z = zygote_find(c, r->head->zygote);
    struct awaited *w = z != NULL ? proc_vec_add(&c->awaited) : NULL;
    if (w != NULL) {
        *w =
            (struct awaited){.id = id, .zygote = z->id, .until_ns = tree_now_ns() + ANSWER_MOST_NS};
        if (send_question(z, r)) {
            return;
        }
        awaited_drop(c, w);
    }
    launcher_say_failed(c->sock, id, EAGAIN, STAGE_ZYGOTE);
}

/* A fork that nobody waits for any more waits for its `go`, which will not come. */
static void take_fork(struct child *c, const struct answer *a) {
    struct awaited *w = awaited_find(c, a->id);
    struct proc_row row;
    bool there = a->pid > 0 && proc_read(a->pid, &row);
    if (w == NULL) {
        if (there) {
            kill(a->pid, SIGKILL);
        }
        return;
    }
    awaited_drop(c, w);
    if (!there || tree_add(&c->tree, a->id, a->pid) == NULL) {
        if (there) {
            kill(a->pid, SIGKILL);
        }
        launcher_say_failed(c->sock, a->id, EAGAIN, STAGE_ZYGOTE);
        return;
    }
    struct wire_started m = {
        .head = {WIRE_STARTED, a->id}, .pid = a->pid, .start_time = row.start_time};
    launcher_say(c->sock, &m, sizeof m);
}

void zygote_kill(struct child *c, uint32_t id) {
    struct zygote *z = zygote_find(c, id);
    struct awaited *w = awaited_find(c, id);
    if (z != NULL) {
        end_zygote(c, z);
    } else if (w != NULL) {
        awaited_drop(c, w);
        say_gone(c, id, SIGKILL);
    }
}

/* ---- its turn in the launcher's loop ---- */

size_t zygote_poll(const struct child *c, struct pollfd *out) {
    size_t count = 0;
    for (size_t i = 0; i < IO_MAX_ZYGOTES; i++) {
        if (c->zygotes[i].id != 0) {
            out[count++] = (struct pollfd){.fd = c->zygotes[i].sock, .events = POLLIN};
        }
    }
    return count;
}

/* All that it says; false when it has ended or makes no sense. */
static bool take_answers(struct child *c, const struct zygote *z) {
    for (;;) {
        struct answer a;
        ssize_t got = recv(z->sock, &a, sizeof a, MSG_DONTWAIT);
        if (got < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        if (got != (ssize_t)sizeof a) {
            return false;
        }
        take_fork(c, &a);
    }
}

void zygote_polled(struct child *c, const struct pollfd *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct zygote *z = NULL;
        for (size_t k = 0; k < IO_MAX_ZYGOTES && fds[i].revents != 0; k++) {
            z = c->zygotes[k].id != 0 && c->zygotes[k].sock == fds[i].fd ? &c->zygotes[k] : z;
        }
        if (z != NULL && !take_answers(c, z)) {
            end_zygote(c, z);
        }
    }
}

int64_t zygote_due_ns(const struct child *c) {
    const struct awaited *items = c->awaited.ptr;
    int64_t due_ns = 0;
    for (size_t i = 0; i < c->awaited.count; i++) {
        due_ns = due_ns == 0 || items[i].until_ns < due_ns ? items[i].until_ns : due_ns;
    }
    return due_ns;
}

void zygote_expire(struct child *c) {
    int64_t now_ns = tree_now_ns();
    for (size_t i = 0; i < c->awaited.count;) {
        const struct awaited *w = (const struct awaited *)c->awaited.ptr + i;
        struct zygote *z = w->until_ns <= now_ns ? zygote_find(c, w->zygote) : NULL;
        if (z == NULL) {
            i++;
            continue;
        }
        end_zygote(c, z); /* which drops what it was asked for */
        i = 0;
    }
}
