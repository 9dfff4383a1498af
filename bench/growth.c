/* Growth is linear: chains of 1,000, 10,000 and 100,000 transforms, whole process, what they leave
 * in the store, folding their journals, and a join of as many. Goals: a step of 100,000 costs at
 * most 10 % more than one of 10,000 in each; under 400 bytes a step; 100,000 nodes compile in 1 s,
 * run in 2 s and need less than 300 MB.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "support/raw.h"
#include "support/work.h"

#define ROUNDS 5
#define BYTES_GOAL 400
#define COMPILE_GOAL_S 1.0
#define RUN_GOAL_S 2.0
#define MEMORY_GOAL_KIB (300 * 1024)
#define GROWTH_GOAL 1.10

struct figures {
    double compile_s, run_s, fold_s, bytes;
    long peak_kib;
};

static double bytes_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (double)st.st_size : 0;
}

typedef void write_workflow(const char *folder, const char *name, int nodes);

/* The medians of some runs; fold: of db check of the newest, which folds its journal; bytes: what
 * one more execution adds to the database file, the log of which every run moves into it. */
static struct figures measure(const char *folder, const char *shape, write_workflow *write,
                              int nodes) {
    char name[40], file[700], store[700];
    double compile[ROUNDS], run[ROUNDS], fold[ROUNDS], before = 0;
    struct figures f = {0};
    snprintf(name, sizeof name, "%s%d", shape, nodes);
    snprintf(file, sizeof file, "%s/%s.yaml", folder, name);
    snprintf(store, sizeof store, "%s/%s.db", folder, name);
    write(folder, name, nodes);
    for (int i = 0; i < ROUNDS; i++) {
        const char *const validate[] = {"validate", file, NULL};
        const char *const go[] = {"run", file, "--quiet", "--store", store, NULL};
        compile[i] = work_cairn(validate).seconds;
        struct work_process p = work_cairn(go);
        run[i] = p.seconds;
        const char *const check[] = {"db", "check", "--newest", "1", "--store", store, NULL};
        fold[i] = work_cairn(check).seconds;
        f.peak_kib = p.peak_kib > f.peak_kib ? p.peak_kib : f.peak_kib;
        before = i == 0 ? bytes_of(store) : before;
    }
    f.bytes = (bytes_of(store) - before) / (ROUNDS - 1);
    f.compile_s = bench_median(compile, ROUNDS);
    f.run_s = bench_median(run, ROUNDS);
    f.fold_s = bench_median(fold, ROUNDS);
    printf("  %-6s %6d steps: validate %6.1f ms, run %7.1f ms, %4.1f us and %3.0f bytes a step, "
           "check %6.1f ms, %ld MB\n",
           shape, nodes, f.compile_s * 1e3, f.run_s * 1e3, f.run_s * 1e6 / nodes, f.bytes / nodes,
           f.fold_s * 1e3, f.peak_kib / 1024);
    return f;
}

/* many is ten times some. */
static bool grows(const char *what, double some, double many) {
    char figure[80];
    snprintf(figure, sizeof figure, "%s: a step of 100,000 to one of 10,000", what);
    printf("  %s: %.2f (goal %.2f)\n", figure, many / 10 / some, GROWTH_GOAL);
    return bench_note(figure, many / 10 / some, "ratio", GROWTH_GOAL, true);
}

int main(void) {
    char folder[600];
    bench_folder(folder, sizeof folder);
    printf("growth, transforms, whole process, median of %d\n", ROUNDS);
    measure(folder, "chain", work_write_chain, 1000);
    struct figures some = measure(folder, "chain", work_write_chain, 10000);
    struct figures many = measure(folder, "chain", work_write_chain, 100000);
    measure(folder, "fan_in", work_write_fan_in, 1000);
    struct figures some_in = measure(folder, "fan_in", work_write_fan_in, 10000);
    struct figures many_in = measure(folder, "fan_in", work_write_fan_in, 100000);
    bench_remove(folder);
    bool well = grows("chain", some.run_s, many.run_s);
    well &= grows("chain, bytes", some.bytes, many.bytes);
    well &= grows("chain, fold", some.fold_s, many.fold_s);
    well &= grows("fan-in", some_in.run_s, many_in.run_s);
    well &= bench_note("store, a step of a chain", many.bytes / 1e5, "bytes", BYTES_GOAL, true);
    well &= bench_note("100,000 nodes, validate", many.compile_s, "s", COMPILE_GOAL_S, true);
    well &= bench_note("100,000 nodes, run", many.run_s, "s", RUN_GOAL_S, true);
    well &= bench_note("100,000 nodes, memory", (double)many.peak_kib / 1024, "MB",
                       (double)MEMORY_GOAL_KIB / 1024, true);
    return well ? 0 : 1;
}
