/* W2: 1000 executions of 10 no-op effects, submitted at once, each durable before the next of its
 * execution; also 1000 x 100, and 1,000,000 steps with the log's checkpoints inside, as 1000 x 1000
 * and as 10,000 x 100. Goal: at least 40 % of the rate of bare rows of the same shape, written in
 * the same run. What was told of the smaller ones is looked for in the store afterwards, from
 * another process. With arguments only that size: w2_executions EXECUTIONS STEPS [ROUNDS].
 */
#include <stdio.h>
#include <stdlib.h>

#include "support/raw.h"
#include "support/work.h"

#define GOAL 0.40
#define MOST_ROUNDS 5
#define MOST_PROVEN 100000 /* steps: all that is told of them is kept in memory meanwhile */

static int compare(int executions, int steps, int rounds) {
    double ratios[MOST_ROUNDS], rates[MOST_ROUNDS], raws[MOST_ROUNDS];
    struct work_report report = {0};
    bool proven = false;
    double total = (double)executions * steps;
    for (int i = 0; i < rounds; i++) {
        char folder[600];
        bench_folder(folder, sizeof folder);
        raws[i] = total / raw_rounds(folder, executions, steps);
        report = work_run(folder, "noop", WORK_CHAIN, executions, steps);
        rates[i] = total / report.seconds;
        ratios[i] = rates[i] / raws[i];
        if (i == 0) {
            proven =
                total > MOST_PROVEN || work_prove(folder, "proof", WORK_CHAIN, executions, steps);
        }
        bench_remove(folder);
    }
    double ratio = bench_median(ratios, rounds);
    printf(
        "W2 %d x %d: %.0f steps/s, bare rows %.0f steps/s, ratio %.2f (median of %d; goal %.2f); "
        "commits %llu, fdatasync %llu\n",
        executions, steps, bench_median(rates, rounds), bench_median(raws, rounds), ratio, rounds,
        GOAL, (unsigned long long)report.commits, (unsigned long long)report.syncs);
    char figure[60];
    snprintf(figure, sizeof figure, "W2 %d x %d, of bare rows", executions, steps);
    bool met = bench_note(figure, ratio, "ratio", GOAL, false);
    return met && proven ? 0 : 1;
}

static int number(const char *text, int most) {
    int n = atoi(text);
    if (n < 1 || n > most) {
        fprintf(stderr, "usage: w2_executions [EXECUTIONS STEPS [ROUNDS]]\n");
        exit(2);
    }
    return n;
}

int main(int argc, char **argv) {
    bench_sqlite_set_up();
    if (argc > 1) {
        return compare(number(argv[1], 1000000), number(argc > 2 ? argv[2] : "", 1000000),
                       argc > 3 ? number(argv[3], MOST_ROUNDS) : 1);
    }
    int failed = compare(1000, 10, 5);
    failed |= compare(1000, 100, 5);
    failed |= compare(1000, 1000, 1);
    failed |= compare(10000, 100, 1);
    return failed;
}
