/* The kind `task`: see task.h. What it gives back is its field `value`, or a large text; it fails
 * as often as `fails` says, for ever when it hangs, and tells all that an effect can when it talks.
 */
#include "task.h"

#include "node/node.h"

enum { VALUE, FAILS, HANGS, LARGE, TALKS, FIELDS };

static const struct field fields[FIELDS] = {
    [VALUE] = {.name = "value", .type = FIELD_STRUCTURE, .secret_ok = true, .doc = "the body"},
    [FAILS] = {.name = "fails",
               .type = FIELD_LITERAL,
               .literal = LITERAL_INT,
               .doc = "so many attempts fail"},
    [HANGS] = {.name = "hangs",
               .type = FIELD_LITERAL,
               .literal = LITERAL_BOOL,
               .doc = "never ends by itself"},
    [LARGE] = {.name = "large",
               .type = FIELD_LITERAL,
               .literal = LITERAL_BOOL,
               .doc = "the body is a large text"},
    [TALKS] = {.name = "talks",
               .type = FIELD_LITERAL,
               .literal = LITERAL_BOOL,
               .doc = "logs, and makes calls"},
};

struct tasks tasks;

static void take_out(const struct step_port *port) {
    uint32_t i = 0;
    while (tasks.open[i] != port) {
        i++;
        ASSERT(i < tasks.count);
    }
    tasks.count--;
    memmove(&tasks.open[i], &tasks.open[i + 1], (tasks.count - i) * sizeof tasks.open[0]);
}

static void talk(struct step_port *port) {
    struct value answer;
    port->ops->log(port, "stdout", STR("a line of it\n"));
    port->ops->chunk(port, STR("piece"));
    uint32_t call = port->ops->call_begin(port, value_text(STR("what?")), &answer);
    if (value_is_null(answer)) {
        port->ops->call_done(port, call, value_text(STR("that.")));
    }
    port->ops->process(port, 4711, 42);
}

static void start(const struct step_in *in, struct step_port *port) {
    tasks.begins(tasks.ctx, in);
    ASSERT(tasks.count < TASKS_MAX);
    tasks.open[tasks.count++] = port;
}

static void cancel(struct step_port *port) {
    struct step_failure f = {.type = STR("cancelled"), .message = STR("it was told to stop")};
    take_out(port);
    port->ops->fail(port, &f);
}

static bool is_true(const struct step_port *port, int field) {
    return port->in->fields[field].type == VALUE_BOOL && port->in->fields[field].boolean;
}

static void end_task(struct step_port *port) {
    static char text[50000];
    const struct value *f = port->in->fields;
    struct step_result done = {.body = f[VALUE]};
    struct step_failure failed = {
        .class = FAILURE_TRANSIENT, .type = STR("unlucky"), .message = STR("not this time")};
    take_out(port);
    if (is_true(port, TALKS)) {
        talk(port);
    }
    if (is_true(port, LARGE)) {
        memset(text, 'x', sizeof text);
        done.body = value_text((struct str){text, sizeof text});
    }
    if (f[FAILS].type == VALUE_INT && port->in->failures < (uint64_t)f[FAILS].num) {
        port->ops->fail(port, &failed);
    } else {
        port->ops->done(port, &done);
    }
}

bool task_end_one(void) {
    for (uint32_t i = 0; i < tasks.count; i++) {
        if (!is_true(tasks.open[i], HANGS)) {
            end_task(tasks.open[i]);
            return true;
        }
    }
    return false;
}

static const struct node_kind task = {.name = "task",
                                      .doc = "an effect",
                                      .body_doc = "its value",
                                      .fields = fields,
                                      .field_count = FIELDS,
                                      .start = start,
                                      .cancel = cancel};

struct kind_table task_kinds(void) {
    static const struct node_kind *all[64];
    struct kind_table known = node_kinds();
    ASSERT(known.count < ARRAY_LEN(all));
    for (size_t i = 0; i < known.count; i++) {
        all[i] = known.kinds[i];
    }
    all[known.count] = &task;
    return (struct kind_table){all, known.count + 1};
}
