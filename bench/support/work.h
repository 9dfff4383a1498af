/* Work for benchmarks: executions of no-op effects through the library, and whole processes of the
 * program. Every failure ends the benchmark with a message: a figure of wrong results is none.
 */
#ifndef CAIRN_BENCH_WORK_H
#define CAIRN_BENCH_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum work_shape {
    WORK_CHAIN, /* each step needs the one before */
    WORK_FAN,   /* one step, then all others at once, then a join of them */
};

struct work_report {
    double seconds; /* from the first submission to the end of the last execution */
    uint64_t commits;
    uint64_t syncs; /* calls of fdatasync; each commit has one of its own at least */
};

/* Runs `executions` of `steps` no-op effects each, submitted at once, on the store file
 * folder/name.db, which is made when it is missing. Each step is durable before the next begins. */
struct work_report work_run(const char *folder, const char *name, enum work_shape shape,
                            int executions, int steps);
/* The same once more, not timed: whether all that the program was told is in the store, as another
 * process sees it afterwards, and every commit was synced. Prints both. */
bool work_prove(const char *folder, const char *name, enum work_shape shape, int executions,
                int steps);
/* Writes a workflow of `nodes` transforms, each on the one before, to folder/name.yaml. */
void work_write_chain(const char *folder, const char *name, int nodes);
/* The same for `nodes` transforms that need nothing and one that needs all of them. */
void work_write_fan_in(const char *folder, const char *name, int nodes);

struct work_process {
    double seconds;
    long peak_kib;     /* of memory */
    char output[4096]; /* the beginning of stdout */
};

/* Runs `cairn WORDS...` to its end, which must be success: the program that $CAIRN_BIN names. The
 * list ends with NULL. */
struct work_process work_cairn(const char *const *words);

#endif
