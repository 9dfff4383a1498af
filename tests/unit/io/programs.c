/* Running programs through a launcher and collecting what they do. */
#include "programs.h"

#include <stdio.h>

struct io_loop *programs_loop;
struct io_launcher *programs_launcher;

int programs_set_up(void **state) {
    (void)state;
    if (io_loop_open(&io_clock_system, &programs_loop, NULL) != OK)
        return -1;
    programs_launcher = io_launcher_open(programs_loop);
    return 0;
}

int programs_tear_down(void **state) {
    (void)state;
    io_launcher_close(programs_launcher);
    io_loop_close(programs_loop);
    return 0;
}

static void on_started(void *ctx, int64_t pid, uint64_t start_time) {
    struct program *p = ctx;
    assert_int_equal(p->exited, 0);
    p->started++;
    p->pid = pid;
    p->start_time = start_time;
    if (p->on_start != NULL)
        p->on_start(p);
}

static void on_output(void *ctx, int fd, struct str bytes) {
    struct program *p = ctx;
    assert_int_equal(p->exited, 0);
    assert_in_range(fd, 1, 4);
    buf_append(&p->text[fd], bytes);
    if (p->on_output != NULL)
        p->on_output(p);
}

static void on_exited(void *ctx, const struct io_exit *x, enum err spawn_error,
                      const char *spawn_message, bool over_limit) {
    struct program *p = ctx;
    p->exited++;
    p->result = *x;
    p->spawn_error = spawn_error;
    p->over_limit = over_limit;
    snprintf(p->message, sizeof p->message, "%s", spawn_message);
}

struct io_process_spec program_spec(struct program *p, const char *const *argv) {
    static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", NULL};
    return (struct io_process_spec){.argv = argv,
                                    .env = env,
                                    .max_output_bytes = 64 << 20,
                                    .started = on_started,
                                    .output = on_output,
                                    .exited = on_exited,
                                    .ctx = p};
}

void program_start(struct program *p, const struct io_process_spec *spec) {
    struct error e = {0};
    for (int i = 0; i < 5; i++)
        buf_init(&p->text[i], 0);
    p->process = io_process_start(programs_launcher, spec, &e);
    if (p->process == NULL)
        fail_msg("not started: %s", e.message);
    assert_int_equal(p->started + p->exited, 0); /* nothing is called from inside start */
}

void program_wait(struct program *p) {
    while (p->exited == 0)
        assert_true(io_loop_turn(programs_loop, true) || p->exited != 0);
    assert_int_equal(p->exited, 1);
}

void program_fini(struct program *p) {
    for (int i = 0; i < 5; i++)
        buf_fini(&p->text[i]);
}

void shell_start(struct program *p, const char *script) {
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct io_process_spec spec = program_spec(p, argv);
    program_start(p, &spec);
}

const char *program_text(struct program *p, int fd) {
    buf_append_char(&p->text[fd], '\0');
    return p->text[fd].ptr;
}

bool process_lives(int64_t pid) {
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false;
    const char *got = fgets(line, sizeof line, f);
    fclose(f);
    const char *bracket = got != NULL ? strrchr(line, ')') : NULL;
    return bracket != NULL && bracket[2] != 'Z' && bracket[2] != 'X';
}
