/* 10,000 executions waiting for an answer in one host; they come by the hundred. Goal: they need
 * less than 20 MB beyond the host with nothing to do.
 */
#include <cairn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/raw.h"

#define WAITING 10000
#define BATCH 100 /* come at once */
#define GOAL_KIB (20 * 1024)

static const char flow[] =
    "cairn: 1\nname: approval\ninputs: {amount: {type: integer, default: 5}}\n"
    "nodes:\n  ask: {type: ask, prompt: \"Pay {{ inputs.amount }}?\", "
    "choices: [\"yes\", \"no\"]}\n  end: {type: end, needs: [ask], value: ask}\n";

static void must(int failed, const char *what, const char *why) {
    if (failed) {
        fprintf(stderr, "bench: %s: %s\n", what, why);
        exit(1);
    }
}

static long resident_kib(void) {
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    must(!f || fscanf(f, "%ld %ld", &pages, &resident) != 2, "/proc/self/statm", "cannot be read");
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(void) {
    struct cairn *c;
    struct cairn_workflow *w;
    struct cairn_execution *x = NULL;
    char folder[600], store[700], why[CAIRN_ERROR_BYTES];
    bench_folder(folder, sizeof folder);
    snprintf(store, sizeof store, "%s/waiting.db", folder);
    must(cairn_open(store, &c, why), "open", why);
    must(cairn_load_text(c, flow, "flow.yaml", &w, why), "load", why);
    must(cairn_submit(c, w, NULL, &x, why) || cairn_run(c, why), "run", why);
    long idle = resident_kib();
    double from = bench_now();
    for (int i = 0; i < WAITING; i++) {
        must(cairn_submit(c, w, NULL, &x, why), "submit", why);
        must(i % BATCH == 0 && cairn_run(c, why), "run", why);
    }
    must(cairn_run(c, why), "run", why);
    must(strcmp(cairn_status(x), "waiting") != 0, "status", cairn_status(x));
    long more = resident_kib() - idle;
    printf(
        "%d executions waiting for an answer: %ld KiB beyond an idle host's %ld, %.0f bytes each "
        "(goal %d KiB); begun in %.2f s\n",
        WAITING, more, idle, (double)more * 1024 / WAITING, GOAL_KIB, bench_now() - from);
    cairn_close(c);
    bench_remove(folder);
    return bench_note("10,000 waiting executions", (double)more, "KiB", GOAL_KIB, true) ? 0 : 1;
}
