/* W1, durable: a chain of 1000 no-op effects, each durable before the next. Goal: at least 60 % of
 * the rate at which bare rows of one step at a time are committed in the same run.
 */
#include <stdio.h>

#include "support/raw.h"
#include "support/work.h"

#define STEPS 1000
#define ROUNDS 7
#define GOAL 0.60

int main(void) {
    double ratios[ROUNDS], rates[ROUNDS], raws[ROUNDS];
    struct work_report report = {0};
    bool proven = false;
    bench_sqlite_set_up();
    for (int i = 0; i < ROUNDS; i++) {
        char folder[600];
        bench_folder(folder, sizeof folder);
        raws[i] = raw_commit_rate(folder, STEPS);
        report = work_run(folder, "noop", WORK_CHAIN, 1, STEPS);
        rates[i] = STEPS / report.seconds;
        ratios[i] = rates[i] / raws[i];
        proven = i > 0 ? proven : work_prove(folder, "proof", WORK_CHAIN, 1, STEPS);
        bench_remove(folder);
    }
    double ratio = bench_median(ratios, ROUNDS);
    printf("W1 durable, chain of %d no-op effects: %.0f steps/s, bare commits %.0f/s, ratio %.2f "
           "(median of %d; goal %.2f); commits %llu, fdatasync %llu\n",
           STEPS, bench_median(rates, ROUNDS), bench_median(raws, ROUNDS), ratio, ROUNDS, GOAL,
           (unsigned long long)report.commits, (unsigned long long)report.syncs);
    bool met = bench_note("W1 durable, of bare commits", ratio, "ratio", GOAL, false);
    return met && proven ? 0 : 1;
}
