/* cairn-engine-cases FILE...: runs cases of scheduling rules (one JSON document per line: name,
 * workflow, script, expected) against the real compiler of plans and the real engine. Prints every
 * difference; the last line is always "passed P failed F"; exits 1 when F is not 0.
 *
 *   --only NAME   only the case of this name      --print   what came out, as JSON
 */
#include <stdio.h>

#include "cases.h"
#include "support/jsonl.h"

struct options {
    struct str only;
    bool print;
};

struct count {
    uint32_t passed, failed;
};

static enum err read_document(void *ctx, struct str path, struct arena *a, struct str *out,
                              struct error *e) {
    (void)a;
    if (!str_is(path, "case.json")) {
        return error_set(e, ERR_NOT_FOUND, "there is no file %.*s", STR_ARG(path));
    }
    *out = *(struct str *)ctx;
    return OK;
}

static enum err run_plan(const struct plan *p, struct value script, struct str name,
                         struct arena *a, struct value *out, struct error *e) {
    struct case_run r;
    case_run_init(&r, p, script, hash_bytes(name, 1));
    enum err err = case_run_play(&r, e);
    if (!err) {
        struct value got = outcome_make(&r, a);
        err = value_copy(a, got, out) ? OK : error_nomem(e);
    }
    case_run_fini(&r);
    return err;
}

static enum err run_case(struct value one, struct arena *a, struct value *out, struct error *e) {
    const struct value *workflow = value_get(one, STR("workflow"));
    const struct value *script = value_get(one, STR("script"));
    struct value none = value_list(NULL, 0);
    none.type = VALUE_MAP;
    if (!workflow || workflow->type != VALUE_MAP) {
        return error_set(e, ERR_INVALID, "the case has no workflow");
    }
    struct value said = script && script->type == VALUE_MAP ? *script : none;
    struct str text;
    enum err err = document_make(*workflow, said, a, &text, e);
    if (err) {
        return err;
    }
    struct flow_source source = {
        .entry = STR("case.json"), .loader = {&text, read_document}, .kinds = case_kinds};
    struct diag diag;
    struct plan *plan;
    diag_init(&diag, a);
    err = flow_compile(&source, &plan, &diag, e);
    if (err == ERR_INVALID) {
        *out = outcome_refused(&diag, a);
        return OK;
    }
    err = err ? err : run_plan(plan, said, jsonl_text(one, "name"), a, out, e);
    plan_free(plan);
    return err;
}

static void print_value(struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    printf("%.*s\n", STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

static void test_case(const struct options *o, struct value one, struct arena *a, struct count *c) {
    struct str name = jsonl_text(one, "name");
    const struct value *expected = value_get(one, STR("expected"));
    struct error e = {0};
    struct value got = value_null();
    if (o->only.len && !str_eq(o->only, name)) {
        return;
    }
    enum err err = run_case(one, a, &got, &e);
    if (err) {
        printf("FAILED %.*s\n  %s: %s\n", STR_ARG(name), err_name(err), e.message);
        c->failed++;
        return;
    }
    if (o->print) {
        print_value(got);
    }
    if (expected && value_equal(*expected, got)) {
        c->passed++;
        return;
    }
    printf("FAILED %.*s\n", STR_ARG(name));
    compare_values(expected ? *expected : value_null(), got);
    c->failed++;
}

/* Line by line: a file may be long. */
static bool test_file(const struct options *o, const char *path, struct count *c) {
    struct arena file, a;
    struct str text;
    arena_init(&file, 0);
    arena_init(&a, 0);
    bool there = file_read(path, &file, &text);
    for (int line = 1; there && text.len; line++) {
        struct str one = str_trim(str_split(text, '\n', &text));
        struct value v;
        struct error e = {0};
        arena_reset(&a);
        if (!one.len) {
            continue;
        }
        if (value_parse_json(&a, one, &v, &e) == OK && v.type == VALUE_MAP) {
            test_case(o, v, &a, c);
        } else {
            printf("FAILED %s:%d: no case: %s\n", path, line, e.message);
            c->failed++;
        }
    }
    arena_fini(&a);
    arena_fini(&file);
    return there;
}

static int usage(const char *why) {
    fprintf(stderr, "%s\nusage: cairn-engine-cases [--only NAME] [--print] FILE...\n", why);
    return 2;
}

int main(int argc, char **argv) {
    struct options o = {0};
    struct count c = {0};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        struct str option = str_from(argv[i]);
        if (str_is(option, "--print")) {
            o.print = true;
        } else if (str_is(option, "--only") && i + 1 < argc) {
            o.only = str_from(argv[++i]);
        } else {
            return usage("unknown option");
        }
    }
    if (i == argc) {
        return usage("no file given");
    }
    for (; i < argc; i++) {
        if (!test_file(&o, argv[i], &c)) {
            fprintf(stderr, "there is no file %s\n", argv[i]);
            c.failed++;
        }
    }
    printf("passed %u failed %u\n", c.passed, c.failed);
    return c.failed > 0 || c.passed == 0;
}
