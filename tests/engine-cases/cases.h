/* The parts of cairn-engine-cases: a case's workflow becomes a native document (document.c), is
 * compiled with a small table of kinds that do what the case's script says (kinds.c), runs on the
 * real engine with a clock of ticks (run.c, journal.c), and what came out is written in the form
 * of the case's expected result (outcome.c) and compared with it (compare.c).
 */
#ifndef CAIRN_TESTS_CASES_H
#define CAIRN_TESTS_CASES_H

#include "engine/engine.h"
#include "flow/flow.h"

/* ---- document.c ---- */
/* The JSON text of a native workflow document; ERR_INVALID for a field that no case may have. */
enum err document_make(struct value workflow, struct value script, struct arena *a, struct str *out,
                       struct error *e) MUST_USE;

/* ---- kinds.c ---- */
extern const struct kind_table case_kinds;

/* What a script says of one step; the script is the map of a case. */
struct outcome {
    int64_t ticks;     /* of one attempt */
    bool fails;        /* this attempt */
    struct str handle; /* of a condition */
    struct value body;
};
struct outcome outcome_of(struct value script, const struct plan_node *node, struct str step,
                          uint32_t attempt);

/* ---- journal.c ---- */
/* Everything that an engine recorded, as bytes. */
struct journal_blob {
    struct str hash, bytes;
};
struct journal {
    struct arena arena;
    struct engine_record *records; /* offsets are not used */
    struct str *steps, *bodies;
    uint32_t count, cap;
    struct journal_blob *blobs;
    uint32_t blob_count, blob_cap;
};
void journal_init(struct journal *j);
void journal_fini(struct journal *j);
/* Takes over what a decision recorded. Fails when writing and reading an event changes it. */
enum err journal_add(struct journal *j, const struct plan *p, const struct engine_out *out,
                     struct error *e) MUST_USE;
/* A new engine, folded from the first event to the last. */
enum err journal_fold(const struct journal *j, const struct plan *p, struct engine **out,
                      struct error *e) MUST_USE;

/* ---- run.c ---- */
struct log_line {
    int64_t tick;
    bool begins;
    struct step_id step;
    enum step_status status; /* of an end */
};
struct case_run {
    const struct plan *plan;
    struct value script;
    struct engine *engine;
    struct engine_out out;
    struct journal journal;
    struct pending *heap;
    uint32_t heap_count, heap_cap;
    uint32_t starts; /* numbers first starts */
    int64_t tick;
    struct log_line *log;
    uint32_t log_count, log_cap;
    uint32_t ticks_seen; /* of the tracker */
    uint64_t random;
    uint32_t decisions;
};
/* Runs a compiled case to its end; fold and codec are checked on the way. */
enum err case_run_play(struct case_run *r, struct error *e) MUST_USE;
void case_run_init(struct case_run *r, const struct plan *p, struct value script, uint64_t seed);
void case_run_fini(struct case_run *r);

/* ---- outcome.c ---- */
/* What came out, in the form of a case's expected result. */
struct value outcome_make(const struct case_run *r, struct arena *a);
struct value outcome_refused(const struct diag *d, struct arena *a);

/* ---- compare.c ---- */
/* Prints each difference as a line "  path: expected X, got Y"; true when there is none. */
bool compare_values(struct value expected, struct value got);

#endif
