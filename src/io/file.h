/* Files, folders and locks. The only place (with store's SQLite) that opens files.
 *
 * Everything here blocks. Paths are NUL-terminated and relative to the current folder; messages
 * name the path and the reason.
 */
#ifndef CAIRN_IO_FILE_H
#define CAIRN_IO_FILE_H

#include "base/base.h"

/* The whole file into the arena. ERR_NOT_FOUND, ERR_LIMIT (over max_bytes, before reading it all),
 * ERR_IO; a folder or a device is ERR_INVALID. Blocking. */
enum err io_file_read(const char *path, size_t max_bytes, struct arena *a, struct str *out,
                      struct error *e) MUST_USE;
/* io_file_read of a file that nobody but this user can read: one of somebody else, or one with a
 * right for group or others, is ERR_DENIED. */
enum err io_file_read_private(const char *path, size_t max_bytes, struct arena *a, struct str *out,
                              struct error *e) MUST_USE;
/* Writes to a temporary file beside it, fsyncs, renames: readers see the old or the new content.
 * mode e.g. 0644. make_dirs: missing parent folders are made. */
enum err io_file_write(const char *path, struct str text, unsigned mode, bool make_dirs,
                       struct error *e) MUST_USE;
/* The same for a file that is not there yet; never replaces one: ERR_CONFLICT. */
enum err io_file_create(const char *path, struct str text, unsigned mode, bool make_dirs,
                        struct error *e) MUST_USE;
/* mkdir -p with mode for the new ones. */
enum err io_dir_make(const char *path, unsigned mode, struct error *e) MUST_USE;
/* Removes a folder and all in it (no following of links); a missing one is fine. */
enum err io_dir_remove(const char *path, struct error *e) MUST_USE;
/* A new private folder (0700) under parent (NULL: the system's temporary folder). */
enum err io_dir_temp(const char *parent, char *out, size_t out_bytes, struct error *e) MUST_USE;
bool io_path_exists(const char *path);
/* Descriptors 0 to 2 that were closed are taken, so that no file opened later gets one of them and
 * then what is meant for the standard streams. Reading from and writing to them fails as before. */
void io_streams_hold(void);

/* OFD byte locks on a side file (never on a database file). They fall with the descriptor. */
struct io_lock {
    int fd;
};
enum err io_lock_open(struct io_lock *l, const char *path, struct error *e) MUST_USE;
void io_lock_close(struct io_lock *l);
/* Takes byte `at` exclusively; waits at most wait_ms (0: try, -1: for ever). ERR_STORE_BUSY. */
enum err io_lock_take(struct io_lock *l, int64_t at, int wait_ms, struct error *e) MUST_USE;
void io_lock_release(struct io_lock *l, int64_t at);
/* Takes byte `at` in the order of arrival among all who ask in this way: who has to wait holds a
 * byte of its own from `queue` on, behind the last of those that wait, and nobody takes `at` past
 * it (unless it does not take what is free: its process was stopped). `door` is held for the moment
 * in which such a byte is chosen. The bytes fall when their process dies, so a dead one holds up
 * nobody. Waits at most wait_ms (0: try). ERR_STORE_BUSY. */
struct io_turnstile {
    int64_t at, door, queue;
};
enum err io_lock_take_in_turn(struct io_lock *l, const struct io_turnstile *t, int wait_ms,
                              struct error *e) MUST_USE;
/* True when another descriptor holds byte `at`. */
bool io_lock_held(struct io_lock *l, int64_t at);

/* The terminal of this process, opened anew (nonblocking, for nobody else); -1 when there is none.
 * The caller closes it. */
int io_terminal_open(void);

#endif
