/* Private folders for processes: one for each attempt, gone when the attempt is over, or empty and
 * for the next one.
 *
 * They lie in the temporary folder of the user, below one of this launcher's own, which is removed
 * with the launcher. What a host leaves that was killed is removed when the next one makes its
 * first private folder. Nobody but this user may enter them (mode 0700).
 */
#ifndef CAIRN_IO_SCRATCH_H
#define CAIRN_IO_SCRATCH_H

#include "base/base.h"
#include "io/launcher.h"

struct io_scratch;

/* Makes one. NULL and an error when it cannot be made. Must be closed before the launcher is. */
struct io_scratch *io_scratch_open(struct io_launcher *l, struct error *e);
/* Absolute, without links; borrowed. */
const char *io_scratch_path(const struct io_scratch *s);
/* A file beside the folder that is removed with it; borrowed. */
const char *io_scratch_beside(const struct io_scratch *s);
/* Removes it with all that is in it; s is gone. True when that is done; false: a thread of the pool
 * does it, and gone(ctx) is called on the loop's thread afterwards. */
bool io_scratch_close(struct io_scratch *s, void (*gone)(void *ctx), void *ctx);

/* Leaves it to go with the launcher, which is being closed; s is gone. */
void io_scratch_drop(struct io_scratch *s);

/* Why path is not one of a file below a folder ("it is absolute"), or NULL when it is. */
const char *io_below_refuse(struct str path);
/* Makes a new file below the folder, and the folders that it needs; mode 0700, as it may be a
 * program. Blocking; may be called on a thread of the pool. The folder must not be changed by
 * others meanwhile. */
enum err io_below_write(const char *folder, struct str path, struct str bytes, struct error *e)
    MUST_USE;

#endif
