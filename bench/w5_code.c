/* W5: chains of steps of code, the whole process, beside bare interpreters: 40 x fib(10) in Python
 * against starting python once and forking 40 times, 10 x fib(33) against one python that computes
 * them. Goals: the first within 3x, the second at most 5 % more. Such steps share a process, as
 * they reach nothing outside; what 40 cost that do, and so are forks, is printed without a goal,
 * and so are 40 in JavaScript beside one node.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/child.h"
#include "support/raw.h"

/* Inside a function, as the code of a step is. */
#define FIB "def code():\n    def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n"

#define PYTHON "      def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
#define JS "      const fib = (n) => n < 2 ? n : fib(n - 1) + fib(n - 2)\n"

struct chain {
    int steps;
    const char *language, *code;
    const char *bare[6]; /* the yardstick */
    int rounds;
    double goal; /* 0: none */
};

static void write_chain(const char *path, const struct chain *c) {
    static char text[64 << 10];
    size_t len = (size_t)snprintf(text, sizeof text, "cairn: 1\nname: chain\nnodes:\n");
    for (int i = 0; i < c->steps; i++) {
        char needs[40] = "";
        if (i > 0) {
            snprintf(needs, sizeof needs, "    needs: [n%d]\n", i - 1);
        }
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "  n%d:\n    type: code\n%s    language: %s\n    code: |\n%s", i,
                                needs, c->language, c->code);
    }
    bench_write(path, text);
}

static bool compare(const char *name, const char *folder, const struct chain *c) {
    char file[700], store[700];
    snprintf(file, sizeof file, "%s/chain%d.yaml", folder, c->steps);
    snprintf(store, sizeof store, "%s/cairn.db", folder);
    write_chain(file, c);
    const char *const cairn[] = {bench_cairn(), "run", file, "--store", store, "--quiet", NULL};
    struct bench_use raw, ours;
    bench_run(cairn); /* the store exists */
    bench_turns(c->bare, cairn, c->rounds, &raw, &ours);
    printf("%s: %.0f ms, bare %.0f ms: %.2fx; CPU %.0f ms, bare %.0f ms: %.2fx "
           "(%d rounds; goal %.2f)\n",
           name, ours.wall_s * 1e3, raw.wall_s * 1e3, ours.wall_s / raw.wall_s, ours.cpu_s * 1e3,
           raw.cpu_s * 1e3, ours.cpu_s / raw.cpu_s, c->rounds, c->goal);
    return bench_note(name, ours.wall_s / raw.wall_s, "ratio", c->goal, true);
}

static const char forks[] = "import os\n" FIB "    return fib(10)\n"
                            "for i in range(40):\n"
                            "    pid = os.fork()\n"
                            "    if not pid:\n"
                            "        code()\n"
                            "        os._exit(0)\n"
                            "    os.waitpid(pid, 0)\n";

static const char computes[] = FIB "    return fib(33)\nfor i in range(10): code()\n";
static const char computes_js[] = "const fib = (n) => n < 2 ? n : fib(n - 1) + fib(n - 2);"
                                  "for (let i = 0; i < 40; i++) fib(10)";

int main(void) {
    char folder[600];
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench_folder(folder, sizeof folder);
    struct chain c = {.steps = 40,
                      .language = "python",
                      .code = PYTHON "      return fib(10)\n",
                      .bare = {"python3", "-X", "utf8", "-c", forks},
                      .rounds = 15,
                      .goal = 3};
    bool well = compare("W5, 40 x fib(10) beside python and 40 forks", folder, &c);
    c.goal = 0;
    c.code = "      import math\n" PYTHON "      return fib(10)\n";
    (void)compare("W5, 40 x fib(10) with an import, so a fork each", folder, &c);
    c = (struct chain){.steps = 40,
                       .language = "javascript",
                       .code = JS "      return fib(10)\n",
                       .bare = {"node", "-e", computes_js},
                       .rounds = 9};
    (void)compare("W5, 40 x fib(10) in JavaScript beside one node", folder, &c);
    c = (struct chain){.steps = 10,
                       .language = "python",
                       .code = PYTHON "      return fib(33)\n",
                       .bare = {"python3", "-X", "utf8", "-c", computes},
                       .rounds = 3,
                       .goal = 1.05};
    well &= compare("W5, 10 x fib(33) beside one python", folder, &c);
    bench_remove(folder);
    return well ? 0 : 1;
}
