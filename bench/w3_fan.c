/* W3: one step, 1000 no-op effects at once, a join of all of them. Goal: under 50 ms. */
#include <stdio.h>

#include "support/raw.h"
#include "support/work.h"

#define WIDTH 1000
#define ROUNDS 7
#define GOAL_S 0.050

int main(void) {
    double times[ROUNDS];
    struct work_report report = {0};
    char folder[600];
    bench_sqlite_set_up();
    bench_folder(folder, sizeof folder);
    for (int i = 0; i < ROUNDS; i++) {
        report = work_run(folder, "fan", WORK_FAN, 1, WIDTH + 1);
        times[i] = report.seconds;
    }
    bench_remove(folder);
    double median = bench_median(times, ROUNDS);
    printf("W3 fan-out to %d no-op effects and a join: %.1f ms (median of %d; goal %.0f); %llu "
           "commits\n",
           WIDTH, median * 1e3, ROUNDS, GOAL_S * 1e3, (unsigned long long)report.commits);
    return bench_note("W3 fan-out to 1000", median * 1e3, "ms", GOAL_S * 1e3, true) ? 0 : 1;
}
