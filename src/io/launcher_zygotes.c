/* The host's side of zygotes: which there are, what they were started with, whether they work.
 *
 * There is one for each different set of arguments and environment, at most IO_MAX_ZYGOTES; the one
 * that was not used for longest makes room. The launcher process starts it; its texts are sent
 * again when it has died. Invariant: one that died DEATHS_MOST times in a row without a single
 * fork is not asked again, so a program that cannot be a zygote costs a few starts, nothing later.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "io/launcher_host_priv.h"

enum { DEATHS_MOST = 3, ROOM_BYTES = 2048 };

static struct zygote_ref *find(struct io_launcher *l, uint32_t id) {
    for (size_t i = 0; id != 0 && i < IO_MAX_ZYGOTES; i++) {
        if (l->zygotes[i].id == id) {
            return &l->zygotes[i];
        }
    }
    return NULL;
}

static void add_text(struct buf *b, const char *text) {
    buf_append(b, (struct str){text, strlen(text) + 1});
}

/* What it is told apart by, in the order of the wire: the token and the folder come later. */
static void put_texts(struct zygote_ref *z, const struct io_zygote_spec *spec) {
    buf_init(&z->text, WIRE_INLINE_BYTES);
    z->request = (struct wire_spawn){.head = {.type = WIRE_ZYGOTE}};
    for (const char *const *at = spec->argv; *at != NULL; at++, z->request.argc++) {
        add_text(&z->text, *at);
    }
    for (const char *const *at = spec->env; *at != NULL; at++, z->request.envc++) {
        add_text(&z->text, *at);
    }
    z->text_bytes = z->text.len;
}

/* Room in its environment, so that a fork can lay its own over it. */
static void put_own(struct zygote_ref *z, uint64_t nonce) {
    char text[ROOM_BYTES];
    snprintf(text, sizeof text, "%s%016llx-%u", LAUNCHER_TOKEN_NAME, (unsigned long long)nonce,
             z->id);
    add_text(&z->text, text);
    int name = snprintf(text, sizeof text, "CAIRN_ROOM=");
    memset(text + name, 'x', sizeof text - 1 - (size_t)name);
    text[sizeof text - 1] = '\0';
    add_text(&z->text, text);
    add_text(&z->text, "/");
    z->request.envc += 2;
    z->request.text_bytes = z->text.len;
}

static bool same_texts(const struct zygote_ref *z, const struct zygote_ref *other) {
    return z->request.argc == other->request.argc && z->text_bytes == other->text_bytes &&
           memcmp(&z->request.limits, &other->request.limits, sizeof z->request.limits) == 0 &&
           memcmp(z->text.ptr, other->text.ptr, z->text_bytes) == 0;
}

static void forget(struct zygote_ref *z) {
    buf_fini(&z->text);
    *z = (struct zygote_ref){0};
}

/* A place for a new one. What makes room is ended; its forks run on. */
static struct zygote_ref *make_room(struct io_launcher *l) {
    struct zygote_ref *oldest = &l->zygotes[0];
    for (size_t i = 0; i < IO_MAX_ZYGOTES; i++) {
        if (l->zygotes[i].id == 0) {
            return &l->zygotes[i];
        }
        oldest = l->zygotes[i].used < oldest->used ? &l->zygotes[i] : oldest;
    }
    struct wire_kill m = {.head = {WIRE_KILL, oldest->id}};
    if (oldest->told && send(l->sock, &m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        return NULL;
    }
    forget(oldest);
    return oldest;
}

static struct zygote_ref *add(struct io_launcher *l, struct zygote_ref *wanted) {
    struct zygote_ref *z = make_room(l);
    if (z == NULL) {
        return NULL;
    }
    *z = *wanted;
    buf_init(&wanted->text, 0);
    z->id = ++l->last_id;
    z->request.head.id = z->id;
    put_own(z, l->nonce);
    if (!buf_ok(&z->text)) {
        forget(z);
        return NULL;
    }
    return z;
}

uint32_t launcher_zygote(struct io_launcher *l, const struct io_zygote_spec *spec,
                         const struct io_limits *limits) {
    struct zygote_ref wanted = {0}, *z = NULL;
    put_texts(&wanted, spec);
    wanted.request.limits = *limits;
    if (buf_ok(&wanted.text)) {
        for (size_t i = 0; z == NULL && i < IO_MAX_ZYGOTES; i++) {
            z = l->zygotes[i].id != 0 && same_texts(&l->zygotes[i], &wanted) ? &l->zygotes[i] : z;
        }
        z = z == NULL ? add(l, &wanted) : z;
    }
    buf_fini(&wanted.text);
    if (z == NULL || z->deaths >= DEATHS_MOST) {
        return 0;
    }
    bool first = z->used == 0;
    z->used = ++l->zygotes_used;
    return first && spec->from_second ? 0 : z->id;
}

int launcher_zygote_tell(struct io_launcher *l, uint32_t *id) {
    struct zygote_ref *z = find(l, *id);
    if (z == NULL) {
        *id = 0;
        return 0;
    }
    if (z->told) {
        return 0;
    }
    struct iovec parts[2] = {{&z->request, sizeof z->request}, {z->text.ptr, z->text.len}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    while (sendmsg(l->sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    z->told = true;
    return 0;
}

void launcher_zygote_worked(struct io_launcher *l, uint32_t id) {
    struct zygote_ref *z = find(l, id);
    if (z != NULL) {
        z->deaths = 0;
    }
}

void launcher_zygote_gone(struct io_launcher *l, uint32_t id) {
    struct zygote_ref *z = find(l, id);
    if (z != NULL) {
        z->told = false;
        z->deaths++;
    }
}

void launcher_zygotes_lost(struct io_launcher *l) {
    for (size_t i = 0; i < IO_MAX_ZYGOTES; i++) {
        l->zygotes[i].told = false;
    }
}

void launcher_zygotes_close(struct io_launcher *l) {
    for (size_t i = 0; i < IO_MAX_ZYGOTES; i++) {
        forget(&l->zygotes[i]);
    }
}
