/* Prompts of waiting steps: a question, choices by number or name, a form field by field.
 *
 * The terminal is opened anew and not read through standard input, so that making it nonblocking
 * changes nothing for the shell that comes after.
 */
#include "cli/prompt.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/approves.h"
#include "cli/form.h"
#include "io/file.h"

static struct str text_of(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}

static struct value list_of(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return v && v->type == VALUE_LIST ? *v : value_null();
}

/* ---- which steps wait ---- */

static void step_free(struct prompt_step *x) {
    arena_fini(&x->arena);
    free(x);
}

static void add_step(struct prompt *p, struct run *r, struct str step, struct value request) {
    struct prompt_step *x = calloc(1, sizeof *x);
    if (!x) {
        return;
    }
    arena_init(&x->arena, 0);
    x->run = r;
    x->step = arena_str(&x->arena, step);
    bool ok = x->step.ptr && value_copy(&x->arena, request, &x->request);
    if (!ok || !str_is(text_of(x->request, "for"), "answer")) {
        step_free(x);
        return;
    }
    struct prompt_step **at = &p->first;
    while (*at) {
        at = &(*at)->next;
    }
    *at = x;
}

static void add_of_event(struct prompt *p, struct run *r, const struct host_event *ev) {
    struct event_fetch fetch = host_fetch(p->s->store);
    struct event decoded = {.kind = ev->kind};
    struct error ignored;
    struct arena a;
    arena_init(&a, 0);
    if (event_decode(ev->body, &fetch, &a, &decoded, &ignored) == OK) {
        add_step(p, r, ev->step, decoded.body);
    }
    arena_fini(&a);
}

static void drop_step(struct prompt *p, const struct run *r, struct str step) {
    for (struct prompt_step **at = &p->first; *at; at = &(*at)->next) {
        struct prompt_step *x = *at;
        if (x->run == r && str_eq(x->step, step)) {
            *at = x->next;
            if (p->shown == x) {
                if (!p->sent) { /* somebody else did, below the prompt */
                    sink_printf(&p->s->cli->err, "\n  answered elsewhere, or over\n");
                }
                p->shown = NULL;
                p->sent = false;
            }
            step_free(x);
            return;
        }
    }
}

static bool is_command(const struct prompt *p) { return !p->poll; }

/* From a pipe: how to answer, from anywhere. */
static void print_command(struct prompt *p, const struct prompt_step *x) {
    struct buf b;
    buf_init(&b, 0);
    text_message_block(&b, text_of(x->request, "prompt"), "    ", TEXT_IN_RESULTS);
    approves_put(&b, x->request, "    ");
    buf_printf(&b, "    answer it: cairn answer %.*s ", STR_ARG(run_id(x->run)));
    text_shell(&b, x->step);
    buf_append_char(&b, ' ');
    form_put_answer(&b, x->request);
    buf_printf(&b, "%.*s\n", STR_ARG(session_store_option(p->s)));
    watch_notice(p->watch, buf_str(&b));
    buf_fini(&b);
}

void prompt_event(struct prompt *p, struct run *r, const struct host_event *ev) {
    if (!p->s) {
        return;
    }
    if (ev->kind == EVENT_STEP_WAITING || ev->kind == EVENT_STEP_SUSPENDED) {
        drop_step(p, r, ev->step);
        struct prompt_step *before = p->first;
        add_of_event(p, r, ev);
        const struct prompt_step *added = before ? before : p->first;
        while (added && added->next) {
            added = added->next;
        }
        if (added && added->run == r && str_eq(added->step, ev->step) && is_command(p)) {
            print_command(p, added);
        }
    } else if (ev->kind == EVENT_STEP_COMPLETED || ev->kind == EVENT_STEP_FAILED ||
               ev->kind == EVENT_STEP_CANCELLED || ev->kind == EVENT_STEP_RETRYING ||
               ev->kind == EVENT_STEP_RELEASED) {
        drop_step(p, r, ev->step);
    }
}

void prompt_waiting(struct prompt *p, struct run *r) {
    const struct engine *g = run_engine(r);
    char id[STEP_ID_BYTES];
    for (uint32_t i = 0; p->s && g && i < engine_track_count(g); i++) {
        const struct track *t = engine_track(g, i);
        if (t->status == STEP_WAITING) {
            add_step(p, r, step_id_print(t->plan, t->step, id), t->more->request);
        }
    }
}

/* ---- asking ---- */

/* The property of the form that is asked for now, or NULL: none is left, or it is no form. */
static const struct value_pair *field_of(const struct prompt *p) {
    const struct value *schema = value_get(p->shown->request, STR("schema"));
    const struct value *fields = schema ? value_get(*schema, STR("properties")) : NULL;
    bool is_form = fields && fields->type == VALUE_MAP;
    return is_form && p->field < value_count(*fields) ? &fields->pairs[p->field] : NULL;
}

static void print_field(struct prompt *p) {
    struct buf b;
    const struct value_pair *field = field_of(p);
    buf_init(&b, 0);
    if (field) {
        form_put_field(&b, value_str(field->key), field->val);
    }
    buf_append_cstr(&b, "> ");
    sink_flush(&p->s->cli->err, &b);
    buf_fini(&b);
}

static void begin_form(struct prompt *p) {
    p->field = 0;
    value_builder_init(&p->form, &p->s->cli->arena);
}

static void show(struct prompt *p, const struct prompt_step *x) {
    struct buf b;
    struct value choices = list_of(x->request, "choices");
    p->shown = x;
    buf_init(&b, 0);
    text_colour(&b, &p->s->cli->err, COLOUR_BLUE, x->step);
    buf_append_cstr(&b, " asks:\n");
    text_message_block(&b, text_of(x->request, "prompt"), "  ", TEXT_IN_RESULTS);
    approves_put(&b, x->request, "  ");
    for (size_t i = 0; i < value_count(choices); i++) {
        buf_printf(&b, "  %zu) ", i + 1);
        text_clean(&b, value_str(choices.items[i]));
        buf_append_char(&b, '\n');
    }
    if (value_get(x->request, STR("orValue"))) {
        buf_append_cstr(&b, "  or the step's value: {\"value\": ...}\n");
    }
    watch_hold(p->watch, true);
    sink_flush(&p->s->cli->err, &b);
    buf_fini(&b);
    begin_form(p);
    print_field(p);
}

void prompt_turn(struct prompt *p) {
    if (!p->poll || p->shown) {
        return;
    }
    if (p->first) {
        show(p, p->first);
    } else {
        watch_hold(p->watch, false);
    }
}

/* ---- what is typed ---- */

static void close_terminal(struct prompt *p) {
    if (p->poll) {
        io_poll_close(p->poll);
        close(p->fd);
        p->poll = NULL;
        watch_hold(p->watch, false);
    }
}

static void send(struct prompt *p, struct value v) {
    struct host_request q = {.type = REQUEST_ANSWER,
                             .step = p->shown->step,
                             .exact = true,
                             .value = v,
                             .by = session_user(p->s),
                             .ticket = --p->tickets};
    struct error e;
    p->sent = host_ask(p->s->host, p->shown->run, &q, &e) == OK;
}

static void tell_why(struct prompt *p, struct str why) {
    struct buf b;
    buf_init(&b, 0);
    text_block(&b, why, "  ");
    sink_flush(&p->s->cli->err, &b);
    buf_fini(&b);
}

static void take_field(struct prompt *p, const struct value_pair *field, struct str line) {
    struct value v;
    struct error e = {0};
    if (line.len && form_read_field(field->val, line, &p->s->cli->arena, &v, &e)) {
        tell_why(p, str_from(e.message));
        print_field(p);
        return;
    }
    if (line.len) { /* an empty line leaves the field out */
        value_map_add(&p->form, value_str(field->key), v);
    }
    p->field++;
    if (field_of(p)) {
        print_field(p);
    } else {
        send(p, value_map_done(&p->form));
    }
}

static void take_line(struct prompt *p, struct str line) {
    if (!p->shown || p->sent) {
        return;
    }
    struct value choices = list_of(p->shown->request, "choices");
    const struct value_pair *field = field_of(p);
    if (!str_is_utf8(line)) {
        sink_printf(&p->s->cli->err, "  this is not UTF-8 text\n");
        print_field(p);
    } else if (field) {
        take_field(p, field, str_trim(line));
    } else {
        struct str text = value_count(choices) ? form_choice(choices, str_trim(line)) : line;
        send(p, value_text(arena_str(&p->s->cli->arena, text)));
    }
}

static void on_readable(void *ctx, int events) {
    struct prompt *p = ctx;
    char bytes[4096];
    ssize_t n = read(p->fd, bytes, sizeof bytes);
    (void)events;
    if (n <= 0) { /* Ctrl-D, or the terminal is gone */
        sink_printf(&p->s->cli->err, "\n");
        close_terminal(p);
        for (const struct prompt_step *x = p->first; x; x = x->next) {
            print_command(p, x);
        }
        p->shown = NULL;
        return;
    }
    buf_append(&p->typed, (struct str){bytes, (size_t)n});
    struct str rest = buf_str(&p->typed);
    while (memchr(rest.ptr, '\n', rest.len)) {
        take_line(p, str_split(rest, '\n', &rest));
    }
    struct buf kept;
    buf_init(&kept, 0);
    buf_append(&kept, rest);
    buf_fini(&p->typed);
    p->typed = kept;
}

void prompt_verdict(struct prompt *p, struct run *r, int64_t ticket, struct str text) {
    if (ticket != p->tickets || !p->sent || !p->shown || p->shown->run != r) {
        return;
    }
    p->sent = false;
    if (str_starts(text, STR("refused: "))) {
        tell_why(p, str_sub(text, 9, text.len));
        begin_form(p);
        print_field(p);
    }
}

/* ---- life ---- */

void prompt_open(struct prompt *p, struct session *s, struct watch *w, bool asks) {
    *p = (struct prompt){.s = s, .watch = w, .fd = -1};
    buf_init(&p->typed, 1u << 20);
    asks = asks && s->cli->err.terminal && isatty(STDIN_FILENO) && !cli_has(s->cli, "json-lines");
    if (asks && (p->fd = io_terminal_open()) >= 0) {
        p->poll = io_poll_open(s->loop, p->fd, IO_READABLE, on_readable, p);
        if (!p->poll) {
            close(p->fd);
        }
    }
}

bool prompt_is_open(const struct prompt *p) { return p->poll && p->first; }

void prompt_close(struct prompt *p) {
    if (!p->s) {
        return;
    }
    close_terminal(p);
    while (p->first) {
        struct prompt_step *x = p->first;
        p->first = x->next;
        step_free(x);
    }
    buf_fini(&p->typed);
    p->s = NULL;
}
