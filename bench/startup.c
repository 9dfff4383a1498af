/* How long commands take that only look, whole process, on an empty store. Goal: under 25 ms each.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/raw.h"

#define RUNS 31
#define GOAL_S 0.025

static const char flow[] = "cairn: 1\nname: one\nnodes:\n  a: {type: end, value: \"1\"}\n";

/* {cairn}, the command and its arguments; "FLOW" stands for a workflow file. */
static const char *const commands[][6] = {
    {"help"},
    {"--version", "-v"},
    {"run", "FLOW", "--quiet"},
    {"list"},
    {"results", "@last"},
    {"validate", "FLOW"},
    {"graph", "FLOW"},
    {"graph", "FLOW", "--format", "svg"},
    {"expr", "1 + 1"},
    {"kinds"},
    {"schema"},
    {"db", "check"},
    {"completion", "bash"},
    {"man"},
};

static double run_once(const char *cairn, const char *const *words, const char *file) {
    const char *argv[8] = {cairn};
    for (int i = 0; i < 6 && words[i]; i++) {
        argv[i + 1] = words[i][0] == 'F' ? file : words[i];
    }
    double from = bench_now();
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execv(cairn, (char *const *)argv);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 127) {
        fprintf(stderr, "bench: cannot run %s\n", cairn);
        exit(1);
    }
    return bench_now() - from;
}

int main(void) {
    const char *cairn = getenv("CAIRN_BIN");
    char folder[600], file[700], store[700];
    double times[RUNS], slowest = 0;
    cairn = cairn ? cairn : "build/release/cairn";
    bench_folder(folder, sizeof folder);
    snprintf(file, sizeof file, "%s/flow.yaml", folder);
    snprintf(store, sizeof store, "%s/cairn.db", folder);
    setenv("CAIRN_STORE", store, 1);
    FILE *f = fopen(file, "w");
    if (!f || fputs(flow, f) < 0 || fclose(f) != 0) {
        perror(file);
        return 1;
    }
    printf("start-up, whole process, median of %d (goal %.0f ms)\n", RUNS, GOAL_S * 1e3);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        for (int k = 0; k < RUNS; k++) {
            times[k] = run_once(cairn, commands[i], file);
        }
        double median = bench_median(times, RUNS);
        slowest = median > slowest ? median : slowest;
        printf("  %5.1f ms  cairn", median * 1e3);
        for (int k = 0; k < 6 && commands[i][k]; k++) {
            printf(" %s", commands[i][k][0] == 'F' ? "flow.yaml" : commands[i][k]);
        }
        printf("\n");
    }
    bench_remove(folder);
    return bench_note("start-up, slowest command", slowest * 1e3, "ms", GOAL_S * 1e3, true) ? 0 : 1;
}
