/* The yardstick: bare SQLite rows of the shape that cairn writes, with the same settings, and
 * nothing else: no engine, no fencing, no read of anything. And clocks and folders for benchmarks.
 */
#ifndef CAIRN_BENCH_RAW_H
#define CAIRN_BENCH_RAW_H

#include <stdbool.h>
#include <stddef.h>

/* Seconds of a steady clock. */
double bench_now(void);
/* A new folder under the present one (or $TMPDIR); kept in out. */
void bench_folder(char *out, size_t out_bytes);
/* Removes a folder made so. */
void bench_remove(const char *folder);
/* The median of count figures (sorts them). */
double bench_median(double *figures, int count);

/* One figure of the report: printed to the file that $CAIRN_BENCH_JSON names, a line of JSON each,
 * {"figure", "value", "unit", "goal"}. Goals of figures with less_is_better are upper limits. Gives
 * whether the goal is met; a goal of 0 is none. */
bool bench_note(const char *figure, double value, const char *unit, double goal,
                bool less_is_better);

/* Before anything else: SQLite counts no memory, as in the program cairn. For bare rows, too. */
void bench_sqlite_set_up(void);

/* Writes the rows of `executions` executions of `steps` steps each into folder/raw.db, one commit
 * per round in which every execution has one step done and the next scheduled; rows of steps at the
 * end. Returns seconds without opening and creating. Exits with a message on any error. */
double raw_rounds(const char *folder, int executions, int steps);
/* The same one after the other: `steps` commits of one step each, per second. */
double raw_commit_rate(const char *folder, int steps);
/* fdatasync of 4 KiB appended, per second, over count. */
double raw_fdatasync_rate(const char *folder, int count);

#endif
