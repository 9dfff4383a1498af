/* What the launcher process executes in its own place when its host died: kept from the moment it
 * is told, since the host's memory is given back and the host is gone by then.
 */
#ifndef CAIRN_IO_LAUNCHER_DEATH_PRIV_H
#define CAIRN_IO_LAUNCHER_DEATH_PRIV_H

#include "io/launcher_priv.h"
#include "io/proc_priv.h"

struct death {
    struct proc_vec text;  /* char: the arguments and variables */
    struct proc_vec words; /* char *: argv, NULL, env, NULL */
    uint32_t argc;         /* 0: there is nothing to execute */
    bool bye;              /* the host has closed its end on purpose */
};

/* Cuts NUL-terminated texts: count pointers to them and a NULL are added to words. False when they
 * do not end before end, or there is no memory. */
bool launcher_cut_texts(struct proc_vec *words, const char **at, const char *end, uint32_t count);

void death_init(struct death *d);
/* Copies it. */
void death_set(struct death *d, const struct wire_on_death *m);
/* Unless the host said goodbye: waits until it is gone altogether (its locks, too), at most a
 * second, then executes. Comes back when there is nothing to execute or that failed. */
void death_execute(const struct death *d, int host_pidfd);

#endif
