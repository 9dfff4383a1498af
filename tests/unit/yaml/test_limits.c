/* Large, deep and hostile texts: caps hold, time stays linear, memory can run out. */
#include <stdlib.h>
#include <time.h>

#include "yaml_tests.h"

/* parse of a buffer that is freed before the tree is looked at: the tree borrows nothing. */
static void parse_buf(struct parsed *p, struct buf *b) {
    assert_true(buf_ok(b));
    parse(p, buf_str(b));
    buf_fini(b);
}

static void repeat(struct buf *b, const char *text, int times) {
    for (int i = 0; i < times; i++) {
        buf_append_cstr(b, text);
    }
}

static struct buf new_buf(void) {
    struct buf b;
    buf_init(&b, 0);
    return b;
}

static double seconds_since(clock_t start) { return (double)(clock() - start) / CLOCKS_PER_SEC; }

static void alias_bomb(void **state) {
    (void)state;
    struct buf b = new_buf();
    buf_append_cstr(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++) {
            buf_printf(&b, "*a%d,", i - 1);
        }
        buf_append_cstr(&b, "]\n");
    }
    clock_t start = clock();
    struct parsed p;
    parse_buf(&p, &b);
    assert_int_equal(p.err, ERR_INVALID);
    assert_string_equal(finding(&p, 0), "7:18: yaml: more than 2000000 values, aliases expanded");
    assert_true(seconds_since(start) < 1);
    parsed_fini(&p);
}

static void depth(void **state) {
    (void)state;
    struct buf b = new_buf();
    repeat(&b, "[", YAML_MAX_DEPTH);
    repeat(&b, "]", YAML_MAX_DEPTH);
    struct parsed p;
    parse_buf(&p, &b);
    assert_int_equal(p.err, OK);
    struct value v;
    assert_true(yaml_to_value(&p.arena, p.root, &v));
    parsed_fini(&p);
    static const char *const openers[] = {"[", "{a: ", "- ", "? ", "{"};
    for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
        b = new_buf();
        repeat(&b, openers[i], 300000);
        parse_buf(&p, &b);
        assert_int_equal(p.err, ERR_INVALID);
        parsed_fini(&p);
    }
}

/* Depth counts through aliases: whoever walks the tree may recurse. */
static void depth_by_alias(void **state) {
    (void)state;
    struct buf b = new_buf();
    buf_append_cstr(&b, "- &a0 x\n");
    for (int i = 1; i < 300; i++) {
        buf_printf(&b, "- &a%d [*a%d]\n", i, i - 1);
    }
    struct parsed p;
    parse_buf(&p, &b);
    assert_int_equal(p.err, ERR_INVALID);
    assert_string_equal(finding(&p, 0),
                        "201:10: yaml: more than 200 lists and maps inside one another");
    parsed_fini(&p);
}

static void size(void **state) {
    (void)state;
    struct buf b = new_buf();
    repeat(&b, "x", (int)YAML_MAX_BYTES + 1);
    struct parsed p;
    parse_buf(&p, &b);
    assert_int_equal(p.err, ERR_INVALID);
    assert_string_equal(finding(&p, 0),
                        "1:1: yaml: the file has 16777217 bytes: at most 16777216 are read");
    parsed_fini(&p);
}

static void large_map(void **state) {
    (void)state;
    struct buf b = new_buf();
    for (int i = 0; i < 100000; i++) {
        buf_printf(&b, "key%d: %d\n", i, i);
    }
    buf_append_cstr(&b, "key77777: again\n");
    clock_t start = clock();
    struct parsed p;
    parse_buf(&p, &b);
    assert_true(seconds_since(start) < 3); /* quadratic would take minutes */
    assert_int_equal(p.err, ERR_INVALID);
    assert_int_equal(p.diag.count, 1);
    assert_string_equal(
        finding(&p, 0),
        "100001:1: duplicate_key: the key \"key77777\" is used twice: first at line 77778, "
        "column 1");
    assert_int_equal(p.root->count, 100000);
    parsed_fini(&p);
}

static void all_duplicates(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, STR("a: 1\nb: {c: 1, c: 2}\na: [x]\n\"b\": 3\nd: 4\n"));
    assert_int_equal(p.err, ERR_INVALID);
    assert_int_equal(p.diag.count, 3);
    assert_string_equal(finding(&p, 0), "2:11: duplicate_key: the key \"c\" is used twice: first "
                                        "at line 2, column 5");
    assert_string_equal(finding(&p, 1), "3:1: duplicate_key: the key \"a\" is used twice: first "
                                        "at line 1, column 1");
    assert_non_null(p.root);
    assert_int_equal(p.root->count, 3);
    assert_int_equal(yaml_get(p.root, STR("a"))->value.num, 1);
    parsed_fini(&p);
}

/* Memory runs out at every possible place once: an error, never a crash or a silent success. */
static void out_of_memory(void **state) {
    (void)state;
    struct str text = STR("a: &x [1, \"t\\ud83d\\ude00\", {b: c}]\nk: |\n  text\nl: *x\n");
    bool worked = false;
    for (size_t cap = 16; cap < 100000 && !worked; cap += 16) {
        struct arena a, findings;
        arena_init(&a, cap);
        arena_init(&findings, 0);
        struct diag d;
        diag_init(&d, &findings);
        struct yaml_node *root = NULL;
        enum err err = yaml_parse(&a, text, "test.yaml", &root, &d);
        worked = err == OK;
        if (!worked) {
            assert_int_equal(err, ERR_NOMEM);
            assert_int_equal(d.errors, 1);
            assert_null(root);
        }
        arena_fini(&a);
        arena_fini(&findings);
    }
    assert_true(worked);
}

static void private_use_block(void **state) {
    (void)state;
    /* U+10F000 is the first stand-in: a text that has it makes another block be used. */
    struct parsed p;
    parse(&p, STR("a: \"\xf4\x8f\x80\x80 \xe2\x80\xa8 \\ud83d\\ude00\"\n"));
    assert_int_equal(p.err, OK);
    assert_true(
        str_is(p.root->pairs[0].value->text, "\xf4\x8f\x80\x80 \xe2\x80\xa8 \xf0\x9f\x98\x80"));
    parsed_fini(&p);
}

static void nul_in_text(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, STR("{\"a\\u0000b\": \"x\\u0000\"}"));
    assert_int_equal(p.err, OK);
    assert_int_equal(p.root->pairs[0].key->text.len, 3);
    assert_int_equal(p.root->pairs[0].value->text.len, 2);
    parsed_fini(&p);
}

int run_limits(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alias_bomb),     cmocka_unit_test(depth),
        cmocka_unit_test(depth_by_alias), cmocka_unit_test(size),
        cmocka_unit_test(large_map),      cmocka_unit_test(all_duplicates),
        cmocka_unit_test(out_of_memory),  cmocka_unit_test(private_use_block),
        cmocka_unit_test(nul_in_text),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
