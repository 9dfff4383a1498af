/* The last words of a bug: which condition failed and where, on stderr, then abort.
 *
 * The only place in base that writes to a descriptor. It must never allocate or return: the
 * process is in a state nobody planned for, and a missing record is better than a wrong one. Only
 * what runs in a trap (base/trap.h) is given up alone.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/trap.h"

void assert_fail(const char *cond, const char *file, int line, const char *func) {
    trap_leave(cond, file, line, func);
    (void)fprintf(stderr, "cairn: bug: %s:%d: %s: this should hold: %s\n", file, line, func, cond);
    (void)fflush(stderr);
    abort();
}
