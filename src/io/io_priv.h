/* Small things the files of io share: what the system's error numbers mean and how descriptors
 * are closed. Nothing here is seen by other modules, and nothing here keeps state.
 */
#ifndef CAIRN_IO_PRIV_H
#define CAIRN_IO_PRIV_H

#include "base/base.h"

/* The text of errno value no; static, thread safe, the same in every locale. */
const char *io_errno_text(int no);
/* "<what> <path>: <reason>" with the code that fits the errno value no. */
enum err io_error_errno(struct error *e, int no, const char *what, const char *path);
/* close() that survives EINTR and takes -1; errno is kept. */
void io_fd_close(int *fd);

#endif
