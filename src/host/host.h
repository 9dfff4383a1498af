/* The host: runs engines. It takes what has happened, lets each engine decide, commits all new
 * events of all executions in one transaction, and only then performs effects and answers.
 *
 * One loop thread owns all state. After a failed or unknown commit the memory state of the batch is
 * thrown away and folded again before anything is performed (model.md "The journal is the truth").
 */
#ifndef CAIRN_HOST_HOST_H
#define CAIRN_HOST_HOST_H

#include "engine/engine.h"
#include "flow/flow.h"
#include "io/launcher.h"
#include "io/loop.h"
#include "store/store.h"

struct host;
struct run; /* one execution in this host */

/* A recorded event, told after its commit, in order and without a gap; also one of a commit whose
 * outcome was unknown at first. */
struct host_event {
    enum event_kind kind;
    uint64_t seq;
    wall_us at;
    struct str step;
    struct str body; /* event_decode reads it */
};

/* Who watches; called on the loop's thread, after the commit. Any function may be NULL. */
struct host_observer {
    void *ctx;
    void (*event)(void *ctx, struct run *r, const struct host_event *ev);
    void (*log)(void *ctx, struct run *r, struct str step, const char *stream, struct str text);
    void (*chunk)(void *ctx, struct run *r, struct str step, struct str text);
    void (*ended)(void *ctx, struct run *r);
    /* A sub-workflow that an earlier owner began is gone on with. */
    void (*found)(void *ctx, struct run *r);
    /* A request to this run is decided on: "accepted" (perhaps ": " and a note), or "refused: " and
     * why. */
    void (*verdict)(void *ctx, struct run *r, int64_t ticket, struct str text);
    /* The store refused for good, or another process has it: this execution is left as it was last
     * recorded. Its sub-workflows and what it is a sub-workflow of are lost with it. */
    void (*lost)(void *ctx, struct run *r, const struct error *e);
    /* Somebody else keeps the store from being written to, or there is no space for it: nothing is
     * lost, nothing goes on, the commit is tried again. why NULL: it succeeded. */
    void (*busy)(void *ctx, const struct error *why);
};

/* Where secrets come from, asked at the moment of an effect. ERR_NOT_FOUND says how to set it. */
struct host_secrets {
    void *ctx;
    enum err (*get)(void *ctx, struct str name, struct arena *a, struct str *out, struct error *e);
};

struct host_options {
    struct store *store;
    struct io_loop *loop;
    struct kind_table kinds; /* for resuming: the plan is compiled from the store */
    uint32_t slots;          /* effects at once, 0: HOST_SLOTS */
    struct host_observer observer;
    struct host_secrets secrets; /* get may be NULL: there are none */
    struct net_client *net;      /* handed to kinds; NULL: there is no network */
    /* The store again, for a thread that renews the lease, or NULL. Must outlive the host. */
    const char *lease_url;
    uint32_t awake_runs;    /* with so many those that wait keep no state, 0: HOST_AWAKE_RUNS */
    uint32_t space_wait_ms; /* how long no space is waited out, 0: HOST_SPACE_WAIT_MS */
    /* How often to look for what others ask, besides being told; 0: never, nothing is watched. */
    uint32_t inbox_poll_ms;
    bool inbox_in_passing; /* looking for that keeps no host_run going that nothing else does */
    struct value settings; /* handed to kinds: map of texts such as OPENAI_BASE_URL, or null */
    /* Absolute folders that files of kinds may lie in besides the workflow's own, or NULL. */
    const char *const *allow_paths;
    /* A program that is executed when this process dies without closing the host (io/launcher.h);
     * NULL: none. It is sure from the first process that the host starts on, with watched from the
     * beginning. */
    const char *const *on_death, *const *on_death_env;
    bool watched;
};

#define HOST_SLOTS 64u
#define HOST_TURN_EVENTS 1000u  /* per execution and turn */
#define HOST_TURN_US 5000       /* likewise */
#define HOST_BATCH_EVENTS 2000u /* per commit; with more, states fall out of the caches meanwhile */
#define HOST_SHIFT_NS 20000000  /* so long the same runs have the turns, when not all fit a batch */
#define HOST_STEP_ROWS 1000u    /* steps rows per commit */
#define HOST_LEASE_RENEW_US INT64_C(5000000)
#define HOST_SPACE_WAIT_MS 600000u
#define HOST_AWAKE_RUNS 64u
#define HOST_SLEEP_EVENTS 2000u /* a longer journal is not folded again each time */
#define HOST_COMMIT_TRIES 5     /* failed commits or decisions in a row, then it is given up */

enum err host_open(const struct host_options *o, struct host **out, struct error *e) MUST_USE;
/* Stops what runs (effects are cancelled, nothing more is recorded) and frees all. */
void host_close(struct host *h);

struct host_submission {
    const struct plan *plan; /* must outlive the host */
    struct value inputs;     /* checked by flow_inputs */
    struct value labels;     /* map of texts, or null */
    struct value env;        /* map of recorded environment variables, or null */
    struct str key;          /* submission key or empty */
    struct str folder;       /* absolute: relative paths of effects start here */
    int64_t timeout_us;      /* 0: the workflow's own */
    struct budget budget;    /* what it has goes before the workflow's own */
};

/* Creates an execution; it begins with the next turns. ERR_CONFLICT (key_reused) when the key
 * belongs to another workflow or other inputs; the same gives the same execution. */
enum err host_submit(struct host *h, const struct host_submission *s, struct run **out,
                     struct error *e) MUST_USE;
/* Takes over an execution that nobody owns, with its sub-workflows, and goes on with it. A
 * sub-workflow whose parent has not ended goes on with that alone (ERR_CONFLICT). */
enum err host_resume(struct host *h, struct str id, struct run **out, struct error *e) MUST_USE;
/* Asks for its end; durable with the next commit. */
enum err host_cancel(struct host *h, struct run *r, struct str by, struct error *e) MUST_USE;

/* What people and other processes ask of an execution; in the inbox under the same names. */
enum host_request_type {
    REQUEST_CANCEL,
    REQUEST_PAUSE,
    REQUEST_RESUME,
    REQUEST_ANSWER,
    REQUEST_SIGNAL,
    REQUEST_ROLLBACK,
    REQUEST_CHECKPOINT
};
/* "cancel" ...; NULL beyond the last. */
const char *host_request_name(enum host_request_type type);

struct host_request {
    enum host_request_type type;
    struct str step;    /* ANSWER: which step; empty: the only one that waits. SIGNAL, CHECKPOINT:
                         * its name. ROLLBACK: back to what */
    bool exact;         /* ANSWER: step is an id; else a node's name means its step that waits */
    struct value value; /* ANSWER, SIGNAL; ROLLBACK: true to go on at once */
    struct str by;
    int64_t
        ticket; /* comes back with observer.verdict; negative (positive ones are of inbox rows), 0
                     * for none */
};
/* Asks; decided with the next turn. Pause and resume reach the sub-workflows too. */
enum err host_ask(struct host *h, struct run *r, const struct host_request *q, struct error *e);

/* Looks into the inbox with the next turn: somebody has said that there is something. */
void host_inbox_look(struct host *h);

/* Nothing is being performed and nothing is left to decide: all that is live waits or is paused.
 * What could still wake it: host_next_due, and requests. */
bool host_at_rest(const struct host *h);
/* Some execution here has not ended: also a sub-workflow of one that has. */
bool host_has_live(const struct host *h);
/* Gives up what is live here: recorded as owned by nobody, to be taken over by anyone. Not while
 * requests are open (ERR_CONFLICT: turn once more). Nothing of it goes on here afterwards. */
enum err host_release(struct host *h, struct error *e) MUST_USE;

/* One turn: decide, commit, perform, then wait for what comes (when wait and nothing is pending).
 * *out_busy: something may still happen; false after a wait that nothing could ever have ended,
 * though attempts are being performed that somebody outside may end. An error is one of the store
 * that cannot be mended. */
enum err host_turn(struct host *h, bool wait, bool *out_busy, struct error *e) MUST_USE;
/* Time of the earliest timer; false when there is none. For those who own the clock. */
bool host_next_due(const struct host *h, wall_us *out);
/* Turns until no execution of this host can go on. */
enum err host_run(struct host *h, struct error *e) MUST_USE;

/* Looking at a run. Valid until host_close. */
struct str run_id(const struct run *r);
enum exec_status run_status(const struct run *r);
/* The engine's state, NULL after the end was recorded and its memory was let go. */
const struct engine *run_engine(const struct run *r);
const struct plan *run_plan(const struct run *r);
bool run_is_child(const struct run *r);
/* finalResult as JSON and the error as JSON, once final ("" and ""). */
struct str run_result_json(const struct run *r);
struct str run_error_json(const struct run *r);

#include "host/again.h"
#include "host/mend.h"
#include "host/visit.h"

#endif
