/* What holds for every row of kinds.def: a complete descriptor, an example that compiles and runs,
 * and the rules of ports: done or fail exactly once, never from inside start, cancelled or not.
 */
#include <stdio.h>

#include "harness.h"
#include "support/http_server.h"

static bool one_line(const char *text) {
    size_t len = text ? strlen(text) : 0;
    return len > 0 && !strchr(text, '\n') && text[len - 1] != '.' && text[0] != ' ';
}

static bool is_common(const char *name) {
    size_t count;
    const struct common_field *common = flow_common_fields(&count);
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(common[i].name, name)) {
            return true;
        }
    }
    return false;
}

static const struct field *field_named(const struct node_kind *k, const char *name) {
    for (size_t i = 0; i < k->field_count; i++) {
        if (!strcmp(k->fields[i].name, name)) {
            return &k->fields[i];
        }
    }
    return NULL;
}

static size_t group_size(const struct node_kind *k, const char *group) {
    size_t count = 0;
    for (size_t i = 0; i < k->field_count; i++) {
        count += k->fields[i].one_of && !strcmp(k->fields[i].one_of, group);
    }
    return count;
}

static void check_field(const struct node_kind *k, const struct field *f) {
    bool ok =
        str_is_name(str_from(f->name)) && !is_common(f->name) && one_line(f->doc) &&
        field_named(k, f->name) == f && (!f->first_for || field_named(k, f->first_for)) &&
        (!f->needs || field_named(k, f->needs)) && (!f->one_of || group_size(k, f->one_of) > 1) &&
        !(f->one_of && f->required) &&
        (!f->choices || (f->type == FIELD_LITERAL && f->literal == LITERAL_TEXT)) &&
        (!f->secret_ok || (k->start && (f->type == FIELD_TEMPLATE || f->type == FIELD_STRUCTURE)));
    if (!ok) {
        fail_msg("kind %s: field %s is not described well", k->name, f->name);
    }
}

static void descriptors_are_complete(void **state) {
    (void)state;
    struct kind_table t = node_kinds();
    assert_true(t.count > 0);
    for (size_t i = 0; i < t.count; i++) {
        const struct node_kind *k = t.kinds[i];
        assert_true(str_is_name(str_from(k->name)));
        assert_ptr_equal(kind_find(&t, str_from(k->name)), k);
        for (size_t n = 0; k->aliases && k->aliases[n]; n++) {
            assert_ptr_equal(kind_find(&t, str_from(k->aliases[n])), k);
        }
        if (!one_line(k->doc) || !one_line(k->body_doc) || !k->example) {
            fail_msg("kind %s: doc, body_doc or example is missing or odd", k->name);
        }
        bool pure = k->flags & KIND_PURE;
        bool waits = k->wait != NULL;
        assert_true(pure ? k->eval != NULL : waits != (k->start != NULL) && k->eval == NULL);
        assert_true(waits == (k->woken != NULL) && (!waits || (k->flags & KIND_NO_SLOT)));
        assert_true(!k->cancel || k->start);
        for (size_t f = 0; f < k->field_count; f++) {
            check_field(k, &k->fields[f]);
        }
    }
}

/* The example of a kind as node "subject" of a workflow that has what examples refer to. */
static const char *workflow_of(const struct node_kind *k, char *out, size_t size) {
    struct buf b;
    buf_init(&b, size);
    buf_append_cstr(&b, "cairn: 1\n"
                        "inputs:\n"
                        "  topic: {type: string, default: rivers}\n"
                        "  api: {type: string, default: 'http://127.0.0.1:1'}\n"
                        "agents:\n"
                        "  writer: {service: offline, replies: [A river runs.]}\n"
                        "nodes:\n"
                        "  subject:\n    ");
    for (const char *c = k->example; *c; c++) {
        buf_append_char(&b, *c);
        if (*c == '\n' && c[1]) {
            buf_append_cstr(&b, "    ");
        }
    }
    assert_true(buf_ok(&b) && b.len < size);
    memcpy(out, b.ptr, b.len);
    out[b.len] = '\0';
    buf_fini(&b);
    return out;
}

/* What examples that send requests ask. */
static struct http_server server;

static void answer(struct http_server *s, struct connection *c, const struct asked *a) {
    (void)s;
    (void)a;
    http_server_answer(c, "200 OK", "Content-Type: application/json\r\n", STR("[]"));
}

static const struct world_file example_files[] = {{"providers/tickets.yaml",
                                                   "base_url: \"{{ config.api }}\"\n"
                                                   "operations: {list: {path: /tickets}}\n"},
                                                  {NULL, NULL}};

static void open_example(struct world *w, struct attempt *a, const struct node_kind *k) {
    char text[8000];
    world_open(w, workflow_of(k, text, sizeof text), example_files);
    if (!w->plan || w->diag.count) {
        fail_msg("example of %s:\n%s\n%s", k->name, text, world_findings(w));
    }
    char names[200];
    http_server_open(&server, w->loop, answer);
    snprintf(names, sizeof names,
             "{\"inputs\": {\"topic\": \"rivers\", \"api\": \"http://127.0.0.1:%u\"}}",
             server.port);
    w->names = world_value(w, names);
    attempt_init(a, w, "subject");
}

static void close_example(struct world *w) {
    http_server_close(&server);
    world_close(w);
}

/* A kind that waits says the same twice, and is woken by its time. */
static void wait_out(struct attempt *a, struct world *w) {
    const wall_us now = {1700000000000000};
    struct step_wait first = {.arena = &w->arena}, second = {.arena = &w->arena};
    struct step_wake due = {.answered = false};
    struct error e = {0};
    assert_int_equal(a->kind->wait(&a->in, now, &first, &e), OK);
    assert_int_equal(a->kind->wait(&a->in, now, &second, &e), OK);
    assert_int_equal(first.due.us, second.due.us);
    assert_true(first.due.us > now.us && value_identical(first.request, second.request));
    assert_non_null(value_get(first.request, STR("for")));
    a->result = (struct step_result){.arena = &w->arena};
    assert_int_equal(a->kind->woken(&a->in, &due, &a->result, &e), OK);
}

static void examples_compile_and_run(void **state) {
    (void)state;
    struct kind_table t = node_kinds();
    for (size_t i = 0; i < t.count; i++) {
        struct world w;
        struct attempt a;
        struct error e = {0};
        open_example(&w, &a, t.kinds[i]);
        if (a.in.node->pure) {
            assert_int_equal(attempt_eval(&a, &e), OK);
        } else if (a.kind->wait) {
            wait_out(&a, &w);
        } else {
            attempt_run(&a);
            if (!a.done) {
                fail_msg("example of %s: %.*s", t.kinds[i]->name, STR_ARG(a.failure.message));
            }
        }
        close_example(&w);
    }
}

/* Cancelled after so many turns of the loop, an attempt still ends, once. */
static void cancelled_attempts_end_once(void **state) {
    (void)state;
    struct kind_table t = node_kinds();
    for (size_t i = 0; i < t.count; i++) {
        for (int turns = 0; turns < 5; turns++) {
            struct world w;
            struct attempt a;
            open_example(&w, &a, t.kinds[i]);
            if (!a.in.node->pure && !a.kind->wait) {
                attempt_start(&a);
                for (int n = 0; n < turns; n++) {
                    io_loop_turn(w.loop, false);
                }
                attempt_cancel(&a);
                attempt_finish(&a);
            }
            close_example(&w);
        }
    }
}

/* A pure kind gives the same for the same, so that replaying gives what was recorded. */
static void pure_kinds_repeat_themselves(void **state) {
    (void)state;
    struct kind_table t = node_kinds();
    for (size_t i = 0; i < t.count; i++) {
        struct world w;
        struct attempt a;
        struct error e = {0};
        open_example(&w, &a, t.kinds[i]);
        if (a.in.node->pure) {
            assert_int_equal(attempt_eval(&a, &e), OK);
            struct step_result first = a.result;
            assert_int_equal(attempt_eval(&a, &e), OK);
            assert_true(value_identical(first.body, a.result.body));
            assert_true(str_eq(first.handle, a.result.handle));
        }
        close_example(&w);
    }
}

int every_kind_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_complete),
        cmocka_unit_test(examples_compile_and_run),
        cmocka_unit_test(cancelled_attempts_end_once),
        cmocka_unit_test(pure_kinds_repeat_themselves),
    };
    return cmocka_run_group_tests_name("node every kind", tests, NULL, NULL);
}
