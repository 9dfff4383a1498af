/* The trap of a thread: where to go on when an ASSERT fails. Leaves by longjmp, so nothing between
 * the trap and the bug is cleaned up.
 *
 * Invariant: current is NULL outside of every trap_run, so an ASSERT there ends the process.
 */
#include "base/trap.h"

#include <setjmp.h>
#include <stdio.h>

struct trap {
    struct trap *outer;
    jmp_buf back;
    char text[400];
};

static _Thread_local struct trap *current;

enum err trap_run(enum err (*work)(void *ctx, struct error *e), void *ctx, struct error *e) {
    struct trap t;
    t.outer = current;
    if (_setjmp(t.back) != 0) {
        current = t.outer;
        return error_set(e, ERR_BUG, "bug in cairn: %s", t.text);
    }
    current = &t;
    enum err err = work(ctx, e);
    current = t.outer;
    return err;
}

void trap_leave(const char *cond, const char *file, int line, const char *func) {
    struct trap *t = current;
    if (t) {
        (void)snprintf(t->text, sizeof t->text, "%s:%d: %s: this should hold: %s", file, line, func,
                       cond);
        longjmp(t->back, 1);
    }
}
