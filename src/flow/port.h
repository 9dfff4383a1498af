/* The port of an attempt: how the kind of a step tells what happens, and what the host gives to it.
 *
 * Part of flow/kind.h, which includes it. done or fail is called once, never from start (asserted).
 */
#ifndef CAIRN_FLOW_PORT_H
#define CAIRN_FLOW_PORT_H

#include "base/base.h"
#include "value/value.h"

struct step_in;
struct step_result;
struct step_failure;
struct io_loop;
struct io_launcher;
struct net_client;

/* What a call may use at most. */
struct step_charge {
    int64_t tokens, nano_usd;
    const char *no_price; /* why nano_usd is not known; NULL: it is */
    void (*go)(struct step_port *p, uint32_t call);
};

/* What an effect may call, on the loop's thread; values are copied, late calls dropped. */
struct step_port_ops {
    void (*done)(struct step_port *p, const struct step_result *result);
    void (*fail)(struct step_port *p, const struct step_failure *failure);
    /* Instead, from start too, without memory to tell anything later; no cancel follows. */
    void (*no_memory)(struct step_port *p);
    /* A piece of the step's log; stream is "stdout", "stderr" or "note". */
    void (*log)(struct step_port *p, const char *stream, struct str text);
    /* A piece of output shown live, not recorded (tokens of a model). */
    void (*chunk)(struct step_port *p, struct str text);
    /* A call inside the step (of a model, a tool, a page of an API): a recorded request, then its
     * answer (both maps; of a model with "role" and "content", usage in the answer). Returns the
     * call's number in the step, from 1: its idempotency key is "<in->key>/<number>". When an
     * earlier attempt had the answer to this very request under this number, *out_answer is that
     * answer (in in->arena) and the call must not be made, nor call_done told; else it is null. */
    uint32_t (*call_begin)(struct step_port *p, struct value request, struct value *out_answer);
    void (*call_done)(struct step_port *p, uint32_t call, struct value answer);
    /* call_begin for a call that is paid for. c is copied; its go is called when the call may be
     * made, perhaps before this returns: what it may use is reserved then, and that is recorded. Or
     * it is not, and the attempt is cancelled. No go when *out_answer is an answer. The call before
     * is over by then: told, so that nobody waits for what it had reserved. */
    uint32_t (*call_reserve)(struct step_port *p, struct value request, const struct step_charge *c,
                             struct value *out_answer);
    /* Instead of call_done, before fail: it was not answered; usage is what it used, or null. */
    void (*call_failed)(struct step_port *p, uint32_t call, struct value usage);
    /* Notes the processes of this attempt so that a later owner can kill what is left. */
    void (*process)(struct step_port *p, int64_t pid, uint64_t start_time);
    /* Runs the sub-workflow compiled for this node; its end calls done or fail on this port. */
    void (*child)(struct step_port *p, struct value inputs);
    /* The secret of that name, read now, in in->arena; for what a kind needs by itself. Never to be
     * put into anything that is told to the port. ERR_NOT_FOUND says how to set it. */
    enum err (*secret)(struct step_port *p, struct str name, struct str *out, struct error *e);
    /* Calls of steps that had completed when this one was scheduled: the last at_most (0: all) of
     * agent (empty: all), a list of {request, answer}, oldest first, in in->arena. Or ERR_NOMEM. */
    enum err (*history)(struct step_port *p, struct str agent, uint32_t at_most, struct value *out);
};

struct step_port {
    const struct step_port_ops *ops;
    struct io_loop *loop; /* for kinds that own processes, timers or sockets */
    const struct step_in *in;
    void *kind_data;     /* the kind's own, NULL at start */
    struct str base_dir; /* absolute folder of the workflow file: all relative paths start here */
    const char *const *allow_paths; /* folders files may lie in besides, NULL-terminated, or NULL */
    struct io_launcher *launcher;   /* starts processes; see io/launcher.h */
    struct net_client *net;         /* sends requests; see net/net.h */
    struct value settings; /* of this host: map of texts such as OPENAI_BASE_URL, or null */
};

#endif
