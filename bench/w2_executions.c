/* W2: 1000 executions of 10 no-op effects, submitted at once, each durable before the next of its
 * execution; also 1000 x 100. Through the library, with one more kind registered. Goal: at least
 * 40 % of the rate of bare rows of the same shape, written in the same run.
 */
#include <cairn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/raw.h"

#define GOAL 0.40

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

static char *chain(int steps) {
    char *text = malloc((size_t)steps * 60 + 100);
    int at = sprintf(text, "cairn: 1\nname: noop\nnodes:\n  s0: {type: noop}\n");
    for (int i = 1; i < steps; i++) {
        at += sprintf(text + at, "  s%d: {type: noop, needs: [s%d]}\n", i, i - 1);
    }
    return text;
}

static double run_cairn(const char *folder, int executions, int steps, struct cairn_stats *stats) {
    struct cairn *c;
    struct cairn_workflow *w;
    struct cairn_kind kind = {.name = "noop", .doc = "does nothing", .start = noop};
    struct cairn_execution **all = calloc((size_t)executions, sizeof(*all));
    char why[CAIRN_ERROR_BYTES], store[700];
    char *text = chain(steps);
    snprintf(store, sizeof store, "%s/noop-%d.db", folder, steps);
    must(cairn_open(store, &c, why), "open", why);
    must(cairn_register(c, &kind, why), "register", why);
    cairn_set_slots(c, 100000);
    must(cairn_load_text(c, text, "noop.yaml", &w, why), "load", why);
    performed = 0;
    double from = bench_now();
    for (int i = 0; i < executions; i++) {
        must(cairn_submit(c, w, NULL, &all[i], why), "submit", why);
    }
    must(cairn_run(c, why), "run", why);
    double seconds = bench_now() - from;
    for (int i = 0; i < executions; i++) {
        must(strcmp(cairn_status(all[i]), "completed") != 0, cairn_id(all[i]),
             cairn_status(all[i]));
    }
    must(performed != (uint64_t)executions * (uint64_t)steps, "steps", "not all were performed");
    cairn_stats(c, stats);
    cairn_close(c);
    free(text);
    free(all);
    return seconds;
}

static int compare(int executions, int steps) {
    double ratios[5], rates[5], raws[5];
    struct cairn_stats stats = {0};
    for (int i = 0; i < 5; i++) {
        char folder[600];
        bench_folder(folder, sizeof folder);
        double total = (double)executions * steps;
        raws[i] = total / raw_rounds(folder, executions, steps);
        rates[i] = total / run_cairn(folder, executions, steps, &stats);
        ratios[i] = rates[i] / raws[i];
        bench_remove(folder);
    }
    double ratio = bench_median(ratios, 5);
    printf("W2 %d x %d: %.0f steps/s, bare rows %.0f steps/s, ratio %.2f (median of 5; goal %.2f); "
           "%llu commits\n",
           executions, steps, bench_median(rates, 5), bench_median(raws, 5), ratio, GOAL,
           (unsigned long long)stats.commits);
    return ratio >= GOAL ? 0 : 1;
}

int main(void) {
    bench_sqlite_set_up();
    int failed = compare(1000, 10);
    failed |= compare(1000, 100);
    return failed;
}
