/* Processes of attempts: recorded when an attempt has lasted for a moment.
 *
 * What is recorded is for a later owner, which kills what is left. An attempt that is over sooner
 * leaves nothing to kill, so most short steps cost no commit of their own for it. Until it is
 * recorded the process is found by the idempotency key in its environment (claim.c).
 */
#include "host/host_priv.h"

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
    p->pid = 0;
}

void processes_due(void *ctx) {
    struct host *h = ctx;
    h->processes_pending = false;
    for (struct run *r = h->runs; r; r = r->next) {
        for (struct port *p = r->ports; p; p = p->next) {
            record(p);
        }
    }
}

void port_process(struct step_port *sp, int64_t pid, uint64_t start_time) {
    struct port *p = (struct port *)(void *)sp;
    record(p); /* one before it */
    p->pid = pid;
    p->process_start = start_time;
    if (!p->run->host->processes_pending) {
        p->run->host->processes_pending = true;
        io_timer_start(p->run->host->process_timer, HOST_PROCESS_DELAY_NS);
    }
}
