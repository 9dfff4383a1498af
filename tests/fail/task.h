/* The effect of the stories: it ends when the world says so, and before it begins the world has
 * looked into the store whether it may.
 */
#ifndef CAIRN_TESTS_FAIL_TASK_H
#define CAIRN_TESTS_FAIL_TASK_H

#include "flow/kind.h"

#define TASKS_MAX 16

struct tasks {
    struct step_port *open[TASKS_MAX];
    uint32_t count;
    void *ctx;
    void (*begins)(void *ctx, const struct step_in *in);
};
/* The tasks of the process that lives now. */
extern struct tasks tasks;

/* All kinds of cairn and `task`. */
struct kind_table task_kinds(void);
/* Ends the oldest one that does not hang. False: there is none. */
bool task_end_one(void);

#endif
