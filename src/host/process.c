/* Processes of attempts: recorded when an attempt has lasted for a moment.
 *
 * What is recorded is for a later owner, which kills what is left. An attempt that is over sooner
 * leaves nothing to kill, so most short steps cost no commit of their own for it. Until it is
 * recorded the process is found by the idempotency key in its environment (claim.c).
 */
#include "host/host_priv.h"

/* ---- those that wait to be recorded: few, as the attempts that are performed are ---- */

void port_process_forget(struct port *p) {
    struct port **at = &p->run->host->process_first;
    while (p->pid && *at != p) {
        at = &(*at)->process_next;
    }
    if (p->pid) {
        *at = p->process_next;
        p->pid = 0;
    }
}

static void record(struct port *p) {
    struct happened *x = p->pid && p->state != PORT_CANCELLING ? happened_new(INPUT_PROCESS) : NULL;
    if (x) {
        x->in.step = p->step;
        x->in.attempt = p->attempt;
        x->in.started = p->started;
        x->in.pid = p->pid;
        x->in.process_start = p->process_start;
        run_happens(p->run, x);
    }
    port_process_forget(p);
}

void processes_due(void *ctx) {
    struct host *h = ctx;
    while (h->process_first) {
        record(h->process_first);
    }
}

void port_process(struct step_port *sp, int64_t pid, uint64_t start_time) {
    struct port *p = (struct port *)(void *)sp;
    struct host *h = p->run->host;
    if (p->pid) {
        record(p); /* one before it */
    }
    if (!h->process_first) {
        io_timer_start(h->process_timer, HOST_PROCESS_DELAY_NS);
    }
    p->pid = pid;
    p->process_start = start_time;
    p->process_next = h->process_first;
    h->process_first = p;
}
