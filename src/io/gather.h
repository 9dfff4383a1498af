/* Files below a folder that fit patterns, read whole: what a process leaves that is to be kept.
 *
 * A pattern is a relative path in which a part may hold `*` (any characters), `?` (one) and
 * `[a-z]`, `[!a-z]`, and a part `**` is any number of folders, none too. As in a shell a name that
 * begins with a dot is only found by a part that begins with one.
 */
#ifndef CAIRN_IO_GATHER_H
#define CAIRN_IO_GATHER_H

#include "base/base.h"

struct io_glob {
    struct str pattern;
    bool optional; /* it is no error when nothing fits */
};

struct io_gathered {
    struct str path; /* relative */
    struct str bytes;
};

struct io_gather {
    const char *folder;
    const struct io_glob *globs;
    size_t glob_count;
    uint64_t max_bytes; /* of all files and their paths together */
};

bool io_glob_fits(struct str pattern, struct str path);
/* Reads them into the arena, ordered by path, each once. Links are followed where they lead to a
 * file below the folder; ERR_DENIED: one leads out. ERR_NOT_FOUND: nothing fits a pattern that is
 * not optional. ERR_LIMIT: more than max_bytes, or more files than can be looked at. Blocking; may
 * be called on a thread of the pool. The folder must not be changed by others meanwhile. */
enum err io_gather(const struct io_gather *g, struct arena *a, struct io_gathered **out,
                   size_t *out_count, struct error *e) MUST_USE;

#endif
