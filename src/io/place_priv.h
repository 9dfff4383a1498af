/* What the files of io/place share: following a path below a folder, and entering the folder of a
 * file. Every function here that returns an int gives a descriptor (-1 and errno), or an errno
 * value as it says.
 */
#ifndef CAIRN_IO_PLACE_PRIV_H
#define CAIRN_IO_PLACE_PRIV_H

#include "io/place.h"

/* openat of a path without "..", "." or empty parts ("." alone is root), never outside of root.
 * Links are followed as long as they stay inside. A descriptor. */
int io_beneath_open(int root, const char *path, int flags, unsigned mode);
/* The same where the kernel cannot: no link is followed. A descriptor. */
int io_beneath_walk(int root, const char *path, int flags, unsigned mode);
/* Opens p->folder, making what is missing. An errno value, 0 for success. */
int io_place_enter(struct io_place *p);
/* "cannot <what> <path>: <reason>". */
enum err io_place_error(const struct io_place *p, int no, const char *what, struct error *e);

#endif
