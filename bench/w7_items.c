/* W7: a foreach of 10,000 items over a Python function, the whole process, each item journaled:
 * goal 10,000 items a second. Beside it the same items over a template, which is the engine alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "support/child.h"
#include "support/raw.h"

enum { ITEMS = 10000, ROUNDS = 5, TEXT_BYTES = 1 << 17 };
#define GOAL 10000.0

static void write_flow(const char *path, const char *node) {
    char *text = malloc(TEXT_BYTES);
    if (text == NULL) {
        exit(1);
    }
    size_t len = (size_t)snprintf(text, TEXT_BYTES,
                                  "cairn: 1\nname: items\nnodes:\n  list:\n"
                                  "    type: transform\n    value: [0");
    for (int i = 1; i < ITEMS; i++) {
        len += (size_t)snprintf(text + len, TEXT_BYTES - len, ",%d", i);
    }
    snprintf(text + len, TEXT_BYTES - len,
             "]\n  job:\n    needs: [list]\n    foreach: {items: list, as: n}\n%s", node);
    bench_write(path, text);
    free(text);
}

int main(void) {
    char folder[600], python[700], plain[700], function[700], store[700];
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench_folder(folder, sizeof folder);
    snprintf(python, sizeof python, "%s/python.yaml", folder);
    snprintf(plain, sizeof plain, "%s/plain.yaml", folder);
    snprintf(function, sizeof function, "%s/work.py", folder);
    snprintf(store, sizeof store, "%s/cairn.db", folder);
    bench_write(function, "def work(n): return n + 1\n");
    write_flow(python, "    type: code\n    language: python\n    file: work.py\n"
                       "    function: work\n");
    write_flow(plain, "    type: template\n    template: \"{{ n }}\"\n");
    const char *const ours[] = {bench_cairn(), "run", python, "--store", store, "--quiet", NULL};
    const char *const alone[] = {bench_cairn(), "run", plain, "--store", store, "--quiet", NULL};
    struct bench_use items, engine;
    bench_run(alone); /* the store exists */
    bench_turns(alone, ours, ROUNDS, &engine, &items);
    double rate = ITEMS / items.wall_s;
    printf("W7, a foreach of %d items over a Python function: %.0f items/s (goal %.0f); "
           "CPU %.0f us each\n",
           ITEMS, rate, GOAL, items.cpu_s * 1e6 / ITEMS);
    printf("   over a template: %.0f items/s; CPU %.0f us each (%d rounds)\n",
           ITEMS / engine.wall_s, engine.cpu_s * 1e6 / ITEMS, ROUNDS);
    bench_remove(folder);
    return bench_note("W7 items over a Python function", rate, "1/s", GOAL, false) ? 0 : 1;
}
