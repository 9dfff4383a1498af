/* What `cairn run` shows while an execution runs: plain lines, live lines on a terminal, or JSON
 * lines; each one file with a `struct watch_ops`. A watcher only looks: it never changes what
 * happens, and a failed write ends its output, not the execution.
 */
#ifndef CAIRN_CLI_WATCH_H
#define CAIRN_CLI_WATCH_H

#include "cli/cli.h"
#include "host/host.h"

/* How one node of the watched execution stands. */
struct watch_node {
    enum step_status status;
    uint32_t iteration, generation, attempt;
    wall_us begun, ended;
    bool foreach;
    uint64_t items, items_done, items_failed; /* done: ended in any way */
    uint64_t seq;                             /* of its newest event */
    uint64_t order; /* grows with each change: the newest is the largest */
    char note[160]; /* its error, or the last it said */
};

/* Whose event it is. */
struct watch_source {
    struct str id;
    const struct plan *plan;
    bool child; /* a sub-workflow of the watched execution */
};

struct watch_event {
    const struct watch_source *of;
    uint64_t seq;
    wall_us at;
    struct str step;
    const struct event *ev; /* decoded */
};

struct watch;
struct watch_ops {
    bool wants_bodies; /* large values are fetched from the store */
    void (*event)(struct watch *w, const struct watch_event *x);
    void (*log)(struct watch *w, const struct watch_source *of, struct str step, const char *stream,
                struct str text);
    void (*notice)(struct watch *w, struct str text); /* a line of our own; NULL: just written */
    void (*redraw)(struct watch *w);        /* something changed that is no event; may be NULL */
    void (*hold)(struct watch *w, bool on); /* may be NULL */
    void (*close)(struct watch *w);
};

struct watch {
    const struct watch_ops *ops; /* NULL: shows nothing */
    struct cli *cli;
    struct store *store;
    struct io_loop *loop;
    const struct plan *plan;
    struct watch_node *nodes; /* by index in the plan */
    uint64_t changes;
    wall_us logged; /* when the log that is told was recorded; 0: it comes now */
    struct arena scratch;
    void *own; /* of the watcher */
};

enum watch_form { WATCH_NOTHING, WATCH_PLAIN, WATCH_LIVE, WATCH_JSON_LINES };

/* Ready to be an observer's context. ERR_NOMEM. */
enum err watch_open(struct watch *w, enum watch_form form) MUST_USE;
/* The last picture; then it is silent. */
void watch_close(struct watch *w);

/* What happened; for a struct host_observer of who runs it, or for who reads the journal. */
void watch_event(struct watch *w, const struct watch_source *of, const struct host_event *ev);
void watch_log(struct watch *w, const struct watch_source *of, struct str step, const char *stream,
               struct str text);
void watch_chunk(struct watch *w, const struct watch_source *of, struct str step, struct str text);

/* Nothing is drawn while on: somebody types. */
void watch_hold(struct watch *w, bool on);
/* A line to the user that must not disturb the picture. */
void watch_notice(struct watch *w, struct str text);

/* What happened before anybody watched: how the nodes stand, not a word about it. */
void watch_past(struct watch *w, const struct watch_source *of, const struct host_event *ev);

/* When a log is told as: its own time, or now. */
wall_us watch_log_time(const struct watch *w);
/* The lines of a piece of a step's log, each behind a time and the step. */
void watch_log_lines(struct watch *w, const struct watch_source *of, struct str step,
                     const char *stream, struct str text, struct buf *out);

extern const struct watch_ops watch_plain_ops;
extern const struct watch_ops watch_json_ops;
extern const struct watch_ops watch_live_ops;
/* Memory and timers of the live watcher. */
enum err watch_live_open(struct watch *w) MUST_USE;

#endif
