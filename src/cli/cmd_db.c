/* cairn db: looking after a store. `check` opens it for reading, looks at everything in it and
 * changes nothing; a line per check. `hosts` is in db_hosts.c.
 *
 * The read model is checked here and not in the store, which does not know what events mean: the
 * row of an execution must be what its journal folds to.
 */
#include "cli/db_hosts.h"
#include "cli/details.h"

enum { NEWEST = 20, PAGE = 200 };

struct checking {
    struct session *s;
    uint32_t warnings, damages;
    uint32_t looked, wrong, limit;
    char first[400]; /* what was wrong first */
};

static void tell(void *ctx, const struct store_finding *f) {
    static const struct {
        const char *word;
        enum colour colour;
    } words[] = {{"ok", COLOUR_GREEN}, {"warning", COLOUR_YELLOW}, {"damaged", COLOUR_RED}};
    struct checking *k = ctx;
    struct cli *c = k->s->cli;
    struct buf b;
    k->warnings += f->health == STORE_WARNING;
    k->damages += f->health == STORE_DAMAGED;
    if (f->health == STORE_SOUND && cli_has(c, "quiet")) {
        return;
    }
    buf_init(&b, 0);
    buf_append_cstr(&b, f->check);
    text_pad(&b, 12 - (uint32_t)strlen(f->check));
    text_colour(&b, &c->out, words[f->health].colour, str_from(words[f->health].word));
    text_pad(&b, 9 - (uint32_t)strlen(words[f->health].word));
    text_clean(&b, f->text);
    if (f->command) {
        buf_printf(&b, ": cairn %s%.*s", f->command, STR_ARG(session_store_option(k->s)));
    }
    buf_append_char(&b, '\n');
    sink_flush(&c->out, &b);
    buf_fini(&b);
}

/* ---- the read model ---- */

/* The first column that differs, NULL for none. */
static const char *differs(const struct store_row *x, const struct store_row *y) {
    const struct {
        const char *name;
        bool same;
    } columns[] = {
        {"status", str_eq(x->status, y->status)},
        {"started", x->started.us == y->started.us},
        {"completed", x->completed.us == y->completed.us},
        {"deadline", x->deadline.us == y->deadline.us},
        {"total_tasks", x->total_tasks == y->total_tasks},
        {"completed_tasks", x->completed_tasks == y->completed_tasks},
        {"failed_tasks", x->failed_tasks == y->failed_tasks},
        {"skipped_tasks", x->skipped_tasks == y->skipped_tasks},
        {"waiting_tasks", x->waiting_tasks == y->waiting_tasks},
        {"error", str_eq(x->error, y->error)},
        {"result", str_eq(x->result, y->result)},
        {"usage", str_eq(x->usage, y->usage)},
    };
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        if (!columns[i].same) {
            return columns[i].name;
        }
    }
    return NULL;
}

/* Steps rows, where they are complete. */
static enum err compare_steps(struct checking *k, struct host_view *v, const char **out_what,
                              struct error *e) {
    struct store_step *stored, *folded;
    struct store_message *messages;
    uint32_t stored_count, folded_count, message_count, final = 0;
    enum err err =
        store_steps_read(k->s->store, v->stored.num, &v->arena, &stored, &stored_count, e);
    err = err ? err : host_view_rows(v, &folded, &folded_count, &messages, &message_count, e);
    if (err) {
        return err;
    }
    for (uint32_t i = 0; i < folded_count; i++) {
        if (str_is(folded[i].status, "pending") && !folded[i].attempt) {
            continue; /* a node that was never reached has no row */
        }
        bool same = final < stored_count && str_eq(stored[final].step, folded[i].step) &&
                    str_eq(stored[final].status, folded[i].status) &&
                    str_eq(stored[final].result, folded[i].result) &&
                    str_eq(stored[final].error, folded[i].error);
        *out_what = same ? *out_what : "steps";
        final++;
    }
    *out_what = final == stored_count ? *out_what : "steps";
    return OK;
}

static void look_at(struct checking *k, struct str id) {
    struct host_view v;
    struct store_row row;
    struct error e = {0};
    const char *what = NULL;
    enum err err = host_view_open(k->s->store, k->s->kinds, id, &v, &e);
    if (err == ERR_QUARANTINED) {
        return; /* its row was not made by a fold */
    }
    if (!err) {
        err = host_view_row(&v, &row, &e);
        what = err ? NULL : differs(&v.stored.row, &row);
    }
    if (!err && !what && v.stored.row.steps_upto == v.stored.last_seq) {
        err = compare_steps(k, &v, &what, &e);
    }
    k->looked++;
    if ((err || what) && !k->wrong++) {
        struct str text =
            err ? arena_printf(&k->s->cli->arena, "%.*s: %s", STR_ARG(id), e.message)
                : arena_printf(&k->s->cli->arena, "%.*s: %s is not what its journal says",
                               STR_ARG(id), what);
        size_t len = text.len < sizeof k->first - 1 ? text.len : sizeof k->first - 1;
        memcpy(k->first, text.ptr ? text.ptr : "", text.ptr ? len : 0);
    }
    if (v.plan) {
        host_view_close(&v);
    }
}

/* Page by page, each in an arena of its own. */
static enum err look_at_newest(struct checking *k, struct error *e) {
    struct str after = STR("");
    for (;;) {
        struct arena a;
        struct store_execution *rows;
        uint32_t count = 0;
        arena_init(&a, 0);
        struct store_filter f = {.limit = PAGE, .after = after};
        enum err err = store_execution_list(k->s->store, &f, &a, &rows, &count, e);
        for (uint32_t i = 0; i < count && k->looked < k->limit; i++) {
            look_at(k, rows[i].fixed.id);
        }
        bool more = !err && count == PAGE && k->looked < k->limit;
        after = more ? arena_str(&k->s->cli->arena, rows[count - 1].fixed.id) : after;
        arena_fini(&a);
        if (!more) {
            return err;
        }
    }
}

static void check_read_model(struct checking *k) {
    struct error e = {0};
    struct buf b;
    buf_init(&b, 0);
    struct store_finding f = {.check = "read model"};
    enum err err = look_at_newest(k, &e);
    if (err || k->wrong) {
        f.health = STORE_DAMAGED;
        buf_printf(&b, "%s", err ? e.message : k->first);
        if (k->wrong > 1) {
            buf_printf(&b, ", and %u more", k->wrong - 1);
        }
    } else {
        buf_printf(&b, "%u execution%s agree%s with %s", k->looked, k->looked == 1 ? "" : "s",
                   k->looked == 1 ? "s" : "", k->looked == 1 ? "its journal" : "their journals");
        buf_append_cstr(&b, k->looked < k->limit || k->limit == UINT32_MAX ? "" : ", the newest");
    }
    f.text = buf_str(&b);
    tell(k, &f);
    buf_fini(&b);
}

/* ---- the command ---- */

static int check(struct session *s) {
    struct cli *c = s->cli;
    struct checking k = {.s = s, .limit = NEWEST};
    struct error e = {0};
    enum err err = cli_exclude(c, "newest", "all", NULL);
    err = err ? err : cli_number(c, "newest", 1, UINT32_MAX - 1, &k.limit);
    if (err) {
        return err_exit_code(err);
    }
    k.limit = cli_has(c, "all") ? UINT32_MAX : k.limit;
    err = store_check(s->store, tell, &k, &e);
    if (err) {
        return cli_fail_error(c, &e, NULL);
    }
    check_read_model(&k);
    if (k.damages) {
        cli_fail(c, ERR_CORRUPT, NULL, "the store %.*s failed %u check%s; nothing was changed",
                 STR_ARG(s->url), k.damages, k.damages == 1 ? "" : "s");
    }
    return k.damages ? EXIT_STORE : 0;
}

static const struct action {
    const char *name;
    int (*run)(struct session *s);
    const char *options[2]; /* those that only this one has; NULL: no more */
} actions[] = {{"check", check, {"newest", "all"}}, {"hosts", db_hosts, {"json"}}};

/* An option that is not looked at would be taken for one that was heeded. */
static enum err check_options(struct cli *c, const struct action *chosen) {
    for (const struct action *other = actions; other < actions + ARRAY_LEN(actions); other++) {
        for (size_t i = 0; other != chosen && i < ARRAY_LEN(other->options); i++) {
            if (other->options[i] && cli_has(c, other->options[i])) {
                cli_fail(c, ERR_USAGE, "`cairn db --help` shows what there is",
                         "`cairn db %s` has no option --%s, `cairn db %s` has", chosen->name,
                         other->options[i], other->name);
                return ERR_USAGE;
            }
        }
    }
    return OK;
}

static int run(struct cli *c) {
    struct session s;
    const struct action *chosen = NULL;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        chosen = strcmp(c->arguments[0], actions[i].name) == 0 ? &actions[i] : chosen;
    }
    if (!chosen) {
        return cli_fail(c, ERR_USAGE,
                        "`cairn db check` looks for damage, `cairn db hosts` shows who runs what",
                        "there is no `cairn db %.60s`", c->arguments[0]);
    }
    if (check_options(c, chosen)) {
        return err_exit_code(ERR_USAGE);
    }
    enum err err = session_open(&s, c, false);
    int status = err ? err_exit_code(err) : 0;
    if (!err && !s.store) {
        status = session_no_store(&s);
    } else if (!err) {
        status = chosen->run(&s);
    }
    session_close(&s);
    return status;
}

static const struct cli_option options[] = {
    {"newest", 0, "N", "check: folds the journals of the N newest executions (20)"},
    {"all", 0, NULL, "check: folds those of all executions"},
    {"json", 0, NULL, "hosts: prints {items, removed} as JSON"},
    {"quiet", 'q', NULL,
     "check: only what is not in order; hosts: only removes those that are gone"},
};

static const struct cli_example examples[] = {
    {"cairn db check", "is the store in order?"},
    {"cairn db check --all --store backup.db", "a backup, every execution of it"},
    {"cairn db hosts", "which processes run executions"},
};

const struct command command_db = {
    .name = "db",
    .arguments = "check|hosts",
    .doc = "looks for damage in a store, or at the processes that run executions",
    .details =
        "`check` changes nothing. `hosts` lists the processes, and removes the rows of "
        "those that are\ngone. Exit status: 0 no damage (warnings are allowed), 4 damage, or "
        "no store.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
