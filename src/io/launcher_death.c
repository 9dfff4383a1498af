/* The last thing a launcher process does: it becomes the program that tells of its host's death.
 *
 * Runs in the launcher process: no malloc, no stdio. Must come after every descendant of the host
 * has been killed, so that who learns of the death finds nothing of it running.
 */
#include "io/launcher_death_priv.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { HOST_GONE_MS = 1000 };

bool launcher_cut_texts(struct proc_vec *words, const char **at, const char *end, uint32_t count) {
    for (uint32_t i = 0; i <= count; i++) {
        const char **slot = proc_vec_add(words);
        const char *nul = i < count ? memchr(*at, '\0', (size_t)(end - *at)) : end;
        if (slot == NULL || nul == NULL) {
            return false;
        }
        *slot = i < count ? *at : NULL;
        *at = i < count ? nul + 1 : *at;
    }
    return true;
}

void death_init(struct death *d) {
    *d = (struct death){0};
    proc_vec_init(&d->text, 1);
    proc_vec_init(&d->words, sizeof(char *));
}

void death_set(struct death *d, const struct wire_on_death *m) {
    const char *from = (const char *)(m + 1);
    for (uint32_t i = 0; i < m->text_bytes; i++) {
        char *slot = proc_vec_add(&d->text);
        if (slot == NULL) {
            return;
        }
        *slot = from[i];
    }
    const char *at = d->text.ptr, *end = at + d->text.count;
    bool ok = m->argc > 0 && launcher_cut_texts(&d->words, &at, end, m->argc) &&
              launcher_cut_texts(&d->words, &at, end, m->envc);
    d->argc = ok ? m->argc : 0;
}

void death_execute(const struct death *d, int host_pidfd) {
    char **words = d->words.ptr;
    sigset_t none;
    if (d->argc == 0 || d->bye) {
        return;
    }
    if (host_pidfd >= 0) {
        struct pollfd host = {.fd = host_pidfd, .events = POLLIN};
        (void)poll(&host, 1, HOST_GONE_MS);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(words[0], words, words + d->argc + 1);
}
