/* The engine: the pure state machine of one execution.
 *
 * decide(state, input) -> events to record + effects to perform; state = fold of the events. No
 * clock, randomness, I/O or store: times come in with inputs. After any error but OK the state is
 * void: the caller frees it and folds the journal again. Implements model.md "Scheduling" and
 * "The journal is the truth", rules version ENGINE_RULES.
 */
#ifndef CAIRN_ENGINE_ENGINE_H
#define CAIRN_ENGINE_ENGINE_H

#include "engine/budget.h"
#include "engine/event.h"
#include "engine/look.h"
#include "flow/plan.h"

#define ENGINE_RULES 1u
#define ENGINE_MAX_OUTPUT_BYTES (64u << 20)   /* a body over this fails its step: too_large */
#define ENGINE_EVAL_BYTES ((size_t)256 << 20) /* of memory for one expression or template */

struct flight; /* one attempt's evaluated inputs; counted references */

enum input_type {
    INPUT_CREATE,       /* first of all: submission */
    INPUT_START,        /* a host owns it: begin, or go on after a fold */
    INPUT_EVAL,         /* a pure step's turn has come (see OUT_EVAL) */
    INPUT_DONE,         /* an effect ended well */
    INPUT_FAIL,         /* an attempt failed */
    INPUT_RETRY_DUE,    /* the time of OUT_TIMER came */
    INPUT_STEP_TIMEOUT, /* the attempt ran as long as its timeout; the host counts from its start */
    INPUT_EXEC_TIMEOUT,
    INPUT_CANCEL,
    INPUT_CALL_BEGUN,
    INPUT_CALL_DONE,
    INPUT_PROCESS,
    INPUT_SERVICE_DOWN, /* an attempt is not performed, or is held back on, until due_us: the
                         * service that it calls is left alone; value says which */
    INPUT_SERVICE_UP,   /* what was held back so may go on */
    INPUT_WAIT_DUE,     /* the time that a waiting step waits for came */
    INPUT_ANSWER,       /* somebody answers a waiting step */
    INPUT_SIGNAL,       /* something is told by a name */
    INPUT_PAUSE,
    INPUT_RESUME,
    INPUT_RETRY,      /* what has ended goes on, owned by host and epoch */
    INPUT_ROLLBACK,   /* back to an earlier state; what has ended is owned by host and epoch then */
    INPUT_CHECKPOINT, /* this moment gets a name */
    INPUT_LOG,        /* a piece of what an attempt printed */
    INPUT_CALL_FAILED,   /* a call that has reserved something brought no answer */
    INPUT_OVER_BUDGET,   /* the attempt asks for what a budget does not allow */
    INPUT_BUDGET_RAISED, /* some budget allows more: this one's own if there is a value */
    INPUT_REFRESH, /* after a fold by the same owner: tells all effects again, no new attempt */
};

struct engine_input {
    enum input_type type;
    wall_us now;
    struct step_id step;
    uint32_t attempt;
    int64_t host;    /* START, RETRY, ROLLBACK of what has ended */
    uint64_t epoch;  /* likewise */
    uint64_t folded; /* START: this host folded the events up to here; what is under way since a
                      * later one it has begun itself; 0: none of it */
    wall_us started; /* DONE, FAIL: when the attempt was begun */
    const struct step_result *result;   /* DONE */
    const struct step_failure *failure; /* FAIL */
    const struct event *created;        /* CREATE: the fields of execution_created */
    struct str by;                      /* CANCEL, ANSWER, PAUSE, RESUME: who */
    int64_t ticket;    /* CANCEL, ANSWER, PAUSE, RESUME: names the request; 0: no verdict wanted */
    bool exact;        /* ANSWER: target is a step id and no name of a node */
    struct str target; /* ANSWER: step id, node, or empty for the only one that waits; RETRY: a node
                        * that runs anew besides what failed, or empty; SIGNAL, CHECKPOINT: its
                        * name; ROLLBACK: a seq, @name or NODE[#k]; BUDGET_RAISED: names the
                        * answer, which counts once */
    const struct plan *plan; /* RETRY: goes on with that; NULL: with the one it has */
    struct value inputs;     /* RETRY: the execution's inputs from now on; null: as they were */
    struct value env;        /* RETRY: likewise */
    struct str folder;       /* RETRY: likewise, or empty */
    struct value anew;       /* RETRY: list of names of nodes that run anew besides, or null */
    struct value whole;      /* RETRY: of foreach nodes that keep no item if they do, or null */
    bool resume;             /* ROLLBACK: goes on at once, else it is paused */
    bool below;              /* ROLLBACK: a step of an execution that lives waits for this one */
    struct str stream, text; /* LOG */
    uint32_t call;           /* CALL_* */
    struct value value;      /* CALL_*, ANSWER, BUDGET_RAISED: how much, or null; RETRY: what of its
                              * budget is set, or null */
    const struct allowance *allowance; /* what the tree allows; NULL: there is no budget */
    const struct step_charge *charge;  /* CALL_BEGUN: reserved, made after OUT_CALL; or NULL */
    enum budget_kind over;             /* OVER_BUDGET: what; with a text that is why instead */
    int64_t asked;
    int64_t pid; /* PROCESS */
    uint64_t process_start;
    int64_t due_us; /* SERVICE_DOWN */
};

enum out_type {
    OUT_PERFORM, /* perform the effect once the events are durable */
    OUT_EVAL,    /* give INPUT_EVAL for this step, after what has arrived before; needs no disk */
    OUT_CANCEL,  /* stop the effect of this attempt */
    OUT_SERVICE, /* the time of one held back came: give INPUT_SERVICE_UP or _DOWN */
    OUT_TIMER,   /* give INPUT_<timer> at due (at once when it has passed) */
    OUT_KEEP,    /* keep the result in this record under flight_cache_key, with the record */
    OUT_CALL,    /* the call that is recorded with what it reserves may be made */
    OUT_ENDED,   /* the execution is final */
};

struct engine_effect {
    enum out_type type;
    struct step_id step;
    uint32_t attempt;
    struct flight *flight; /* PERFORM, KEEP, CANCEL (or NULL): take a reference to keep it */
    uint32_t record;       /* KEEP: index of the record */
    enum input_type timer; /* TIMER */
    wall_us due;           /* TIMER */
    uint32_t call;         /* CALL */
};

struct engine_record {
    enum event_kind kind;
    uint64_t seq;
    wall_us at;
    size_t step_offset, step_len; /* in text */
    size_t body_offset, body_len; /* in bytes */
};

/* What became of a request: the text says "accepted", perhaps with ": " and a
 * note, or "refused: " and why. */
struct engine_verdict {
    int64_t ticket;
    size_t offset, len; /* in bytes */
};

/* What a decision led to; appended, so one out may gather a whole turn. */
struct engine_out {
    struct engine_record *records;
    uint32_t record_count, record_cap;
    struct engine_effect *effects;
    uint32_t effect_count, effect_cap;
    struct engine_verdict *verdicts;
    uint32_t verdict_count, verdict_cap;
    struct buf bytes;         /* step ids and bodies of records, texts of verdicts */
    struct event_blobs blobs; /* to be stored before the records */
};
void engine_out_init(struct engine_out *o);
void engine_out_fini(struct engine_out *o);
void engine_out_reset(struct engine_out *o);

/* A new state before its first event. The plan must outlive it. */
enum err engine_new(const struct plan *p, struct engine **out, struct error *e) MUST_USE;
void engine_free(struct engine *g);
enum err engine_decide(struct engine *g, const struct engine_input *in, struct engine_out *out,
                       struct error *e) MUST_USE;
/* Whether INPUT_RETRY would be accepted, on the plan p (NULL: the one it has); ERR_CONFLICT,
 * ERR_INVALID say why not. */
enum err engine_may_retry(const struct engine *g, const struct plan *p, struct str from,
                          struct error *e) MUST_USE;
/* Before a recorded workflow_changed: the plan that it names, which must outlive the state. */
void engine_offer_plan(struct engine *g, const struct plan *p);
/* Whether INPUT_ROLLBACK would be accepted, and to which event it goes back; else why not:
 * ERR_CONFLICT, ERR_INVALID, ERR_NOT_FOUND. */
enum err engine_may_rollback(const struct engine *g, struct str target, uint64_t *out_to,
                             struct error *e) MUST_USE;
/* A rollback was decided: the state is that before it. No decision until the journal, that event
 * included, was folded into a new state, to which INPUT_START comes first. */
bool engine_is_superseded(const struct engine *g);
/* The last event was a rollback: INPUT_START comes next. */
bool engine_is_unsettled(const struct engine *g);
/* Which events of a journal a rollback undid. to[i]: field `to` of event i + 1 when that is a
 * rollback, else 0. */
void engine_mark_undone(const uint64_t *to, uint64_t count, bool *out_undone);
/* Applies a recorded event that was undone: of it counts only what is never undone. */
enum err engine_fold_undone(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* It is decided on soon, or its row is written: its memory is fetched. Then, once that has come,
 * that of one of its steps. */
void engine_fetch(const struct engine *g);
void engine_fetch_step(const struct engine *g, struct step_id step);
/* Applies a recorded event. ERR_CORRUPT: it does not follow; ERR_UNSUPPORTED: other rules. */
enum err engine_fold(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* A hash of all that decisions depend on: equal before and after a fold. */
enum err engine_digest(struct engine *g, uint64_t *out, struct error *e) MUST_USE;

const struct step_in *flight_in(const struct flight *f);
/* Under which a result of the step is kept and found; hex, empty for none. */
struct str flight_cache_key(const struct flight *f);
struct flight *flight_ref(struct flight *f);
void flight_unref(struct flight *f);

#endif
