/* W6: 1000 times `true` as a command, 8 at a time, the whole process, beside posix_spawn of the
 * same 1000, 8 at a time. Goal: 70 % of its rate. This program is its own yardstick when it is
 * started with the word spawn.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"
#include "support/raw.h"

#define COMMANDS 1000
#define AT_ONCE 8
#define ROUNDS 9

static int spawn_all(void) {
    char name[] = "true";
    char *argv[] = {name, NULL};
    for (int started = 0, ended = 0; ended < COMMANDS;) {
        while (started < COMMANDS && started - ended < AT_ONCE) {
            pid_t pid;
            if (posix_spawnp(&pid, "true", NULL, NULL, argv, environ) != 0) {
                return 1;
            }
            started++;
        }
        if (wait(NULL) < 0) {
            return 1;
        }
        ended++;
    }
    return 0;
}

static void write_flow(const char *path) {
    static char text[16 << 10];
    size_t len = (size_t)snprintf(text, sizeof text,
                                  "cairn: 1\nname: commands\nnodes:\n  job:\n    type: code\n"
                                  "    command: [\"true\"]\n    foreach:\n      as: n\n"
                                  "      concurrency: %d\n      items: \"[1",
                                  AT_ONCE);
    for (int i = 2; i <= COMMANDS; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, ",%d", i);
    }
    snprintf(text + len, sizeof text - len, "]\"\noutputs: {count: size(job)}\n");
    bench_write(path, text);
}

int main(int argc, char **argv) {
    char folder[600], file[700], store[700];
    if (argc > 1 && strcmp(argv[1], "spawn") == 0) {
        return spawn_all();
    }
    bench_folder(folder, sizeof folder);
    snprintf(file, sizeof file, "%s/commands.yaml", folder);
    snprintf(store, sizeof store, "%s/cairn.db", folder);
    write_flow(file);
    const char *const bare[] = {argv[0], "spawn", NULL};
    const char *const cairn[] = {bench_cairn(), "run", file, "--store", store, "--quiet", NULL};
    struct bench_use raw, ours;
    bench_run(cairn); /* the store exists */
    bench_turns(bare, cairn, ROUNDS, &raw, &ours);
    printf(
        "W6, %d x true as commands, %d at a time: %.0f/s, posix_spawn %.0f/s: %.0f %% (goal 70)\n",
        COMMANDS, AT_ONCE, COMMANDS / ours.wall_s, COMMANDS / raw.wall_s,
        raw.wall_s / ours.wall_s * 100);
    printf("   CPU %.2f ms each, posix_spawn %.2f ms: %.0f %% (%d rounds)\n",
           ours.cpu_s * 1e3 / COMMANDS, raw.cpu_s * 1e3 / COMMANDS, raw.cpu_s / ours.cpu_s * 100,
           ROUNDS);
    bench_remove(folder);
    return bench_note("W6, of posix_spawn", raw.wall_s / ours.wall_s, "ratio", 0.7, false) ? 0 : 1;
}
