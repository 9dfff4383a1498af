/* W1, pure: `cairn run` of a chain of 1000 transform nodes, the whole process, the store exists.
 * Goal: under 40 ms. Printed beside it: bare rows of the same shape, and the smallest run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/raw.h"

#define NODES 1000
#define RUNS 9
#define GOAL_S 0.040

static void write_chain(const char *path, int nodes) {
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    fprintf(f, "cairn: 1\nname: chain\nnodes:\n  n0: {type: transform, value: \"1\"}\n");
    for (int i = 1; i < nodes; i++) {
        fprintf(f, "  n%d: {type: transform, needs: [n%d], value: n%d + 1}\n", i, i - 1, i - 1);
    }
    fprintf(f, "outputs: {last: n%d}\n", nodes - 1);
    fclose(f);
}

static double run_once(const char *cairn, const char *store, const char *file, char *out) {
    int fds[2];
    if (pipe(fds) != 0) {
        exit(1);
    }
    double from = bench_now();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        execl(cairn, cairn, "run", file, "--store", store, "--quiet", (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], out, 99);
    out[n > 0 ? n : 0] = '\0';
    int status;
    waitpid(pid, &status, 0);
    double seconds = bench_now() - from;
    close(fds[0]);
    if (status != 0) {
        fprintf(stderr, "bench: cairn ended with status %d\n", status);
        exit(1);
    }
    return seconds;
}

static double median_run(const char *cairn, const char *folder, int nodes) {
    char store[700], file[700], out[100], expected[40];
    double times[RUNS];
    snprintf(store, sizeof store, "%s/cairn.db", folder);
    snprintf(file, sizeof file, "%s/chain%d.yaml", folder, nodes);
    write_chain(file, nodes);
    snprintf(expected, sizeof expected, "%d", nodes);
    run_once(cairn, store, file, out);
    for (int i = 0; i < RUNS; i++) {
        times[i] = run_once(cairn, store, file, out);
        if (!strstr(out, expected)) {
            fprintf(stderr, "bench: wrong result: %s\n", out);
            exit(1);
        }
    }
    return bench_median(times, RUNS);
}

int main(void) {
    const char *cairn = getenv("CAIRN_BIN");
    char folder[600];
    cairn = cairn ? cairn : "build/release/cairn";
    bench_folder(folder, sizeof folder);
    double whole = median_run(cairn, folder, NODES);
    double one = median_run(cairn, folder, 1);
    double raw = raw_rounds(folder, 1, NODES);
    printf("W1 pure, chain of %d transforms, whole process: %.1f ms (median of %d; goal %.0f)\n",
           NODES, whole * 1e3, RUNS, GOAL_S * 1e3);
    printf("   a chain of 1: %.1f ms; so %.1f us a step\n", one * 1e3,
           (whole - one) * 1e6 / (NODES - 1));
    printf("   bare rows, each step durable before the next: %.1f ms; fdatasync %.0f/s\n",
           raw * 1e3, raw_fdatasync_rate(folder, NODES));
    bench_remove(folder);
    return bench_note("W1 pure, chain of 1000", whole * 1e3, "ms", GOAL_S * 1e3, true) ? 0 : 1;
}
