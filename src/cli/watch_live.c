/* Live progress on a terminal: a line per node with spinner, time, iteration and a bar for foreach,
 * redrawn in place on stderr.
 *
 * Invariants: the picture never has more lines than the terminal, no line is as wide as it (so none
 * wraps), and after a resize the rows that the old picture then takes are counted anew before the
 * cursor goes up. Nothing but whole pictures is written, the cursor rests below the last line.
 */
#include <signal.h>
#include <stdlib.h>

#include "cli/watch.h"

enum { MAX_LINES = 200, TICK_MS = 100, LEAST_GAP_MS = 40, BAR_COLUMNS = 20, NAME_COLUMNS = 28 };

struct live {
    struct io_timer *timer;
    struct io_signal *resized;
    uint32_t widths[MAX_LINES]; /* of the lines of the picture that stands there */
    uint32_t drawn;
    uint32_t columns, lines;
    mono_ns last;
    uint32_t turn; /* of the spinner */
    struct buf frame;
    struct buf line;
    bool over;
    bool held; /* somebody types below: no picture */
};

static wall_us wall_now(const struct watch *w) {
    const struct io_clock *clock = io_loop_clock(w->loop);
    return clock->wall(clock->ctx);
}

static mono_ns mono_now(const struct watch *w) {
    const struct io_clock *clock = io_loop_clock(w->loop);
    return clock->mono(clock->ctx);
}

/* ---- one line ---- */

static struct str symbol(const struct watch *w, const struct live *l, enum step_status status) {
    static const char *const spinner[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    static const char *const plain_spinner[] = {"|", "/", "-", "\\"};
    static const struct {
        const char *nice, *plain;
    } rows[] = {
        [STEP_PENDING] = {"·", "."},  [STEP_RUNNING] = {NULL, NULL}, [STEP_WAITING] = {"…", "~"},
        [STEP_RETRYING] = {"↻", "r"}, [STEP_COMPLETED] = {"✓", "+"}, [STEP_FAILED] = {"✗", "x"},
        [STEP_SKIPPED] = {"-", "-"},  [STEP_CANCELLED] = {"-", "-"},
    };
    bool nice = w->cli->err.utf8;
    if (status != STEP_RUNNING) {
        return str_from(nice ? rows[status].nice : rows[status].plain);
    }
    if (l->over) {
        return str_from(nice ? "▪" : "*");
    }
    return str_from(nice ? spinner[l->turn % ARRAY_LEN(spinner)]
                         : plain_spinner[l->turn % ARRAY_LEN(plain_spinner)]);
}

static void put_bar(const struct watch *w, const struct watch_node *n, struct buf *b) {
    uint64_t full = n->items ? n->items_done * BAR_COLUMNS / n->items : BAR_COLUMNS;
    buf_append_cstr(b, "  ");
    for (uint64_t i = 0; i < BAR_COLUMNS; i++) {
        bool on = i < full;
        buf_append_cstr(b, w->cli->err.utf8 ? (on ? "█" : "░") : (on ? "#" : "."));
    }
    buf_printf(b, " %llu/%llu", (unsigned long long)n->items_done, (unsigned long long)n->items);
    if (n->items_failed) {
        buf_printf(b, ", %llu failed", (unsigned long long)n->items_failed);
    }
}

static void put_state(const struct watch *w, const struct watch_node *n, struct buf *b) {
    bool active =
        n->status == STEP_RUNNING || n->status == STEP_RETRYING || n->status == STEP_WAITING;
    if (n->status == STEP_SKIPPED || n->status == STEP_CANCELLED) {
        buf_append_cstr(b, step_status_name(n->status));
    } else if (n->begun.us && n->status != STEP_PENDING) {
        text_duration(b, (active ? wall_now(w).us : n->ended.us) - n->begun.us);
    }
    if (n->iteration) {
        buf_printf(b, "  iteration %u", n->iteration + 1);
    }
    if (n->attempt > 1) {
        buf_printf(b, "  attempt %u", n->attempt);
    }
    if (n->foreach && n->status != STEP_PENDING) {
        put_bar(w, n, b);
    }
    if (n->note[0]) {
        buf_printf(b, "  %s", n->note);
    }
}

/* Ends the line that was put together in l->line: clipped, remembered, into the frame. */
static void add_line(struct live *l, const struct sink *s, enum colour colour, struct str mark) {
    size_t before = l->frame.len;
    text_colour(&l->frame, s, colour, mark);
    buf_append_char(&l->frame, ' ');
    struct buf clipped;
    buf_init(&clipped, 0);
    text_clip(&clipped, buf_str(&l->line), l->columns > 4 ? l->columns - 4 : 1);
    l->widths[l->drawn] = 2 + text_width(buf_str(&clipped));
    buf_append(&l->frame, buf_str(&clipped));
    buf_fini(&clipped);
    buf_append_cstr(&l->frame, "\x1b[K\n");
    l->drawn += l->frame.len > before;
    buf_reset(&l->line);
}

static void draw_node(struct watch *w, struct live *l, uint32_t node, uint32_t name_columns) {
    const struct watch_node *n = &w->nodes[node];
    const struct plan_node *p = &w->plan->nodes[node];
    struct str name = p->label.len ? p->label : p->name;
    text_clip(&l->line, name, name_columns);
    uint32_t width = text_width(buf_str(&l->line));
    text_pad(&l->line, name_columns + 2 - width);
    put_state(w, n, &l->line);
    add_line(l, &w->cli->err, text_status_colour(str_from(step_status_name(n->status))),
             symbol(w, l, n->status));
}

/* ---- which nodes, when there are too many ---- */

static uint64_t interest(const struct watch_node *n) {
    switch (n->status) {
    case STEP_RUNNING:
    case STEP_WAITING:
    case STEP_RETRYING: return 3ull << 60;
    case STEP_FAILED: return 2ull << 60;
    case STEP_COMPLETED:
    case STEP_SKIPPED:
    case STEP_CANCELLED: return (1ull << 60) + n->order;
    case STEP_PENDING: break;
    }
    return 0;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The most interesting `room` nodes, in the order of the file. */
static uint32_t choose(const struct watch *w, uint32_t room, uint32_t *chosen) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->plan->node_count && room; i++) {
        uint64_t here = interest(&w->nodes[i]);
        uint32_t at = count;
        while (at > 0 && interest(&w->nodes[chosen[at - 1]]) < here) {
            at--;
        }
        if (at == room) {
            continue;
        }
        count += count < room;
        for (uint32_t k = count - 1; k > at; k--) {
            chosen[k] = chosen[k - 1];
        }
        chosen[at] = i;
    }
    qsort(chosen, count, sizeof *chosen, by_number);
    return count;
}

/* ---- the picture ---- */

static void draw_summary(struct watch *w, struct live *l, uint32_t shown) {
    uint32_t counts[STEP_CANCELLED + 1] = {0};
    uint32_t total = w->plan->node_count;
    for (uint32_t i = 0; i < total; i++) {
        counts[w->nodes[i].status]++;
    }
    buf_printf(&l->line, "%u of %u steps completed", counts[STEP_COMPLETED], total);
    static const enum step_status others[] = {STEP_RUNNING, STEP_WAITING, STEP_RETRYING,
                                              STEP_FAILED,  STEP_SKIPPED, STEP_CANCELLED};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (counts[others[i]]) {
            buf_printf(&l->line, ", %u %s", counts[others[i]], step_status_name(others[i]));
        }
    }
    if (shown < total) {
        buf_printf(&l->line, " (%u of them not shown)", total - shown);
    }
    add_line(l, &w->cli->err, COLOUR_NONE, STR(" "));
}

/* Up to the first line of the old picture, as wide as the terminal is now. */
static void go_up(struct live *l) {
    uint32_t rows = 0;
    for (uint32_t i = 0; i < l->drawn; i++) {
        rows += l->widths[i] ? (l->widths[i] + l->columns - 1) / l->columns : 1;
    }
    rows = rows < l->lines ? rows : l->lines - 1;
    if (rows) {
        buf_printf(&l->frame, "\x1b[%uA", rows);
    }
    buf_append_cstr(&l->frame, "\r");
    l->drawn = 0;
}

static uint32_t name_columns(const struct watch *w, const struct live *l, const uint32_t *nodes,
                             uint32_t count) {
    uint32_t widest = 4;
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_node *p = &w->plan->nodes[nodes[i]];
        uint32_t width = text_width(p->label.len ? p->label : p->name);
        widest = width > widest ? width : widest;
    }
    uint32_t most = l->columns / 3 < NAME_COLUMNS ? l->columns / 3 : NAME_COLUMNS;
    return widest < most ? widest : most;
}

static void draw(struct watch *w) {
    struct live *l = w->own;
    if (l->held) {
        sink_flush(&w->cli->err, &l->frame); /* lines that stay */
        return;
    }
    uint32_t chosen[MAX_LINES];
    sink_size(&w->cli->err, &l->columns, &l->lines);
    go_up(l);
    uint32_t room = l->lines > 3 ? l->lines - 3 : 0;
    room = room < MAX_LINES - 2 ? room : MAX_LINES - 2;
    uint32_t count = choose(w, room, chosen);
    uint32_t columns = name_columns(w, l, chosen, count);
    for (uint32_t i = 0; i < count; i++) {
        draw_node(w, l, chosen[i], columns);
    }
    draw_summary(w, l, count);
    buf_append_cstr(&l->frame, "\x1b[J");
    sink_flush(&w->cli->err, &l->frame);
    l->last = mono_now(w);
}

/* Lines that stay: above the picture, which follows again below. */
static void put_above(struct watch *w, struct str text) {
    struct live *l = w->own;
    sink_size(&w->cli->err, &l->columns, &l->lines);
    if (!l->held) {
        go_up(l);
        buf_append_cstr(&l->frame, "\x1b[J");
    }
    buf_append(&l->frame, text);
    draw(w);
}

static void hold(struct watch *w, bool on) {
    struct live *l = w->own;
    if (on && !l->held) {
        sink_size(&w->cli->err, &l->columns, &l->lines);
        go_up(l);
        buf_append_cstr(&l->frame, "\x1b[J");
        sink_flush(&w->cli->err, &l->frame);
    }
    l->held = on;
}

static void redraw(struct watch *w) {
    const struct live *l = w->own;
    if (mono_now(w).ns - l->last.ns >= LEAST_GAP_MS * 1000000ll) {
        draw(w);
    }
}

static void tick(void *ctx) {
    struct watch *w = ctx;
    struct live *l = w->own;
    l->turn++;
    draw(w);
    io_timer_start(l->timer, TICK_MS * 1000000ll);
}

static void resized(void *ctx, int signo) {
    (void)signo;
    draw(ctx);
}

static void event(struct watch *w, const struct watch_event *x) {
    struct buf b;
    if (x->ev->kind != EVENT_EXECUTION_CREATED || x->of->child) {
        redraw(w);
        return;
    }
    buf_init(&b, 0);
    buf_printf(&b, "execution %.*s of ", STR_ARG(x->of->id));
    text_clean(&b, x->ev->workflow);
    buf_append_char(&b, '\n');
    put_above(w, buf_str(&b));
    buf_fini(&b);
}

static void log_text(struct watch *w, const struct watch_source *of, struct str step,
                     const char *stream, struct str text) {
    struct buf b;
    buf_init(&b, 0);
    watch_log_lines(w, of, step, stream, text, &b);
    put_above(w, buf_str(&b));
    buf_fini(&b);
}

static void close_live(struct watch *w) {
    struct live *l = w->own;
    l->over = true;
    l->held = false;
    draw(w);
    io_timer_close(l->timer);
    io_signal_close(l->resized);
    buf_fini(&l->frame);
    buf_fini(&l->line);
    w->own = NULL;
}

enum err watch_live_open(struct watch *w) {
    struct live *l = ARENA_NEW(&w->cli->arena, struct live);
    if (!l) {
        return ERR_NOMEM;
    }
    w->own = l;
    buf_init(&l->frame, 0);
    buf_init(&l->line, 0);
    l->timer = io_timer_open(w->loop, tick, w);
    l->resized = io_signal_open(w->loop, SIGWINCH, resized, w);
    if (!l->timer || !l->resized) {
        io_timer_close(l->timer);
        io_signal_close(l->resized);
        w->ops = NULL;
        return ERR_NOMEM;
    }
    io_timer_start(l->timer, TICK_MS * 1000000ll);
    return OK;
}

const struct watch_ops watch_live_ops = {.event = event,
                                         .log = log_text,
                                         .notice = put_above,
                                         .redraw = redraw,
                                         .hold = hold,
                                         .close = close_live};
