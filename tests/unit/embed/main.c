/* include/cairn.h as a program uses it: nothing but that header, a store in a folder of its own,
 * and kinds of node that the program registers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <cairn.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct cairn *c;
static char folder[64], store[80], why[CAIRN_ERROR_BYTES];

/* What the kinds were given. */
static uint32_t starts;
static char seen[2000];              /* "attempt key with\n" of every start */
static struct cairn_step *kept[100]; /* steps of kind `keep`, in order of their starts */
static uint32_t kept_count;

static void note(struct cairn_step *s) {
    size_t used = strlen(seen);
    const char *key = cairn_step_key(s);
    const char *slash = strchr(key, '/');
    starts++;
    snprintf(seen + used, sizeof seen - used, "%u %s %s\n", cairn_step_attempt(s),
             slash ? slash + 1 : key, cairn_step_with(s));
}

static void start_echo(struct cairn_step *s, void *ctx) {
    assert_ptr_equal(ctx, folder);
    note(s);
    cairn_step_done(s, cairn_step_with(s));
}

static void start_keep(struct cairn_step *s, void *ctx) {
    (void)ctx;
    note(s);
    assert_true(kept_count < 100);
    kept[kept_count++] = s;
}

/* Fails twice, then ends well. */
static void start_flaky(struct cairn_step *s, void *ctx) {
    (void)ctx;
    note(s);
    if (cairn_step_attempt(s) < 3) {
        cairn_step_fail(s, "flaky", "not yet", 1);
    } else {
        cairn_step_done(s, "\"at last\"");
    }
}

static void start_broken(struct cairn_step *s, void *ctx) {
    (void)ctx;
    note(s);
    cairn_step_fail(s, "broken", "for good", 0);
}

static void start_garbage(struct cairn_step *s, void *ctx) {
    (void)ctx;
    cairn_step_done(s, "{\"never\": closed");
}

/* Ends the step that was kept first, then itself. */
static void start_opener(struct cairn_step *s, void *ctx) {
    (void)ctx;
    cairn_step_done(kept[0], "[1, 2.0, null]");
    cairn_step_done(s, NULL);
}

static void open_cairn(void) {
    const struct cairn_kind kinds[] = {
        {.name = "echo", .doc = "gives what it got", .start = start_echo, .ctx = folder},
        {.name = "keep", .doc = "the test ends it", .start = start_keep},
        {.name = "flaky", .doc = "fails at first", .start = start_flaky},
        {.name = "broken", .doc = "fails", .start = start_broken},
        {.name = "garbage", .doc = "no JSON", .start = start_garbage},
        {.name = "opener", .doc = "ends another", .start = start_opener},
    };
    if (cairn_open(store, &c, why)) {
        fail_msg("%s", why);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_int_equal(cairn_register(c, &kinds[i], why), 0);
    }
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/cairn-embed-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(store, sizeof store, "%s/flows.db", folder);
    starts = kept_count = 0;
    seen[0] = '\0';
    open_cairn();
    return 0;
}

static int tear_down(void **state) {
    static const char *const files[] = {"flows.db",      "flows.db-wal",   "flows.db-shm",
                                        "flows.db-lock", "flows.db-inbox", "hello.yaml"};
    (void)state;
    cairn_close(c);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static struct cairn_workflow *load(const char *text) {
    struct cairn_workflow *w = NULL;
    if (cairn_load_text(c, text, "flow.yaml", &w, why)) {
        fail_msg("%s", why);
    }
    return w;
}

static struct cairn_execution *submit(const char *text, const char *inputs) {
    struct cairn_execution *x = NULL;
    if (cairn_submit(c, load(text), inputs, &x, why)) {
        fail_msg("%s", why);
    }
    return x;
}

static void run(void) {
    if (cairn_run(c, why)) {
        fail_msg("%s", why);
    }
}

/* ---- the header's example ---- */

static void the_example_of_the_header(void **state) {
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/hello.yaml", folder);
    FILE *f = fopen(path, "w");
    fputs("cairn: 1\nnodes:\n  e: {type: end, value: \"'hello'\"}\n", f);
    fclose(f);
    struct cairn_workflow *w;
    struct cairn_execution *x;
    if (cairn_load(c, path, &w, why) == 0 && cairn_submit(c, w, NULL, &x, why) == 0 &&
        cairn_run(c, why) == 0) {
        assert_string_equal(cairn_result(x), "\"hello\"");
        assert_string_equal(cairn_status(x), "completed");
        assert_string_equal(cairn_error(x), "");
        return;
    }
    fail_msg("%s", why);
}

/* ---- the network ---- */

/* Port 1 of this machine, where nobody listens: what is said tells whether it was tried. */
static const char *error_of_a_request(void) {
    struct cairn_execution *x = submit("{cairn: 1, nodes: {a: {type: http, url: "
                                       "\"http://127.0.0.1:1/\"}}}",
                                       NULL);
    run();
    return cairn_error(x);
}

static void private_networks_are_denied(void **state) {
    (void)state;
    const char *error = error_of_a_request();
    assert_non_null(strstr(error, "\"denied\""));
    assert_non_null(strstr(error, "127.0.0.1, a loopback address; the program allows it by "
                                  "cairn_allow_host"));
}

static void private_networks_can_be_allowed(void **state) {
    (void)state;
    cairn_allow_local(c);
    assert_non_null(strstr(error_of_a_request(), "\"network\""));
}

static void hosts_can_be_allowed(void **state) {
    (void)state;
    assert_int_equal(cairn_allow_host(c, "example.com", why), 0);
    assert_int_equal(cairn_allow_host(c, "127.0.0.1:1", why), 0);
    assert_non_null(strstr(error_of_a_request(), "\"network\""));
}

/* ---- kinds ---- */

static void done_inside_start(void **state) {
    (void)state;
    struct cairn_execution *x = submit(
        "{cairn: 1, inputs: {n: {type: integer}}, nodes: {a: {type: echo, with: {n: \"{{ inputs.n "
        "}}\", t: \"x{{ inputs.n }}\"}}, e: {type: end, needs: [a], value: a}}}",
        "{\"n\": 7}");
    assert_string_equal(cairn_status(x), "pending");
    assert_int_equal(starts, 0);
    run();
    assert_string_equal(cairn_result(x), "{\"n\":7,\"t\":\"x7\"}");
    assert_string_equal(seen, "1 a {\"n\":7,\"t\":\"x7\"}\n");
}

static void done_after_start(void **state) {
    (void)state;
    struct cairn_execution *x = submit("{cairn: 1, nodes: {a: {type: keep}, e: {type: end, needs: "
                                       "[a], value: a}}}",
                                       NULL);
    run(); /* comes back: nobody else can end the step */
    assert_string_equal(cairn_status(x), "running");
    assert_int_equal(kept_count, 1);
    assert_string_equal(cairn_step_with(kept[0]), "null");
    assert_non_null(strstr(cairn_step_key(kept[0]), cairn_id(x)));
    cairn_step_done(kept[0], "{\"k\": [true]}");
    run();
    assert_string_equal(cairn_status(x), "completed");
    assert_string_equal(cairn_result(x), "{\"k\":[true]}");
}

static void ended_by_another_step(void **state) {
    (void)state;
    struct cairn_execution *x = submit("{cairn: 1, nodes: {a: {type: keep}, b: {type: opener}, e: "
                                       "{type: end, needs: [a, b], value: a}}}",
                                       NULL);
    run();
    assert_string_equal(cairn_result(x), "[1,2.0,null]");
}

static void failures_and_retries(void **state) {
    (void)state;
    struct cairn_execution *x = submit("{cairn: 1, nodes: {a: {type: flaky, retry: {attempts: 3, "
                                       "backoff: 1ms}}, e: {type: end, needs: [a], value: a}}}",
                                       NULL);
    run();
    assert_string_equal(cairn_result(x), "\"at last\"");
    assert_string_equal(seen, "1 a null\n2 a null\n3 a null\n");
    x = submit("{cairn: 1, nodes: {a: {type: broken, retry: {attempts: 3}}}}", NULL);
    run();
    assert_string_equal(cairn_status(x), "failed");
    assert_string_equal(cairn_result(x), "");
    assert_string_equal(cairn_error(x), "{\"type\":\"broken\",\"message\":\"for good\",\"node\":"
                                        "\"a\",\"attempt\":1}");
}

static void a_body_that_is_no_json(void **state) {
    (void)state;
    struct cairn_execution *x = submit("{cairn: 1, nodes: {a: {type: garbage}}}", NULL);
    run();
    assert_string_equal(cairn_status(x), "failed");
    assert_non_null(strstr(cairn_error(x), "\"type\":\"invalid\""));
}

static void a_step_that_times_out(void **state) {
    (void)state;
    struct cairn_execution *x = submit("{cairn: 1, nodes: {a: {type: keep, timeout: 10ms}}}", NULL);
    run();
    assert_string_equal(cairn_status(x), "failed");
    assert_non_null(strstr(cairn_error(x), "\"type\":\"timeout\""));
    assert_string_equal(cairn_step_key(kept[0]), "");
    cairn_step_done(kept[0], "1"); /* it learns nothing of it; that is allowed */
    run();
    assert_string_equal(cairn_status(x), "failed");
}

static void names_that_kinds_may_not_have(void **state) {
    (void)state;
    static const char *const names[] = {"end", "echo", "No", "", "a b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct cairn_kind k = {.name = names[i], .doc = "", .start = start_keep};
        assert_int_not_equal(cairn_register(c, &k, why), 0);
        assert_non_null(strstr(why, names[i]));
    }
    (void)load("{cairn: 1, nodes: {e: {type: end, value: \"1\"}}}");
    struct cairn_kind late = {.name = "late", .doc = "", .start = start_keep};
    assert_int_not_equal(cairn_register(c, &late, why), 0);
    assert_non_null(strstr(why, "before"));
}

static void slots_are_kept(void **state) {
    (void)state;
    cairn_set_slots(c, 2);
    struct cairn_execution *x = submit("{cairn: 1, nodes: {a: {type: keep, foreach: {items: "
                                       "\"[1, 2, 3]\"}, with: \"{{ item }}\"}}}",
                                       NULL);
    run();
    assert_int_equal(kept_count, 2);
    cairn_step_done(kept[0], NULL);
    run();
    assert_int_equal(kept_count, 3);
    cairn_step_done(kept[1], NULL);
    cairn_step_done(kept[2], NULL);
    run();
    assert_string_equal(cairn_status(x), "completed");
}

/* ---- events ---- */

struct told {
    uint64_t seq;
    char types[500];
};

static void told_event(void *ctx, const struct cairn_event *ev) {
    struct told *t = ctx;
    size_t used = strlen(t->types);
    assert_int_equal(ev->seq, t->seq + 1);
    assert_true(strncmp(ev->execution, "exec_", 5) == 0);
    assert_true(ev->at_us > 0);
    t->seq = ev->seq;
    snprintf(t->types + used, sizeof t->types - used, "%s%s%s;", ev->type, *ev->step ? " " : "",
             ev->step);
    if (strcmp(ev->type, "step_scheduled") == 0) {
        assert_int_equal(starts, 0); /* news and effects: after the commit, news first */
    }
}

static void events_come_in_order(void **state) {
    (void)state;
    struct told t = {0};
    struct cairn_execution *x = submit("{cairn: 1, nodes: {a: {type: echo}}}", NULL);
    cairn_subscribe(c, told_event, &t); /* also after a submission */
    run();
    assert_string_equal(cairn_status(x), "completed");
    assert_string_equal(t.types, "execution_created;execution_started;step_scheduled a;"
                                 "step_completed a;execution_completed;");
    cairn_subscribe(c, NULL, NULL);
    (void)submit("{cairn: 1, nodes: {a: {type: echo}}}", NULL);
    run();
    assert_int_equal(t.seq, 5);
    struct cairn_stats stats;
    cairn_stats(c, &stats);
    assert_int_equal(stats.events, 10);
    assert_true(stats.commits >= 4);
}

/* ---- what does not fit ---- */

static void findings_come_as_text(void **state) {
    (void)state;
    struct cairn_workflow *w = NULL;
    assert_int_not_equal(
        cairn_load_text(c, "cairn: 1\nnodes:\n  a: {type: ekko}\n", "flow.yaml", &w, why), 0);
    assert_non_null(strstr(why, "flow.yaml:3:"));
    assert_non_null(strstr(why, "echo"));
    assert_null(w);
    assert_int_not_equal(cairn_load(c, "/tmp/there/is/no/such.yaml", &w, why), 0);
    assert_int_not_equal(cairn_load(c, "/tmp/there/is/no/such.yaml", &w, NULL), 0);
    assert_null(w);
}

static void inputs_that_do_not_fit(void **state) {
    (void)state;
    struct cairn_workflow *w = load("{cairn: 1, inputs: {n: {type: integer}}, nodes: {e: {type: "
                                    "end, value: inputs.n}}}");
    static const char *const bad[] = {"{", "[]", "7", "{\"n\": \"x\"}", "{\"m\": 1}", "{}"};
    struct cairn_execution *x = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        why[0] = '\0';
        assert_int_not_equal(cairn_submit(c, w, bad[i], &x, why), 0);
        assert_true(strlen(why) > 0);
        assert_null(x);
    }
    assert_int_not_equal(cairn_submit(c, w, NULL, &x, NULL), 0);
    run();
}

static void stores_that_cannot_be_opened(void **state) {
    (void)state;
    struct cairn *no = NULL;
    assert_int_not_equal(cairn_open("nosuch:thing", &no, why), 0);
    assert_int_not_equal(cairn_open("/proc/cairn/none.db", &no, why), 0);
    assert_true(strlen(why) > 0);
    assert_int_not_equal(cairn_open("/proc/cairn/none.db", &no, NULL), 0);
    assert_null(no);
    cairn_close(NULL);
}

/* ---- closing and going on ---- */

static const char *const two_steps = "{cairn: 1, nodes: {a: {type: echo, with: first}, b: {type: "
                                     "keep, needs: [a], with: \"{{ a }}\"}, e: {type: end, "
                                     "needs: [b], value: \"[a, b]\"}}}";

static void closed_in_the_middle_and_gone_on_with(void **state) {
    (void)state;
    char id[40];
    struct cairn_execution *x = submit(two_steps, NULL);
    run();
    snprintf(id, sizeof id, "%s", cairn_id(x));
    cairn_close(c); /* b is being performed, and the program never ends it */
    open_cairn();
    assert_int_equal(cairn_resume(c, id, &x, why), 0);
    assert_string_equal(cairn_id(x), id);
    run();
    assert_string_equal(seen, "1 a \"first\"\n1 b \"first\"\n2 b \"first\"\n");
    cairn_step_done(kept[1], "2");
    run();
    assert_string_equal(cairn_status(x), "completed");
    assert_string_equal(cairn_result(x), "[\"first\",2]");
    assert_int_not_equal(cairn_resume(c, id, &x, why), 0);
    assert_non_null(strstr(why, "has ended"));
    assert_int_not_equal(cairn_resume(c, "exec_none", &x, why), 0);
}

static void a_living_owner_keeps_it(void **state) {
    (void)state;
    struct cairn_execution *x = submit(two_steps, NULL), *no = NULL;
    run();
    struct cairn *mine = c;
    open_cairn();
    assert_int_not_equal(cairn_resume(c, cairn_id(x), &no, why), 0);
    assert_non_null(strstr(why, "another process"));
    cairn_close(c);
    c = mine;
    cairn_step_done(kept[0], "2");
    run();
    assert_string_equal(cairn_status(x), "completed");
}

/* As `cairn cancel` does from another process. */
static void others_ask(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    struct cairn_execution *x = submit(two_steps, NULL);
    run();
    assert_string_equal(cairn_status(x), "running");
    assert_int_equal(sqlite3_open(store, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO inbox(execution, kind, step, payload, at_us)"
                                  " SELECT num, 'cancel', '', '', 1 FROM executions",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    run();
    assert_string_equal(cairn_status(x), "cancelled");
}

static void closed_before_anything_ran(void **state) {
    (void)state;
    (void)submit(two_steps, NULL);
    cairn_close(c);
    open_cairn();
    run();
    assert_int_equal(starts, 0);
}

/* ---- C++ ---- */

static void the_header_is_fine_for_cpp(void **state) {
    (void)state;
    if (system("command -v g++ >/dev/null 2>&1") != 0) {
        print_message("no g++ here\n");
        skip();
    }
    assert_int_equal(system("g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ "
                            "include/cairn.h -Wno-pragma-once-outside-header"),
                     0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        T(private_networks_are_denied),
        T(private_networks_can_be_allowed),
        T(hosts_can_be_allowed),
        T(the_example_of_the_header),
        T(done_inside_start),
        T(done_after_start),
        T(ended_by_another_step),
        T(failures_and_retries),
        T(a_body_that_is_no_json),
        T(a_step_that_times_out),
        T(names_that_kinds_may_not_have),
        T(slots_are_kept),
        T(events_come_in_order),
        T(findings_come_as_text),
        T(inputs_that_do_not_fit),
        T(stores_that_cannot_be_opened),
        T(closed_in_the_middle_and_gone_on_with),
        T(a_living_owner_keeps_it),
        T(others_ask),
        T(closed_before_anything_ran),
        cmocka_unit_test(the_header_is_fine_for_cpp),
#undef T
    };
    return cmocka_run_group_tests_name("embed", tests, NULL, NULL);
}
