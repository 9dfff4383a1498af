/* CEL's own conformance cases, when the data lies beside the project: all whose needs we support.
 *
 * A case of ours that differs on purpose stands with its reason in
 * tests/cases/expr/conformance_exceptions.jsonl; an exception that is no longer needed fails too.
 */
#include "expr_tests.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DATA "../shared/data/cel/shared.jsonl"

static struct value decode(struct world *w, struct value tagged);

static struct value decode_base64(struct world *w, struct str s) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_alloc(&w->arena, s.len + 1);
    size_t len = 0;
    uint32_t bits = 0;
    uint32_t count = 0;
    for (size_t i = 0; i < s.len && s.ptr[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(alphabet, s.ptr[i]) - alphabet);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[len++] = (char)(bits >> count);
        }
    }
    return value_bytes((struct str){out, len});
}

static struct value decode_time(struct world *w, struct str tag, struct str text) {
    int64_t seconds = 0;
    int32_t nanos = 0;
    if (str_is(tag, "timestamp")) {
        assert_true(time_parse_rfc3339(text, &seconds, &nanos));
        return value_timestamp(seconds, nanos);
    }
    char *end = NULL;
    double d = strtod(arena_str(&w->arena, text).ptr, &end);
    assert_true(*end == 's');
    return value_duration((int64_t)d, (int32_t)lround((d - trunc(d)) * 1e9));
}

static struct value decode_children(struct world *w, struct value inner, bool is_map) {
    struct value_builder b;
    value_builder_init(&b, &w->arena);
    for (size_t i = 0; i < value_count(inner); i++) {
        struct value item = inner.items[i];
        if (is_map) {
            value_map_add_value(&b, decode(w, item.items[0]), decode(w, item.items[1]));
        } else {
            value_list_add(&b, decode(w, item));
        }
    }
    return is_map ? value_map_done(&b) : value_list_done(&b);
}

static struct value decode(struct world *w, struct value tagged) {
    struct str tag = value_str(tagged.pairs[0].key);
    struct value inner = tagged.pairs[0].val;
    struct str text = inner.type == VALUE_TEXT ? value_str(inner) : STR("");
    int64_t i = 0;
    uint64_t u = 0;
    if (str_is(tag, "int")) {
        assert_true(str_to_int64(text, &i));
        return value_int(i);
    }
    if (str_is(tag, "uint")) {
        assert_true(str_to_uint64(text, &u));
        return value_uint(u);
    }
    if (str_is(tag, "double")) {
        return value_double(strtod(arena_str(&w->arena, text).ptr, NULL));
    }
    if (str_is(tag, "bytes")) {
        return decode_base64(w, text);
    }
    if (str_is(tag, "list") || str_is(tag, "map")) {
        return decode_children(w, inner, str_is(tag, "map"));
    }
    if (str_is(tag, "timestamp") || str_is(tag, "duration")) {
        return decode_time(w, tag, text);
    }
    return inner; /* null, bool, string; a type leaves the module as its name */
}

static bool is_supported(struct value c) {
    static const char *const supported[] = {
        "uint", "bytes", "time", "type_value", "unchecked_error", "ext:strings", "ext:optionals"};
    const struct value *needs = value_get(c, STR("needs"));
    for (size_t i = 0; needs && i < value_count(*needs); i++) {
        bool known = false;
        for (size_t k = 0; k < ARRAY_LEN(supported); k++) {
            known |= str_is(value_str(needs->items[i]), supported[k]);
        }
        if (!known) {
            return false;
        }
    }
    return !value_get(c, STR("container")) && !value_get(c, STR("disable_macros")) &&
           !value_get(c, STR("locale"));
}

static bool is_exception(struct value exceptions, struct value c) {
    for (size_t i = 0; i < value_count(exceptions); i++) {
        struct value x = exceptions.items[i];
        if (str_eq(jsonl_text(x, "file"), jsonl_text(c, "file")) &&
            str_eq(jsonl_text(x, "expr"), jsonl_text(c, "expr"))) {
            assert_true(jsonl_text(x, "why").len > 10);
            return true;
        }
    }
    return false;
}

/* NULL when the case passes, else what came instead. */
static const char *run_one(struct world *w, struct value c) {
    const struct value *bindings = value_get(c, STR("bindings"));
    const struct value *expect = value_get(c, STR("expect"));
    struct value_builder b;
    value_builder_init(&b, &w->arena);
    for (size_t i = 0; bindings && i < value_count(*bindings); i++) {
        value_map_add_value(&b, bindings->pairs[i].key, decode(w, bindings->pairs[i].val));
    }
    w->vars = value_map_done(&b);
    struct value got = value_null();
    enum err err = world_expr(w, jsonl_text(c, "expr"), &got);
    bool ok = expect ? !err && same(got, decode(w, *expect))
                     : err == ERR_EXPRESSION || err == ERR_INVALID;
    return ok ? NULL : shown(w, err, got);
}

struct tally {
    unsigned passed;
    unsigned failed;
    unsigned skipped;
    unsigned excepted;
};

static void judge(struct tally *t, struct value exceptions, struct value c) {
    struct world w;
    if (!is_supported(c)) {
        t->skipped++;
        return;
    }
    world_init(&w, NULL, 0);
    const char *got = run_one(&w, c);
    bool excepted = is_exception(exceptions, c);
    if (excepted && got) {
        t->excepted++;
    } else if (excepted || got) {
        t->failed++;
        (void)fprintf(stderr, "%.*s/%.*s/%.*s: %.*s\n  got %s\n", STR_ARG(jsonl_text(c, "file")),
                      STR_ARG(jsonl_text(c, "section")), STR_ARG(jsonl_text(c, "name")),
                      STR_ARG(jsonl_text(c, "expr")), got ? got : "a pass: drop the exception");
    } else {
        t->passed++;
    }
    world_fini(&w);
}

static void test_conformance(void **state) {
    struct world w;
    struct value cases;
    struct value exceptions;
    struct tally t = {0};
    (void)state;
    world_init(&w, NULL, 0);
    if (!jsonl_read(DATA, &w.arena, &cases)) {
        print_message("skipped: no %s\n", DATA);
        world_fini(&w);
        skip();
    }
    const char *path = tests_path(&w, "cases/expr/conformance_exceptions.jsonl");
    assert_true(jsonl_read(path, &w.arena, &exceptions));
    for (size_t i = 0; i < value_count(cases); i++) {
        judge(&t, exceptions, cases.items[i]);
    }
    print_message("CEL conformance: %u passed, %u failed, %u differ on purpose, %u need what is "
                  "not there yet\n",
                  t.passed, t.failed, t.excepted, t.skipped);
    assert_int_equal(t.failed, 0);
    assert_true(t.passed > 500);
    world_fini(&w);
}

int run_conformance(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_conformance)};
    return cmocka_run_group_tests_name("expr conformance", tests, NULL, NULL);
}
