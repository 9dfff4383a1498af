/* The works that `make bench-peers` also gives to other engines, once each, in seconds: a chain of
 * 1000 no-op effects, each durable before the next; 1000 executions of 10, submitted at once; a
 * fan-out to 1000 and a join. No goals of their own: w1_durable, w2_executions, w3_fan have them.
 */
#include <stdio.h>

#include "support/raw.h"
#include "support/work.h"

static const struct {
    const char *figure;
    enum work_shape shape;
    int executions, steps;
} works[] = {
    {"chain", WORK_CHAIN, 1, 1000},
    {"many", WORK_CHAIN, 1000, 10},
    {"fan", WORK_FAN, 1, 1001},
};

int main(void) {
    char folder[600];
    bench_sqlite_set_up();
    bench_folder(folder, sizeof folder);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        double seconds =
            work_run(folder, works[i].figure, works[i].shape, works[i].executions, works[i].steps)
                .seconds;
        printf("%s, %d x %d: %.4f s\n", works[i].figure, works[i].executions, works[i].steps,
               seconds);
        (void)bench_note(works[i].figure, seconds, "s", 0, true);
    }
    bench_remove(folder);
    return 0;
}
