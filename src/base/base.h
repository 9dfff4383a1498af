/* The ground every module stands on: assertions, slices, arenas, buffers, errors, maps, times.
 *
 * Invariants: nothing here knows about workflows, reads a clock, does I/O (base/assert.c prints
 * the last words of a bug, then stops) or keeps process-global state. Everything sized by input
 * has a cap and returns ERR_LIMIT or ERR_NOMEM instead of aborting.
 */
#ifndef CAIRN_BASE_BASE_H
#define CAIRN_BASE_BASE_H

#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/fetch.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/str.h"
#include "base/time.h"
#include "base/trap.h"

#endif
