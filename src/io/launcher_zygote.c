/* Zygotes in the launcher process: kept, asked for forks, given up.
 *
 * A zygote is a program that makes forks of itself when it is told how many and how many of them
 * are waited for (an order, two bytes): each is a spare, forked twice so that it becomes a child of
 * the launcher (a subreaper) like any other process it started. A spare waits on a socket of its
 * own, whose other end comes with its pid over the zygote's SOCK_SEQPACKET pair; pid 0 there ends
 * an order. One packet makes it a step: {id, number of variables}, the variables and the folder,
 * each NUL-terminated, with the descriptors of the process in the order of enum wire_fd. So a step
 * waits for no fork as long as there is a spare. Nothing waits for a zygote: what it has no spare
 * for in time is given back to the host, which starts a fresh program instead. Zygote and spares
 * may be killed by anyone at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/launcher_child_priv.h"

#define SPARE_MOST_NS INT64_C(60000000000) /* the first has to wait for the zygote's modules */

struct question {
    uint32_t id;
    uint32_t envc;
};

/* A spawn for which there was no spare yet: its question and descriptors. */
struct awaited {
    uint32_t id;
    uint32_t zygote;
    int64_t until_ns;
    int fds[WIRE_FDS];
    uint32_t envc;
    size_t text_bytes;
    char text[WIRE_INLINE_BYTES];
};

void zygote_init(struct child *c) { proc_vec_init(&c->awaited, sizeof(struct awaited)); }

static struct zygote *zygote_find(struct child *c, uint32_t id) {
    for (size_t i = 0; id != 0 && i < IO_MAX_ZYGOTES; i++) {
        if (c->zygotes[i].id == id) {
            return &c->zygotes[i];
        }
    }
    return NULL;
}

/* The one that waits for longest, of this zygote or with this id; 0 for any. */
static struct awaited *awaited_find(const struct child *c, uint32_t zygote, uint32_t id) {
    struct awaited *items = c->awaited.ptr, *found = NULL;
    for (size_t i = 0; i < c->awaited.count; i++) {
        bool fits = (zygote == 0 || items[i].zygote == zygote) && (id == 0 || items[i].id == id);
        found = fits && (found == NULL || items[i].id < found->id) ? &items[i] : found;
    }
    return found;
}

static size_t awaited_count(const struct child *c, uint32_t zygote) {
    const struct awaited *items = c->awaited.ptr;
    size_t count = 0;
    for (size_t i = 0; i < c->awaited.count; i++) {
        count += items[i].zygote == zygote;
    }
    return count;
}

static void awaited_drop(struct child *c, struct awaited *w) {
    for (int i = 0; i < WIRE_FDS; i++) {
        if (w->fds[i] >= 0) {
            close(w->fds[i]);
        }
    }
    proc_vec_drop(&c->awaited, (size_t)(w - (struct awaited *)c->awaited.ptr));
}

static void give_back(struct child *c, struct awaited *w, int no) {
    launcher_say_failed(c->sock, w->id, no, STAGE_ZYGOTE);
    awaited_drop(c, w);
}

static void give_back_all(struct child *c, uint32_t zygote, int no) {
    struct awaited *w;
    while ((w = awaited_find(c, zygote, 0)) != NULL) {
        give_back(c, w, no);
    }
}

static void say_gone(const struct child *c, uint32_t id, int status) {
    struct wire_gone m = {.head = {WIRE_GONE, id}, .status = status};
    launcher_say(c->sock, &m, sizeof m);
}

/* ---- its life ---- */

/* The fork is waited for later, so its pid is no one else's number. */
static void end_spare(const struct spare *s) {
    close(s->sock);
    kill(s->pid, SIGKILL);
}

static void end_zygote(struct child *c, struct zygote *z) {
    uint32_t id = z->id;
    close(z->sock);
    kill(z->pid, SIGKILL);
    for (size_t i = 0; i < z->spare_count; i++) {
        end_spare(&z->spares[i]);
    }
    *z = (struct zygote){.sock = -1};
    give_back_all(c, id, EPIPE);
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

/* ---- spares ---- */

/* Orders grow with what was used, so that few are made for nobody. */
static void order(const struct child *c, struct zygote *z) {
    size_t most = 2 * z->used < ZYGOTE_SPARES ? 2 * (size_t)z->used : ZYGOTE_SPARES;
    size_t waited = awaited_count(c, z->id);
    if (z->ordered || (z->spare_count > most / 4 && waited == 0)) {
        return;
    }
    uint8_t what[2] = {(uint8_t)(most > z->spare_count ? most - z->spare_count : 1),
                       (uint8_t)(waited < ZYGOTE_SPARES ? waited : ZYGOTE_SPARES)};
    z->ordered = send(z->sock, what, sizeof what, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof what;
    z->order_met = false;
}

static bool send_question(int sock, const struct awaited *w, const char *text) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
    } control;
    int fds[WIRE_FDS];
    size_t count = 0;
    for (int i = 0; i < WIRE_FDS; i++) {
        if (w->fds[i] >= 0) {
            fds[count++] = w->fds[i];
        }
    }
    struct question q = {.id = w->id, .envc = w->envc};
    struct iovec parts[2] = {{&q, sizeof q}, {(void *)(uintptr_t)text, w->text_bytes}};
    struct msghdr m = {.msg_iov = parts,
                       .msg_iovlen = 2,
                       .msg_control = &control,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    memset(&control, 0, sizeof control);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * count);
    return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* From here on the spare is the step. False when it is dead already. */
static bool become(struct child *c, const struct spare *s, const struct awaited *w,
                   const char *text) {
    struct launched *p = tree_add(&c->tree, w->id, s->pid);
    bool there = p != NULL && send_question(s->sock, w, text);
    if (there) {
        struct wire_started m = {
            .head = {WIRE_STARTED, w->id}, .pid = s->pid, .start_time = s->start_time};
        tree_helper_drop(&c->tree, s->pid);
        launcher_say(c->sock, &m, sizeof m);
        close(s->sock);
    } else {
        if (p != NULL) {
            tree_forget(&c->tree, p);
        }
        end_spare(s);
    }
    return there;
}

static bool take_spare(struct child *c, struct zygote *z, const struct awaited *w,
                       const char *text) {
    bool taken = false;
    while (!taken && z->spare_count > 0) {
        struct spare s = z->spares[0]; /* the one that had most time to get ready */
        memmove(z->spares, z->spares + 1, --z->spare_count * sizeof s);
        taken = become(c, &s, w, text);
    }
    z->used += taken;
    return taken;
}

static bool wait_for_spare(struct child *c, const struct awaited *w, const char *text) {
    struct awaited *kept = proc_vec_add(&c->awaited);
    if (kept == NULL) {
        return false;
    }
    bool ok = w->text_bytes <= sizeof kept->text;
    kept->id = w->id;
    kept->zygote = w->zygote;
    kept->until_ns = tree_now_ns() + SPARE_MOST_NS;
    kept->envc = w->envc;
    for (int i = 0; i < WIRE_FDS; i++) {
        kept->fds[i] = ok && w->fds[i] >= 0 ? fcntl(w->fds[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD) : -1;
        ok = ok && (w->fds[i] < 0) == (kept->fds[i] < 0);
    }
    if (!ok) {
        awaited_drop(c, kept);
        return false;
    }
    kept->text_bytes = w->text_bytes;
    memcpy(kept->text, text, w->text_bytes);
    return true;
}

/* What the fork could not say of its folder a fresh program will. */
void zygote_ask(struct child *c, const struct request *r) {
    struct zygote *z = zygote_find(c, r->head->zygote);
    const char *text = r->head->envc > 0 ? r->env[0] : r->folder;
    struct awaited w = {.id = r->head->head.id, .zygote = r->head->zygote, .envc = r->head->envc};
    w.text_bytes = (size_t)(r->folder + strlen(r->folder) + 1 - text);
    memcpy(w.fds, r->fds, sizeof w.fds);
    bool asked = z != NULL && access(r->folder, X_OK) == 0 &&
                 (take_spare(c, z, &w, text) || wait_for_spare(c, &w, text));
    if (!asked) {
        launcher_say_failed(c->sock, w.id, EAGAIN, STAGE_ZYGOTE);
    } else {
        order(c, z);
    }
}

/* A new spare; or the end of an order, which was in vain when no process was to be had. */
static void take_fork(struct child *c, struct zygote *z, pid_t pid, int sock) {
    struct proc_row row;
    if (pid == 0) {
        z->ordered = false;
        if (!z->order_met) {
            give_back_all(c, z->id, EAGAIN);
        }
        order(c, z);
        return;
    }
    struct spare s = {.pid = pid, .sock = sock};
    bool room = z->spare_count < ZYGOTE_SPARES && proc_read(pid, &row);
    if (!room || !tree_helper_add(&c->tree, z->id, pid)) {
        end_spare(&s);
        return;
    }
    s.start_time = row.start_time;
    z->order_met = true;
    z->spares[z->spare_count++] = s;
    struct awaited *w = awaited_find(c, z->id, 0);
    if (w != NULL && take_spare(c, z, w, w->text)) {
        awaited_drop(c, w);
    }
}

void zygote_reaped(struct child *c, pid_t pid) {
    for (size_t i = 0; i < IO_MAX_ZYGOTES; i++) {
        struct zygote *z = &c->zygotes[i];
        for (size_t k = z->spare_count; k-- > 0;) {
            if (z->spares[k].pid == pid) {
                close(z->spares[k].sock);
                z->spares[k] = z->spares[--z->spare_count];
            }
        }
    }
}

void zygote_kill(struct child *c, uint32_t id) {
    struct zygote *z = zygote_find(c, id);
    struct awaited *w = awaited_find(c, 0, id);
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

/* One packet, with the descriptor that came along or -1; its size, 0 at the end. */
static ssize_t receive(int sock, int32_t *pid, int *fd) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {pid, sizeof *pid};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    ssize_t got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    *fd = -1;
    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
        memcpy(fd, CMSG_DATA(head), sizeof *fd);
    }
    return got;
}

/* All that it says; false when it has ended or makes no sense. */
static bool take_answers(struct child *c, struct zygote *z) {
    for (;;) {
        int32_t pid;
        int fd;
        ssize_t got = receive(z->sock, &pid, &fd);
        if (got < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        if (got != (ssize_t)sizeof pid || (pid > 0) != (fd >= 0) || pid < 0) {
            if (fd >= 0) {
                close(fd);
            }
            return false;
        }
        take_fork(c, z, pid, fd);
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
