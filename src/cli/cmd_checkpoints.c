/* cairn checkpoints: the moments of an execution that a rollback can go back to, and those that one
 * went back behind. What has a name but is out of reach is listed with --all, with why.
 *
 * Folds the journal and only looks: nothing is written, and whoever runs it is not asked.
 */
#include <stdlib.h>

#include "cli/session.h"

struct moment {
    uint64_t seq;
    wall_us at;
    struct str name; /* "@name", or what completed */
    struct str by;
    bool named, undone;
    struct str unreachable; /* why no rollback goes there; empty: one does */
};

static int by_seq(const void *a, const void *b) {
    const struct moment *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Those that are out of reach are counted, and listed if all are wanted. */
static uint32_t add_named(const struct engine *g, struct arena *a, bool all, struct moment *out,
                          uint32_t *out_hidden) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine_checkpoint_count(g); i++) {
        const struct checkpoint *c = engine_checkpoint(g, i);
        struct error why = {0};
        bool reachable = engine_check_target(g, c->seq, &why) == OK;
        if (!reachable && !all) {
            ++*out_hidden;
            continue;
        }
        out[count++] = (struct moment){
            .seq = c->seq,
            .at = c->at,
            .name = arena_printf(a, "@%.*s", STR_ARG(c->name)),
            .by = c->by,
            .named = true,
            .undone = c->undone,
            .unreachable = reachable ? STR("") : arena_printf(a, "%s", why.message)};
    }
    return count;
}

/* After every step that completed there is one. */
static uint32_t add_steps(const struct engine *g, struct arena *a, struct moment *out) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine_track_count(g); i++) {
        const struct track *t = engine_track(g, i);
        char text[STEP_ID_BYTES];
        struct error ignored;
        if (t->status == STEP_COMPLETED && engine_check_target(g, t->seq, &ignored) == OK) {
            out[count++] =
                (struct moment){.seq = t->seq,
                                .at = t->ended,
                                .name = arena_str(a, step_id_print(t->plan, t->step, text)),
                                .undone = t->undone};
        }
    }
    return count;
}

static void put_json(struct cli *c, const struct moment *m, uint32_t count) {
    struct value_builder list;
    value_builder_init(&list, &c->arena);
    for (uint32_t i = 0; i < count; i++) {
        struct value_builder b;
        char at[TIME_RFC3339_BYTES];
        value_builder_init(&b, &c->arena);
        value_map_add(&b, STR("seq"), value_int((int64_t)m[i].seq));
        value_map_add(&b, m[i].named ? STR("name") : STR("step"),
                      value_text(m[i].named ? str_sub(m[i].name, 1, m[i].name.len) : m[i].name));
        time_print_rfc3339(m[i].at, at);
        value_map_add(&b, STR("at"), value_text(arena_str(&c->arena, str_from(at))));
        if (m[i].by.len) {
            value_map_add(&b, STR("by"), value_text(m[i].by));
        }
        value_map_add(&b, STR("live"), value_bool(!m[i].undone));
        value_map_add(&b, STR("reachable"), value_bool(!m[i].unreachable.len));
        if (m[i].unreachable.len) {
            value_map_add(&b, STR("why"), value_text(m[i].unreachable));
        }
        value_list_add(&list, value_map_done(&b));
    }
    cli_print_json(c, value_list_done(&list));
}

static void put_text(struct cli *c, const struct moment *m, uint32_t count) {
    struct buf b;
    buf_init(&b, 0);
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(&b, "%6llu  ", (unsigned long long)m[i].seq);
        text_clock(&b, m[i].at);
        buf_printf(&b, "  %s%.*s", m[i].named ? "" : "completed ", STR_ARG(m[i].name));
        if (m[i].by.len) {
            buf_append_cstr(&b, ", by ");
            text_clean(&b, m[i].by);
        }
        buf_append_cstr(&b, m[i].undone ? ", rolled back" : "");
        buf_append_cstr(&b, m[i].unreachable.len ? ", out of reach: " : "");
        text_clean(&b, m[i].unreachable);
        buf_append_char(&b, '\n');
    }
    sink_flush(&c->out, &b);
    buf_fini(&b);
}

/* On stderr, so that the list alone is on stdout. */
static void tell_rest(struct cli *c, uint32_t count, uint32_t hidden) {
    bool all = cli_has(c, "all");
    if (!count && !hidden) {
        sink_printf(&c->err, "no moment has a name%s\n",
                    all ? ", and no step has completed" : "; --all lists more");
    }
    if (hidden) {
        sink_printf(&c->err, "%u %s out of reach: --all lists %s, with why\n", hidden,
                    hidden == 1 ? "checkpoint is" : "checkpoints are", hidden == 1 ? "it" : "them");
    }
}

static int list(struct session *s) {
    struct cli *c = s->cli;
    struct host_view v;
    struct error e = {0};
    struct str id;
    enum err err = session_find(s, c->arguments[0], &id);
    if (err) {
        return err_exit_code(err);
    }
    if (host_view_open(s->store, s->kinds, id, &v, &e)) {
        return cli_fail_error(c, &e, NULL);
    }
    bool every = cli_has(c, "all");
    size_t most = (size_t)engine_checkpoint_count(v.engine) + engine_track_count(v.engine) + 1;
    struct moment *all = ARENA_ARRAY(&c->arena, most, struct moment);
    uint32_t hidden = 0;
    uint32_t count = all ? add_named(v.engine, &c->arena, every, all, &hidden) : 0;
    if (all && every) {
        count += add_steps(v.engine, &c->arena, all + count);
        qsort(all, count, sizeof *all, by_seq);
    }
    if (cli_has(c, "json")) {
        put_json(c, all, count);
    } else {
        put_text(c, all, count);
        tell_rest(c, count, hidden);
    }
    host_view_close(&v);
    return all ? 0 : cli_fail(c, ERR_NOMEM, NULL, "out of memory");
}

static int run(struct cli *c) { return session_run(c, list); }

static const struct cli_option options[] = {
    {"all", 0, NULL, "also after each step that completed, and named ones out of reach, with why"},
    {"json", 0, NULL, "prints a JSON list"},
};

static const struct cli_example examples[] = {
    {"cairn checkpoints @last", "those that have a name"},
    {"cairn checkpoints @last --all",
     "the number in front is a target, too: cairn rollback ID --to 7"},
};

const struct command command_checkpoints = {
    .name = "checkpoints",
    .arguments = "ID",
    .doc = "lists the moments that a rollback can go back to",
    .details = "The number is that of an event of the execution, and a target of `cairn rollback`. "
               "What a later\nrollback went back behind is marked; going back to its number takes "
               "that rollback back. Behind a\nchange of the workflow or its inputs, and into what "
               "compensate nodes undid, no rollback goes.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
