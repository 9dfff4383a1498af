/* Golden journals: stores written by every release, in tests/golden/vN. Each is copied, opened,
 * compiled from what it holds and folded, and must come to what expected.json says; an execution
 * that was left in the middle is gone on with by this binary. If a test here fails, the code is
 * wrong, never the golden file.
 */
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "format.h"
#include "groups.h"
#include "io/file.h"
#include "kinds.h"

/* ---- a store as text ---- */

static void add(struct value_builder *b, const char *name, struct value v) {
    value_map_add(b, str_from(name), v);
}

static void add_text(struct value_builder *b, const char *name, struct str s) {
    if (s.len) {
        value_map_add(b, str_from(name), value_text(s));
    }
}

/* Canonical text, so that types that JSON does not have are told apart; large ones by a hash. */
static struct value canonical(struct arena *a, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_canonical(v, &b);
    struct str text = buf_str(&b);
    text = text.len <= 2000 ? arena_str(a, text)
                            : arena_printf(a, "%zu bytes, hash %016llx", text.len,
                                           (unsigned long long)hash_bytes(text, 0));
    buf_fini(&b);
    return value_text(text);
}

static struct value step_value(struct arena *a, const struct track *t) {
    struct value_builder b;
    char text[STEP_ID_BYTES];
    value_builder_init(&b, a);
    struct str id = step_id_print(t->plan, t->step, text);
    add_text(&b, "step", arena_str(a, id));
    add_text(&b, "status", str_from(step_status_name(t->status)));
    add(&b, "attempt", value_int(t->attempt));
    add_text(&b, "handle", t->handle);
    add(&b, "body", canonical(a, t->body));
    add(&b, "meta", canonical(a, t->meta));
    add(&b, "content", value_int(t->content));
    add_text(&b, "error", t->more->error_type);
    add_text(&b, "message", t->more->error_message);
    add(&b, "scheduled_us", value_int(t->scheduled.us));
    add(&b, "started_us", value_int(t->started.us));
    add(&b, "ended_us", value_int(t->ended.us));
    return value_map_done(&b);
}

static enum err get_blob(void *ctx, struct str hash, struct arena *a, struct str *out,
                         struct error *e) {
    return store_blob_get(ctx, hash, a, out, e);
}

/* The document must list what is found. */
static void note_field(const struct format *doc, unsigned event, const char *field) {
    bool listed = !doc || format_allows(doc, event, field);
    if (!listed) {
        fprintf(stderr, "docs/FORMAT.md: %s may have %s\n", event_name(event), field);
    }
    ASSERT(listed);
}

/* "execution_created" ..., and what was met; fields must be those that docs/FORMAT.md lists. */
static struct value journal_value(struct arena *a, struct store *s, const struct store_execution *x,
                                  struct coverage *seen) {
    struct store_range all = {x->num, 0, x->last_seq};
    struct store_event *rows = NULL;
    struct value_builder b;
    struct format doc;
    struct error e;
    uint32_t count = 0;
    bool documented = format_read(&doc);
    value_builder_init(&b, a);
    ASSERT(store_read_events(s, all, a, &rows, &count, &e) == OK);
    for (uint32_t i = 0; i < count; i++) {
        struct event ev = {.kind = (enum event_kind)rows[i].kind};
        struct event_fetch fetch = {s, get_blob};
        ASSERT(event_decode(rows[i].body, &fetch, a, &ev, &e) == OK);
        seen->events[rows[i].kind] = true;
#define EVENT_FIELD(number, id, type, doc_text)                  \
    if (event_has(&ev, number)) {                                \
        seen->fields[number] = true;                             \
        note_field(documented ? &doc : NULL, rows[i].kind, #id); \
    }
#include "engine/events.def"
#undef EVENT_FIELD
        const char *name = event_name(rows[i].kind);
        value_list_add(&b, value_text(arena_printf(a, "%s%s%.*s", name, rows[i].step.len ? " " : "",
                                                   STR_ARG(rows[i].step))));
    }
    format_free(&doc);
    return value_list_done(&b);
}

static struct value execution_value(struct store *s, struct str id, struct arena *a,
                                    struct coverage *seen) {
    struct host_view v;
    struct error e;
    struct value_builder b, steps;
    if (host_view_open(s, golden_kinds, id, &v, &e)) {
        fail_msg("execution %.*s: %s", STR_ARG(id), e.message);
    }
    const struct engine_error *why = engine_error(v.engine);
    value_builder_init(&b, a);
    value_builder_init(&steps, a);
    add_text(&b, "id", id);
    add_text(&b, "workflow", arena_str(a, v.stored.fixed.workflow));
    add_text(&b, "hash", arena_str(a, v.stored.fixed.workflow_hash));
    add_text(&b, "status", str_from(exec_status_name(engine_status(v.engine))));
    add(&b, "result", canonical(a, engine_result(v.engine)));
    add_text(&b, "error", why ? arena_str(a, why->type) : STR(""));
    add_text(&b, "message", why ? arena_str(a, why->message) : STR(""));
    add_text(&b, "node", why ? arena_str(a, why->node) : STR(""));
    add(&b, "calls", value_int(engine_call_count(v.engine)));
    for (uint32_t i = 0; i < engine_track_count(v.engine); i++) {
        struct value step, kept = {0};
        step = step_value(a, engine_track(v.engine, i));
        ASSERT(value_copy(a, step, &kept));
        value_list_add(&steps, kept);
    }
    add(&b, "journal", journal_value(a, s, &v.stored, seen));
    add(&b, "steps", value_list_done(&steps));
    host_view_close(&v);
    return value_map_done(&b);
}

void golden_print(struct store *s, struct buf *out, struct coverage *seen) {
    struct store_filter f = {.limit = 1000};
    struct store_execution *rows;
    struct value_builder b;
    struct arena a;
    struct error e;
    uint32_t count = 0;
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    ASSERT(store_execution_list(s, &f, &a, &rows, &count, &e) == OK);
    for (uint32_t i = count; i > 0; i--) {
        value_list_add(&b, execution_value(s, rows[i - 1].fixed.id, &a, seen));
    }
    value_print_json(value_list_done(&b), 2, out);
    buf_append_char(out, '\n');
    arena_fini(&a);
}

/* ---- the tests ---- */

static char folder[64], path[100];

static void copy_store(const char *from) {
    struct arena a;
    struct str bytes;
    struct error e;
    snprintf(folder, sizeof folder, "/tmp/cairn-golden-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/cairn.db", folder);
    arena_init(&a, 0);
    assert_int_equal(io_file_read(from, 64u << 20, &a, &bytes, &e), OK);
    assert_int_equal(io_file_write(path, bytes, 0600, false, &e), OK);
    arena_fini(&a);
}

static void remove_copy(void) {
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char name[120];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void check_folds(struct store *s, const char *expected_path) {
    struct arena a;
    struct str expected;
    struct buf got;
    struct error e;
    struct coverage seen = {0};
    arena_init(&a, 0);
    buf_init(&got, 0);
    assert_int_equal(io_file_read(expected_path, 64u << 20, &a, &expected, &e), OK);
    golden_print(s, &got, &seen);
    struct str have = buf_str(&got), want = expected;
    for (unsigned line = 1; have.len || want.len; line++) {
        struct str mine = str_split(have, '\n', &have), theirs = str_split(want, '\n', &want);
        if (!str_eq(mine, theirs)) {
            fail_msg("%s:%u: folded to\n%.*s\nwhere it says\n%.*s", expected_path, line,
                     STR_ARG(mine), STR_ARG(theirs));
        }
    }
    buf_fini(&got);
    arena_fini(&a);
}

/* What was left in the middle goes on, and comes to what it would have come to then. */
static void check_going_on(struct store *s) {
    struct golden_world w;
    struct store_filter f = {.limit = 1, .workflow = STR("left")};
    struct store_execution *rows;
    struct arena a;
    struct error e;
    struct run *r;
    uint32_t count = 0;
    arena_init(&a, 0);
    assert_int_equal(store_execution_list(s, &f, &a, &rows, &count, &e), OK);
    assert_int_equal(count, 1);
    assert_false(exec_status_final(EXEC_RUNNING));
    assert_string_equal(rows[0].row.status.ptr, "running");
    golden_world_open(&w, s);
    assert_int_equal(host_resume(w.host, rows[0].fixed.id, &r, &e), OK);
    golden_act(&w);
    assert_int_equal(w.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(w.ports[i]->in->attempt, 2);
        w.cancelled[i] = true; /* they end */
    }
    golden_act(&w);
    assert_string_equal(exec_status_name(run_status(r)), "completed");
    assert_string_equal(run_result_json(r).ptr, "[[2,4,6],2]");
    golden_world_close(&w);
    arena_fini(&a);
}

static void every_release_is_read(void **state) {
    unsigned found = 0;
    (void)state;
    for (unsigned version = 1;; version++) {
        char from[100], expected[100];
        struct store *s;
        struct error e;
        snprintf(from, sizeof from, "tests/golden/v%u/cairn.db", version);
        snprintf(expected, sizeof expected, "tests/golden/v%u/expected.json", version);
        if (access(from, R_OK) != 0) {
            break;
        }
        copy_store(from);
        if (store_open(path, false, &golden_clock, &s, &e)) {
            fail_msg("%s: %s", from, e.message);
        }
        check_folds(s, expected);
        check_going_on(s);
        store_close(s);
        remove_copy();
        found++;
    }
    if (!found) {
        print_message("tests/golden is not here\n");
        skip();
    }
}

int run_golden_tests(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_release_is_read)};
    return cmocka_run_group_tests_name("journal golden", tests, NULL, NULL);
}
