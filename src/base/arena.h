/* Arenas: memory by lifetime (process > plan > execution > step). Single objects are never
 * freed; the whole arena is. An arena has a cap: past it arena_alloc returns NULL and the caller
 * returns a limit error. Arenas are not thread safe; each belongs to one thread at a time.
 */
#ifndef CAIRN_BASE_ARENA_H
#define CAIRN_BASE_ARENA_H

#include "base/assert.h"
#include "base/str.h"

struct arena_block;
struct arena {
    struct arena_block *head; /* newest block, allocations come from it */
    size_t used_bytes;        /* handed out in all blocks */
    size_t cap_bytes;         /* limit of used_bytes */
    size_t next_block_bytes;
    bool starved; /* since it was empty the system refused memory, which is no matter of the cap */
};

/* Empty arena; no allocation yet. cap_bytes 0 means 1 GiB. */
void arena_init(struct arena *a, size_t cap_bytes);
/* The same for few or small objects: the first block has so many bytes instead of 4 KiB. */
void arena_init_small(struct arena *a, size_t first_bytes);
/* Frees everything; a may be used again. NULL and zeroed arenas are fine. */
void arena_fini(struct arena *a);
/* arena_fini after overwriting all that was handed out: for secrets. */
void arena_wipe(struct arena *a);
/* Forgets all objects, keeps one block for reuse. */
void arena_reset(struct arena *a);
/* Zeroed memory aligned to 16 bytes, or NULL when the cap or the system's memory (then
 * starved is set) is exhausted. */
void *arena_alloc(struct arena *a, size_t size_bytes);
/* count * size with overflow check. */
void *arena_array(struct arena *a, size_t count, size_t size_bytes);
/* A copy; the result is also NUL-terminated. ptr is NULL when out of memory. */
struct str arena_str(struct arena *a, struct str s);
/* Formats into the arena; ptr is NULL when out of memory. */
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, count, type) ((type *)arena_array((a), (count), sizeof(type)))

#endif
