/* A trap for bugs: what runs inside it may break an ASSERT without stopping the process.
 *
 * For work on state that can be thrown away as a whole, such as the decisions of one execution:
 * the others of the process go on. The state is void afterwards, in parts perhaps half changed, so
 * it is never looked at nor freed; what it held is lost to the process. Never around work that
 * holds a lock, writes a file or is known to the event loop.
 */
#ifndef CAIRN_BASE_TRAP_H
#define CAIRN_BASE_TRAP_H

#include "base/error.h"

/* Calls work(ctx, e) and returns what it does; ERR_BUG, with the broken condition, when an ASSERT
 * failed in it on this thread. Traps may be nested: the innermost takes it. */
enum err trap_run(enum err (*work)(void *ctx, struct error *e), void *ctx, struct error *e)
    MUST_USE;

/* For assert_fail: leaves by the innermost trap of this thread, returns when there is none. */
void trap_leave(const char *cond, const char *file, int line, const char *func);

#endif
