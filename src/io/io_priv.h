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
/* Reads on until the end: guess, the size that fstat told, may be wrong (/proc says 0). The path is
 * put before the message by the caller. */
enum err io_fd_read_all(int fd, size_t guess, size_t max_bytes, struct arena *a, struct str *out,
                        struct error *e);
/* An errno value, 0 for success. */
int io_fd_write_all(int fd, struct str text);

#endif
