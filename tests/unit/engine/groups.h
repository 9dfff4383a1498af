/* The groups of tests of the engine, one per file, run by main.c, and what they share: an
 * execution that a test drives input by input.
 */
#ifndef CAIRN_TESTS_UNIT_ENGINE_GROUPS_H
#define CAIRN_TESTS_UNIT_ENGINE_GROUPS_H

/* cmocka needs these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h comes last */
#include <cmocka.h>

#include "engine/engine.h"
#include "flow/flow.h"

int run_answer_tests(void);
int run_approval_tests(void);
int run_attempt_tests(void);
int run_change_tests(void);
int run_budget_tests(void);
int run_codec_tests(void);
int run_end_tests(void);
int run_fold_tests(void);
int run_heap_tests(void);
int run_recovery_tests(void);
int run_rollback_tests(void);
int run_step_id_tests(void);
int run_var_tests(void);

#define TEST(name) cmocka_unit_test(name)

#define assert_str(actual, expected)                             \
    do {                                                         \
        struct str actual_ = (actual);                           \
        assert_int_equal(actual_.len, strlen(expected));         \
        assert_memory_equal(actual_.ptr, expected, actual_.len); \
    } while (0)

#define NOW_US 1000000000 /* time at which an execution is driven from */

enum { DRIVE_PLANS = 8 };

/* An execution: its plan, its engine, what the last input led to, and all events so far. */
struct drive {
    struct plan *plan;               /* the one it has now */
    struct plan *plans[DRIVE_PLANS]; /* all that it had */
    uint32_t plan_count;
    struct engine *engine;
    struct engine_out out;
    int64_t now_us;
    struct arena arena; /* of the journal */
    struct event *journal;
    uint32_t event_count;
    struct str blob;   /* the last body that went out of line */
    struct value meta; /* of failures */
};

/* Compiles a workflow (YAML); fails the test when it does not compile. */
struct plan *plan_of(const char *yaml);
/* Created and started at NOW_US. */
void drive_open(struct drive *d, const char *yaml);
void drive_close(struct drive *d);
/* A row of a group whose tests share one drive, which is closed after each of them. */
#define DRIVE_TEST(name, d) cmocka_unit_test_prestate_setup_teardown(name, NULL, drive_teardown, d)
int drive_teardown(void **state);
/* Gives an input at d->now_us. */
void drive_give(struct drive *d, struct engine_input *in);
/* Likewise; the step is looked up by its id. */
void drive_input(struct drive *d, enum input_type type, const char *step, uint32_t attempt);
void drive_done(struct drive *d, const char *step, uint32_t attempt, struct value body);
void drive_fail(struct drive *d, const char *step, uint32_t attempt, enum failure_class class,
                const char *type);
/* Likewise in the first attempt, done with the step's own id or failed for good; a fold is the same
 * then. */
void drive_completes(struct drive *d, const char *step);
void drive_fails(struct drive *d, const char *step);
/* Of the node's newest step. */
enum step_status drive_status(const struct drive *d, const char *node);
/* Done, by that exit. */
void drive_leave(struct drive *d, const char *step, uint32_t attempt, const char *handle);
/* INPUT_RETRY on that workflow; in: its inputs and ticket, if any. */
void drive_change(struct drive *d, const char *yaml, struct engine_input *in);
/* Answers; what is said to it, that is its verdict, is what comes back. */
const char *drive_answer(struct drive *d, const char *target, const char *answer);
/* The attempt under way asks for what the budget does not allow. */
void drive_over_budget(struct drive *d, const char *step, enum budget_kind kind, int64_t asked);
/* Of a call in the first attempt; json NULL: null. */
void drive_call(struct drive *d, enum input_type type, const char *step, uint32_t call,
                const struct step_charge *charge, const char *json);
/* The effect of this type that the last input led to, NULL for none. */
const struct engine_effect *effect_of(const struct drive *d, enum out_type type);
uint32_t effects_of(const struct drive *d, enum out_type type);
/* The last event of this kind, NULL for none. */
const struct event *event_of(const struct drive *d, enum event_kind kind);
/* The state folded from the journal takes the place of the live one; equal digests are asserted. */
void drive_refold(struct drive *d);
/* Rolled back, folded anew and begun anew; or refused. */
void drive_rollback(struct drive *d, const char *target, bool resume);
/* After a rollback was decided: folded anew and begun anew. */
void drive_begin_anew(struct drive *d);
/* The verdict on the last input; empty when there is none. */
struct str verdict_of(const struct drive *d);

#endif
