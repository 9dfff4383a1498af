/* Secrets in templates: where the tag may stand, what sealed text looks like, and that no text of a
 * value can name a secret.
 */
#include "expr_tests.h"

static enum err allow(void *ctx, struct str name, struct error *e) {
    (void)ctx;
    return str_starts(name, STR("FORBIDDEN")) ? error_set(e, ERR_NOT_FOUND, "not this one") : OK;
}

static const char *const values = "{\"a\": \"[secret B]\", \"l\": [1, \"[\"], \"n\": null}";

static void open_world(struct world *w) {
    world_init(w, values, 0);
    w->scope.secret = allow;
}

static struct str sealed(struct world *w, const char *text) {
    const struct tmpl *t = NULL;
    struct value v;
    struct mark at = {"f.yaml", 1, 1};
    assert_int_equal(tmpl_compile(&w->arena, str_from(text), at, &w->scope, &t, &w->diag), OK);
    assert_true(tmpl_has_secrets(t));
    assert_int_equal(tmpl_eval_value(t, &w->env, &v, &w->error), OK);
    assert_int_equal(v.type, VALUE_TEXT);
    return value_str(v);
}

static enum err get(void *ctx, struct str name, struct str *out, struct error *e) {
    struct world *w = ctx;
    if (str_is(name, "MISSING")) {
        return error_set(e, ERR_NOT_FOUND, "not set");
    }
    *out = arena_printf(&w->arena, "<%.*s[[>", STR_ARG(name));
    return OK;
}

static enum err opened(struct world *w, struct str text, struct str *out) {
    const struct secret_source source = {w, get};
    return secret_text_open(text, &source, &w->arena, out, &w->error);
}

/* Text that is all brackets takes no more memory than other text. */
static void test_many_brackets(void **state) {
    (void)state;
    enum { SEALED_BYTES = 4 << 20 };
    struct world w;
    struct str out;
    world_init(&w, values, 16 << 20);
    char *text = arena_alloc(&w.arena, SEALED_BYTES);
    assert_non_null(text);
    memset(text, '[', SEALED_BYTES);
    assert_int_equal(opened(&w, (struct str){text, SEALED_BYTES}, &out), OK);
    assert_int_equal(out.len, SEALED_BYTES / 2);
    world_fini(&w);
}

static void test_sealed_and_opened(void **state) {
    static const struct {
        const char *text, *sealed, *opened;
    } rows[] = {
        {"{{ secrets.A }}", "[secret A]", "<A[[>"},
        {"{{secrets._a9}}!", "[secret _a9]!", "<_a9[[>!"},
        {"Bearer {{ secrets.A }}", "Bearer [secret A]", "Bearer <A[[>"},
        {"[x] {{ a }} {{ secrets.A }}", "[[x] [[secret B] [secret A]", "[x] [secret B] <A[[>"},
        {"{{ l }}{{ n }}{{ secrets.A }}", "[[1,\"[[\"][secret A]", "[1,\"[\"]<A[[>"},
        {"[[secret B]{{ secrets.A }}", "[[[[secret B][secret A]", "[[secret B]<A[[>"},
        {"{{#if n == null}}{{ secrets.A }}{{#else}}{{ secrets.B }}{{/if}}", "[secret A]", "<A[[>"},
        {"{{#each l as x}}{{ x }}{{ secrets.A }}{{/each}}", "1[secret A][[[secret A]",
         "1<A[[>[<A[[>"},
        {"\\{{ secrets.B }} {{ secrets.A }}", "{{ secrets.B }} [secret A]",
         "{{ secrets.B }} <A[[>"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world w;
        struct str out;
        open_world(&w);
        struct str text = sealed(&w, rows[i].text);
        assert_true(str_is(text, rows[i].sealed));
        assert_int_equal(opened(&w, text, &out), OK);
        assert_true(str_is(out, rows[i].opened));
        world_fini(&w);
    }
}

/* Whatever text a value has, in a template with a secret it comes out as it was. */
static void test_no_value_names_a_secret(void **state) {
    static const char *const pieces[] = {"[",       "]",  "secret ",    "A",  "[secret A]", "{{ ",
                                         "secrets", ".A", "[[secret A", "\\", "\n",         " }}"};
    uint64_t seed = 1;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct world w;
        struct str out;
        struct buf b;
        open_world(&w);
        buf_init(&b, 0);
        for (int i = 0; i < 6; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            buf_append_cstr(&b, pieces[(seed >> 33) % ARRAY_LEN(pieces)]);
        }
        struct value_builder vars;
        value_builder_init(&vars, &w.arena);
        value_map_add(&vars, STR("a"), value_text(buf_str(&b)));
        w.vars = value_map_done(&vars);
        assert_int_equal(opened(&w, sealed(&w, "{{ a }}|{{ secrets.K }}|{{ a }}"), &out), OK);
        struct str expected =
            arena_printf(&w.arena, "%.*s|<K[[>|%.*s", STR_ARG(buf_str(&b)), STR_ARG(buf_str(&b)));
        assert_true(str_eq(out, expected));
        buf_fini(&b);
        world_fini(&w);
    }
}

static void test_without_a_secret_nothing_changes(void **state) {
    struct world w;
    (void)state;
    open_world(&w);
    assert_string_equal(template_shown(&w, "[x] {{ a }}"), "\"[x] [secret B]\"");
    world_fini(&w);
}

static void test_refused(void **state) {
    static const struct {
        const char *text, *finding;
    } rows[] = {
        {"ab {{ secrets.FORBIDDEN }}", "1:7: not this one"},
        {"{{ secrets.A + 'x' }}", "1:4: "},
        {"{{ [secrets.A] }}", "1:5: "},
        {"{{ secrets.A.size() }}", "1:4: "},
        {"{{ secrets['A'] }}", "1:4: "},
        {"{{ secrets }}", "1:4: "},
        {"{{ has(secrets.A) }}", "1:8: "},
        {"{{#if secrets.A}}x{{/if}}", "1:7: "},
        {"{{#each secrets.A as x}}x{{/each}}", "1:9: "},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world w;
        open_world(&w);
        const char *shown_text = template_shown(&w, rows[i].text);
        assert_int_equal(strncmp(shown_text, rows[i].finding, strlen(rows[i].finding)), 0);
        world_fini(&w);
    }
    struct world w;
    world_init(&w, values, 0);
    assert_string_equal(template_shown(&w, "{{ secrets.A }}"), "1:4: there are no secrets here");
    world_fini(&w);
}

/* A variable that is called so is a variable. */
static void test_a_variable_named_secrets(void **state) {
    struct world w;
    (void)state;
    world_init(&w, "{\"l\": [{\"A\": 1}]}", 0);
    w.scope.secret = allow;
    assert_string_equal(template_shown(&w, "{{#each l as secrets}}{{ secrets.A }}{{/each}}"),
                        "\"1\"");
    world_fini(&w);
}

static void test_not_sealed(void **state) {
    static const char *const texts[] = {"[",          "a[b",          "[secret ]",  "[secret A",
                                        "[secret 1]", "[secret A B]", "[Secret A]", "[[["};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct world w;
        struct str out;
        open_world(&w);
        assert_int_equal(opened(&w, str_from(texts[i]), &out), ERR_CORRUPT);
        world_fini(&w);
    }
    struct world w;
    struct str out;
    open_world(&w);
    assert_int_equal(opened(&w, STR("x [secret MISSING]"), &out), ERR_NOT_FOUND);
    assert_string_equal(w.error.message, "not set");
    assert_int_equal(opened(&w, STR(""), &out), OK);
    assert_int_equal(out.len, 0);
    world_fini(&w);
}

int run_secrets(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sealed_and_opened),
        cmocka_unit_test(test_many_brackets),
        cmocka_unit_test(test_no_value_names_a_secret),
        cmocka_unit_test(test_without_a_secret_nothing_changes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_a_variable_named_secrets),
        cmocka_unit_test(test_not_sealed),
    };
    return cmocka_run_group_tests_name("expr secrets", tests, NULL, NULL);
}
