/* Running programs through a launcher and collecting what they do, for the launcher's tests. */
#ifndef CAIRN_TESTS_IO_PROGRAMS_H
#define CAIRN_TESTS_IO_PROGRAMS_H

#include "groups.h"

#include "io/launcher.h"

struct program {
    struct io_process *process;
    int started, exited;
    int64_t pid;
    uint64_t start_time;
    struct buf text[5]; /* by descriptor */
    struct io_exit result;
    enum err spawn_error;
    char message[300];
    bool over_limit;
    void (*on_start)(struct program *p);
    void (*on_output)(struct program *p);
};

extern struct io_loop *programs_loop;
extern struct io_launcher *programs_launcher;

int programs_set_up(void **state);
int programs_tear_down(void **state);
/* The spec of argv with PATH and a limit of 64 MiB. */
struct io_process_spec program_spec(struct program *p, const char *const *argv);
void program_start(struct program *p, const struct io_process_spec *spec);
/* Runs the loop until the program has exited. */
void program_wait(struct program *p);
void program_fini(struct program *p);
/* Starts `sh -c script`. */
void shell_start(struct program *p, const char *script);
/* What it wrote to standard output, NUL-terminated. */
const char *program_text(struct program *p, int fd);
/* True when a process of this number exists and is no zombie. */
bool process_lives(int64_t pid);

#endif
