/* Nothing survives: whole trees die at a kill, at the end of their program, and with the host. */
#include "programs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each script prints the pids of what it starts, one a line, and then never ends by itself. */
#define KEEP "while :; do sleep 60; done"
static const char *const hydras[] = {
    /* ignores SIGTERM */
    "trap '' TERM; echo $$; " KEEP,
    /* a session of its own */
    "setsid sh -c 'echo $$; " KEEP "' & echo $$; " KEEP,
    /* forked twice: the parent between is gone */
    "(sh -c 'echo $$; " KEEP "' &) ; echo $$; " KEEP,
    /* all of it together */
    "(setsid sh -c 'trap \"\" TERM HUP; echo $$; " KEEP "' &) ; trap '' TERM; echo $$; " KEEP,
    /* and without any sign in its environment */
    "env -i /usr/bin/setsid /bin/sh -c 'trap \"\" TERM; echo $$; " KEEP "' & echo $$; " KEEP,
    /* stopped */
    "sh -c 'echo $$; kill -STOP $$' & echo $$; " KEEP,
};

enum { MAX_PIDS = 8 };

static size_t read_pids(struct program *p, long pids[MAX_PIDS]) {
    size_t count = 0;
    char *text = strdup(program_text(p, 1)), *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL && count < MAX_PIDS;
         line = strtok_r(NULL, "\n", &save))
        pids[count++] = strtol(line, NULL, 10);
    free(text);
    p->text[1].len--; /* the NUL */
    return count;
}

static size_t count_lines(const struct program *p) {
    size_t lines = 0;
    for (size_t i = 0; i < p->text[1].len; i++)
        lines += p->text[1].ptr[i] == '\n';
    return lines;
}

static void wait_for_lines(struct program *p, size_t lines) {
    while (count_lines(p) < lines)
        assert_true(io_loop_turn(programs_loop, true));
}

static void kill_reaches_all(struct program *p, size_t lines, int grace_ms) {
    long pids[MAX_PIDS];
    wait_for_lines(p, lines);
    assert_int_equal(read_pids(p, pids), lines);
    for (size_t i = 0; i < lines; i++)
        assert_true(process_lives(pids[i]));
    io_process_kill(p->process, grace_ms);
    program_wait(p);
    for (size_t i = 0; i < lines; i++)
        assert_false(process_lives(pids[i]));
    assert_int_equal(p->result.status, -1);
}

static void kill_ends_every_tree(void **state) {
    (void)state;
    static const int graces[] = {0, 50};
    for (size_t i = 0; i < ARRAY_LEN(hydras); i++) {
        for (size_t g = 0; g < ARRAY_LEN(graces); g++) {
            struct program p = {0};
            shell_start(&p, hydras[i]);
            kill_reaches_all(&p, i == 0 ? 1 : 2, graces[g]);
            program_fini(&p);
        }
    }
}

/* The same while another program, started earlier, runs on unharmed. */
static void others_are_not_touched(void **state) {
    (void)state;
    struct program other = {0};
    long kept[MAX_PIDS];
    shell_start(&other, hydras[3]);
    wait_for_lines(&other, 2);
    assert_int_equal(read_pids(&other, kept), 2);
    for (size_t i = 0; i < ARRAY_LEN(hydras); i++) {
        struct program p = {0};
        shell_start(&p, hydras[i]);
        kill_reaches_all(&p, i == 0 ? 1 : 2, 30);
        assert_true(process_lives(kept[0]) && process_lives(kept[1]));
        program_fini(&p);
    }
    io_process_kill(other.process, 0);
    program_wait(&other);
    assert_false(process_lives(kept[0]) || process_lives(kept[1]));
    program_fini(&other);
}

static void sigterm_comes_first(void **state) {
    (void)state;
    struct program p = {0};
    shell_start(&p, "trap 'echo bye; exit 3' TERM; echo; while :; do sleep 0.01; done");
    wait_for_lines(&p, 1);
    io_process_kill(p.process, 30000);
    program_wait(&p);
    assert_string_equal(program_text(&p, 1), "\nbye\n");
    assert_int_equal(p.result.status, 3);
    program_fini(&p);
}

static void grace_can_be_shortened(void **state) {
    (void)state;
    struct program p = {0};
    shell_start(&p, hydras[0]);
    wait_for_lines(&p, 1);
    io_process_kill(p.process, 3600000);
    for (int i = 0; i < 5; i++)
        io_loop_turn(programs_loop, false);
    assert_int_equal(p.exited, 0);
    io_process_kill(p.process, 0);
    program_wait(&p);
    assert_int_equal(p.result.signal, SIGKILL);
    program_fini(&p);
}

static void kill_before_it_started(void **state) {
    (void)state;
    for (int grace = 0; grace < 2000; grace += 1000) {
        struct program p = {0};
        shell_start(&p, KEEP);
        io_process_kill(p.process, grace);
        program_wait(&p);
        assert_int_equal(p.result.status, -1);
        program_fini(&p);
    }
}

static void kill_from_started(struct program *p) { io_process_kill(p->process, 0); }

static void kill_in_a_callback(void **state) {
    (void)state;
    struct program p = {.on_start = kill_from_started};
    shell_start(&p, KEEP);
    program_wait(&p);
    assert_int_equal(p.started, 1);
    assert_int_equal(p.result.signal, SIGKILL);
    struct program q = {.on_output = kill_from_started};
    shell_start(&q, "echo; " KEEP);
    program_wait(&q);
    assert_int_equal(q.result.signal, SIGKILL);
    program_fini(&p);
    program_fini(&q);
}

/* The program is over when its main process is: what it leaves is ended, though it holds the
 * pipes and does not want to go. */
static void rest_is_ended_after_exit(void **state) {
    (void)state;
    static const char *const leaving[] = {
        "sleep 100 & echo $!",
        "sh -c 'trap \"\" TERM; echo $$; " KEEP "' & sleep 0.05; true",
        "(setsid sh -c 'trap \"\" TERM; echo $$; " KEEP "' &); sleep 0.05; true",
        "(env -i /usr/bin/setsid /bin/sh -c 'trap \"\" TERM; echo $$; " KEEP
        "' &); sleep 0.05; true",
    };
    for (size_t i = 0; i < ARRAY_LEN(leaving); i++) {
        struct program p = {0};
        long pids[MAX_PIDS];
        shell_start(&p, leaving[i]);
        program_wait(&p);
        assert_int_equal(p.result.status, 0);
        assert_int_equal(read_pids(&p, pids), 1);
        assert_false(process_lives(pids[0]));
        program_fini(&p);
    }
}

static void fork_bomb_dies(void **state) {
    (void)state;
    struct program p = {0};
    shell_start(&p, "b() { sleep 0.01; b & b & sleep 0.02; }; ulimit -u 2000; echo; b; " KEEP);
    wait_for_lines(&p, 1);
    io_process_kill(p.process, 60);
    program_wait(&p);
    assert_int_equal(p.result.status, -1);
    program_fini(&p);
}

/* ---- the host dies ---- */

static void report(struct program *p) {
    (void)!write(STDOUT_FILENO, p->text[1].ptr, p->text[1].len);
    buf_reset(&p->text[1]);
}

/* A host in a process of its own: starts every hydra and passes on their pids until killed. */
static void run_host(void) {
    static struct program all[ARRAY_LEN(hydras)];
    programs_set_up(NULL);
    for (size_t i = 0; i < ARRAY_LEN(hydras); i++) {
        all[i].on_output = report;
        shell_start(&all[i], hydras[i]);
    }
    while (io_loop_turn(programs_loop, true))
        continue;
    _exit(1);
}

static pid_t fork_host(int *out_fd) {
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pair[1], STDOUT_FILENO);
        close(pair[0]);
        close(pair[1]);
        run_host();
    }
    close(pair[1]);
    *out_fd = pair[0];
    return pid;
}

static bool all_dead_within(const long *pids, size_t count, int most_ms) {
    for (int waited = 0; waited <= most_ms; waited += 5) {
        bool alive = false;
        for (size_t i = 0; i < count; i++)
            alive = alive || process_lives(pids[i]);
        if (!alive)
            return true;
        poll(NULL, 0, 5);
    }
    return false;
}

static void host_killed_all_gone(void **state) {
    (void)state;
    enum { COUNT = 2 * ARRAY_LEN(hydras) - 1 };
    int fd;
    pid_t host = fork_host(&fd);
    FILE *lines = fdopen(fd, "r");
    long pids[COUNT];
    char line[32];
    for (int i = 0; i < COUNT; i++) {
        assert_non_null(fgets(line, sizeof line, lines));
        pids[i] = strtol(line, NULL, 10);
        assert_true(process_lives(pids[i]));
    }
    kill(host, SIGKILL);
    assert_int_equal(waitpid(host, NULL, 0), host);
    assert_true(all_dead_within(pids, COUNT, 1000));
    fclose(lines);
}

/* ---- the launcher dies ---- */

static long parent_of(long pid) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    return strtol(strrchr(line, ')') + 4, NULL, 10);
}

static void launcher_killed_is_noticed(void **state) {
    (void)state;
    struct program p = {0}, next = {0};
    shell_start(&p, "echo $$; " KEEP);
    wait_for_lines(&p, 1);
    kill((pid_t)parent_of((long)p.pid), SIGKILL);
    program_wait(&p);
    assert_int_equal(p.spawn_error, ERR_TRANSIENT);
    long pid = (long)p.pid;
    assert_true(all_dead_within(&pid, 1, 1000));
    shell_start(&next, "echo again"); /* a new launcher */
    program_wait(&next);
    assert_string_equal(program_text(&next, 1), "again\n");
    program_fini(&p);
    program_fini(&next);
}

static void launcher_killed_while_idle(void **state) {
    (void)state;
    struct program p = {0}, next = {0};
    shell_start(&p, "echo $PPID");
    program_wait(&p);
    long launcher = strtol(program_text(&p, 1), NULL, 10);
    kill((pid_t)launcher, SIGKILL);
    assert_true(all_dead_within(&launcher, 1, 1000));
    shell_start(&next, "echo again");
    program_wait(&next);
    assert_int_equal(next.spawn_error, OK);
    assert_string_equal(program_text(&next, 1), "again\n");
    program_fini(&p);
    program_fini(&next);
}

static void launcher_has_its_name(void **state) {
    (void)state;
    struct program p = {0};
    shell_start(&p, "cat /proc/$PPID/comm; ls /proc/$PPID/fd | wc -l");
    program_wait(&p);
    assert_memory_equal(program_text(&p, 1), "cairn-launcher\n", 15);
    assert_int_equal(strtol(p.text[1].ptr + 15, NULL, 10),
                     8); /* null x 5, socket, pidfd, signals */
    program_fini(&p);
}

/* ---- what a dead host left ---- */

static void stale_process_is_killed(void **state) {
    (void)state;
    struct program p = {0};
    long pids[MAX_PIDS];
    shell_start(&p, "setsid sh -c 'echo $$; " KEEP "' & echo $$; " KEEP);
    wait_for_lines(&p, 2);
    assert_int_equal(read_pids(&p, pids), 2);
    io_process_kill_stale(p.pid, p.start_time + 1); /* the number is the same, the process not */
    io_process_kill_stale(0, 0);
    io_process_kill_stale(-1, p.start_time);
    io_process_kill_stale(getpid(), 0);
    assert_true(process_lives(pids[0]) && process_lives(pids[1]));
    io_process_kill_stale(p.pid, p.start_time);
    assert_false(process_lives(pids[0]) || process_lives(pids[1]));
    program_wait(&p);
    program_fini(&p);
}

static size_t count_alive(const long *pids, size_t count) {
    size_t alive = 0;
    for (size_t i = 0; i < count; i++) {
        alive += process_lives(pids[i]);
    }
    return alive;
}

static void kill_marked(int number) {
    char mark[60];
    int len = snprintf(mark, sizeof mark, "TREE_MARK=%ld-%d/", (long)getpid(), number);
    io_process_kill_marked((struct str){mark, (size_t)len});
}

/* A daemon that left its tree, and what it started without the mark. */
static void marked_processes_are_killed(void **state) {
    (void)state;
    struct program p = {0};
    long pids[MAX_PIDS];
    char script[400], own[60];
    long me = getpid(); /* no other run of this test is meant */
    snprintf(script, sizeof script,
             "export TREE_MARK=%ld-1/a; (setsid sh -c 'echo $$; env -i /bin/sh -c \"echo "
             "\\$\\$; while :; do sleep 1; done\"; :' &); TREE_MARK=%ld-2/a sh -c 'echo $$; " KEEP
             "'",
             me, me);
    shell_start(&p, script);
    wait_for_lines(&p, 3);
    assert_int_equal(read_pids(&p, pids), 3);
    kill_marked(3);
    assert_int_equal(count_alive(pids, 3), 3);
    snprintf(own, sizeof own, "%ld-1/b", me);
    assert_int_equal(setenv("TREE_MARK", own, 1), 0);
    kill_marked(1); /* of this process it is not seen */
    assert_int_equal(unsetenv("TREE_MARK"), 0);
    assert_int_equal(count_alive(pids, 3), 1); /* that of the second mark */
    kill_marked(2);
    program_wait(&p);
    program_fini(&p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, programs_set_up, programs_tear_down)

int run_tree_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(kill_ends_every_tree),       TEST(others_are_not_touched),
        TEST(sigterm_comes_first),        TEST(grace_can_be_shortened),
        TEST(kill_before_it_started),     TEST(kill_in_a_callback),
        TEST(rest_is_ended_after_exit),   TEST(fork_bomb_dies),
        TEST(host_killed_all_gone),       TEST(launcher_killed_is_noticed),
        TEST(launcher_killed_while_idle), TEST(launcher_has_its_name),
        TEST(stale_process_is_killed),    TEST(marked_processes_are_killed),
    };
    return cmocka_run_group_tests_name("io trees", tests, NULL, NULL);
}
