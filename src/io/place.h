/* Files that may only lie in certain folders: for paths that come from a workflow, whose texts may
 * come from anybody. A path is relative to the first folder or absolute in one of them; ".." is
 * refused, and so is a link that leads out, also one put there while the path is being followed.
 *
 * Only ordinary files are touched: no folder, device or pipe. Everything here blocks.
 */
#ifndef CAIRN_IO_PLACE_H
#define CAIRN_IO_PLACE_H

#include "base/base.h"

struct io_bounds {
    const char *folder;      /* absolute; relative paths start here */
    const char *const *also; /* other absolute folders, NULL-terminated, or NULL */
};

#define IO_PATH_BYTES 4096

struct io_place {
    const char *root_path; /* the folder of the bounds that it lies in; borrowed */
    struct str given;      /* the path as it was given, for messages; borrowed */
    int root;
    int folder;               /* that holds the file; -1 until something is to be written */
    size_t name_at;           /* where the file's own name begins in path */
    char path[IO_PATH_BYTES]; /* below root_path, without "." and empty parts */
};

/* Finds out where path lies and opens the folder of the bounds. ERR_DENIED: outside of all of them;
 * ERR_INVALID: no path of a file. Close it in any case. */
enum err io_place_open(const struct io_bounds *b, struct str path, struct io_place *out,
                       struct error *e) MUST_USE;
void io_place_close(struct io_place *p);
/* As io_file_read, but of an ordinary file only. */
enum err io_place_read(struct io_place *p, size_t max_bytes, struct arena *a, struct str *out,
                       struct error *e) MUST_USE;
/* Takes the lock of the file's folder, which all who write there by this function share, threads
 * and processes alike; it falls with close. Missing folders are made. Never waits: ERR_STORE_BUSY
 * when another one has it. */
enum err io_place_lock(struct io_place *p, struct error *e) MUST_USE;
/* Replaces the file in one step, durably; missing folders are made. A file that is there keeps its
 * mode, a new one has 0644 less the umask. */
enum err io_place_write(struct io_place *p, struct str text, struct error *e) MUST_USE;
/* Adds text at the end by one write, durably; the file and missing folders are made. own_line: a
 * line end goes before it where the file has text that does not end in one. */
enum err io_place_append(struct io_place *p, struct str text, bool own_line, struct error *e)
    MUST_USE;

#endif
