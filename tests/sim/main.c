/* The simulator's command line.
 *
 *   sim                      5,000 seeds after those that once failed (seeds.def), then every fault
 *                            at every commit of the fixed workflows and of those in examples/
 *   sim --seeds N [--from S] so many seeds
 *   sim --seed S [--trace]   exactly one, telling everything that happens
 *   sim --fixed              only the fixed workflows and the examples
 *   sim --show S             the workflow of a seed
 *   sim --counts             how often what happened, too
 *
 * For each seed: one run undisturbed, one with faults and another order of events. Both must keep
 * what mirror.c says and come to the same. Last line: passed P failed F.
 */
#include <stdio.h>

#include "sim.h"

enum { LEAST = 10 }; /* times that everything of tally.def happens in 5,000 seeds, each way */

static const uint64_t failed_once[] = {
#define SEED(number, what) number,
#include "seeds.def"
#undef SEED
};

static void show(uint64_t seed) {
    struct arena a;
    struct recipe r;
    arena_init(&a, 0);
    recipe_generate(seed, &a, &r);
    printf("%.*s", STR_ARG(r.document));
    arena_fini(&a);
}

/* The fixed workflows and the examples. */
static void run_fixed(bool trace, struct seed_count *c) {
    struct arena a;
    struct fixed *examples = NULL;
    arena_init(&a, 0);
    for (uint32_t i = 0; i < recipe_fixed_count(); i++) {
        struct fixed f = recipe_fixed(i);
        seeds_run_fixed(&f, trace, c);
    }
    uint32_t count = examples_find(&a, &examples);
    if (!count) {
        printf("FAILED examples/: there are none in the current folder\n");
        c->failed++;
    }
    for (uint32_t i = 0; i < count; i++) {
        seeds_run_fixed(&examples[i], trace, c);
    }
    arena_fini(&a);
}

static const struct {
    const char *name, *doc;
} tallies[] = {
#define TALLY(name, doc) {#name, doc},
#include "tally.def"
#undef TALLY
};

/* A simulator in which something never happens shows nothing about it. */
static void check_tallies(struct seed_count *c) {
    for (size_t i = 0; i < ARRAY_LEN(tallies); i++) {
        uint64_t alone = c->tally[0][i], among = c->tally[1][i];
        bool dull = alone < LEAST || among < LEAST;
        if (dull) {
            printf("FAILED %s (%s): %llu in worlds of one process, %llu of several, at least %d\n",
                   tallies[i].name, tallies[i].doc, (unsigned long long)alone,
                   (unsigned long long)among, LEAST);
        }
        *(dull ? &c->failed : &c->passed) += 1;
    }
}

static void print_tallies(const struct seed_count *c) {
    printf("%10s %10s\n%10s %10s\n", "one", "several", "process", "processes");
    for (size_t i = 0; i < ARRAY_LEN(tallies); i++) {
        printf("%10llu %10llu  %s\n", (unsigned long long)c->tally[0][i],
               (unsigned long long)c->tally[1][i], tallies[i].doc);
    }
}

static int usage(void) {
    fprintf(stderr, "usage: sim [--seeds N] [--from S] [--counts] | --seed S [--trace] | --fixed | "
                    "--show S\n");
    return 2;
}

static bool number_after(int argc, char **argv, int *i, uint64_t *out) {
    return ++*i < argc && str_to_uint64(str_from(argv[*i]), out);
}

int main(int argc, char **argv) {
    uint64_t seeds = 5000, from = 1, only = 0, shown = 0;
    bool trace = false, fixed_only = false, one = false, counts = false;
    struct seed_count c = {0};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        struct str option = str_from(argv[i]);
        bool ok = true;
        if (str_is(option, "--seeds")) {
            ok = number_after(argc, argv, &i, &seeds);
        } else if (str_is(option, "--from")) {
            ok = number_after(argc, argv, &i, &from);
        } else if (str_is(option, "--seed")) {
            ok = one = number_after(argc, argv, &i, &only);
        } else if (str_is(option, "--show")) {
            ok = number_after(argc, argv, &i, &shown);
            if (ok) {
                show(shown);
                return 0;
            }
        } else if (str_is(option, "--trace")) {
            trace = true;
        } else if (str_is(option, "--counts")) {
            counts = true;
        } else if (str_is(option, "--fixed")) {
            fixed_only = true;
        } else {
            ok = false;
        }
        if (!ok) {
            return usage();
        }
    }
    if (one) {
        seeds_run(only, trace, &c);
    }
    for (size_t i = 0; !one && !fixed_only && i < ARRAY_LEN(failed_once); i++) {
        seeds_run(failed_once[i], false, &c);
    }
    for (uint64_t s = from; !one && !fixed_only && s < from + seeds; s++) {
        seeds_run(s, false, &c);
    }
    if (counts) {
        print_tallies(&c);
    }
    if (!one && !fixed_only && seeds >= 5000) {
        check_tallies(&c);
    }
    if (!one) {
        run_fixed(trace, &c);
    }
    printf("%llu commits, %llu lives of a disturbed process\n", (unsigned long long)c.commits,
           (unsigned long long)c.lives);
    printf("passed %u failed %u\n", c.passed, c.failed);
    return c.failed > 0 || c.passed == 0;
}
