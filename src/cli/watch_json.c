/* --json-lines: one JSON object per recorded event on stdout, {execution, seq, at, type, step} and
 * the fields of events.def that it has; and {execution, at, type: "log", step, stream, text} for
 * what steps print, as it is printed: it is recorded later, in other pieces, and has no seq.
 *
 * Keys are those of events.def in camelCase; times are RFC 3339, durations milliseconds, numbers
 * that stand for words are the words.
 */
#include "cli/watch.h"

static void add_text(struct value_builder *b, const char *name, struct str text) {
    value_map_add(b, str_from(name), value_text(text));
}

static void add_time(struct value_builder *b, const char *name, int64_t us) {
    char text[TIME_RFC3339_BYTES];
    time_print_rfc3339((wall_us){us}, text);
    struct str kept = arena_str(b->arena, str_from(text));
    b->ok = b->ok && kept.ptr;
    add_text(b, name, kept);
}

/* due_us -> due */
static struct str camel(struct arena *a, const char *name) {
    struct str out = arena_str(a, str_from(name));
    char *p = (char *)(uintptr_t)out.ptr;
    size_t len = 0;
    for (size_t i = 0; out.ptr && i < out.len; i++) {
        if (p[i] == '_' && i + 1 < out.len) {
            i++;
            p[len++] = (char)(p[i] - 'a' + 'A');
        } else {
            p[len++] = p[i];
        }
    }
    return (struct str){out.ptr, len};
}

static const char *word_of(const char *name, uint64_t n) {
    static const struct {
        const char *name;
        const char *words[5];
    } rows[] = {
        {"content", {"body", "conversation", "error"}},
        {"effect", {"", "fail", "continue", "handled", "value"}},
        {"mode", {"continue", "drain", "cancel"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!strcmp(rows[i].name, name) && n < ARRAY_LEN(rows[i].words)) {
            return rows[i].words[n];
        }
    }
    return NULL;
}

static void field_u(struct value_builder *b, const char *name, uint64_t n) {
    const char *word = word_of(name, n);
    if (!strcmp(name, "follows")) {
        return; /* of use to the engine only */
    }
    if (!strcmp(name, "partial")) {
        value_map_add(b, STR("partial"), value_bool(n != 0));
    } else if (word) {
        add_text(b, name, str_from(word));
    } else {
        value_map_add(b, camel(b->arena, name), value_uint(n));
    }
}

static void field_i(struct value_builder *b, const char *name, int64_t n) {
    if (!strcmp(name, "timeout_us")) {
        value_map_add(b, STR("timeoutMs"), value_int(n / 1000));
    } else if (!strcmp(name, "started_us")) {
        add_time(b, "startedAt", n);
    } else if (!strcmp(name, "due_us")) {
        add_time(b, "dueAt", n);
    } else {
        value_map_add(b, camel(b->arena, name), value_int(n));
    }
}

static void field_t(struct value_builder *b, const char *name, struct str text) {
    value_map_add(b, camel(b->arena, name), value_text(text));
}

static void field_v(struct value_builder *b, const char *name, struct value v) {
    value_map_add(b, camel(b->arena, name), v);
}

static void print(struct watch *w, struct value_builder *b) {
    struct buf line;
    buf_init(&line, 0);
    struct value v = value_map_done(b);
    if (b->ok) {
        value_print_json(v, 0, &line);
        sink_flush_json(&w->cli->out, &line);
    }
    buf_fini(&line);
}

static void event(struct watch *w, const struct watch_event *x) {
    struct value_builder b;
    const struct event *ev = x->ev;
    if (ev->kind == EVENT_STEP_LOG) {
        return; /* told as it was printed */
    }
    value_builder_init(&b, &w->scratch);
    add_text(&b, "execution", x->of->id);
    value_map_add(&b, STR("seq"), value_uint(x->seq));
    add_time(&b, "at", x->at.us);
    add_text(&b, "type", str_from(event_name(ev->kind)));
    if (x->step.len) {
        add_text(&b, "step", x->step);
    }
#define EVENT_FIELD(number, id, type, doc) \
    if (event_has(ev, number)) {           \
        field_##type(&b, #id, ev->id);     \
    }
#include "engine/events.def"
#undef EVENT_FIELD
    print(w, &b);
}

static void log_text(struct watch *w, const struct watch_source *of, struct str step,
                     const char *stream, struct str text) {
    struct value_builder b;
    value_builder_init(&b, &w->scratch);
    add_text(&b, "execution", of->id);
    add_time(&b, "at", watch_log_time(w).us);
    add_text(&b, "type", STR("log"));
    add_text(&b, "step", step);
    add_text(&b, "stream", str_from(stream));
    add_text(&b, "text", text);
    print(w, &b);
    arena_reset(&w->scratch);
}

const struct watch_ops watch_json_ops = {.wants_bodies = true, .event = event, .log = log_text};
