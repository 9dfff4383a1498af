/* The rows that go into a store and come out of it: plain data, of which the store knows bytes and
 * not values. Texts are borrowed: of what is written until the call returns, of what is read as
 * long as the arena that it was read into. Numbers that name rows (num, host, inbox) start at 1.
 */
#ifndef CAIRN_STORE_ROWS_H
#define CAIRN_STORE_ROWS_H

#include "base/base.h"

struct store_event {
    uint64_t seq; /* 1, 2, 3... in its execution */
    wall_us at;
    uint16_t kind;   /* number of a row of engine's events.def */
    struct str step; /* step id, "" for events of the execution */
    struct str body;
};

/* The read model of one execution, written with its events. Times 0: none. */
struct store_row {
    /* Of a change: status, the times but `updated`, total_tasks, error, result and usage are those
     * of the execution's last change, so that they need not be written again. */
    bool same;
    struct str status; /* a word of model.md "States" */
    wall_us updated, started, completed, deadline;
    uint32_t total_tasks, completed_tasks, failed_tasks, skipped_tasks, waiting_tasks;
    struct str error;    /* JSON {type, message, node, attempt} or empty */
    struct str result;   /* JSON of finalResult or empty */
    struct str usage;    /* JSON or empty */
    uint64_t steps_upto; /* steps and messages rows cover the journal up to this seq */
};

/* What is fixed at creation. */
struct store_new {
    struct str id;            /* exec_... */
    struct str workflow;      /* name */
    struct str workflow_hash; /* of the workflows table */
    struct str entry;         /* which file (or inline workflow) of it is run */
    struct str key;           /* submission key, unique when not empty */
    struct str labels;        /* JSON map */
    struct str inputs;        /* JSON map */
    int64_t parent;           /* num of the parent execution, 0 for none */
    struct str parent_step;
    uint32_t rules;
    wall_us created;
};

/* What an execution is of from now on. */
struct store_work {
    struct str workflow, workflow_hash, entry, inputs; /* as in store_new */
};

struct store_step { /* a row of the steps table */
    struct str step, node, kind, status, dependencies /* JSON list */, description;
    uint32_t iteration, generation, attempt;
    int64_t index; /* -1: no item */
    wall_us started, completed;
    struct str result, error, usage; /* JSON or empty */
    struct str handle;       /* the exit it was left by: the path taken; empty: its only one */
    struct str content_type; /* text, json, bytes, error or conversation; empty without a result */
    struct str meta;         /* JSON or empty: resource use, exit status, model ... */
};

struct store_message { /* a row of the messages table: conversation and logs worth showing */
    uint64_t seq;
    struct str step, role, content;
    wall_us at;
    struct str meta; /* JSON or empty */
};

/* A result that is kept for other executions: under a hash of what it was made from. */
struct store_cached {
    struct str key;             /* SHA-256, hex */
    struct str execution, step; /* whose it is */
    wall_us at, expires;        /* completed; not given any more */
    struct str event;           /* the body of its step_completed */
};

struct store_change {
    int64_t num;                 /* the execution; 0: new, filled by the commit */
    const struct store_new *new; /* when num is 0 */
    uint64_t epoch;              /* must be the stored one (new: 1) */
    uint64_t new_epoch;          /* stored with it when not 0: taking over */
    int64_t host;                /* owner to store: hosts.id, 0 none, -1 leave as it is */
    /* For a store whose hosts can come back after they were found dead (0: no matter): fenced when
     * this host, which is taken over from, has. */
    int64_t dead_host;
    uint64_t parent_epoch; /* new: fenced when its parent has another epoch; 0: no matter */
    uint32_t above;        /* fenced with that change, an earlier one of the batch: 1 is the first;
                            * 0: by itself */
    uint64_t last_seq;     /* head before this change */
    int64_t last_event;    /* its event id as the last commit or read gave it; updated */
    const struct store_event *events; /* seq last_seq + 1, + 2...; none: only the row changes */
    uint32_t event_count;
    struct store_row row;
    const struct store_work *work; /* stored with it; NULL: it stays of what it is */
    bool drop_details;             /* what it has of steps and messages is deleted first */
    const struct store_step *steps;
    uint32_t step_count;
    const struct store_message *messages;
    uint32_t message_count;
    const struct store_cached *cached; /* to be kept with it; what has the key is replaced */
    uint32_t cached_count;
    bool fenced;    /* out: dropped, somebody else has it */
    bool key_taken; /* out, with fenced: new, but its key belongs to another execution */
};

/* The owner's answer to an inbox row. Not written when the row's execution has a change in the
 * same batch and that one is fenced; the first verdict of a row stays. */
struct store_verdict {
    int64_t inbox;
    struct str verdict;
};

struct store_batch {
    struct store_change *changes;
    uint32_t count;
    const struct store_verdict *verdicts;
    uint32_t verdict_count;
    bool whole; /* all or none: when one change is fenced, every one is, and no verdict is given */
};

/* What readers get of an execution. Slices live in the arena given. */
struct store_execution {
    int64_t num;
    struct store_new fixed;
    struct store_row row;
    uint64_t epoch;
    int64_t host;
    uint64_t last_seq;
    int64_t last_event;
    int64_t owner_pid; /* 0: not known */
    bool owner_alive;  /* its host row is there and the host's liveness lock is held */
};

struct store_filter {
    struct str status, workflow; /* empty: any */
    struct str label_key, label_value;
    struct str after; /* id of the last row of the page before */
    uint32_t limit;   /* 1..1000 */
};

struct store_inbox {
    int64_t id, execution;
    struct str kind, step, payload, key, verdict;
    wall_us at;
};

struct store_host {
    int64_t id, pid;
    struct str hostname;
    wall_us registered, until;
    bool alive;          /* its liveness lock is held */
    uint32_t executions; /* not ended, and owned by it */
};

/* The sub-workflows of an execution; unended: only those that have not ended. */
struct store_children {
    int64_t num;
    bool unended;
};

/* Events of execution num with from < seq <= to. */
struct store_range {
    int64_t num;
    uint64_t from, to;
};

/* What a number in store_event.kind means, for people who look with sqlite3 (view journal). */
struct store_kind_name {
    uint16_t id;
    const char *name;
    uint32_t version;
};

#endif
