/* Inside the host: runs (executions), ports (attempts being performed), queues, timers.
 * Everything belongs to the loop's thread. A run is freed by host_close alone; its state is let go
 * when its end is recorded and no port is left.
 */
#ifndef CAIRN_HOST_PRIV_H
#define CAIRN_HOST_PRIV_H

#include "host/host.h"

/* Something that happened, waiting to be decided on; kept until its commit. */
struct happened {
    struct happened *next;
    wall_us not_before; /* of a timer: when it was due; its decision has at least this time */
    struct engine_input in;
    union { /* by in.type */
        struct step_result result;
        struct step_failure failure;
        struct step_charge charge;
    };
    struct arena arena; /* what they point to */
};

struct queue {
    struct happened *first, *last;
};

struct run_queue { /* by ready_next */
    struct run *first, *last;
};

struct lease;        /* the host's right to what it owns */
struct breaker;      /* of one service */
struct breakers;     /* of all */
struct vault;        /* the secrets known to a tree of executions */
struct port_secrets; /* those in the fields of one attempt */

enum port_state {
    PORT_QUEUED,   /* waits for a slot, or for the end of the attempt before it */
    PORT_STARTING, /* inside the kind's start */
    PORT_RUNNING,
    PORT_CANCELLING, /* told to stop; what it says is ignored */
};

#define HOST_LOG_PIECE_BYTES 16384u    /* a recorded piece of a step's log is at most so long */
#define HOST_LOG_BYTES (1u << 20)      /* of one attempt; more is shown live and not kept */
#define HOST_LOG_DELAY_NS 100000000    /* what is printed is recorded together for so long */
#define HOST_PROCESS_DELAY_NS 10000000 /* a process of an attempt that lasts so long is recorded */

/* What an attempt printed and is not recorded yet. */
struct port_log {
    struct buf text;
    const char *stream;
    size_t kept; /* bytes recorded so far */
    bool cut;
};

/* One attempt that is being performed. */
struct port {
    struct step_port port; /* first: kinds get this */
    struct run *run;
    struct port *next, *previous; /* of the run */
    struct port *same_next;       /* of its bucket in the run's index */
    struct port *queue_next;      /* of the run's queue for slots */
    struct port *queue_previous;
    struct step_id step;
    uint32_t attempt;
    enum port_state state;
    bool slot;
    bool over;   /* it said no_memory: only to be freed, with the run that is given up */
    bool stop;   /* was to be cancelled while it started: it is, after that */
    bool undone; /* a rollback went back behind it: nothing new begins before it is gone */
    struct flight *flight;
    struct port_secrets *secrets; /* NULL: it has none and nothing was to be redacted yet */
    wall_us started;
    struct breaker *breaker; /* of the service that it calls, or NULL */
    bool timed_out;
    uint32_t calls;
    bool asking;   /* a call waits for its reservation to be recorded, or for a budget */
    uint32_t call; /* which */
    void (*go)(struct step_port *p, uint32_t call);
    struct happened *held; /* it waits until others need less; NULL: it does not */
    struct port *held_next, *held_previous;
    struct port_log log;
    int64_t pid; /* a process that is not recorded yet, or 0 */
    uint64_t process_start;
    struct port *process_next;
    struct run *child;
    bool child_failed; /* could not be begun: host.child_error, told after start */
};

/* What of the read model was recorded last: see store_row.same. */
struct row_written {
    bool known;
    enum exec_status status;
    wall_us started, completed, deadline;
    uint32_t total_tasks;
    bool texts; /* an error, a result or usage */
};

#define RUN_TEXT_BYTES 512u /* of run.memory at first: there may be many thousands */

/* In the order of use: a commit of a step touches the first lines and those of the ports. */
struct run {
    struct host *host;
    struct engine *engine;
    const struct plan *plan;
    struct run *ready_next; /* runs with something to decide */
    struct run *batch_next;
    struct store_change *change; /* of the commit under way; NULL: nothing to record */
    struct queue happened;       /* to decide on */
    struct queue decided;        /* decided on in this batch */
    uint64_t last_seq;           /* committed */
    int64_t last_event;
    int64_t num;
    uint64_t epoch;
    enum exec_status status; /* as last committed */
    uint32_t failures;       /* commits and decisions that failed in a row */
    uint32_t shift;          /* of its last turn */
    bool is_ready;
    bool in_batch;
    bool is_void; /* in the batch, but its state was thrown away meanwhile */
    bool ended, lost;
    bool is_new;
    bool asleep;     /* it rests without a state in memory: sleep.c */
    bool starved;    /* there was no memory for what happened: given up before the next decision */
    bool untold;     /* its last recorded event, a claim: watchers learn of it with the next */
    bool to_drop;    /* lost, and in the store still owned by this host */
    bool told_again; /* among the effects are some that may be under way */
    bool rows_void;  /* a rollback in this batch: rows of steps and messages go */
    bool row_complete; /* the last rows of steps and messages are written */
    bool is_child;
    bool waits_for_rows;
    bool waits_for_slot;
    bool has_left; /* sub-workflows that had not ended when it was taken over: to be looked at */
    bool held;     /* claimed for one request: nothing of it goes on, and nobody else's is taken */
    struct row_written written;
    uint32_t steps_written;
    struct engine_out out;
    struct port *parent;    /* port of the parent's step, for a child */
    struct run *above;      /* whose sub-workflow it is, also when it has ended */
    struct account counted; /* its own, as it was counted in tree, here and above */
    struct account tree;    /* its own and that of all below */
    struct str folder;
    struct vault *vault; /* shared with parent and children; NULL: nothing was performed yet */
    struct port *ports;
    struct port *slot_first, *slot_last; /* ports that wait for a slot */
    struct run *slot_next;
    uint32_t queued_free; /* of the ports that wait for a slot, those that need none */
    uint32_t bucket_count, port_count, undone_ports;
    struct port **buckets; /* the index of ports by step; NULL: few is used */
    struct port *few[8];   /* as long as they are few */
    char id[IO_ID_BYTES];
    struct run *next;            /* all runs of the host */
    struct run *rows_next;       /* runs that only have rows of steps to write */
    struct stored_child *stored; /* sub-workflows counted in it that do not live here */
    int64_t parent_num;
    struct arena memory;    /* of the texts below */
    struct store_new fixed; /* of an execution that was submitted here */
    struct str result_json, error_json;
    int64_t inbox_upto; /* rows up to this were taken */
    uint32_t timers;
};

/* Of the runs that come after the next one in a loop: each is fetched in steps, what a pointer
 * leads to when the pointer has come. */
static inline void run_fetch_ahead(const struct run *second, const struct run *third) {
    if (third) {
        fetch_ahead(third, offsetof(struct run, few));
    }
    if (second && second->engine) {
        engine_fetch(second->engine);
        fetch_ahead(second->out.records, 2 * sizeof *second->out.records);
        fetch_ahead(second->out.effects, sizeof *second->out.effects);
        fetch_ahead(second->out.bytes.ptr, 2 * FETCH_LINE_BYTES);
    }
}

struct timer {
    wall_us recorded; /* when it is due, as recorded */
    wall_us due;      /* the same on the host's own time */
    struct run *run;
    struct step_id step;
    uint32_t attempt;
    enum input_type type;
};

struct host {
    struct host_options options;
    const struct io_clock *clock;
    struct io_launcher *launcher;
    struct io_timer *timer;
    struct io_timer *log_timer;     /* armed while some port has a log to record */
    struct io_timer *process_timer; /* armed while some port may have a process to record */
    struct io_timer *inbox_timer;
    struct lease *lease;
    struct io_watch *inbox_watch; /* NULL: only the timer is left */
    bool logs_pending;
    struct port *process_first; /* ports with a process that is not recorded yet */
    bool inbox_due;             /* there may be something */
    bool inbox_polled;          /* the timer was due: worth asking whether there is news */
    bool inbox_left;            /* the last look found rows, or failed */
    struct run *runs;
    struct run_queue asked;   /* ready, and somebody waits for it: they go first */
    struct run_queue at_work; /* ready, and had a turn in this shift: they go next */
    struct run_queue ready;
    uint32_t shift; /* its number */
    int64_t shift_end_ns;
    struct run *rows_first, *rows_last; /* ended, and write their steps in commits of their own */
    struct run *slot_first, *slot_last; /* round robin of runs with queued ports */
    struct run *batch;
    uint32_t batch_events;
    bool is_busy; /* the batch waits for others to let go of the store, or for space */
    bool is_full; /* for space: since then by the monotonic clock */
    int64_t full_since_ns;
    uint32_t slots_used;
    bool slots_free; /* no port waits for a slot from before this turn */
    int64_t host_id;
    int64_t last_ms;      /* of execution ids */
    struct timer *timers; /* min-heap by due */
    wall_us last_wall;    /* when the clocks were looked at last */
    mono_ns last_mono;
    int64_t ahead_us; /* of the host's own time, against the wall clock */
    uint32_t timer_count, timer_cap;
    char put_hash[SHA256_HEX_BYTES]; /* of the workflow that was put into the store last, or "" */
    struct shelf shelf;              /* plans of executions that were not submitted here */
    uint32_t live_runs;
    uint32_t drops; /* runs to drop */
    uint32_t port_count;
    struct error child_error;            /* of the port that is being started */
    struct breakers *breakers;           /* NULL: no attempt has one yet */
    struct port *held_first, *held_last; /* calls that wait for others to need less */
    bool budget_moved;                   /* something reserved was given back */
    bool has_left;                       /* some run */
    bool has_told;                       /* in this turn of a run others decided, too */
    struct map keys; /* submission keys -> run; those not yet recorded are only here */
    struct arena keys_memory;
    struct arena scratch;
};

/* ---- timers.c ---- */
/* The host's own time: the wall clock, but while the host lives it is never set back. */
wall_us host_now(struct host *h);

/* ---- queue.c ---- */
struct happened *happened_new(enum input_type type);
void happened_free(struct happened *x);
/* Copies a text into a; false when there is no memory. */
bool text_keep(struct arena *a, struct str *s);
void queue_put(struct queue *q, struct happened *x);
void queue_put_first(struct queue *q, struct happened *x);
struct happened *queue_take(struct queue *q);
/* Hands it to the run; it will be decided on in the next turn. */
void run_happens(struct run *r, struct happened *x);
void run_make_ready(struct run *r);
/* Its turn comes before that of all others, unless it waits for its turn already: somebody waits
 * for what it decides. A batch may be full long before the last of many thousands. */
void run_hurry(struct run *r);
/* It has ended, and not all rows of its steps were written: its turn comes as commits have room.
 * Nothing when it waits already. */
void run_wait_for_rows(struct run *r);
struct run *run_next_for_rows(struct host *h);
/* The first of a queue that is not empty; its turn comes now. */
struct run *run_take_ready(struct host *h, struct run_queue *q);
/* Before the turns of a batch: when the shift is over, another one begins. */
void shift_begin(struct host *h);
/* Something is to be decided on or recorded. */
static inline bool host_has_work(const struct host *h) {
    return h->asked.first || h->at_work.first || h->ready.first || h->rows_first;
}
/* There was no memory for something that happened. Given up with the next turn and not at once: the
 * kind that has just told of it must not be told to stop in the middle of that. */
void run_starved(struct run *r);

/* ---- run.c ---- */
enum err run_new(struct host *h, const struct plan *p, struct run **out, struct error *e) MUST_USE;
void run_free(struct run *r);
/* Frees the state when nothing can come of it any more; what run_* of host.h tell stays. */
void run_let_go(struct run *r);
/* Counts a failure: throws the state away and folds again, or gives up when it was one too many. */
void run_failed(struct run *r, const struct error *why);
/* What it has just decided is not recorded; it decides on it once more. */
void run_again(struct run *r);
/* Watchers learn of the events after from, which were recorded without their knowing. */
enum err run_tell_recorded(struct run *r, uint64_t from, struct error *e) MUST_USE;
enum err run_create(struct run *r, const struct host_submission *s, struct error *e) MUST_USE;
/* For who creates or attaches: the text lives as long as the run; it begins with the next turn. */
bool run_keep(struct run *r, struct str *s);
enum err run_queue_start(struct run *r, struct error *e) MUST_USE;
/* After a fold or a decision: the run is of the workflow that its state is of. */
enum err run_follow_plan(struct run *r, struct error *e) MUST_USE;
/* After a rollback: before all that waits to be decided on. */
enum err run_start_first(struct run *r, struct error *e) MUST_USE;

/* ---- fold.c ---- */
/* The state that the journal makes from its first event to r.to; r.from is 0. Plans come from the
 * shelf, but for the known one (which may be NULL), and outlive the state. */
enum err run_fold(struct shelf *shelf, const struct plan *known, struct store_range r,
                  struct engine **out, struct error *e) MUST_USE;

/* The state becomes what the journal makes of it, with what this batch is to record. */
enum err run_fold_anew(struct run *r, struct error *e) MUST_USE;

/* ---- sleep.c ---- */
/* After a commit: lets go of the state of a run at rest when the host has many. */
void run_rest(struct run *r);
/* Folds the state again; nothing to do when it is awake. */
enum err run_wake(struct run *r, struct error *e) MUST_USE;
/* It is under way here, awake or not. */
static inline bool run_is_here(const struct run *r) {
    return !r->ended && !r->lost && (r->engine || r->asleep);
}

/* ---- attach.c ---- */
/* A run that was given up and of which nothing is left to stop. */
bool run_is_gone(const struct run *r);
/* A stored execution goes on in this host (or, when final, is only folded). */
enum err run_attach(struct host *h, const struct plan *p, const struct store_execution *x,
                    struct run **out, struct error *e) MUST_USE;
/* Claimed and folded only, for host_visit: held. */
enum err run_hold(struct host *h, const struct plan *p, const struct store_execution *x,
                  struct run **out, struct error *e) MUST_USE;
/* What has ended goes on. */
struct revival {
    enum input_type type; /* INPUT_RETRY, INPUT_ROLLBACK */
    struct str target, by;
    bool resume;
    const struct host_retry *retry; /* RETRY: what changes with it */
};
enum err run_revive(struct host *h, const struct plan *p, const struct store_execution *x,
                    const struct revival *q, struct run **out, struct error *e) MUST_USE;
/* x is below an execution that runs here: who owns that owns x, whoever may still think to. */
bool run_is_below_ours(const struct host *h, const struct store_execution *x);

/* ---- mend.c ---- */
/* What follows for a retry from definitions: in->anew, in->whole; in a. */
enum err mend_anew(const struct engine *g, const struct host_retry *q, struct arena *a,
                   struct engine_input *in, struct error *e) MUST_USE;

/* ---- run.c: ends ---- */
/* Left as it was last recorded, its parent too; nobody is told without a reason why. */
void run_give_up(struct run *r, const struct error *why);
/* Recorded as ended: tells, lets go of memory. */
void run_over(struct run *r);
/* It was lost or has ended, and goes on here as another run: what is owned now is owned by that. */
bool run_is_back(const struct run *old);
/* Lost executions of which nothing is left here get an owner of none, so that anybody can go on. */
void run_drop_lost(struct host *h);

/* ---- lease.c ---- */
enum err lease_open(struct host *h, struct error *e) MUST_USE;
void lease_close(struct lease *l);
/* At the beginning of a turn: renews it when it is time and nobody else does. */
void lease_turn(struct host *h);
/* Before effects: on a lease that is over, gives up what others have taken meanwhile. */
void lease_check(struct host *h);
/* lease_check would find nothing to do. */
bool lease_is_good(const struct host *h);

/* ---- claim.c ---- */
/* Takes x over from an owner that is gone and makes x what is stored now. ERR_CONFLICT: another
 * process was quicker; ERR_QUARANTINED: it has failed, now. */
enum err claim_take(struct host *h, struct store_execution *x, struct error *e) MUST_USE;
/* Owned by nobody from now on; OK when it was no longer ours. */
enum err claim_drop(struct host *h, int64_t num, uint64_t epoch, struct error *e) MUST_USE;
/* An event that follows the head, encoded in a. */
enum err claim_event(const struct event *ev, wall_us at, uint64_t seq, struct arena *a,
                     struct store_event *out, struct error *e) MUST_USE;
/* A store that failed like this may work when asked once more. */
bool claim_may_pass(enum err err);
/* After a commit of c that failed: *out_done when it was recorded all the same, OK to try it again,
 * ERR_CONFLICT when another was quicker. */
enum err claim_look_again(struct host *h, const struct store_execution *before,
                          const struct store_change *c, bool *out_done, struct arena *a,
                          struct error *e) MUST_USE;
/* Kills what carries the idempotency key of a step of the execution in its environment. */
void claim_kill_marked(struct str id);

/* ---- quarantine.c ---- */
/* Ends x as failed, type quarantined, and with it every sub-workflow below that has not ended. */
enum err claim_quarantine(struct host *h, const struct store_execution *x, struct str message,
                          struct error *e) MUST_USE;

/* ---- turn.c ---- */
void turn_decide(struct host *h);
void turn_take_rows(struct host *h);
/* Before all that waits to be decided on, in the commit of this turn. */
enum err turn_decide_now(struct run *r, struct happened *x, struct error *e) MUST_USE;

/* ---- commit.c ---- */
enum err turn_commit(struct host *h, struct error *e) MUST_USE;
/* Failures that are waited out: others that write for as long as it takes, no space for some
 * time. Notes since when there is none. */
bool commit_is_waited_out(struct host *h, enum err err);
/* Tells who watches that the store is waited for, once until a commit succeeds. */
void commit_note_busy(struct host *h, const struct error *why);

/* ---- ports.c ---- */
void ports_add(struct port *p);
void ports_remove(struct port *p);
/* The ports of a step: the first one (after NULL), the one after another, NULL. */
struct port *ports_find(const struct run *r, struct step_id step, const struct port *after);

/* ---- perform.c ---- */
void perform_effects(struct run *r);
void perform_queued(struct host *h);
void ports_cancel_all(struct run *r);
/* A rollback was recorded: what is being performed is of before. */
void ports_undo_all(struct run *r);
/* Those whose attempt runs no more: the order to stop was lost with the state that gave it. */
void ports_cancel_stale(struct run *r);

/* ---- breaker.c ---- */
/* Before an attempt is performed: false when its service is left alone now. The engine is told
 * until when, and the port has only to be freed. */
bool breaker_admits(struct port *p);
/* The time of one held back came: it may go on, or not yet. */
void breaker_ask(struct run *r, const struct engine_effect *fx);
/* An attempt failed in a way that may pass; its service asks to be left alone for so long, or 0.
 * It ended otherwise: the service answered. */
void breaker_failed(struct port *p, int64_t retry_after_us);
void breaker_answered(struct port *p);
/* The attempt's time is over: should it be stopped for that, it failed. */
void breaker_timed_out(struct run *r, struct step_id step, uint32_t attempt);
/* The port ends. */
void breaker_leave(struct port *p);
void breakers_free(struct host *h);

/* ---- cache.c ---- */
/* A result that the attempt may use instead of doing anything: then x is its end. */
bool cache_find(const struct port *p, struct happened *x);
/* What of the run's batch is to be kept, into c. */
enum err cache_keep(struct run *r, struct store_change *c, struct arena *a, struct error *e)
    MUST_USE;

/* ---- logs.c ---- */
void port_log(struct step_port *sp, const char *stream, struct str text);
/* Before the port ends: tells what was held back as it might have become a secret. */
void port_log_end(struct port *p);
void port_log_free(struct port *p);
void logs_due(void *host);

/* ---- process.c ---- */

void port_process(struct step_port *sp, int64_t pid, uint64_t start_time);
/* The port ends. */
void port_process_forget(struct port *p);
void processes_due(void *host);

/* ---- inbox.c ---- */
/* The request as an input, whose texts and value are the request's. below: a parent waits for
 * it. */
void request_input(const struct host_request *q, bool below, struct engine_input *out);
/* To this run alone, decided with the next turn. */
enum err request_hand_over(struct run *r, const struct host_request *q, struct error *e) MUST_USE;
/* Takes what others ask of the runs here; when the poll is due, or always. */
enum err inbox_take(struct host *h, bool always, struct error *e) MUST_USE;
enum err inbox_open(struct host *h, struct error *e) MUST_USE;
void inbox_close(struct host *h);

/* ---- secrets.c ---- */
/* Before the kind's start: puts the secrets into port.in. An error says how to set a missing
 * one. */
enum err secrets_begin(struct port *p, struct error *e) MUST_USE;
/* Overwrites what was opened for the attempt. */
void secrets_end(struct port *p);
void vault_unref(struct vault *v);
enum err secrets_get(struct port *p, struct str name, struct str *out, struct error *e) MUST_USE;
/* What a kind tells, redacted: a copy in a, or v itself when no secret is known. False when out of
 * memory. */
bool secrets_hide(const struct port *p, struct arena *a, struct value v, struct value *out)
    MUST_USE;
/* The same, always a copy. */
bool secrets_copy(const struct port *p, struct arena *a, struct value v, struct value *out)
    MUST_USE;
/* Of a failure: a message may quote a secret and cut it off. */
bool secrets_copy_message(const struct port *p, struct arena *a, struct str *s) MUST_USE;
/* What of a stream ("stdout", "stderr", "chunk"; "note" comes whole) can be told now; with flush
 * all. Valid until the next call for p. */
struct str secrets_stream(struct port *p, const char *name, struct str piece, bool flush);

/* ---- budget.c ---- */
/* After its state changed: its numbers count in its tree. */
void budget_note(struct run *r);
/* After a fold of what others ran: with its sub-workflows. */
enum err budget_load(struct run *r, struct error *e) MUST_USE;
void budget_free(struct run *r);
/* The child lives here from now on, below parent. */
void budget_join(struct run *child, struct run *parent);
/* What the tree allows r when the input is decided on; false: it has no budget. */
bool budget_allowance(const struct run *r, const struct engine_input *in, struct allowance *out);
bool budget_is_kept(const struct run *r);
/* The id of r or of the nearest above it that has one; empty: none. */
struct str budget_above(const struct run *r);
/* Before x is decided on: false, and x is kept, when it has to wait; else x may have become what
 * refuses it. */
bool budget_gate(struct run *r, struct happened *x, const struct allowance *a);
/* Calls that waited are decided on again, if there is a chance. */
void budget_turn(struct host *h);
/* What r has recorded since: when it is that a budget allows more, the execution that has it is
 * told how much, and all of its tree that there is more, in the same commit. */
enum err budget_pass_on(struct run *r, uint32_t first, struct error *e) MUST_USE;
/* The port is freed. */
void budget_forget(struct port *p);
/* For the row of a sub-workflow: what it is charged with. */
struct value budget_charged(const struct account *a, struct arena *arena);

/* ---- child.c ---- */
void child_begin(struct step_port *p, struct value inputs);
void child_ended(struct run *child);
/* It ended here without an end: its step fails, if that still matters to anybody. */
void child_gone(struct run *child, const char *type, const struct error *why);
bool child_after_start(struct port *p);
enum err child_to_cancel(struct run *r, const struct engine_effect *fx, struct run **out,
                         struct error *e) MUST_USE;
/* Sub-workflows whose step ended, or was undone, and which an earlier owner left before they had
 * ended (a cancel runs their finally) go on here. */
void child_turn_left(struct host *h);

/* ---- history.c ---- */
/* step_port_ops.history */
enum err port_history(struct step_port *sp, struct str agent, uint32_t at_most, struct value *out)
    MUST_USE;

/* ---- timers.c ---- */
enum err timer_add(struct host *h, const struct timer *t, struct error *e) MUST_USE;
void timers_due(struct host *h);
/* Arms the loop's timer for the first one. */
void timers_arm(struct host *h);

/* ---- rows.c ---- */
enum err row_make(struct run *r, struct arena *a, struct store_row *out, struct error *e) MUST_USE;
/* The row was recorded; afterwards row_make tells what need not be written again. */
void row_recorded(struct run *r, const struct store_row *row);
/* The row of an execution that nobody owns from now on. */
void row_release(struct store_row *row);
enum err row_steps(const struct engine *g, uint32_t from, uint32_t count, struct arena *a,
                   struct store_step *out, struct error *e) MUST_USE;
enum err row_messages(const struct engine *g, struct arena *a, struct store_message **out,
                      uint32_t *out_count, struct error *e) MUST_USE;
struct str json_text(struct arena *a, struct value v);

#endif
