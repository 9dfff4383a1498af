/* For tests and the simulator: a store that fails on demand, and several handles on one memory
 * store. Nothing of cairn itself includes this.
 */
#ifndef CAIRN_STORE_FAULTS_H
#define CAIRN_STORE_FAULTS_H

#include "store/store.h"

enum store_write {
    STORE_WRITE_COMMIT,
    STORE_WRITE_WORKFLOW,
    STORE_WRITE_BLOB,
    STORE_WRITE_INBOX,
    STORE_WRITE_HOST, /* register, renew and sweep */
    STORE_WRITE_KINDS,
};

enum store_fault {
    STORE_FAULT_NONE,
    STORE_FAULT_BEFORE, /* nothing is recorded, ERR_STORE is returned */
    STORE_FAULT_FULL,   /* a commit or a blob finds no space: nothing is recorded */
    STORE_FAULT_AFTER,  /* it is recorded, but ERR_STORE_UNKNOWN is returned */
};

struct store_faults {
    enum store_fault (*ask)(void *ctx, enum store_write what); /* before each write */
    void *ctx;
};

/* A store that hands everything to inner, which stays the caller's and must live longer: closing
 * the wrapper is a crash, inner goes on. f is copied. Out fields of a commit that fails stay as
 * they were, also when it was recorded. */
enum err store_faulty_open(struct store *inner, const struct store_faults *f, struct store **out,
                           struct error *e) MUST_USE;

/* Another handle on the data of a memory store, as another process would have. The data lives
 * until the last handle is closed; a host lives until the handle that registered it is. */
enum err store_memory_attach(struct store *first, struct store **out, struct error *e) MUST_USE;
/* The same for a process on another machine: its host lives until its lease is over by the clock
 * that the first handle was opened with; whether the handle is open says nothing. */
enum err store_memory_attach_far(struct store *first, struct store **out, struct error *e) MUST_USE;

#endif
