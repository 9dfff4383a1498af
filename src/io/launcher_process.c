/* One process as its host sees it: what it is given, what it writes, how it ends.
 *
 * Standard input is a memfd, so nobody has to feed it while it reads (and no SIGPIPE can come).
 * Output is read without waiting and counted; what is over the limit is never passed on. The pipes
 * of a program that answers nobody are watched from a moment after its start on: one that is over
 * sooner has written into their room, and what it wrote is read at its end.
 * Invariants: a process is in the launcher's list from start until just before `exited`; `exited`
 * comes once, after the launcher said `gone` and every pipe has ended or was given up.
 */
#include "io/launcher_host_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READS_PER_TURN = 16, /* of one pipe, so that others get their turn */
    TEXT_MAX_BYTES = 64 << 20,
};
#define DRAIN_NS INT64_C(200000000) /* for pipes that outlive the tree: something escaped */
#define WATCH_NS INT64_C(2000000)   /* of running, before pipes are watched that may be later */

void process_drop_request(struct io_process *p) {
    buf_fini(&p->text);
    for (int i = 0; i < WIRE_FDS; i++) {
        io_fd_close(&p->fds[i]);
    }
}

/* ---- the end of a process ---- */

static void close_pipe(struct output_pipe *pipe) {
    io_poll_close(pipe->poll);
    pipe->poll = NULL;
    io_fd_close(&pipe->fd);
}

static void free_process(struct io_process *p) {
    for (int i = 0; i < PROCESS_PIPES; i++) {
        close_pipe(&p->pipes[i]);
    }
    process_drop_request(p);
    io_fd_close(&p->input_fd);
    process_feed_close(p);
    io_timer_close(p->timer);
    free(p->program);
    free(p->folder);
    free(p);
}

static void unlink_process(struct io_process *p) {
    struct io_launcher *l = p->launcher;
    if (p->queued) {
        launcher_unqueue(p);
    }
    if (p->previous != NULL) {
        p->previous->next = p->next;
    } else {
        l->first = p->next;
    }
    if (p->next != NULL) {
        p->next->previous = p->previous;
    }
    l->running--;
    launcher_watch(l);
}

static enum err spawn_error(const struct io_process *p, struct error *e) {
    int no = p->failed.no;
    if (p->lost) {
        return error_set(e, ERR_TRANSIENT, "the launcher process was killed from outside");
    }
    switch ((enum wire_stage)p->failed.stage) {
    case STAGE_FORK:
    case STAGE_SETUP:
    case STAGE_ZYGOTE:
        return error_set(e, ERR_TRANSIENT, "cannot start %s: %s", p->program, io_errno_text(no));
    case STAGE_FOLDER:
        return error_set(e, ERR_IO, "cannot start %s in the folder %s: %s", p->program, p->folder,
                         io_errno_text(no));
    case STAGE_PROGRAM:
        if (no == ENOENT) {
            return error_set(e, ERR_NOT_FOUND, "the program %s does not exist%s", p->program,
                             strchr(p->program, '/') == NULL ? " in any folder of PATH" : "");
        }
        break;
    case STAGE_EXEC:
        if (no == ENOENT) {
            return error_set(e, ERR_NOT_FOUND,
                             "the interpreter that the first line of %s names does not exist",
                             p->program);
        }
        if (no == ENOEXEC) {
            return error_set(e, ERR_IO,
                             "%s is no program: its first line should be #! and an interpreter",
                             p->program);
        }
        if (no == E2BIG) {
            return error_set(e, ERR_LIMIT, "arguments and environment of %s are too large",
                             p->program);
        }
        break;
    }
    return error_set(e, ERR_IO, "cannot execute %s: %s", p->program, io_errno_text(no));
}

static void finish(struct io_process *p) {
    struct error e = {.code = OK};
    enum err status = p->failed.head.type != 0 || p->lost ? spawn_error(p, &e) : OK;
    unlink_process(p);
    p->result.stdout_cut = p->stdout_cut;
    p->exited(p->ctx, &p->result, status, status != OK ? e.message : "", p->over_limit);
    free_process(p);
}

static bool all_ended(const struct io_process *p) {
    for (int i = 0; i < PROCESS_PIPES; i++) {
        if (p->pipes[i].fd >= 0) {
            return false;
        }
    }
    return true;
}

/* ---- output ---- */

static void pass_on(struct output_pipe *pipe, struct str bytes) {
    static const char note[] = "\n[the rest of standard error is dropped: the limit is reached]\n";
    struct io_process *p = pipe->process;
    uint64_t room =
        pipe->seen_bytes < p->max_output_bytes ? p->max_output_bytes - pipe->seen_bytes : 0;
    pipe->seen_bytes += bytes.len;
    struct str fits = {bytes.ptr, bytes.len < room ? bytes.len : (size_t)room};
    if (fits.len > 0) {
        p->output(p->ctx, pipe->number, fits);
    }
    if (fits.len == bytes.len) {
        return;
    }
    if (pipe->number == 1 && p->keep_running) {
        p->stdout_cut = true;
    } else if (pipe->number != 2) {
        if (!p->over_limit) {
            io_process_kill(p, 0);
        }
        p->over_limit = true;
    } else if (!pipe->noted) {
        pipe->noted = true;
        p->output(p->ctx, 2, (struct str){note, sizeof note - 1});
    }
}

static void read_pipe(struct output_pipe *pipe, int most) {
    struct io_launcher *l = pipe->process->launcher;
    for (int i = 0; i < most && pipe->fd >= 0; i++) {
        ssize_t got = read(pipe->fd, l->read_buffer, LAUNCHER_READ_BYTES);
        if (got > 0) {
            pass_on(pipe, (struct str){l->read_buffer, (size_t)got});
        } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
            close_pipe(pipe);
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static void on_pipe(void *ctx, int events) {
    (void)events;
    struct output_pipe *pipe = ctx;
    struct io_process *p = pipe->process;
    struct io_launcher *l = p->launcher;
    l->in_callback = true;
    read_pipe(pipe, READS_PER_TURN);
    if (p->gone && all_ended(p)) {
        finish(p);
    }
    l->in_callback = false;
}

/* False when there is no memory; what is watched already stays so. */
static bool watch_pipes(struct io_process *p) {
    bool ok = true;
    for (int i = 0; i < PROCESS_PIPES; i++) {
        struct output_pipe *pipe = &p->pipes[i];
        if (pipe->fd >= 0 && pipe->poll == NULL) {
            pipe->poll = io_poll_open(p->launcher->loop, pipe->fd, IO_READABLE, on_pipe, pipe);
            ok = ok && pipe->poll != NULL;
        }
    }
    return ok;
}

static void read_pipes(struct io_process *p) {
    for (int i = 0; i < PROCESS_PIPES; i++) {
        read_pipe(&p->pipes[i], READS_PER_TURN);
    }
}

/* Of a process that is gone: its pipes had their time. Of another one: they are watched now, and
 * where that cannot be had they are looked at from time to time. */
static void on_timer(void *ctx) {
    struct io_process *p = ctx;
    struct io_launcher *l = p->launcher;
    l->in_callback = true;
    read_pipes(p);
    if (p->gone) {
        finish(p);
    } else if (!watch_pipes(p)) {
        io_timer_start(p->timer, WATCH_NS);
    }
    l->in_callback = false;
}

void process_started(struct io_process *p, const struct wire_started *m) {
    p->pid = m->pid;
    p->start_time = m->start_time;
    if (p->watched_late) {
        io_timer_start(p->timer, WATCH_NS);
    }
    if (p->request.zygote != 0) {
        launcher_zygote_worked(p->launcher, p->request.zygote);
        process_drop_request(p);
    }
    if (p->started != NULL) {
        p->started(p->ctx, m->pid, m->start_time);
    }
}

/* A kill that was sent meanwhile has met nothing. */
void process_again(struct io_process *p) {
    p->request.zygote = 0;
    p->sent = false;
    p->kill_wanted = p->killed;
    launcher_send(p);
}

/* The tree is gone, so at most what the pipes hold is still to come. */
void process_gone(struct io_process *p, const struct wire_gone *m) {
    p->gone = true;
    process_drop_request(p);
    p->result = (struct io_exit){.status = WIFEXITED(m->status) ? WEXITSTATUS(m->status) : -1,
                                 .signal = WIFSIGNALED(m->status) ? WTERMSIG(m->status) : 0,
                                 .user_us = m->user_us,
                                 .system_us = m->system_us,
                                 .max_rss_kib = m->max_rss_kib};
    read_pipes(p);
    if (all_ended(p)) {
        finish(p);
    } else {
        (void)watch_pipes(p); /* else they are read once more when their time is over */
        io_timer_start(p->timer, DRAIN_NS);
    }
}

/* Somebody killed the launcher. Its children got SIGKILL with it; what they had started is killed
 * as far as it can still be found. */
void process_lost(struct io_process *p) {
    if (p->gone) {
        return;
    }
    if (p->pid != 0) {
        io_process_kill_stale(p->pid, p->start_time);
    }
    p->gone = p->lost = true;
    p->result = (struct io_exit){.status = -1};
    io_timer_start(p->timer, 0);
}

void process_forget(struct io_process *p) {
    unlink_process(p);
    free_process(p);
}

bool io_process_drain(struct io_process *p) {
    read_pipe(&p->pipes[0], READS_PER_TURN);
    read_pipe(&p->pipes[1], READS_PER_TURN);
    return p->stdout_cut;
}

/* ---- starting a process ---- */

static bool make_memfd(struct str text, int *out_fd) {
    int fd = memfd_create("cairn", MFD_CLOEXEC);
    *out_fd = fd;
    while (fd >= 0 && text.len > 0) {
        ssize_t put = write(fd, text.ptr, text.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return false;
        }
        text.ptr += put;
        text.len -= (size_t)put;
    }
    return fd >= 0 && lseek(fd, 0, SEEK_SET) == 0;
}

static bool make_pipe(int *out_read, int *out_write) {
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) {
        return false;
    }
    *out_read = pair[0];
    *out_write = pair[1];
    return true;
}

static bool make_output(struct io_process *p, int number, enum wire_fd role) {
    struct output_pipe *pipe = &p->pipes[number - 1];
    if (!make_pipe(&pipe->fd, &p->fds[role])) {
        return false;
    }
    if (p->watched_late) {
        return fcntl(pipe->fd, F_SETFL, O_NONBLOCK) == 0;
    }
    pipe->poll = io_poll_open(p->launcher->loop, pipe->fd, IO_READABLE, on_pipe, pipe);
    return pipe->poll != NULL;
}

/* The descriptor that is kept is this process's own: others reach it by /proc/<pid>/fd. */
static bool make_input(struct io_process *p, const struct io_process_spec *spec) {
    if (spec->stdin_text.len == 0 && spec->stdin_path_env == NULL && !spec->feeds) {
        return true;
    }
    p->request.flags |= WIRE_HAS_IN;
    if (spec->feeds) {
        return process_feed_open(p);
    }
    if (!make_memfd(spec->stdin_text, &p->fds[WIRE_FD_IN])) {
        return false;
    }
    if (spec->stdin_path_env != NULL) {
        p->input_fd = fcntl(p->fds[WIRE_FD_IN], F_DUPFD_CLOEXEC, 0);
    }
    return spec->stdin_path_env == NULL || p->input_fd >= 0;
}

static bool make_fds(struct io_process *p, const struct io_process_spec *spec) {
    if (spec->want_result) {
        p->request.flags |= WIRE_HAS_RESULT;
        if (!make_output(p, 3, WIRE_FD_RESULT)) {
            return false;
        }
    }
    if (spec->want_status) {
        p->request.flags |= WIRE_HAS_STATUS;
        if (!make_output(p, 4, WIRE_FD_STATUS)) {
            return false;
        }
    }
    return make_output(p, 1, WIRE_FD_OUT) && make_output(p, 2, WIRE_FD_ERR);
}

static void add_text(struct buf *text, const char *s) {
    buf_append(text, (struct str){s, strlen(s) + 1});
}

static char *absolute_folder(const char *folder) {
    if (folder != NULL && folder[0] == '/') {
        return strdup(folder);
    }
    char *here = getcwd(NULL, 0);
    char *joined = NULL;
    if (here == NULL || folder == NULL || folder[0] == '\0') {
        return here;
    }
    if (asprintf(&joined, "%s/%s", here, folder) < 0) {
        joined = NULL;
    }
    free(here);
    return joined;
}

static void add_variable(struct io_process *p, const char *text) {
    add_text(&p->text, text);
    p->request.envc++;
}

static void add_own_variables(struct io_process *p, const struct io_process_spec *spec) {
    char text[128];
    snprintf(text, sizeof text, "%s%016llx-%u", LAUNCHER_TOKEN_NAME,
             (unsigned long long)p->launcher->nonce, p->id);
    add_variable(p, text);
    if (spec->stdin_path_env != NULL) {
        snprintf(text, sizeof text, "%s=/proc/%d/fd/%d", spec->stdin_path_env, (int)getpid(),
                 p->input_fd);
        add_variable(p, text);
    }
}

static bool encode(struct io_process *p, const struct io_process_spec *spec) {
    struct buf *text = &p->text;
    buf_init(text, TEXT_MAX_BYTES);
    p->program = strdup(spec->argv[0]);
    p->folder = absolute_folder(spec->cwd);
    for (const char *const *at = spec->argv; *at != NULL; at++, p->request.argc++) {
        add_text(text, *at);
    }
    for (const char *const *at = spec->env; at != NULL && *at != NULL; at++) {
        add_variable(p, *at);
    }
    add_own_variables(p, spec);
    add_text(text, p->folder != NULL ? p->folder : "");
    p->request.text_bytes = text->len;
    if (!buf_ok(text) || p->program == NULL || p->folder == NULL) {
        return false;
    }
    if (text->len <= WIRE_INLINE_BYTES) {
        return true;
    }
    p->request.flags |= WIRE_HAS_TEXT;
    return make_memfd(buf_str(text), &p->fds[WIRE_FD_TEXT]);
}

static uint64_t limit_or(uint64_t given, uint64_t otherwise) {
    return given != 0 ? given : otherwise;
}

static struct io_limits whole_limits(const struct io_limits *given) {
    return (struct io_limits){.file_bytes = limit_or(given->file_bytes, IO_LIMIT_FILE_BYTES),
                              .processes = limit_or(given->processes, IO_LIMIT_PROCESSES),
                              .open_files = limit_or(given->open_files, IO_LIMIT_OPEN_FILES),
                              .memory_bytes = limit_or(given->memory_bytes, IO_LIMIT_MEMORY_BYTES)};
}

static struct io_process *new_process(struct io_launcher *l, const struct io_process_spec *spec) {
    struct io_process *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->launcher = l;
    p->started = spec->started;
    p->output = spec->output;
    p->exited = spec->exited;
    p->ctx = spec->ctx;
    p->max_output_bytes = spec->max_output_bytes;
    p->keep_running = spec->keep_running;
    p->watched_late = !spec->feeds && !spec->want_result;
    p->request.limits = whole_limits(&spec->limits);
    p->input_fd = p->feed_fd = -1;
    for (int i = 0; i < WIRE_FDS; i++) {
        p->fds[i] = -1;
    }
    for (int i = 0; i < PROCESS_PIPES; i++) {
        p->pipes[i] = (struct output_pipe){.process = p, .fd = -1, .number = i + 1};
    }
    p->id = ++l->last_id;
    p->request.head = (struct wire_head){WIRE_SPAWN, p->id};
    return p;
}

static void link_process(struct io_process *p) {
    struct io_launcher *l = p->launcher;
    p->next = l->first;
    if (l->first != NULL) {
        l->first->previous = p;
    }
    l->first = p;
    l->running++;
}

struct io_process *io_process_start(struct io_launcher *l, const struct io_process_spec *spec,
                                    struct error *e) {
    ASSERT(spec->argv[0] != NULL && spec->exited != NULL && spec->output != NULL);
    if (launcher_start(l, e) != OK) {
        return NULL;
    }
    struct io_process *p = new_process(l, spec);
    if (p == NULL) {
        error_nomem(e);
        return NULL;
    }
    errno = ENOMEM;
    p->timer = io_timer_open(l->loop, on_timer, p);
    if (p->timer == NULL || !make_input(p, spec) || !encode(p, spec) || !make_fds(p, spec)) {
        io_error_errno(e, errno, "cannot start", spec->argv[0]);
        free_process(p);
        return NULL;
    }
    if (spec->zygote != NULL && p->fds[WIRE_FD_TEXT] < 0) {
        ASSERT(spec->want_result && !spec->want_status);
        ASSERT(spec->feeds || spec->stdin_text.len > 0);
        p->request.zygote = launcher_zygote(l, spec->zygote, &p->request.limits);
    }
    link_process(p);
    int no = launcher_send(p);
    if ((no == EPIPE || no == ECONNRESET) && l->running == 1) {
        /* it was killed while nothing ran: nobody has seen it go */
        launcher_stop(l);
        if (launcher_start(l, e) != OK) {
            unlink_process(p);
            free_process(p);
            return NULL;
        }
        launcher_flush(l);
    }
    return p;
}

void io_process_kill(struct io_process *p, int grace_ms) {
    if (p->gone) {
        return;
    }
    p->kill_grace_ms = p->killed && p->kill_grace_ms < grace_ms ? p->kill_grace_ms : grace_ms;
    p->kill_wanted = p->killed = true;
    launcher_send(p);
}
