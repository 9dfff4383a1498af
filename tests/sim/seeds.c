/* One seed, one fixed workflow: run undisturbed, run with faults and another order of events, and
 * compared. Both must keep what mirror.c says and come to the same.
 */
#include <stdio.h>

#include "sim.h"

static bool same_outcome(const struct verdict *calm, const struct verdict *rough,
                         const char *what) {
    if (str_eq(calm->outcome, rough->outcome)) {
        return true;
    }
    printf("FAILED %s: it comes to something else\n--- undisturbed\n%.*s--- disturbed\n%.*s", what,
           STR_ARG(calm->outcome), STR_ARG(rough->outcome));
    return false;
}

static bool is_fine(const struct verdict *v, const char *what, const char *when) {
    if (!v->ok) {
        printf("FAILED %s, %s: %s\n", what, when, v->why);
    }
    return v->ok;
}

/* Each seed has its own weather: one process alone as often as several that compete. */
static struct weather weather_of(uint64_t seed) {
    struct rng r = {seed ^ 0x5eed};
    static const uint32_t writes[] = {0, 30, 100, 250};
    static const uint32_t crashes[] = {0, 20, 80};
    static const uint32_t people[] = {0, 0, 60, 300};
    struct weather w = {.seed = rng_next(&r),
                        .write_permille = writes[rng_below(&r, 4)],
                        .crash_permille = crashes[rng_below(&r, 3)],
                        .cancel_permille = rng_below(&r, 10) == 0 ? 20 : 0,
                        .people_permille = people[rng_below(&r, 4)],
                        .jump_permille = rng_below(&r, 5) == 0 ? 20 : 0,
                        .processes = rng_below(&r, 2) ? 1 : 2 + rng_below(&r, 2),
                        .roots = rng_below(&r, 2) ? 1 : 1 + rng_below(&r, 3)};
    w.retries = rng_below(&r, 3) == 0 ? 1 + rng_below(&r, 2) : 0;
    w.mends = rng_below(&r, 6) == 0;
    w.retries = w.mends ? 1 + rng_below(&r, 4) : w.retries;
    w.poison = rng_below(&r, 10) == 0;
    w.far = w.processes > 1 && rng_below(&r, 2);
    w.meet_permille = w.processes > 1 && rng_below(&r, 2) ? 150 : 0;
    w.stop_permille = w.processes > 1 && rng_below(&r, 2) ? 40 : 0;
    w.slow_permille = rng_below(&r, 4) == 0 ? 60 : 0;
    /* A lease of another machine is as good as the clocks are. */
    w.leap_permille = !w.far && rng_below(&r, 5) == 0 ? 10 : 0;
    w.jump_permille = w.far ? 0 : w.jump_permille;
    w.storm_permille = rng_below(&r, 5) == 0 ? 15 : 0;
    w.rollbacks = rng_below(&r, 3) == 0 ? 1 + rng_below(&r, 5) : 0;
    w.retries = w.rollbacks && rng_below(&r, 2) ? 0 : w.retries; /* then it is comparable */
    w.crowd = rng_below(&r, 4) == 0;
    w.talks = rng_below(&r, 3) == 0;
    return w;
}

bool seeds_run(uint64_t seed, bool trace, struct seed_count *c) {
    struct weather calm = {.calm = true, .seed = seed}, rough;
    struct verdict first, second = {0};
    struct recipe r;
    struct arena a;
    char what[80];
    snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
    arena_init(&a, 0);
    recipe_generate(seed, &a, &r);
    rough = weather_of(seed);
    if (trace) {
        printf("undisturbed\n");
    }
    world_run(&r, &calm, trace, &a, &first);
    bool fine = is_fine(&first, what, "undisturbed");
    if (fine) {
        if (trace) {
            printf("disturbed\n");
        }
        world_run(&r, &rough, trace, &a, &second);
        fine = is_fine(&second, what, "disturbed");
    }
    /* What a cancel finds is a matter of time; what a retry comes to, of where it failed. */
    bool comparable =
        !r.differs && !rough.cancel_permille && !second.quarantined && !second.retried;
    if (fine && comparable) {
        fine = same_outcome(&first, &second, what);
    }
    if (!fine) {
        printf("  repeat it: sim --seed %llu --trace\n", (unsigned long long)seed);
    }
    for (int i = 0; i < TALLY_COUNT; i++) {
        c->tally[rough.processes > 1][i] += second.tally[i];
    }
    c->commits += first.commits + second.commits;
    c->lives += second.lives;
    *(fine ? &c->passed : &c->failed) += 1;
    arena_fini(&a);
    return fine;
}

static void run_weather(const struct fixed *f, const struct verdict *calm,
                        const struct weather *weather, bool trace, struct seed_count *c) {
    struct verdict v;
    struct arena a;
    char what[200];
    snprintf(what, sizeof what, "%s: %s %s commit %u", f->name, fault_name(weather->fault),
             weather->every ? "every" : "the", weather->at_commit);
    arena_init(&a, 0);
    world_run(&f->recipe, weather, trace, &a, &v);
    bool fine = is_fine(&v, what, "disturbed") &&
                (f->recipe.differs || v.quarantined || same_outcome(calm, &v, what));
    *(fine ? &c->passed : &c->failed) += 1;
    c->commits += v.commits;
    c->lives += v.lives;
    arena_fini(&a);
}

static bool run_calm(const struct fixed *f, uint32_t rollbacks, struct arena *a,
                     struct verdict *out) {
    struct weather calm = {.calm = true, .seed = 1, .rollbacks = rollbacks};
    world_run(&f->recipe, &calm, false, a, out);
    bool fine = is_fine(out, f->name, "undisturbed");
    if (fine && f->recipe.completes && !str_starts(out->outcome, STR("completed"))) {
        printf("FAILED %s does not complete (do its effects have a row in examples.def?)\n%.*s",
               f->name, STR_ARG(out->outcome));
        return false;
    }
    return fine;
}

/* With rollbacks: when it has ended it goes back somewhere, once, and comes to the same. */
static void run_faults(const struct fixed *f, uint32_t rollbacks, bool trace,
                       struct seed_count *c) {
    struct verdict v;
    struct arena a;
    arena_init(&a, 0);
    bool fine = run_calm(f, rollbacks, &a, &v);
    *(fine ? &c->passed : &c->failed) += 1;
    for (uint32_t k = 1; fine && k <= v.commits; k++) {
        struct weather weather = {.calm = true, .seed = k, .at_commit = k, .rollbacks = rollbacks};
        for (int fault = 1; fault < FAULT_COUNT; fault++) {
            weather.fault = (enum fault)fault;
            weather.every = false;
            run_weather(f, &v, &weather, trace, c);
            weather.every = fault == FAULT_CRASH_BEFORE || fault == FAULT_CRASH_AFTER;
            if (weather.every) {
                run_weather(f, &v, &weather, trace, c);
            }
        }
    }
    arena_fini(&a);
}

void seeds_run_fixed(const struct fixed *f, bool trace, struct seed_count *c) {
    run_faults(f, 0, trace, c);
    if (!f->recipe.example.len) {
        run_faults(f, 1, trace, c);
    }
}
