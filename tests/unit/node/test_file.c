/* file: each operation on real files in the world's folder, what it refuses, and locks. */
#include "harness.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "io/place.h"

static const char *path_of(struct world *w, const char *name) {
    return arena_printf(&w->arena, "%s/%s", w->folder, name).ptr;
}

static void open_node(struct world *w, const char *fields, const char *x) {
    char text[1000];
    int len = snprintf(text, sizeof text,
                       "cairn: 1\ninputs: {x: {}}\nnodes:\n  f: {type: file, %s}\n", fields);
    assert_in_range(len, 1, sizeof text - 1);
    world_open(w, text, NULL);
    w->names = world_value(w, arena_printf(&w->arena, "{\"inputs\": {\"x\": %s}}", x).ptr);
}

static void put(struct world *w, const char *name, struct str text) {
    assert_int_equal(io_file_write(path_of(w, name), text, 0644, true, NULL), OK);
}

static struct str content(struct world *w, const char *name) {
    struct str text = STR("(none)");
    (void)!io_file_read(path_of(w, name), 1 << 20, &w->arena, &text, NULL);
    return text;
}

static void check_read(const char *fields, struct str before, const char *expected) {
    struct world w;
    struct attempt a;
    open_node(&w, fields, "1");
    put(&w, "in.file", before);
    attempt_init(&a, &w, "f");
    attempt_run(&a);
    const char *got = a.done ? world_json(&w, a.result.body) : a.failure.message.ptr;
    if (strcmp(got, expected) != 0) {
        fail_msg("%s: %s", fields, got);
    }
    world_close(&w);
}

static void reading(void **state) {
    (void)state;
#define READ "operation: read, path: in.file, "
    check_read(READ "format: text", STR("x\n"), "\"x\\n\"");
    check_read(READ "format: text", STR(""), "\"\"");
    check_read(READ "lines: true", STR("x\ny"), "[\"x\",\"y\"]");
    check_read(READ "lines: 2", STR("x\ny"), "[\"y\"]");
    check_read(READ "lines: \"{{ inputs.x }}-2\"", STR("x\ny\nz"), "[\"x\",\"y\"]");
    check_read(READ "lines: \"{{ inputs.x }}-0\"", STR("x"),
               "lines must be true, or like 10-20, 10- or 7");
    check_read(READ "format: json, keys: a.b", STR("{\"a\":{\"b\":3}}"), "3");
    check_read(READ "format: json, keys: [a, \"a.{{ 'b' }}\"]", STR("{\"a\":{\"b\":3}}"),
               "{\"a\":{\"b\":3},\"a.b\":3}");
    check_read(READ "format: csv, keys: 0.n", STR("n\n7\n"), "\"7\"");
    check_read(READ "format: yaml", STR("a: 1\n"), "{\"a\":1}");
    check_read(READ "format: json", STR(""), "in.file: line 1, column 1: JSON: the text is empty");
    check_read(READ "format: bytes", STR("\xFF"), "\"/w==\"");
    check_read(READ "format: text", STR("\xFF"),
               "in.file: the file is not text in UTF-8 (format: bytes reads any)");
}

struct change {
    const char *fields; /* beside path */
    const char *x;
    const char *before; /* NULL: no file */
    const char *after;  /* or the message of the failure */
};

static void check_change(const struct change *c) {
    struct world w;
    struct attempt a;
    char fields[500];
    snprintf(fields, sizeof fields, "path: d/out, %s", c->fields);
    open_node(&w, fields, c->x);
    if (c->before) {
        put(&w, "d/out", str_from(c->before));
    }
    attempt_init(&a, &w, "f");
    attempt_run(&a);
    struct str got = a.done ? content(&w, "d/out") : a.failure.message;
    if (!str_is(got, c->after)) {
        fail_msg("%s: %.*s", c->fields, STR_ARG(got));
    }
    if (a.done) {
        assert_str(value_str(a.result.body), "d/out");
        assert_str(value_str(*value_get(a.result.meta, STR("path"))), path_of(&w, "d/out"));
    }
    world_close(&w);
}

static void writing(void **state) {
    (void)state;
    static const struct change rows[] = {
        {"operation: write, value: inputs.x", "\"a\\nb\"", "old", "a\nb"},
        {"operation: write, value: inputs.x", "{\"a\":1}", NULL, "{\"a\":1}"},
        {"operation: write, format: json, value: inputs.x", "{\"a\":[1]}", NULL,
         "{\n  \"a\": [\n    1\n  ]\n}\n"},
        {"operation: write, format: yaml, value: {k: inputs.x}", "[1,\"two words\"]", NULL,
         "k:\n  - 1\n  - \"two words\"\n"},
        {"operation: write, format: csv, value: inputs.x", "[{\"a\":1,\"b\":\"x,y\"}]", NULL,
         "a,b\r\n1,\"x,y\"\r\n"},
        {"operation: write, format: jsonl, value: inputs.x", "[1,{\"a\":2}]", NULL,
         "1\n{\"a\":2}\n"},
        {"operation: write, format: csv, value: inputs.x", "3", "old",
         "a table is a list of maps, not int"},
        {"operation: append, value: inputs.x", "\"b\"", "a", "ab"},
        {"operation: append, value: inputs.x", "\"b\"", NULL, "b"},
        {"operation: append, format: jsonl, value: inputs.x", "{\"n\":2}", "{\"n\":1}",
         "{\"n\":1}\n{\"n\":2}\n"},
        {"operation: append, format: csv, value: inputs.x", "[{\"b\":2},{\"a\":3}]", "a,b\n0,1",
         "a,b\n0,1\n,2\n3,\n"},
        {"operation: append, format: csv, value: inputs.x", "{\"a\":1}", "a\r\n0\r\n",
         "a\r\n0\r\n1\r\n"},
        {"operation: append, format: csv, value: inputs.x", "{\"a\":1}", NULL, "a\r\n1\r\n"},
        {"operation: append, format: csv, value: inputs.x", "{\"a\":1}", "\n", "\na\r\n1\r\n"},
        {"operation: append, format: csv, value: inputs.x", "{\"c\":1}", "a,b\n",
         "the table has no column \"c\""},
        {"operation: update, format: json, value: {b: inputs.x}", "2", "{\"a\": 1}",
         "{\n  \"a\": 1,\n  \"b\": 2\n}\n"},
        {"operation: update, format: yaml, keys: a.b, value: inputs.x", "true", NULL,
         "a:\n  b: true\n"},
        {"operation: update, format: yaml, keys: a.b, value: inputs.x", "3",
         "# note\na: {b: 1, c: 2}", "a:\n  b: 3\n  c: 2\n"},
        {"operation: update, format: json, keys: a, value: inputs.x", "3", " \n",
         "{\n  \"a\": 3\n}\n"},
        {"operation: update, format: json, keys: a, value: inputs.x", "3", "{",
         "d/out: line 1, column 1: JSON: string or '}' expected near end of file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_change(&rows[i]);
    }
}

static void check_refused(const char *fields, const char *part) {
    struct world w;
    open_node(&w, fields, "1");
    world_refused(&w, part);
    world_close(&w);
}

static void what_cannot_be_is_found_when_compiled(void **state) {
    (void)state;
    check_refused("operation: copy, path: a", "operation");
    check_refused("operation: read, path: a, value: 1", "a read has no value");
    check_refused("operation: write, path: a", "write needs the key \"value\"");
    check_refused("operation: append, path: a, value: 1, keys: x",
                  "\"keys\" is only for read and update");
    check_refused("operation: write, path: a, value: 1, lines: true", "\"lines\" is only for read");
    check_refused("operation: update, path: a.csv, value: 1",
                  "update does not work with the format csv, only with json and yaml");
    check_refused("operation: update, path: a, value: 1", "format text");
    check_refused(
        "operation: append, path: a.json, value: 1",
        "append does not work with the format json, only with jsonl, csv, text and bytes");
    check_refused("operation: append, path: \"{{ inputs.x }}\", format: yaml, value: 1",
                  "append does not work with the format yaml");
    check_refused("operation: read, path: a, lines: 0", "lines must be true, or like 10-20");
    check_refused("operation: read, path: a, lines: true, format: csv", "only for the format text");
    check_refused("operation: read, path: a, lines: true, keys: x", "exclude each other");
}

static void check_failure(const char *fields, const char *x, const char *type, const char *part) {
    struct world w;
    struct attempt a;
    open_node(&w, fields, x);
    assert_int_equal(mkfifo(path_of(&w, "pipe"), 0600), 0);
    assert_int_equal(symlink("/etc", path_of(&w, "away")), 0);
    attempt_init(&a, &w, "f");
    a.in.max_output_bytes = 10;
    put(&w, "big", STR("12345678901"));
    attempt_run(&a);
    if (a.done || !str_is(a.failure.type, type) || !strstr(a.failure.message.ptr, part)) {
        fail_msg("%s: %.*s", fields, STR_ARG(a.failure.message));
    }
    world_close(&w);
}

static void bad_paths_fail_the_step(void **state) {
    (void)state;
#define AT_X "path: \"{{ inputs.x }}\", format: text, "
    check_failure(AT_X "operation: read", "\"../x\"", "denied", "CAIRN_ALLOW_PATHS");
    check_failure(AT_X "operation: read", "\"/etc/passwd\"", "denied", "outside");
    check_failure(AT_X "operation: read", "\"away/passwd\"", "denied", "leads out");
    check_failure(AT_X "operation: append, value: '\"x\"'", "\"away/new\"", "denied", "leads out");
    check_failure(AT_X "operation: read", "\"a\\u0000b\"", "invalid", "NUL");
    check_failure(AT_X "operation: read", "\"pipe\"", "invalid", "no ordinary file");
    check_failure(AT_X "operation: write, value: '\"x\"'", "\"pipe\"", "invalid", "no ordinary");
    check_failure(AT_X "operation: append, value: '\"x\"'", "\"pipe\"", "invalid", "no ordinary");
    check_failure(AT_X "operation: read", "\"\"", "invalid", "empty");
    check_failure(AT_X "operation: read", "\"none\"", "not_found", "cannot read none");
    check_failure(AT_X "operation: read", "\"big\"", "too_large", "larger than 10 bytes");
    check_failure("path: \"{{ inputs.x }}\", operation: update, value: '{}'", "\"a.txt\"",
                  "invalid", "update does not work with the format text");
}

static void folders_that_the_process_allows_may_be_used(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    char other[200];
    assert_int_equal(io_dir_temp(NULL, other, sizeof other, NULL), OK);
    const char *const allowed[] = {other, NULL};
    open_node(&w, "operation: write, path: \"{{ inputs.x }}/a/b\", value: '\"t\"'", "1");
    w.names = world_value(&w, arena_printf(&w.arena, "{\"inputs\":{\"x\":\"%s\"}}", other).ptr);
    attempt_init(&a, &w, "f");
    a.port.allow_paths = allowed;
    attempt_run(&a);
    assert_true(a.done);
    assert_true(io_path_exists(arena_printf(&w.arena, "%s/a/b", other).ptr));
    assert_int_equal(io_dir_remove(other, NULL), OK);
    world_close(&w);
}

static void hold_lock(struct world *w, struct io_place *out) {
    struct io_bounds bounds = {.folder = w->folder};
    assert_int_equal(io_place_open(&bounds, STR("out"), out, NULL), OK);
    assert_int_equal(io_place_lock(out, NULL), OK);
}

static void writers_wait_for_the_lock_and_readers_do_not(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    struct io_place other;
    open_node(&w, "operation: write, path: out, value: '\"new\"'", "1");
    put(&w, "out", STR("old"));
    hold_lock(&w, &other);
    attempt_init(&a, &w, "f");
    attempt_start(&a);
    for (int i = 0; i < 4; i++) {
        io_loop_turn(w.loop, true); /* each is one try */
    }
    assert_int_equal(a.answers, 0);
    assert_str(content(&w, "out"), "old");
    io_place_close(&other);
    attempt_finish(&a);
    assert_true(a.done);
    assert_str(content(&w, "out"), "new");
    world_close(&w);

    open_node(&w, "operation: read, path: out", "1");
    put(&w, "out", STR("old"));
    hold_lock(&w, &other);
    attempt_init(&a, &w, "f");
    attempt_run(&a);
    assert_true(a.done);
    io_place_close(&other);
    world_close(&w);
}

static void a_cancelled_wait_for_the_lock_ends(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    struct io_place other;
    open_node(&w, "operation: write, path: out, value: '\"new\"'", "1");
    hold_lock(&w, &other);
    attempt_init(&a, &w, "f");
    attempt_start(&a);
    io_loop_turn(w.loop, true);
    attempt_cancel(&a);
    attempt_finish(&a);
    assert_false(a.done);
    assert_str(a.failure.type, "cancelled");
    assert_str(content(&w, "out"), "(none)");
    io_place_close(&other);
    world_close(&w);
}

int file_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(writing),
        cmocka_unit_test(what_cannot_be_is_found_when_compiled),
        cmocka_unit_test(bad_paths_fail_the_step),
        cmocka_unit_test(folders_that_the_process_allows_may_be_used),
        cmocka_unit_test(writers_wait_for_the_lock_and_readers_do_not),
        cmocka_unit_test(a_cancelled_wait_for_the_lock_ends),
    };
    return cmocka_run_group_tests_name("node file", tests, NULL, NULL);
}
