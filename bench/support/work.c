/* Executions through the library and whole processes: see work.h. */
#include "work.h"

#include <cairn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw.h"
#include "told.h"

enum { NODE_BYTES = 80, WORDS_MOST = 30 };

static uint64_t performed;

static void noop(struct cairn_step *s, void *ctx) {
    (void)ctx;
    performed++;
    cairn_step_done(s, NULL);
}

static void must(int failed, const char *what, const char *why) {
    if (failed) {
        fprintf(stderr, "bench: %s: %s\n", what, why);
        exit(1);
    }
}

static char *workflow_text(enum work_shape shape, int steps) {
    char *text = malloc((size_t)steps * 2 * NODE_BYTES + 200);
    must(!text, "workflow", "out of memory");
    int at = sprintf(text, "cairn: 1\nname: noop\nnodes:\n  s0: {type: noop}\n");
    for (int i = 1; i < steps; i++) {
        at += sprintf(text + at, "  s%d: {type: noop, needs: [s%d]}\n", i,
                      shape == WORK_CHAIN ? i - 1 : 0);
    }
    if (shape == WORK_FAN) {
        at += sprintf(text + at, "  join: {type: noop, needs: [");
        for (int i = 1; i < steps; i++) {
            at += sprintf(text + at, "%ss%d", i > 1 ? ", " : "", i);
        }
        sprintf(text + at, "]}\n");
    }
    return text;
}

struct work {
    const char *store;
    enum work_shape shape;
    int executions, steps;
    struct told *told; /* NULL: nobody listens */
};

static struct work_report run(const struct work *k) {
    struct cairn *c;
    struct cairn_workflow *w;
    struct cairn_kind kind = {.name = "noop", .doc = "does nothing", .start = noop};
    struct cairn_execution **all = calloc((size_t)k->executions, sizeof(*all));
    struct cairn_stats stats;
    char why[CAIRN_ERROR_BYTES];
    char *text = workflow_text(k->shape, k->steps);
    must(!all, "executions", "out of memory");
    must(cairn_open(k->store, &c, why), "open", why);
    must(cairn_register(c, &kind, why), "register", why);
    cairn_set_slots(c, 100000);
    if (k->told) {
        cairn_subscribe(c, told_note, k->told);
    }
    must(cairn_load_text(c, text, "noop.yaml", &w, why), "load", why);
    performed = 0;
    uint64_t syncs = told_syncs();
    double from = bench_now();
    for (int i = 0; i < k->executions; i++) {
        must(cairn_submit(c, w, NULL, &all[i], why), "submit", why);
    }
    must(cairn_run(c, why), "run", why);
    struct work_report report = {.seconds = bench_now() - from};
    for (int i = 0; i < k->executions; i++) {
        const char *status = cairn_status(all[i]);
        must(strcmp(status, "completed") != 0, cairn_id(all[i]), status);
    }
    uint64_t wanted = (uint64_t)k->executions * ((uint64_t)k->steps + (k->shape == WORK_FAN));
    must(performed != wanted, "steps", "not all were performed");
    cairn_stats(c, &stats);
    report.commits = stats.commits;
    report.syncs = told_syncs() - syncs;
    cairn_close(c);
    free(text);
    free(all);
    return report;
}

struct work_report work_run(const char *folder, const char *name, enum work_shape shape,
                            int executions, int steps) {
    char store[700];
    snprintf(store, sizeof store, "%s/%s.db", folder, name);
    struct work k = {store, shape, executions, steps, NULL};
    return run(&k);
}

bool work_prove(const char *folder, const char *name, enum work_shape shape, int executions,
                int steps) {
    char store[700];
    struct told told = {0};
    snprintf(store, sizeof store, "%s/%s.db", folder, name);
    struct work k = {store, shape, executions, steps, &told};
    struct work_report report = run(&k);
    size_t count = told.count, found = told_found(&told, store);
    printf("   commits %llu, fdatasync %llu; of %zu events that were told another process finds "
           "%zu in the store\n",
           (unsigned long long)report.commits, (unsigned long long)report.syncs, count, found);
    return report.syncs >= report.commits && found == count && count >= performed;
}

static FILE *open_flow(const char *folder, const char *name) {
    char path[700];
    snprintf(path, sizeof path, "%s/%s.yaml", folder, name);
    FILE *f = fopen(path, "w");
    must(!f, path, "cannot be written");
    return f;
}

void work_write_chain(const char *folder, const char *name, int nodes) {
    FILE *f = open_flow(folder, name);
    fprintf(f, "cairn: 1\nname: chain\nnodes:\n  n0: {type: transform, value: \"1\"}\n");
    for (int i = 1; i < nodes; i++) {
        fprintf(f, "  n%d: {type: transform, needs: [n%d], value: n%d + 1}\n", i, i - 1, i - 1);
    }
    fprintf(f, "outputs: {last: n%d}\n", nodes - 1);
    must(fclose(f) != 0, name, "cannot be written");
}

void work_write_fan_in(const char *folder, const char *name, int nodes) {
    FILE *f = open_flow(folder, name);
    fprintf(f, "cairn: 1\nname: fan_in\nnodes:\n");
    for (int i = 0; i < nodes; i++) {
        fprintf(f, "  n%d: {type: transform, value: \"%d\"}\n", i, i);
    }
    fprintf(f, "  last:\n    type: transform\n    value: n%d\n    needs:\n", nodes - 1);
    for (int i = 0; i < nodes; i++) {
        fprintf(f, "      - n%d\n", i);
    }
    fprintf(f, "outputs: {last: last}\n");
    must(fclose(f) != 0, name, "cannot be written");
}

static void become_cairn(const char *cairn, const char *const *words, int out) {
    const char *argv[WORDS_MOST + 2] = {cairn};
    for (int i = 0; i < WORDS_MOST && words[i]; i++) {
        argv[i + 1] = words[i];
    }
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(out, 1);
    execv(cairn, (char *const *)argv);
    _exit(127);
}

/* All of it is read, so that the program never waits for its reader. */
static void read_output(int fd, char *out, size_t out_bytes) {
    char rest[4096];
    size_t len = 0;
    ssize_t n;
    while ((n = len + 1 < out_bytes ? read(fd, out + len, out_bytes - 1 - len)
                                    : read(fd, rest, sizeof rest)) > 0) {
        len += len + 1 < out_bytes ? (size_t)n : 0;
    }
    out[len] = '\0';
}

struct work_process work_cairn(const char *const *words) {
    const char *cairn = getenv("CAIRN_BIN");
    struct work_process p;
    struct rusage usage;
    int fds[2], status;
    cairn = cairn ? cairn : "build/release/cairn";
    must(pipe2(fds, O_CLOEXEC) != 0, "pipe", "cannot be made");
    double from = bench_now();
    pid_t pid = fork();
    if (pid == 0) {
        become_cairn(cairn, words, fds[1]);
    }
    close(fds[1]);
    read_output(fds[0], p.output, sizeof p.output);
    close(fds[0]);
    must(wait4(pid, &status, 0, &usage) != pid, cairn, "cannot be waited for");
    p.seconds = bench_now() - from;
    p.peak_kib = usage.ru_maxrss;
    must(!WIFEXITED(status) || WEXITSTATUS(status) != 0, words[0], "did not succeed");
    return p;
}
