/* Runs programs and adds up what they used. Wall time is noise on a machine that has other work, so
 * programs to be compared take turns, and CPU time stands beside it.
 */
#include "support/child.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/raw.h"

#define MOST_ROUNDS 64

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

struct bench_use bench_run(const char *const *argv) {
    double from = bench_now();
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        execvp(argv[0], (char *const *)(const void *)argv);
        _exit(127);
    }
    int status;
    struct rusage use;
    if (wait4(pid, &status, 0, &use) != pid || status != 0) {
        fprintf(stderr, "bench: %s ended with status %d\n", argv[0], status);
        exit(1);
    }
    return (struct bench_use){.wall_s = bench_now() - from,
                              .cpu_s = seconds(use.ru_utime) + seconds(use.ru_stime)};
}

void bench_write(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

void bench_turns(const char *const *first, const char *const *second, int rounds,
                 struct bench_use *out_first, struct bench_use *out_second) {
    double wall[2][MOST_ROUNDS], cpu[2][MOST_ROUNDS];
    rounds = rounds < MOST_ROUNDS ? rounds : MOST_ROUNDS;
    for (int i = 0; i < rounds; i++) {
        for (int k = 0; k < 2; k++) {
            struct bench_use use = bench_run(k == 0 ? first : second);
            wall[k][i] = use.wall_s;
            cpu[k][i] = use.cpu_s;
        }
    }
    for (int k = 0; k < 2; k++) {
        struct bench_use *out = k == 0 ? out_first : out_second;
        (void)bench_median(cpu[k], rounds); /* which sorts them */
        out->cpu_s = cpu[k][0];
        out->wall_s = bench_median(wall[k], rounds);
    }
}

const char *bench_cairn(void) {
    const char *cairn = getenv("CAIRN_BIN");
    return cairn ? cairn : "build/release/cairn";
}
