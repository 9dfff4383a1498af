/* The simulator: random workflows on the real host and engine, with a clock, handlers and a store
 * that it controls. Everything that happens follows from a seed, so a failure repeats exactly:
 * `sim --seed N --trace` tells all that happens in it (docs/simulator.md).
 *
 *   generate.c  a seed's workflow (a native document)        fixed.c  a handful of fixed ones
 *   examples.c  the workflows in examples/                   seeds.c  runs one and compares
 *   kinds.c     kinds of node whose ends the simulator chooses
 *   world.c     clock, disk, what happens next
 *   process.c   one of the competing hosts: lives, dies, takes over; the faults of its store
 *   handlers.c  attempts that are performed, and how they end
 *   mirror.c    the journal as the store has it, and what must hold of it at all times
 *   auxiliary.c what of that is about nodes that others name
 *   budgets.c   calls that reserve, and what budgets must keep
 *   breakers.c  services that are left alone      signals.c  who sends them, who takes them
 *   people.c    who answers, pauses and goes on, through the inbox
 *   rollback.c  who goes back to what was, and what must hold then
 *   outcome.c   what an execution came to, for comparing with the undisturbed run
 */
#ifndef CAIRN_TESTS_SIM_H
#define CAIRN_TESTS_SIM_H

#include "host/host.h"
#include "store/faults.h"

/* ---- random numbers: splitmix64 ---- */
struct rng {
    uint64_t state;
};
static inline uint64_t rng_next(struct rng *r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline uint32_t rng_below(struct rng *r, uint32_t n) {
    return (uint32_t)(rng_next(r) >> 33) % n;
}
static inline bool rng_chance(struct rng *r, uint32_t permille) {
    return rng_below(r, 1000) < permille;
}

/* ---- what happens, to be counted ---- */
enum tally {
#define TALLY(name, doc) TALLY_##name,
#include "tally.def"
#undef TALLY
    TALLY_COUNT
};

/* ---- what is run ---- */
struct recipe {
    uint64_t seed;
    struct str document;      /* "sim.json" */
    uint32_t broken_permille; /* steps whose attempts all fail */
    uint32_t flaky_permille;  /* steps whose first attempts fail */
    uint32_t slots;           /* of the host, 0: its own number */
    bool keeps_going;         /* on_failure: continue: what fails is the same in every order */
    bool differs;             /* crashes may change the outcome: at_most_once, limits */
    bool given;               /* it has an input, x, which a retry may change */
    struct str example;       /* a workflow of examples/, or empty */
    struct str entry;         /* its file */
    struct kind_table kinds;  /* its kinds; none: sim_kinds */
    bool completes;           /* undisturbed it must */
};
/* The document lives in a. */
void recipe_generate(uint64_t seed, struct arena *a, struct recipe *out);
/* The document of the seed, but for its nodes from that number on (from 1): names and kinds of
 * those that it has in common with the first are the same here and there. */
struct str recipe_mend(uint64_t seed, uint32_t from, uint64_t how, struct arena *a);
struct fixed {
    const char *name;
    struct recipe recipe;
};
uint32_t recipe_fixed_count(void);
struct fixed recipe_fixed(uint32_t i);

/* ---- kinds.c ---- */
extern const struct kind_table sim_kinds;
static inline struct kind_table recipe_kinds(const struct recipe *r) {
    return r->kinds.count ? r->kinds : sim_kinds;
}

enum fate { FATE_DONE, FATE_FAIL, FATE_BREAK /* fails, and no retry helps */, FATE_HANG };
/* How this attempt of a step ends: depends on seed, step id and attempt alone, and in such a way
 * that further attempts (after a crash) do not change how the step ends. */
enum fate fate_of(const struct recipe *r, const struct plan_node *n, struct str step,
                  uint32_t attempt);
struct value body_of(const struct recipe *r, const struct plan_node *n, struct str step,
                     struct arena *a);
struct str handle_of(const struct recipe *r, const struct plan_node *n, struct str step);

/* ---- examples.c ---- */
/* All workflows in examples/. */
uint32_t examples_find(struct arena *a, struct fixed **out);
enum err example_read(struct str path, struct arena *a, struct str *out, struct error *e);
enum err example_inputs(const struct recipe *r, const struct plan *p, struct arena *a,
                        struct value *out, struct diag *d);
struct value example_body(const struct recipe *r, const struct plan_node *n, struct str step,
                          struct arena *a);
struct value example_meta(const struct recipe *r, const struct plan_node *n, struct arena *a);

/* ---- faults ---- */
enum fault {
    FAULT_NONE,
    FAULT_FAIL_BEFORE,  /* nothing recorded, error told */
    FAULT_FAIL_AFTER,   /* recorded, error told */
    FAULT_CRASH_BEFORE, /* the process dies, nothing recorded */
    FAULT_CRASH_AFTER,  /* recorded, then the process dies */
    FAULT_COUNT
};
const char *fault_name(enum fault f);

/* What there is and what goes wrong: at one commit, at every so-manieth, or at random. */
struct weather {
    bool calm;          /* first come, first served; time moves only when nothing else can */
    uint64_t seed;      /* of what happens */
    uint32_t processes; /* competing hosts, 0: one */
    uint32_t roots;     /* executions that are submitted, 0: one */
    bool poison;        /* processes may end right after a takeover, however often */
    bool far;           /* the hosts are of several machines: a lease tells whether one lives */
    uint32_t at_commit; /* this one (from 1) gets fault, 0: none */
    bool every;         /* and the twice, three times ... as manieth, too */
    enum fault fault;
    uint32_t write_permille;  /* writes that get a random fault */
    uint32_t crash_permille;  /* deaths between turns */
    uint32_t cancel_permille; /* somebody cancels */
    uint32_t people_permille; /* somebody answers (or tries to), pauses, goes on */
    uint32_t jump_permille;   /* the clock goes back */
    uint32_t leap_permille;   /* the clock goes an hour forth or back */
    uint32_t stop_permille;   /* a process is stopped for a while, perhaps past its lease */
    uint32_t slow_permille;   /* commits that take seconds */
    uint32_t meet_permille;   /* commits while which other processes do something */
    uint32_t retries;         /* of what has ended otherwise than completed */
    bool mends;               /* mostly on another workflow, and of what has completed, too */
    uint32_t rollbacks;       /* to anywhere, of anything */
    uint32_t storm_permille;  /* the store fails for a while, more often than a host tries */
    bool talks;               /* steps make many calls */
    bool crowd;               /* people ask while others write; processes let go of all and leave */
};

/* ---- mirror.c: the journal of one execution, as recorded ---- */
struct seen_step {
    struct str id;
    const struct plan_node *node;
    int64_t index;
    bool started; /* it has had an attempt, its items were evaluated, or another runs for it */
    bool begun;   /* anything was recorded of it but its cancelling */
    bool running, over;
    bool rolled;     /* back behind, before it had ended */
    bool asks;       /* waits for a person */
    bool recovers;   /* likewise, who decides about its failure */
    bool wants_more; /* asks, for more of a budget */
    bool completed;
    bool did;         /* completed by itself: nothing else, and nobody, gave its result */
    uint64_t result;  /* hash of it, of what may be kept */
    struct str hears; /* the signal that it waits for, or empty */
    int64_t scheduled_us;
    struct str cached_of, cached_step; /* whose result it took; empty: its own */
    uint64_t kept; /* the event of an answer that came before it waited, 0: none */
    uint32_t attempt;
    int64_t due_us;            /* of a retry */
    int64_t wake_us;           /* waits until then, 0: not for a time */
    uint64_t answered_calls;   /* a bit for each call inside it that has its answer */
    uint32_t starts;           /* of its handler, in all lives */
    uint32_t idle_starts;      /* of these, stopped by a budget before a call: nothing was done */
    bool called;               /* this attempt has begun a call */
    uint64_t inputs_hash;      /* of what the handler got first, 0 before */
    struct seen_step *aux;     /* what runs, or ran last, for it */
    struct seen_step *subject; /* what it runs for */
    bool redo;                 /* undone, or perhaps: a retry does it anew */
    uint64_t completed_at;     /* event of its own completion, if it can be undone; 0 */
    bool undone;
};
struct seen_execution {
    struct seen_execution *next;
    int64_t num;
    char id[IO_ID_BYTES];
    struct str key; /* of its submission */
    const struct plan *plan;
    struct seen_execution *parent;
    struct str step; /* of the parent */
    uint64_t seq;
    int64_t last_us;
    uint64_t owner; /* serial of the life that owns it, 0 nobody */
    uint64_t epoch;
    uint32_t claims; /* at the end of the journal */
    bool final, completed, cancelled, quarantined, paused;
    bool ended_above;                /* with an execution above it that was quarantined */
    bool retried;                    /* at any time, or rolled back */
    bool rolled_back, rolled;        /* at any time; with the last sync */
    int64_t tokens;                  /* used, as last seen */
    const struct plan *first_plan;   /* plan is the one it has now */
    struct map gone;                 /* nodes that it had once -> how often they were armed again */
    struct value anew;               /* names: what the last retry runs anew */
    int64_t made[BUDGET_KINDS];      /* really used, in all lives, without sub-workflows */
    int64_t more[BUDGET_KINDS];      /* its budget was raised by */
    uint32_t *armed;                 /* of each node: how often it was armed again */
    bool *called;                    /* of each node that others name: it ran */
    uint32_t finals;                 /* nodes of finally that were begun for this end ... */
    struct seen_step *final_step;    /* ... and the last of them */
    bool undo_stopped;               /* a cancel came while it was undoing */
    bool undoing;                    /* what completed is undone */
    uint64_t undo_after;             /* ... after this event, to go back there; 0 all */
    uint64_t undo_at;                /* the last that was called completed with this event */
    struct seen_step *undo_step;     /* its run */
    bool final_stopped;              /* a cancel came meanwhile */
    struct seen_step *owed;          /* its auxiliary node has ended */
    uint32_t *recovered;             /* of each node: how often it was gone back for */
    int64_t given;                   /* its input x, 0: it has none */
    struct seen_approval *approvals; /* approvals.c */
    struct seen_signal *signals;     /* oldest first */
    struct seen_take *takes;         /* newest first, likewise ... */
    struct seen_rollback *rollbacks; /* ... these */
    struct map steps;
};

/* An attempt whose handler was started and has not ended. */
struct open_port {
    struct step_port *port;
    struct seen_execution *execution;
    struct seen_step *step;
    uint32_t attempt;
    int64_t started_us;
    bool hangs, cancelled;
    bool asking;   /* for a call, which may use most tokens */
    uint32_t call; /* that was made and is not over, 0: none */
    int64_t most, tokens;
    struct seen_breaker *breaker; /* of the service that it calls, or NULL */
    const struct plan_breaker *rule;
    bool probes;
};

/* A service as a life of a process must see it (breakers.c). */
struct seen_breaker {
    bool open, probed;
    uint32_t failures;
    int64_t until_us, open_us;
};

struct world;

/* A process with its host: lives, dies, comes back. */
struct process {
    struct world *world;
    uint32_t number; /* from 1 */
    uint64_t serial; /* of this life, over all processes */
    struct io_clock clock;
    struct io_loop *loop;
    struct io_timer *ender; /* ends cancelled handlers of a dead process */
    struct store *handle, *faulty;
    struct host *host; /* NULL: dead */
    struct run **runs; /* that the host has told of; lost ones stand behind run_count */
    uint32_t run_count, lost_count, run_cap;
    struct open_port *ports;
    uint32_t port_count, port_cap;
    bool dead;       /* it has crashed inside a call that has not returned yet */
    bool entered;    /* a call of its host is on the stack */
    bool performing; /* and that has begun effects */
    bool submitting;
    bool busy;          /* said by its last turn */
    uint32_t failures;  /* of its store, in this life */
    int64_t stopped_us; /* not turned before this (of mono_us) */
    int64_t ahead_us;   /* of mono_us: the most that its host saw of the wall clock */
    uint32_t failures_in_a_row, storm_left;
    struct seen_breaker breakers[2];
};

#define MOST_PROCESSES 3u
#define MOST_MENDED 4u

struct world {
    const struct recipe *recipe;
    struct weather weather;
    bool trace;
    struct rng rng;
    struct arena arena;
    struct plan *plan;
    struct plan *mended[MOST_MENDED]; /* that executions went on with */
    uint32_t mended_count;
    struct str mended_document; /* while it is compiled */
    struct value inputs;
    wall_us now;     /* of the clock that people see */
    int64_t mono_us; /* of the one that never jumps */
    int64_t mono_extra_ns;
    struct io_clock clock;
    struct store *disk; /* never fails, outlives processes */
    struct process processes[MOST_PROCESSES];
    uint32_t process_count, root_count;
    struct process *acting; /* whose writes come next */
    uint64_t serials;
    uint32_t lives, commits, faults_left;
    struct seen_execution *executions, *last_execution;
    uint32_t idle, steps;
    bool cancelled_by_us;
    bool jumped;             /* the clock did, at any time */
    bool quarantined;        /* some execution */
    bool may_retry, retried; /* likewise */
    bool may_return;         /* what has ended may go on: by a retry or a rollback */
    uint32_t answers_taken;  /* completed steps that say by whom, of answers that came then */
    uint32_t answers_kept;   /* that came before */
    uint32_t signals;        /* that were recorded */
    bool heard;              /* steps wait for signals */
    uint64_t given;          /* a bit for each x that a retry asked for */
    uint32_t tally[TALLY_COUNT];
    bool failed;
    char why[600];
};

/* Notes the first violation. */
void world_fail(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void world_say(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void world_tally(struct world *w, enum tally t, bool happened) {
    w->tally[t] += happened;
}
/* Of the world that runs now: handlers get no context of their own. */
struct world *world_now(void);
/* The clock of its host. */
struct io_clock world_clock(struct process *p);
/* Time goes on, for all clocks. False when that would cut off a handler that does not hang. */
bool world_pass(struct world *w, int64_t us);
/* Other processes do something while p waits for its store. */
void world_others_act(struct process *p);

/* ---- process.c ---- */
void process_open(struct world *w, uint32_t number);
void process_close(struct process *p);
/* Comes to life if it has not, else goes on: a turn of its host. */
void process_step(struct process *p);
void process_die(struct process *p);
/* Lets go of all that is at rest, so that anybody may take it over. */
void process_leave(struct process *p);
/* Submits what is not yet, and takes over what has no living owner. */
void process_seek(struct process *p);
/* A root that has not completed goes on anew. False: there is none. */
bool process_retry(struct process *p);
/* What has ended goes back to the target. */
void process_rollback(struct process *p, const struct seen_execution *x, struct str target,
                      bool resume);
bool process_runs(const struct process *p, const struct seen_execution *x);
static inline bool process_stopped(const struct process *p) {
    return p->stopped_us > p->world->mono_us;
}
/* The time that its host goes by when it looks: the wall clock, never set back. */
static inline int64_t process_time(const struct process *p) {
    int64_t ahead_us = p->world->now.us - p->world->mono_us;
    return p->world->mono_us + (ahead_us > p->ahead_us ? ahead_us : p->ahead_us);
}

/* ---- handlers.c ---- */
/* A handler was started or told to stop. */
void world_started(struct world *w, struct step_port *port);
void world_cancelled(struct world *w, struct step_port *port);
/* One handler ends; of those that were told to stop, or of the others. False: there is none. */
bool handlers_end_one(struct process *p, bool cancelled);
/* Those of a dead process: nothing hears them. ctx: the process. */
void handlers_end_all(void *ctx);

/* Another workflow with the names of the world's, or NULL. */
const struct plan *world_mend(struct world *w);

void mirror_sync(struct world *w);
/* The last retry runs the node anew, or items of it. */
bool mirror_is_anew(const struct seen_execution *x, struct str node);
/* An event that was taken, with the step that it is about. */
void mirror_check_undone(struct world *w, const struct seen_execution *x, uint64_t after);
void mirror_auxiliary(struct world *w, struct seen_execution *x, struct str id,
                      const struct event *ev);
struct seen_execution *mirror_find(struct world *w, struct str id);
struct seen_step *mirror_step(struct world *w, struct seen_execution *x, struct str id);
/* The states that a process's host has are what the journals say. */
void mirror_check_live(struct process *p);
/* Steps and rows of executions that ended are what the journals say. */
void mirror_check_rows(struct world *w);
/* Runs a recipe to its end. On success *out tells what it came to; otherwise why is filled. */
struct verdict {
    bool ok;
    char why[600];
    struct str outcome; /* in the arena given: of each root, all the same unless it is cancelled */
    bool quarantined;   /* something ended as the one thing that crashes may change */
    bool retried;
    uint32_t commits, lives;
    uint32_t tally[TALLY_COUNT];
};
void world_run(const struct recipe *r, const struct weather *weather, bool trace, struct arena *a,
               struct verdict *out);

/* ---- seeds.c ---- */
struct seed_count {
    uint32_t passed, failed;
    uint64_t commits, lives;
    uint64_t tally[2][TALLY_COUNT]; /* disturbed, of one process alone and of several */
};
/* False when it failed, which is told. */
bool seeds_run(uint64_t seed, bool trace, struct seed_count *c);
/* With each fault at each of its commits, and with a crash at every so-manieth. */
void seeds_run_fixed(const struct fixed *f, bool trace, struct seed_count *c);

/* ---- budgets.c ---- */
/* x or an execution above it has a budget. */
bool budgets_kept(const struct seen_execution *x);
void budgets_started(struct world *w, struct seen_execution *x, const struct seen_step *s);
void budgets_ask(struct world *w, struct open_port *o, struct value said);
/* Before its handler ends, or makes another call. */
void budgets_settle(struct world *w, struct open_port *o, bool ends, bool fails);
void budgets_event(struct world *w, struct seen_execution *x, const struct event *ev);

/* ---- breakers.c ---- */
void breakers_started(struct process *p, struct open_port *o);
void breakers_ended(struct world *w, const struct open_port *o, enum fate fate);

/* ---- approvals.c: what was approved, and what is begun ---- */
void approvals_event(struct world *w, struct seen_execution *x, const struct event *ev);

/* ---- signals.c ---- */
/* The one that the node waits for. */
struct str signal_of(const struct plan_node *n);
bool signals_are_heard(const struct plan *p);
void signals_event(struct world *w, struct seen_execution *x, struct str id,
                   const struct event *ev);
/* After whole decisions. */
void signals_check(struct world *w, const struct seen_execution *x);
/* Of a name that a step waits for, or, if early, may wait for. False: there is none. */
bool signals_send(struct world *w, bool early);

/* ---- people.c ---- */
/* Somebody does something, sensible or not. False when there was nothing to do. */
bool people_act(struct world *w);
/* Somebody asks for the end of a root, whoever owns it. */
bool people_cancel(struct world *w);
/* Somebody asks something of an execution; value is JSON. */
void people_ask(struct world *w, const struct seen_execution *x, const char *kind,
                struct str target, const char *value);
/* Nothing else can happen: somebody gives what is waited for, or goes on with what is paused. */
bool people_help(struct world *w);
/* A step completed with that meta. */
void people_note_answer(struct world *w, struct seen_step *s, struct value meta);
/* Every request that was accepted had one effect, and what is recorded of it is what was said. */
void people_check(struct world *w);

/* ---- rollback.c ---- */
/* Somebody wants something to be as it was, or gives a moment a name. False: there is nothing. */
bool rollback_one(struct world *w);
/* A rollback was recorded: what had begun and not ended has ended now, for ever. */
void rollback_note(struct world *w, struct seen_execution *x, const struct event *ev);
/* A person has a say: rollbacks of `recover` are counted anew. */
void rollback_forget(struct seen_execution *x);
/* After all that was recorded is known: nothing is left of sub-workflows that were undone. */
void rollback_check(struct world *w);
/* A state folded from the first count events of the mirror's journal; undone ones are told. */
enum err mirror_fold(struct world *w, const struct seen_execution *x, struct engine **out,
                     struct error *e) MUST_USE;

/* ---- outcome.c ---- */
/* Status, result, variables, and for each node status, iteration and body, as far as they do not
 * depend on the order in which things happened: of an execution that failed and stopped the rest
 * (drain, cancel) only its status; attempts never, since a crash makes more. */
enum err outcome_print(struct world *w, const struct seen_execution *x, struct buf *out,
                       struct error *e) MUST_USE;

#endif
