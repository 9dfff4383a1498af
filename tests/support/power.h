/* What a disk may hold after the power failed. While a folder is watched, every write, truncation,
 * sync, rename and deletion in it that this process makes, SQLite's included, goes through, and is
 * remembered until it is synced: bytes by a sync of their file, names by a sync of the folder. An
 * image is the folder as it may be found after a cut right now: what was synced is there; of the
 * rest, sectors are missing, torn or came in another order, and names are there or not.
 *
 * It stands between the C library and its callers (pwrite, fsync ... are defined here), so that a
 * sync that our own code forgets is missed, too. The WAL-index is not on a disk: an image has none,
 * or rubbish in its place.
 */
#ifndef TESTS_SUPPORT_POWER_H
#define TESTS_SUPPORT_POWER_H

#include <stdbool.h>
#include <stdint.h>

/* What is in the folder now counts as synced. One folder at a time. step, if any, is called after
 * each operation, on its thread; what it does itself is not watched. */
void power_watch(const char *folder, void (*step)(void *ctx), void *ctx);
void power_stop(void);
/* Writes a possible image into another folder, emptied first; the seed says which. Even a seed of
 * 0 (nothing unsynced is there) and 1 (all of it is). */
bool power_image(const char *to, uint64_t seed);
/* Operations since power_watch, and how many of them were syncs. */
uint64_t power_steps(void);
uint64_t power_syncs(void);

#endif
