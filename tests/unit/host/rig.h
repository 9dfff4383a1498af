/* The rig of the host's tests: a host over a memory store that fails when told to, a clock that
 * stands still until it is moved, and kinds of node whose attempts the test ends.
 *
 * Whenever an attempt is started, the rig checks by itself that its step_scheduled event is in the
 * store, that no other attempt of the step is being performed, and that its key is right; whenever
 * an event is told, that it is the next one of its execution and is in the store.
 */
#ifndef CAIRN_TESTS_UNIT_HOST_RIG_H
#define CAIRN_TESTS_UNIT_HOST_RIG_H

#include "groups.h"
#include "host/host.h"
#include "store/faults.h"

#include <stdio.h>

/* An attempt that a kind was told to start. */
struct started {
    struct step_port *port; /* NULL: it has ended */
    char execution[IO_ID_BYTES];
    char step[STEP_ID_BYTES];
    uint32_t attempt;
    bool cancelled;
};

struct rig {
    const char *url; /* of the store; NULL: in memory */
    struct arena arena;
    wall_us now;
    int64_t mono_ahead_us; /* of the monotonic clock, against now */
    struct io_clock clock;
    struct io_loop *loop;
    struct store *disk; /* never fails, outlives hosts */
    struct store *handle, *faulty;
    struct host *host;
    struct host_options options; /* slots and observer may be changed before rig_reopen */
    struct plan *plans[64];
    uint32_t plan_count;

    /* What happens to the writes to come: '.' goes well, 'b' fails before, 'a' after recording,
     * 'f' finds no space; past the end all go well. */
    const char *commits, *blobs, *workflows;
    uint32_t commit_count; /* asked for */

    bool cancel_waits;      /* cancelled attempts end when the test says so, else at once */
    uint32_t nomem_evals;   /* evaluations by kind `frail` that find no memory */
    const char *forbidden;  /* a piece of text that no event's body may hold, or NULL */
    struct started *starts; /* in order */
    uint32_t start_count, start_cap;
    struct map scheduled; /* "<execution>/<step>" -> attempt, as recorded */
    struct map seen;      /* execution -> seq up to which `scheduled` is read */
    struct map told;      /* execution -> last seq told */
    struct buf log;       /* what kinds logged: "step stream text\n" */
    uint32_t ended, lost; /* runs told of */
    char why_lost[ERROR_MESSAGE_BYTES];
    uint32_t busy, free_again; /* times the host said so */
    void (*on_event)(struct rig *g, struct run *r, const struct host_event *ev);
    void (*on_ended)(struct rig *g, struct run *r);
    void (*on_start)(struct rig *g, struct step_port *port);
};

int rig_setup(void **state);
int rig_setup_on(const char *url);
int rig_teardown(void **state);
/* The rig that tests of one process share. */
extern struct rig rig;

/* Compiles one workflow text; freed by the teardown. */
const struct plan *rig_plan(const char *text);
struct run *rig_submit(const struct plan *p, const char *inputs_json);
/* As rig_submit, with a key; the error code comes back. */
enum err rig_submit_key(const struct plan *p, const char *inputs_json, const char *key,
                        struct run **out, struct error *e);
struct run *rig_resume(struct str id);
/* Of what has ended; turns until all waits for the test. */
struct run *rig_retry(struct str id, const struct host_retry *q);
/* A value in the rig's arena. */
struct value rig_json(const char *json);
/* Compiles, submits, and turns until all waits for the test. */
struct run *rig_run(const char *text);
/* One turn without waiting; whether something may still happen. */
bool rig_turn(void);
/* Turns until there is nothing to decide on. */
void rig_turns(void);
void rig_wait_ms(int64_t ms);
/* The wall clock jumps, time does not. Then turns. */
void rig_jump_ms(int64_t ms);
/* What another process does that takes r over: the epoch grows behind the host's back. */
void rig_take_over(struct run *r);
/* Closes the host as a process that ends does, and opens another on the same data. */
void rig_reopen(void);
/* Reopens, lets time pass, and takes r over again, without a turn: the new run. */
struct run *rig_restart(struct run *r, int64_t away_ms);

/* The newest attempt of a step that has not ended, in any execution; NULL when there is none. */
struct started *rig_find(const char *step);
uint32_t rig_open_count(void);
uint32_t rig_starts_of(const char *step);
/* Ends it; body_json NULL is null. Then turns. */
void rig_done(const char *step, const char *body_json);
void rig_done_full(const char *step, const char *body_json, const char *meta_json);
void rig_fail(const char *step, enum failure_class class, const char *type);
void rig_tell_done(struct started *s, const char *body_json, const char *meta_json);
void rig_tell_failed(struct started *s, enum failure_class class, const char *type);
/* Ends all that are open, and what follows from it, with null bodies. */
void rig_done_all(void);

/* The journal in the store: "execution_created; step_scheduled a 1; ..." with attempts. */
const char *rig_journal(struct str id);
/* How often `what` stands in it. */
uint32_t rig_count(struct str id, const char *what);
struct store_execution rig_stored(struct str id);
const char *rig_result(struct run *r);
const char *rig_error(struct run *r);
const char *rig_status(struct run *r);
/* The state in memory is what the journal gives. */
void rig_check_fold(struct run *r);

#endif
