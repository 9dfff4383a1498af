/* The state of one execution, private to src/engine. Only apply.c (the fold) and edges.c (the
 * algebra that a fold implies) change what is below; decide.c, settle.c, start.c, failure.c read
 * it, decide, and change it by emitting events alone.
 */
#ifndef CAIRN_ENGINE_PRIV_H
#define CAIRN_ENGINE_PRIV_H

#include "engine/engine.h"
#include "engine/heap.h"

/* Memory of one value, shared by reference count. */
struct mem {
    uint32_t refs;
    struct arena arena;
};

/* A value that is kept: scalars need no memory. */
struct held {
    struct value v;
    struct mem *mem;
};

enum err held_set(struct held *h, struct value v, struct error *e) MUST_USE;
void held_clear(struct held *h);
/* h is a list or text and gets more at its end. *room: how many items or bytes its memory has place
 * for, 0 after held_set. */
enum err held_append(struct held *h, uint32_t *room, struct value tail, struct error *e) MUST_USE;
struct held held_share(const struct held *h);
void mem_unref(struct mem *m);

enum edge_state { EDGE_OPEN, EDGE_TAKEN, EDGE_DEAD, EDGE_REFUSED };

/* Why a node ended as it did: decides partial and the open question of a fold. */
enum end_reason { WHY_NONE, WHY_CONTINUED, WHY_COLLECTED };

/* Why a step waits although its kind does not ask for it. Values are in journals. */
enum suspend_reason { SUSPENDED_NOT, SUSPENDED_FAILED, SUSPENDED_BUDGET, SUSPENDED_BREAKER };

struct undo_slot;

struct item_state {
    uint8_t status;      /* enum step_status */
    uint8_t suspended;   /* enum suspend_reason; waits for the engine's own question */
    uint16_t entry;      /* of recover that asks */
    bool undone;         /* a run of its compensate node undid it, or was stopped and may have */
    bool retry_due;      /* stands in the heap of retries that are due */
    uint16_t unanswered; /* tried again so often since nobody answered, and nobody did since */
    uint32_t attempt;
    uint32_t failures;
    uint32_t track;
    uint32_t calls_from; /* calls up to this number were forgotten */
    int64_t due_us; /* of the next attempt; waiting: when it is woken, 0 never; of a sub-workflow:
                     * when its time is up, on the clock of engine_unpaused_us */
    struct flight *flight;
    struct held body;
    struct held error; /* collect, suspended by a failure: {type, message, ...} */
};

struct foreach_state {
    struct held list;
    uint32_t count;
    uint32_t next;    /* first item that was not started */
    uint32_t running; /* items that run or retry; who waits holds nothing */
    uint32_t unfinished;
    bool failed;
    bool queued;     /* stands in the slotted heap */
    struct heap due; /* items whose retry is due and that wait for a slot */
    struct item_state *items;
};

/* The step that a run of an auxiliary node is for. */
struct subject {
    struct step_id step;
    struct str id; /* as text: the step may be one of a node that another workflow has not */
    struct held body, error, inputs;
};

/* Named by the last retry; undone, and not completed by itself since. */
enum { FRESH_NAMED = 1, FRESH_UNDONE = 2 };

/* Made when a node has the first time something that most have not. */
struct node_more {
    struct held error, meta;
    struct held approval;    /* of an ask: what its newest question shows and binds */
    struct subject *subject; /* of the newest run of an auxiliary node; may be NULL */
};

/* Thousands of executions have one for each of their nodes: what is rare stands in node_more. */
struct node_state {
    uint8_t status;      /* enum step_status */
    uint8_t why;         /* enum end_reason */
    uint8_t suspended;   /* as of an item */
    uint8_t aided;       /* enum node_role: an auxiliary node runs for it, it does nothing itself */
    uint16_t entry;      /* as of an item */
    uint16_t unanswered; /* likewise */
    uint8_t fresh;       /* no result that is kept is used again: FRESH_* */
    bool called;         /* an auxiliary node that ran: its next run is its next iteration */
    bool undone;         /* some step of it, as of an item; begun anew it is not */
    bool armed;          /* header of a loop that repeats: needs no join */
    bool ready;          /* is in one of the ready heaps or started purely */
    bool guarded;        /* its guard was true in this iteration */
    bool dirty;
    bool retry_due; /* its next attempt waits for a slot */
    uint32_t iteration;
    uint32_t generation;
    uint32_t floor;           /* generations below are used up in all iterations ... */
    uint32_t floor_iteration; /* ... up to this one; floor 0: none are */
    uint32_t attempt;
    uint32_t failures;
    uint32_t open_in, taken_in;
    uint32_t track;      /* index + 1 of its tracker entry, 0 none */
    uint32_t calls_from; /* as of an item */
    int64_t due_us;      /* likewise */
    struct held body, previous;
    struct flight *flight;
    struct foreach_state *each;
    struct node_more *more; /* NULL: none of it */
};

struct loop_state {
    uint32_t count; /* passes since it was entered, the first is 1 */
    uint32_t live_backs;
    uint32_t pending; /* body nodes that are not final */
    uint32_t taken_backs;
    bool over;
    bool hit;    /* the limit refused a back edge */
    bool queued; /* in rearm heap */
};

struct var_state {
    struct held held;
    uint32_t room;     /* of a value that was appended to, see held_append */
    size_t size_bytes; /* written so far: what a limit is compared with */
    bool is_set;       /* by a step */
};

/* A node that the workflow had once, and the id that a step of it would have. */
struct gone_node {
    struct str name;
    bool undone; /* no result of it that is kept is used again when it comes back */
    uint32_t iteration, generation;
};

struct kept_signal {
    struct str name, by;
    struct held payload;
    uint64_t seq; /* of the event that brought it */
    bool taken;
};

struct kept_slot {
    struct kept_answer k;
    struct held payload;
};

/* How often an entry of a node's `recover` has rolled back, since a person last did or retried. By
 * name: never undone, whatever the plan becomes. */
struct rollback_count {
    struct str node;
    uint64_t entry, count;
};

/* What a rollback will say when all behind its target is undone. */
struct going_back {
    struct str by, node;
    uint64_t recovery, resume;
};

enum run_mode { MODE_RUN, MODE_DRAIN, MODE_STOPPED };

/* What the graph leads to; then, with every node final, what runs before it ends. */
enum run_phase { PHASE_MAIN, PHASE_UNDO, PHASE_FINALLY };

struct track_slot {
    struct track t;
    uint32_t last_call;      /* index + 1 of the step's newest call, 0 none */
    struct mem *body, *meta; /* of these values in t; NULL: they need none */
};

struct call_slot {
    struct call c;
    struct held request, answer;
    uint32_t before; /* index + 1 of the step's call before, 0 none */
};

/* An answer that was given to a sub-workflow and has raised the budget of this one. */
struct raise_key {
    const struct raise_key *before;
    struct str key;
};

/* A call that has reserved something and is not over. */
struct open_call {
    struct step_id step;
    uint32_t call;
    int64_t tokens, nano_usd;
};

/* In the order of use: what a decision of a step and the row of an execution need comes first, in
 * few lines of the cache. */
struct engine {
    const struct plan *plan;
    struct engine_out *out; /* of the decision under way, else NULL */
    uint64_t seq;
    wall_us now;
    enum exec_status status;
    enum run_mode mode;
    enum run_phase phase;
    bool cancel_asked; /* since it began or was tried again */
    bool undo_asked;   /* once all is final */
    bool want_undo;    /* the failure that is decided on asks for it */
    bool cancelling;
    bool has_error;
    bool has_budget;  /* of its own */
    bool is_charged;  /* to an execution above */
    bool over_budget; /* a step has asked for more */
    bool in_pass;
    bool paused;
    bool ending;       /* after the last event: it winds down or has ended */
    bool superseded;   /* see engine_is_superseded */
    bool unsettled;    /* see engine_is_unsettled */
    bool undoing;      /* folding: events that were undone */
    bool first_record; /* the next record is a cause */
    bool starting;     /* folding: inside a decision, while what is ready starts */
    uint32_t by_status[STEP_CANCELLED + 1]; /* nodes by enum step_status */
    uint32_t uncalled;      /* auxiliary nodes that never ran: no step stands for them */
    uint32_t active;        /* nodes that run, retry or wait */
    uint32_t waiting_steps; /* steps that wait, items included */
    uint32_t idle_running;  /* nodes under way that do nothing themselves: foreach, aided */
    uint32_t items_running; /* items that run or retry */
    uint32_t unfinished;    /* nodes that are not final */
    uint32_t held_slots;
    uint32_t ticks; /* numbers begins and ends of steps */
    uint32_t pass_at;
    wall_us created, started, ended;
    int64_t timeout_us;
    struct account account;
    struct engine_usage usage;
    struct track_slot *track;
    uint32_t track_count, track_cap;
    struct node_state *nodes;
    uint8_t *raw;       /* enum edge_state by what the source did, per edge */
    uint8_t *effective; /* OPEN, TAKEN, DEAD after loops, per edge */
    uint32_t *order;    /* node -> rank by (priority, file) */
    uint32_t *by_rank;
    uint8_t *marks; /* of each event, see past.c */
    uint64_t mark_cap;
    struct heap now_dirty, next_dirty; /* nodes to look at: this pass, the next */
    struct heap limits;                /* back edges taken that may be over their limit */
    struct heap rearm;                 /* loops that may repeat */
    struct heap ready;                 /* ranks of nodes to start that need no slot */
    struct heap slotted;               /* ranks of nodes with steps that wait for a slot */
    struct str id, folder;
    struct held inputs;
    const struct allowance *allowance; /* of the input under way, or NULL */
    int64_t steps_before;              /* used when it came */
    struct arena scratch;              /* one evaluation */
    struct arena arena;                /* lives as long as the execution */
    struct held env, result;
    uint64_t epoch;          /* of the owner that began last */
    wall_us timed_from;      /* its time counts from then: its start or its last retry ... */
    int64_t timed_paused_us; /* ... when it had been paused so long */
    wall_us paused_at;
    int64_t paused_us; /* paused so far, without the pause that goes on */
    struct str paused_by, paused_why;
    const struct plan *offered; /* what the next workflow_changed means */
    struct engine_error error;
    struct loop_state *loops;
    struct var_state *vars; /* by plan->vars */
    struct str vars_error;  /* why the first values could not be had; ptr NULL: they could */
    uint64_t undo_seq;      /* of the event that began it last; 0: none since a retry */
    uint64_t undo_after;    /* PHASE_UNDO: what completed after this event; it goes back there */
    struct going_back back; /* how, unless undo_after is 0 */
    struct undo_slot *undo; /* steps with a compensate node, as they completed */
    uint32_t undo_count, undo_cap;
    uint32_t undo_from;     /* those behind are undone or left out */
    uint32_t finally_begun; /* nodes of finally that were called */
    struct held prepared;   /* PHASE_FINALLY: the result, unless one of them fails */
    uint32_t *ends;         /* end nodes in order of completion */
    uint32_t end_count, end_cap;
    const struct raise_key *raises; /* newest first */
    struct open_call *open_calls;
    uint32_t open_count, open_cap;
    struct budget budget_given;         /* at submission, before the workflow's */
    int64_t budget_added[BUDGET_KINDS]; /* since */
    struct kept_signal *signals;        /* in the order in which they came */
    uint32_t signal_count, signal_cap;
    struct kept_slot *kept; /* answers that came before their steps waited, in order */
    uint32_t kept_count, kept_cap;
    struct call_slot *calls;
    uint32_t call_count, call_cap;
    struct gone_node *gone;
    uint32_t gone_count, gone_cap;
    uint64_t changed_seq; /* the last change of the workflow, 0 none */
    struct checkpoint *points;
    uint32_t point_count, point_cap;
    struct rollback_count *rollbacks;
    uint32_t rollback_count, rollback_cap;
    uint32_t *index; /* while undoing: hash of step id -> track + 1 */
    uint32_t index_cap;
};

/* The text under the key, or empty. */
static inline struct str engine_text_in(struct value map, const char *key) {
    const struct value *v = value_get(map, str_from(key));
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}

/* ---- emit.c ---- */
/* Numbers, applies and encodes an event of the decision under way. */
enum err engine_emit(struct engine *g, struct event *ev, struct error *e) MUST_USE;
enum err engine_emit_effect(struct engine *g, const struct engine_effect *fx, struct error *e)
    MUST_USE;
/* What became of a request, when one is to be told. refusal: NULL for accepted. */
enum err engine_verdict(struct engine *g, const struct engine_input *in, const char *refusal,
                        struct error *e) MUST_USE;
/* Accepted, with what is to be said about it. */
enum err engine_verdict_accept(struct engine *g, const struct engine_input *in, const char *note,
                               struct error *e) MUST_USE;
struct event event_of_node(const struct engine *g, enum event_kind kind, uint32_t node);
struct event event_of_step(enum event_kind kind, struct step_id step);

/* The final event of a node: an auxiliary node ends what its subject waits for. */
enum err engine_emit_end(struct engine *g, struct event *ev, struct error *e) MUST_USE;

/* ---- apply.c ---- */
enum err engine_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* The one place that changes the status of a node: keeps the counts. */
void engine_set_status(struct engine *g, uint32_t node, enum step_status status);
void engine_set_aided(struct engine *g, uint32_t node, enum node_role role);
/* Keeps {type, message, node, attempt} of the failure that an event tells as its step's. */
enum err engine_note_failure(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
void engine_set_item_status(struct engine *g, struct step_id step, enum step_status status);
void engine_set_item_suspended(struct engine *g, struct step_id step, enum suspend_reason why);

/* A foreach that waits for a slot (or for its concurrency) may go on. */
enum err engine_feed(struct engine *g, uint32_t node, struct error *e) MUST_USE;

/* ---- edges.c ---- */
/* The node is looked at again when things settle. */
enum err engine_mark_dirty(struct engine *g, uint32_t node, struct error *e) MUST_USE;
/* The node goes back to pending, in its next iteration. */
void edges_rearm_node(struct engine *g, uint32_t node);
/* Whatever was to be looked at or started is no longer; of use when every node is final. */
void edges_forget_work(struct engine *g);
enum err edges_init(struct engine *g, struct error *e) MUST_USE;
/* A node became final by the normal handle, HANDLE_ERROR, or HANDLE_NONE (kills all). */
enum err edges_leave(struct engine *g, uint32_t node, uint16_t handle, struct error *e) MUST_USE;
enum err edges_refuse(struct engine *g, uint32_t edge, struct error *e) MUST_USE;
enum err edges_reopen(struct engine *g, const uint8_t *fates, struct error *e) MUST_USE;
/* After raw: what all edges and loops are, and what that means for joins. */
void edges_restore(struct engine *g);
enum err edges_rearm(struct engine *g, uint32_t loop, struct error *e) MUST_USE;
bool engine_loop_may_repeat(const struct engine *g, uint32_t loop);
/* Join table: what the states of a node's forward in-edges mean. */
enum join_result { JOIN_IS_WAIT, JOIN_IS_READY, JOIN_IS_SKIP };
enum join_result engine_node_join(const struct engine *g, uint32_t node);

/* ---- settle.c ---- */
/* Limits, joins, guards, skips and repeats until nothing changes; then all that is ready starts. */
enum err engine_settle(struct engine *g, struct error *e) MUST_USE;
/* What a decision does without recording it, done again while folding: after a whole decision, and
 * before one of its events. */
enum err engine_settle_quietly(struct engine *g, struct error *e) MUST_USE;
enum err engine_catch_up(struct engine *g, const struct event *ev, struct error *e) MUST_USE;

/* ---- start.c ---- */
enum err engine_start_ready(struct engine *g, bool *out_again, struct error *e) MUST_USE;
enum err engine_begin_quietly(struct engine *g, uint32_t before_rank, struct error *e) MUST_USE;
enum err engine_make_ready(struct engine *g, uint32_t node, struct error *e) MUST_USE;
/* Schedules an attempt of a step whose slot is there. */
enum err engine_schedule(struct engine *g, struct step_id step, uint32_t attempt, struct error *e)
    MUST_USE;
bool engine_holds_slot(const struct plan_node *n);
void engine_release_slot(struct engine *g, const struct plan_node *n);

/* ---- flight.c ---- */
enum err flight_new(struct engine *g, struct step_id step, uint32_t attempt, struct flight **out,
                    struct error *e) MUST_USE;
/* Evaluates fields and `in` of a step; what was recorded is used instead when recorded is given. */
enum err flight_resolve(struct engine *g, struct flight *f, const struct event *recorded,
                        struct error *e) MUST_USE;
/* What has to be recorded of it: map of evaluated fields and ins, or null; names in scope. */
enum err flight_recorded(const struct flight *f, struct value *inputs, struct value *scope);
struct arena *flight_arena(struct flight *f);
/* What a kind returned; ERR_NOMEM when it made something in the flight without memory for it. */
enum err flight_made(const struct flight *f, enum err err) MUST_USE;
/* What the step was given: fields and `in` by name, item and index. */
enum err flight_given(const struct flight *f, struct held *out, struct error *e) MUST_USE;
void flight_next_attempt(struct flight *f, uint32_t attempt, uint32_t failures);

/* ---- approval.c ---- */
/* An ask begins to wait: the request gets what it approves (in a later attempt what it showed in
 * the first), *out_bound is recorded with it. An error is one of the step. */
enum err approval_show(struct engine *g, struct step_id ask, struct step_wait *wait,
                       struct value *out_bound, struct error *why) MUST_USE;
enum err approval_note(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* Whether what was approved covers a resolved step: else *out has a type. Its texts live as long as
 * the flight. */
enum err approval_check(struct engine *g, struct flight *f, struct step_failure *out,
                        struct error *e) MUST_USE;
/* A failure that approval_check tells: another attempt would be no other. */
bool approval_refused(struct str type);

/* ---- cache_key.c ---- */
/* Of a step whose values are resolved; own: what the node's own key came to. False: no memory, or
 * the agent cannot be told. */
bool cache_key_make(const struct plan *p, const struct step_in *in, struct value own,
                    char out[SHA256_HEX_BYTES]) MUST_USE;

/* ---- names.c ---- */
/* Evaluation of expressions of a node (or of the outputs: node UINT32_MAX). */
struct names {
    struct engine *g;
    struct expr_env env;
    uint32_t node;
    int64_t index;           /* foreach item or -1 */
    const struct value *ins; /* values of the node's `in`, by plan_in */
    struct value it;
    struct value self;     /* in `set`: the body of the node itself */
    struct flight *keeper; /* values gotten stay valid as long as this, may be NULL */
};
void names_init(struct names *n, struct engine *g, uint32_t node, struct arena *arena);
/* `step` as an auxiliary node sees it, in a; null when it runs for none. */
struct value names_step(const struct engine *g, uint32_t node, struct arena *a);
void flight_keep(struct flight *f, struct mem *m);
struct value engine_error_value(struct arena *a, const struct track *t, struct str node);

/* ---- suspend.c ---- */
struct suspension {
    enum suspend_reason reason;
    const struct step_failure *failure; /* SUSPENDED_FAILED; else NULL */
    struct value request;               /* map, as of step_wait: "for", "prompt", "choices" ... */
    int64_t due_us;                     /* when its time is up; 0: never by time */
    uint32_t entry;                     /* SUSPENDED_FAILED: of recover */
};
/* Instead of going on or failing the step waits: for people when request.for is "answer". The
 * attempt (0: none was begun) is over; who suspends a running one stops its effect. */
enum err engine_suspend(struct engine *g, struct step_id step, uint32_t attempt,
                        const struct suspension *s, struct error *e) MUST_USE;
/* A suspended step goes on with another attempt, as soon as there is a slot. unanswered: so often
 * by now since nobody answered in time; 0 when it is for another reason. */
enum err engine_release(struct engine *g, struct step_id step, struct str by, uint32_t unanswered,
                        struct error *e) MUST_USE;
enum suspend_reason engine_suspended(const struct engine *g, struct step_id step);
/* An answer to, the time of, a suspended step: by the row of its reason in the table. */
enum err suspend_on_answer(struct engine *g, const struct engine_input *in, struct step_id step,
                           struct error *e) MUST_USE;
enum err suspend_on_due(struct engine *g, struct step_id step, struct error *e) MUST_USE;
enum err suspend_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
enum err release_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;

/* ---- recover.c ---- */
struct failed_step {
    struct step_id step;
    uint32_t attempt;
    const struct step_failure *failure;
    uint32_t entry; /* of recover, whose turn it is */
};
/* A step has failed for good and nothing handles it: the entries of recover from that one on.
 * *out_done: one of them did, and it has not failed. */
enum err engine_recover(struct engine *g, const struct failed_step *f, bool *out_done,
                        struct error *e) MUST_USE;
enum err recover_on_answer(struct engine *g, const struct engine_input *in, struct step_id step,
                           struct error *e) MUST_USE;
enum err recover_on_due(struct engine *g, struct step_id step, struct error *e) MUST_USE;

/* ---- service.c ---- */
enum err service_on_down(struct engine *g, const struct engine_input *in, struct error *e) MUST_USE;
enum err service_on_up(struct engine *g, const struct engine_input *in, struct error *e) MUST_USE;
enum err service_on_due(struct engine *g, struct step_id step, struct error *e) MUST_USE;

/* ---- decide.c ---- */
/* The time of a step's next attempt has come. */
enum err engine_retry_due(struct engine *g, struct step_id step, uint32_t attempt, struct error *e)
    MUST_USE;

/* ---- failure.c ---- */
/* Without retries and recovery. */
enum err engine_fail_for_good(struct engine *g, struct step_id step, uint32_t attempt,
                              const struct step_failure *f, struct error *e) MUST_USE;
/* Without retries. */
enum err engine_attempts_over(struct engine *g, struct step_id step, uint32_t attempt,
                              const struct step_failure *f, struct error *e) MUST_USE;
/* An attempt of a step failed: retry, or the failure table. */
enum err engine_attempt_failed(struct engine *g, struct step_id step, uint32_t attempt,
                               const struct step_failure *f, struct error *e) MUST_USE;
enum err engine_fail_execution(struct engine *g, struct str type, struct str message,
                               struct str node, uint32_t attempt, struct error *e) MUST_USE;
/* Ends what is pending (and, if running_too, what runs). */
enum err engine_wind_down(struct engine *g, bool running_too, struct error *e) MUST_USE;

/* ---- foreach.c ---- */
enum err foreach_start(struct engine *g, uint32_t node, struct error *e) MUST_USE;
/* After an item ended: the foreach may end. */
enum err foreach_settle(struct engine *g, uint32_t node, struct error *e) MUST_USE;
enum err foreach_cancel_items(struct engine *g, uint32_t node, bool running_too, struct error *e)
    MUST_USE;
void foreach_free(struct foreach_state *f);
/* next is no item that an earlier generation ended. */
void foreach_skip_kept(struct foreach_state *f);

/* ---- waiting.c ---- */
/* The status of the step as an input names it; STEP_PENDING when it is not the current one. */
enum step_status engine_step_status(const struct engine *g, struct step_id step);
uint32_t engine_step_attempt(const struct engine *g, struct step_id step);
/* Tells the request that it is refused, and why. */
enum err engine_refuse(struct engine *g, const struct engine_input *in, struct error *e,
                       const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Begins to wait instead of performing; the flight is resolved. */
enum err engine_wait(struct engine *g, struct step_id step, uint32_t attempt, struct flight *f,
                     struct error *e) MUST_USE;
enum err engine_tell_wait(struct engine *g, struct step_id step, uint32_t attempt, int64_t due_us,
                          struct error *e) MUST_USE;
enum err engine_on_wait_due(struct engine *g, const struct engine_input *in, struct error *e)
    MUST_USE;
enum err engine_on_answer(struct engine *g, const struct engine_input *in, struct error *e)
    MUST_USE;
static inline bool plan_node_waits(const struct plan_node *n) { return n->kind->wait != NULL; }

/* ---- signal.c ---- */
enum err engine_on_signal(struct engine *g, const struct engine_input *in, struct error *e)
    MUST_USE;
/* The step has just begun to wait: a signal that came before may end it at once. */
enum err signal_take_kept(struct engine *g, struct step_id step, uint32_t attempt, struct flight *f,
                          bool *out_taken, struct error *e) MUST_USE;
enum err signal_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
void signal_note_taken(struct engine *g, const struct event *completed);
void signals_free(struct engine *g);

/* ---- answer_kept.c ---- */
/* The step may yet begin to wait for an answer. */
bool answer_may_be_kept(const struct engine *g, struct step_id step);
/* Keeps an answer for such a step; the second one is refused. */
enum err answer_keep(struct engine *g, const struct engine_input *in, struct step_id step,
                     struct error *e) MUST_USE;
/* The step has just begun to wait: an answer that came before ends it at once or is dropped. */
enum err answer_take_kept(struct engine *g, struct step_id step, uint32_t attempt, struct flight *f,
                          bool *out_taken, struct error *e) MUST_USE;
enum err answer_apply_kept(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
enum err answer_apply_dropped(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* The step has ended; one that never asked has taken nothing. */
void answer_note_end(struct engine *g, struct step_id step, bool asked);
/* The node has a new generation: nothing is for it that was for the one before. */
void answer_end_generation(struct engine *g, uint32_t node);
/* Another workflow may ask something else: all are dropped. */
enum err answer_drop_all(struct engine *g, struct error *e) MUST_USE;
/* In journals that do not say so. */
void answer_end_all(struct engine *g);
void answer_digest_kept(const struct engine *g, struct buf *b);
void answers_free(struct engine *g);

/* ---- engine.c ---- */
/* Fresh arrays for a plan, from now on the state's; the old ones are the caller's to empty. */
enum err engine_take_plan(struct engine *g, const struct plan *p, struct error *e) MUST_USE;
void node_state_clear(struct node_state *n);
/* What a node has of node_more; to change it, for which there may be no memory: NULL. */
extern const struct node_more node_more_none;
static inline const struct node_more *node_more(const struct node_state *n) {
    return n->more ? n->more : &node_more_none;
}
struct node_more *node_more_make(struct engine *g, struct node_state *n);
/* What it has of something that it did is forgotten. */
void node_more_clear(struct node_state *n);

/* ---- change.c ---- */
enum err change_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* ---- auxiliary.c ---- */
/* Instead of ending the step is in the care of the node that has this role for it. */
enum err engine_aid(struct engine *g, struct step_id step, uint32_t attempt, enum node_role role,
                    const struct step_failure *f, struct error *e) MUST_USE;
/* An auxiliary node has ended: so does what waits for it. */
enum err engine_aux_ended(struct engine *g, uint32_t node, struct error *e) MUST_USE;
enum err aid_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* The step that the next run of an auxiliary node is. */
struct step_id aux_next_run(const struct engine *g, uint32_t node);
/* A run of an auxiliary node begins: takes s, which may be NULL. */
enum err aux_begin(struct engine *g, struct step_id run, struct subject *s, struct error *e)
    MUST_USE;
void subject_free(struct subject *s);

/* ---- undo.c ---- */
enum err undo_failed(struct engine *g, uint32_t node, struct error *e) MUST_USE;
/* A step completes with this body. */
enum err undo_note(struct engine *g, const struct event *ev, const struct held *body,
                   struct error *e) MUST_USE;
enum err undo_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
enum err undo_call_apply(struct engine *g, const struct event *ev, struct step_id run,
                         struct error *e) MUST_USE;
void undo_ended(struct engine *g, uint32_t node);
void undo_digest(const struct engine *g, struct buf *b);
void undo_free(struct engine *g);

/* ---- ending.c ---- */
/* Every node is final: calls what runs before the execution ends. */
enum ending { ENDING_NONE, ENDING_CALLED, ENDING_HELD /* by a pause */ };
enum err ending_next(struct engine *g, enum ending *out, struct error *e) MUST_USE;
enum err undo_next(struct engine *g, enum ending *out, struct error *e) MUST_USE;
enum err finally_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;

/* ---- retry.c ---- */
enum err engine_on_retry(struct engine *g, const struct engine_input *in, struct error *e) MUST_USE;
enum err retry_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* Nothing of what the node did in this iteration is left; its status is the caller's to set. */
void engine_begin_generation(struct engine *g, uint32_t node);

/* ---- undo.c ---- */
/* Whether a step that completed after that event has a compensate node and was not undone. */
bool undo_is_left(const struct engine *g, uint64_t after);
/* back is the EXECUTION_ROLLED_BACK that is emitted when that is undone. */
enum err undo_before_rollback(struct engine *g, const struct event *back, struct error *e) MUST_USE;

/* ---- past.c ---- */
#define CHECKPOINT_NAME_RULE \
    "the name of a checkpoint is made of a to z, 0 to 9 and _, and begins with no digit"
/* Notes what is to be known of an event later. */
enum err past_note(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* The last event before the step began. */
uint64_t past_before(const struct engine *g, const struct track *t);
enum err past_point(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
enum err engine_on_checkpoint(struct engine *g, const struct engine_input *in, struct error *e)
    MUST_USE;
/* The node has completed: its checkpoint is made, if it has one. */
enum err engine_checkpoint_node(struct engine *g, uint32_t node, struct error *e) MUST_USE;

/* ---- rollback.c ---- */
enum err engine_on_rollback(struct engine *g, const struct engine_input *in, struct error *e)
    MUST_USE;
enum err rollback_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* Stops what is performed and records the rollback; nothing of the decision follows it. */
enum err engine_roll_back(struct engine *g, struct event *ev, struct error *e) MUST_USE;
uint64_t rollback_count_of(const struct engine *g, struct str node, uint64_t entry);
/* A rollback: one more of its entry, or, when it was a person's, and after a retry: none any more.
 */
enum err rollback_note_count(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
void rollback_digest_counts(const struct engine *g, struct buf *b);
/* The first generation that no undone step of that iteration of the node has had. */
static inline uint32_t generation_floor(const struct node_state *n, uint32_t iteration) {
    return iteration <= n->floor_iteration ? n->floor : 0;
}

/* ---- undone.c ---- */
/* While undoing: the track entry + 1 of a step, 0 none. */
uint32_t undone_find(const struct engine *g, struct step_id step);
enum err undone_add(struct engine *g, struct step_id step, uint32_t track, struct error *e)
    MUST_USE;
void undone_over(struct engine *g);

/* ---- control.c ---- */
enum err engine_on_cancel(struct engine *g, const struct engine_input *in, struct error *e)
    MUST_USE;
enum err engine_on_pause(struct engine *g, const struct engine_input *in, struct error *e) MUST_USE;
enum err engine_on_resume(struct engine *g, const struct engine_input *in, struct error *e)
    MUST_USE;
/* Time that counts for timeouts ends then; 0: none, or not while it is paused. */
wall_us engine_deadline(const struct engine *g);
/* Now, on a clock that stands still while the execution is paused. */
int64_t engine_unpaused_us(const struct engine *g);

/* ---- vars.c ---- */
/* First values of the variables that no step has set. */
enum err vars_init(struct engine *g, struct error *e) MUST_USE;
void vars_free(struct engine *g);
/* What a step that completes with this body sets, for event.set; in g->scratch. */
enum err vars_eval(struct engine *g, struct step_id step, struct value body, struct value *out,
                   struct error *why) MUST_USE;
enum err vars_apply(struct engine *g, const struct event *ev, struct error *e) MUST_USE;

/* ---- matrix.c ---- */
/* All combinations; in the arena of env. */
enum err matrix_items(const struct plan_foreach *f, struct expr_env *env, struct value *out,
                      struct error *why) MUST_USE;

/* ---- finish.c ---- */
/* Ends an execution whose variables have no first values. */
enum err engine_check_vars(struct engine *g, struct error *e) MUST_USE;
/* Completes a step with its result, after the checks that a body must pass. */
enum err engine_complete_step(struct engine *g, struct step_id step, uint32_t attempt,
                              const struct step_result *r, wall_us started, struct error *e)
    MUST_USE;
/* Whether a result may be the step's: an empty text, or what is wrong with it. */
enum err engine_check_result(struct engine *g, struct step_id step, const struct step_result *r,
                             const char **out_type, char text[ERROR_MESSAGE_BYTES], struct error *e)
    MUST_USE;
/* The result of what ends well now. */
enum err engine_eval_result(struct engine *g, struct value *out, struct error *why) MUST_USE;
bool engine_any_allowed_failure(const struct engine *g);
/* Ends the execution when every node is final; names a deadlock. *out_again: there is more to
 * settle before it ends. */
enum err engine_finish_if_done(struct engine *g, bool *out_again, struct error *e) MUST_USE;

/* ---- account.c ---- */
/* Its costUsd. */
int64_t usage_nano_usd(struct value usage);
/* What an event means for the account; of the journal alone, whatever becomes of its step. */
enum err account_note(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* That answer has raised the budget already. */
bool account_has_raise(const struct engine *g, struct str key);
/* It has reserved something and is not over. */
bool account_call_open(const struct engine *g, struct step_id step, uint32_t call);
void account_digest(const struct engine *g, struct buf *b);

/* ---- budget.c ---- */
/* The step is not begun (attempt 0), or its call not made. */
enum err engine_over_budget(struct engine *g, struct step_id step, uint32_t attempt,
                            enum budget_kind kind, int64_t asked, struct error *e) MUST_USE;
/* Whether a step with an effect may not begin, and by what budget. */
bool engine_step_over_budget(const struct engine *g, enum budget_kind *out);
/* Some step asks for more: nothing new starts. */
bool engine_budget_holds(struct engine *g);
enum err budget_on_answer(struct engine *g, const struct engine_input *in, struct step_id step,
                          struct error *e) MUST_USE;
enum err engine_on_budget_raised(struct engine *g, const struct engine_input *in, struct error *e)
    MUST_USE;
enum err engine_on_over_budget(struct engine *g, const struct engine_input *in, struct error *e)
    MUST_USE;

/* ---- track.c ---- */
struct track_slot *track_of(const struct engine *g, struct step_id step);
/* Nor for a time. */
void track_waits_no_more(struct track_slot *s);
enum err track_begin(struct engine *g, struct step_id step, uint32_t *out, struct error *e)
    MUST_USE;
/* The step goes on in a new generation: *at is its entry so far, then its new one. */
enum err track_again(struct engine *g, struct step_id step, uint32_t *at, struct error *e) MUST_USE;
/* The step is in another attempt; nothing when it has no entry yet. */
void track_attempt(struct engine *g, struct step_id step, uint32_t attempt);
enum err track_end(struct engine *g, const struct event *ev, enum step_status status,
                   struct error *e) MUST_USE;
enum err track_call_begun(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
enum err track_call_done(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
const struct call *track_call_find(struct engine *g, struct step_id step, uint32_t number);
uint32_t track_calls_forget(struct engine *g, struct step_id step);
/* The entry of a step, also of one that was undone; NULL. */
struct track_slot *track_past(const struct engine *g, struct step_id step);
enum err track_process(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* A step that was undone: begun, ended. */
enum err track_begin_undone(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
enum err track_end_undone(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* It waits for what the event says (a suspended step has also failed, and used something); its
 * attempt failed and another follows. */
enum err track_wait(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
enum err track_retry(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
/* Its attempt failed, and another node runs for it. */
enum err track_aid(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
enum err track_late(struct engine *g, const struct event *ev, struct error *e) MUST_USE;
void track_free(struct engine *g);

static inline bool step_current(const struct engine *g, struct step_id s) {
    const struct node_state *n = &g->nodes[s.node];
    return s.iteration == n->iteration && s.generation == n->generation;
}
/* The state of the step: of the node or of one of its items; NULL when it is not current. */
struct item_state *engine_item_of(const struct engine *g, struct step_id s);

#endif
