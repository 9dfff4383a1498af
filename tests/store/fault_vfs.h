/* A layer between SQLite and the disk that fails the n-th write, truncation or sync. */
#ifndef TESTS_STORE_FAULT_VFS_H
#define TESTS_STORE_FAULT_VFS_H

#include <stdbool.h>

enum fault_kind {
    FAULT_WRITE_FULL, /* a write finds no space */
    FAULT_WRITE_IO,   /* a write fails half way */
    FAULT_SYNC_IO,    /* all is written, but the sync fails */
};

void fault_vfs_install(void);
void fault_vfs_remove(void);
/* The n-th (from 1) operation of this kind fails from now on, once, or, when it lasts, all that
 * follow, too. n 0: none. */
void fault_vfs_arm(enum fault_kind kind, int n, bool lasts);
/* Whether one has failed since. */
bool fault_vfs_fired(void);

#endif
