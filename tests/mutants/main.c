/* Shows that the simulator finds planted bugs: every row of base/mutants.def within 5,000 seeds,
 * and nothing while none is switched on.
 *
 *   sim-mutants                 all of them
 *   sim-mutants NAME [SEED]     one: which seed finds it and how; or what that seed does, traced
 *
 * Each runs in a process of its own: a bug may end it, or keep it busy for ever. Last line: passed
 * P failed F.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutant.h"
#include "sim/sim.h"

#define MOST_SEEDS 5000
#define CLEAN_SEEDS 300
#define MOST_SECONDS 40 /* of the processor */

enum mutant mutant_on = MUTANT_none;

static const char *const names[] = {
    "none",
#define MUTANT_ROW(name, doc) #name,
#include "base/mutants.def"
#undef MUTANT_ROW
};

/* How far a child came: shared, since it may be killed. */
struct progress {
    volatile uint64_t seed;
    volatile bool found;
};

/* The child: seeds until one fails. What they say goes to out. */
static void hunt(enum mutant m, uint64_t seeds, FILE *out, struct progress *p) {
    struct seed_count c = {0};
    mutant_on = m;
    struct itimerval limit = {.it_value = {.tv_sec = MOST_SECONDS}};
    (void)setitimer(ITIMER_PROF, &limit, NULL);
    if (dup2(fileno(out), STDOUT_FILENO) < 0 || dup2(fileno(out), STDERR_FILENO) < 0) {
        _exit(2);
    }
    for (uint64_t seed = 1; seed <= seeds && !p->found; seed++) {
        p->seed = seed;
        p->found = !seeds_run(seed, false, &c);
    }
    (void)fflush(stdout);
    _exit(0);
}

static void tell_first_line(FILE *f) {
    char line[400];
    rewind(f);
    if (fgets(line, sizeof line, f)) {
        size_t len = strcspn(line, "\n");
        printf("    %.*s\n", (int)len, line);
    }
}

/* Whether a seed found it; ended otherwise than by itself counts. */
static bool run_one(enum mutant m, uint64_t seeds) {
    struct progress *p =
        mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *out = tmpfile();
    int status = 0;
    ASSERT(p != MAP_FAILED && out);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        hunt(m, seeds, out, p);
    }
    ASSERT(child > 0 && waitpid(child, &status, 0) == child);
    bool died = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    bool found = p->found || died;
    if (!found) {
        printf("%s: none of %llu seeds finds it\n", names[m], (unsigned long long)seeds);
    } else {
        printf("%s: found by seed %llu%s\n", names[m], (unsigned long long)p->seed,
               !died                         ? ""
               : WTERMSIG(status) == SIGPROF ? ", which never ends"
                                             : ", which dies of it");
        tell_first_line(out);
    }
    (void)fclose(out);
    (void)munmap(p, sizeof *p);
    return found;
}

static int of_name(struct str name, const char *seed_text) {
    uint64_t seed = 0;
    for (size_t m = 1; m < ARRAY_LEN(names); m++) {
        struct seed_count c = {0};
        if (!str_is(name, names[m])) {
            continue;
        }
        if (!seed_text) {
            return !run_one((enum mutant)m, MOST_SEEDS);
        }
        mutant_on = (enum mutant)m;
        return !str_to_uint64(str_from(seed_text), &seed) || seeds_run(seed, true, &c);
    }
    fprintf(stderr, "there is no planted bug %.*s: see src/base/mutants.def\n", STR_ARG(name));
    return 2;
}

int main(int argc, char **argv) {
    uint32_t passed = 0, failed = 0;
    if (argc > 1) {
        return of_name(str_from(argv[1]), argc > 2 ? argv[2] : NULL);
    }
    for (size_t m = 1; m < ARRAY_LEN(names); m++) {
        *(run_one((enum mutant)m, MOST_SEEDS) ? &passed : &failed) += 1;
    }
    bool clean = !run_one(MUTANT_none, CLEAN_SEEDS);
    *(clean ? &passed : &failed) += 1;
    printf("passed %u failed %u\n", passed, failed);
    return failed > 0;
}
