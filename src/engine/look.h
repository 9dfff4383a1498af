/* Looking at the state of an execution: status, counts, times, result, the tracker, the calls.
 *
 * Part of engine/engine.h, which includes it. What is returned is borrowed and holds until the next
 * decision.
 */
#ifndef CAIRN_ENGINE_LOOK_H
#define CAIRN_ENGINE_LOOK_H

#include "engine/event.h"
#include "flow/plan.h"

struct engine; /* the state of one execution */

enum exec_status {
    EXEC_PENDING,
    EXEC_RUNNING,
    EXEC_WAITING,
    EXEC_PAUSED,
    EXEC_COMPLETED,
    EXEC_PARTIAL,
    EXEC_FAILED,
    EXEC_CANCELLED
};
enum step_status {
    STEP_PENDING,
    STEP_RUNNING,
    STEP_WAITING,
    STEP_RETRYING,
    STEP_COMPLETED,
    STEP_FAILED,
    STEP_SKIPPED,
    STEP_CANCELLED
};
const char *exec_status_name(enum exec_status s);
/* What may be asked of an execution in the status of that name, for refusals; left: nobody runs
 * it. */
const char *exec_status_allows(struct str status, bool left);
const char *step_status_name(enum step_status s);
static inline bool exec_status_final(enum exec_status s) { return s >= EXEC_COMPLETED; }
static inline bool step_status_final(enum step_status s) { return s >= STEP_COMPLETED; }

struct engine_error {
    struct str type, message, node;
    uint32_t attempt;
};

enum exec_status engine_status(const struct engine *g);
/* Somebody asked for its end, whatever it came to. */
bool engine_cancel_asked(const struct engine *g);
/* This attempt is the one that runs now. */
bool engine_runs(const struct engine *g, struct step_id step, uint32_t attempt);
const struct plan *engine_plan(const struct engine *g);
uint64_t engine_last_seq(const struct engine *g);
/* Epoch of the host that began or went on with it last, 0 before. */
uint64_t engine_epoch(const struct engine *g);
struct str engine_folder(const struct engine *g); /* relative paths of effects start there */
struct value engine_inputs(const struct engine *g);
struct value engine_env(const struct engine *g); /* recorded environment variables */
/* Null unless completed or partial. */
struct value engine_result(const struct engine *g);
/* The error of a failed or failing execution, or NULL. */
const struct engine_error *engine_error(const struct engine *g);
struct engine_times {
    wall_us created, started, last, ended, deadline;
}; /* 0: not yet, none */
struct engine_times engine_times(const struct engine *g);
struct engine_counts {
    uint32_t total, completed, failed, skipped, cancelled, waiting, running;
}; /* nodes; a foreach runs as long as its items wait */
struct engine_counts engine_counts(const struct engine *g);
struct engine_items {
    uint32_t total, unfinished, running;
}; /* of the foreach that a node is under way with; total 0: with none */
struct engine_items engine_items(const struct engine *g, uint32_t node);
/* A retry named the node: its steps look for no result that is kept. */
bool engine_is_fresh(const struct engine *g, uint32_t node);
enum step_status engine_node_status(const struct engine *g, uint32_t node);
/* The node's step as of now, begun or not. */
struct step_id engine_node_step(const struct engine *g, uint32_t node);
/* It only runs when others call it, and has been. */
bool engine_is_called(const struct engine *g, uint32_t node);
struct value engine_node_body(const struct engine *g, uint32_t node);
/* A variable as it is now, by its number in the plan. */
struct value engine_var(const struct engine *g, uint32_t var);

/* What only some steps have: an error, something that they wait for, a process. */
struct track_more {
    struct value request; /* waiting: what it waits for; null otherwise */
    struct str error_type, error_message;
    struct str aux; /* the step that runs, or ran, for it */
    int64_t pid;    /* of its newest process, 0 none */
    uint64_t process_start;
    uint64_t waits_by;   /* seq of the event by which it began to wait last, 0: never */
    wall_us waits_since; /* waiting: since when, also when it was held back or asked once more */
    struct str service;  /* for which it was held back last, or empty */
    bool probes;         /* it was let go when its time came, to see whether that answers again */
};
/* The tracker: one entry per step, in order of its start (never started: of its end). */
struct track {
    struct step_id step;
    enum step_status status;
    uint32_t attempt;
    const struct plan
        *plan; /* that the step is of: of an earlier workflow than engine_plan, maybe */
    wall_us scheduled, started, ended;
    uint64_t seq;                  /* of its last event */
    uint64_t before;               /* of the last event before it began */
    struct value body, meta;       /* envelope */
    struct str handle;             /* the path taken */
    const struct track_more *more; /* never NULL */
    wall_us due;                   /* waiting, retrying: until when; 0: not by time */
    enum content_type content;
    uint32_t begun_tick; /* numbers begins and ends in order; 0: never started */
    uint32_t ended_tick;
    bool undone; /* a rollback went back behind its end, or its beginning */
};
/* What all steps used so far, late results included. */
struct engine_usage {
    int64_t input_tokens, output_tokens, cached_tokens, llm_calls;
    int64_t nano_usd; /* billionths of a US dollar, as far as prices are known */
    bool priced;
};
struct engine_usage engine_usage(const struct engine *g);
uint32_t engine_track_count(const struct engine *g);
const struct track *engine_track(const struct engine *g, uint32_t i);
/* That of a step which is current and was begun, or NULL. */
const struct track *engine_track_find(const struct engine *g, struct step_id step);

/* Calls inside steps, in order: the conversation. */
struct call {
    struct step_id step;
    uint32_t track; /* of its step */
    uint32_t number, attempt;
    bool forgotten; /* its step asked anew in a later attempt */
    wall_us begun, done;
    struct value request, answer;
    uint64_t seq;
};
uint32_t engine_call_count(const struct engine *g);
const struct call *engine_call(const struct engine *g, uint32_t i);
/* For an attempt's calls: the number before its first one (what was answered under lower numbers
 * is not to be used again), and the last answered call of the step under a number, or NULL. */
uint32_t engine_calls_from(const struct engine *g, struct step_id step);
/* The newest of the step under a number, answered or not, or NULL. */
const struct call *engine_call_find(const struct engine *g, struct step_id step, uint32_t number);
const struct call *engine_call_answered(const struct engine *g, struct step_id step,
                                        uint32_t number);

/* Answers that came before their steps waited, in order. */
enum kept_state { KEPT_OPEN, KEPT_TAKEN, KEPT_DROPPED };
struct kept_answer {
    struct step_id step;
    const struct plan *plan; /* that the step is of */
    enum kept_state state;
    struct str by;
    struct str why; /* it was dropped, if an event says so */
    wall_us at;
    uint64_t seq;
};
uint32_t engine_kept_count(const struct engine *g);
const struct kept_answer *engine_kept_answer(const struct engine *g, uint32_t i);
/* Named checkpoints, in order. */
struct checkpoint {
    struct str name, by; /* by: empty for one that a node made */
    uint64_t seq;
    wall_us at;
    bool undone; /* a rollback went back behind it */
};
uint32_t engine_checkpoint_count(const struct engine *g);
const struct checkpoint *engine_checkpoint(const struct engine *g, uint32_t i);
/* Whether one can go back to after that event of the journal, or why not: ERR_CONFLICT. */
enum err engine_check_target(const struct engine *g, uint64_t seq, struct error *e) MUST_USE;

/* What completed and has a compensate node, in that order: what undoing undoes from its end. */
enum undo_state { UNDO_OPEN, UNDO_RUNS, UNDO_DONE };
struct undoable {
    struct str step;
    uint64_t completed, undone; /* seqs; undone: 0 unless UNDO_DONE */
    enum undo_state state;
    bool in_doubt;             /* open, and may be undone: a retry does it anew */
    struct step_id run;        /* the last that was called for it, of ... */
    const struct plan *run_of; /* ... this plan; NULL: none was */
};
uint32_t engine_undoable_count(const struct engine *g);
struct undoable engine_undoable(const struct engine *g, uint32_t i);
/* How what completed is undone, or was last before the execution ended. */
struct undoing {
    uint64_t begun; /* seq; 0: it is not, or was tried again since */
    uint64_t after; /* only what completed after that event, for a rollback to it; 0: all */
    struct str by;  /* who asked for that rollback */
};
struct undoing engine_undoing(const struct engine *g);

/* Who paused it; empty when it is not paused. */
struct str engine_paused_by(const struct engine *g);
/* Why, when it paused itself: what somebody must look at. */
struct str engine_paused_why(const struct engine *g);
wall_us engine_paused_at(const struct engine *g); /* 0: it is not */

#endif
