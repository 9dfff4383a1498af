/* Asking on a terminal: steps that wait for an answer are asked in place, one at a time; from a
 * pipe, the command that answers is printed instead.
 *
 * An answer goes to the host like one of any other process; what it refuses is asked again. Ctrl-D
 * closes the prompt: the steps wait on, for whoever answers.
 */
#ifndef CAIRN_CLI_PROMPT_H
#define CAIRN_CLI_PROMPT_H

#include "cli/session.h"
#include "cli/watch.h"

/* A step that waits for an answer. */
struct prompt_step {
    struct prompt_step *next;
    struct run *run;
    struct str step;
    struct value request; /* {for, prompt, choices, schema ...} */
    struct arena arena;
};

struct prompt {
    struct session *s;
    struct watch *watch;
    struct io_poll *poll; /* NULL: there is no terminal, or it was closed */
    int fd;
    struct buf typed;
    struct prompt_step *first;
    const struct prompt_step *shown;
    struct value_builder form; /* of what was typed so far */
    uint32_t field;            /* of the form, that is asked for */
    int64_t tickets;           /* given so far, negative */
    bool sent;                 /* an answer whose verdict is to come */
};

/* Without asks only the commands that answer are printed, also on a terminal. */
void prompt_open(struct prompt *p, struct session *s, struct watch *w, bool asks);
/* Something was recorded: a step begins to wait, or ends. */
void prompt_event(struct prompt *p, struct run *r, const struct host_event *ev);
/* What the execution waits for by now, of one that was taken over: asked on a terminal. */
void prompt_waiting(struct prompt *p, struct run *r);
void prompt_verdict(struct prompt *p, struct run *r, int64_t ticket, struct str text);
/* Asks the next one, between turns of the host. */
void prompt_turn(struct prompt *p);
/* Somebody here may still answer something. */
bool prompt_is_open(const struct prompt *p);
void prompt_close(struct prompt *p);

#endif
