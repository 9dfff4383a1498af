/* Whole processes for benchmarks: how long they take and what they use with all they start. */
#ifndef CAIRN_BENCH_CHILD_H
#define CAIRN_BENCH_CHILD_H

struct bench_use {
    double wall_s;
    double cpu_s; /* user and system, of the process and all below it that were waited for */
};

/* Runs a program with its standard output thrown away; ends the benchmark when it fails. */
struct bench_use bench_run(const char *const *argv);
/* Writes a file that the benchmark needs; ends it when that cannot be done. */
void bench_write(const char *path, const char *text);
/* Two programs in turns, `rounds` times each: the median of wall time and the least of CPU time,
 * which other work on the machine can only add to. */
void bench_turns(const char *const *first, const char *const *second, int rounds,
                 struct bench_use *out_first, struct bench_use *out_second);
/* The binary that is measured: CAIRN_BIN or build/release/cairn. */
const char *bench_cairn(void);

#endif
