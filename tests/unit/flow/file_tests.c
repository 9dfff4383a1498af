/* Files of a workflow: which are read, which the plan keeps, its identity, sub-workflows alone. */
#include <stdio.h>

#include "groups.h"
#include "support/flow_kinds.h"

static const char main_text[] = "cairn: 1\n"
                                "nodes:\n"
                                "  a: {type: workflow, workflow: sub/one.yaml}\n"
                                "  b: {type: workflow, workflow: sub/one.yaml}\n"
                                "  c: {type: form, title: t, file: run.py}\n"
                                "  d: {type: workflow, workflow: {nodes:\n"
                                "      {e: {type: form, title: t, file: ./sub/../run.py}}}}\n";
static const char one_text[] = "cairn: 1\nnodes: {x: {type: form, title: t, file: ../lib/x.py}}\n";

static void fill(struct mem_files *files) {
    files->count = 0;
    files->reads = 0;
    mem_add(files, STR("flow.yaml"), str_from(main_text));
    mem_add(files, STR("sub/one.yaml"), str_from(one_text));
    mem_add(files, STR("run.py"), STR("print(1)\n"));
    mem_add(files, STR("lib/x.py"), STR("print(2)\n"));
}

static void every_file_is_read_once(void **state) {
    (void)state;
    struct mem_files files;
    struct compiled c;
    fill(&files);
    compiled_init(&c, &files, "flow.yaml");
    assert_non_null(c.plan);
    assert_int_equal(files.reads, 4);
    assert_int_equal(c.plan->file_count, 4);
    assert_str(c.plan->files[0].path, "flow.yaml");
    assert_str(c.plan->files[0].text, main_text);
    const struct plan *one = c.plan->nodes[0].child;
    assert_ptr_equal(one, c.plan->nodes[1].child);
    assert_str(one->entry, "sub/one.yaml");
    assert_int_equal(one->file_count, 2);
    assert_str(one->files[1].path, "lib/x.py");
    assert_str(*(const struct str *)c.plan->nodes[2].data, "print(1)\n");
    assert_str(c.plan->nodes[3].child->entry, "flow.yaml#d");
    compiled_fini(&c);
}

/* What the plan holds is enough to compile it, and each of its sub-workflows, again. */
static void a_plan_compiles_again_from_its_files(void **state) {
    (void)state;
    struct mem_files files, kept = {.count = 0};
    struct compiled c, again, one, inlined;
    fill(&files);
    compiled_init(&c, &files, "flow.yaml");
    for (uint32_t i = 0; i < c.plan->file_count; i++) {
        mem_add(&kept, c.plan->files[i].path, c.plan->files[i].text);
    }
    compiled_init(&again, &kept, "flow.yaml");
    assert_string_equal(again.plan->hash, c.plan->hash);
    compiled_init(&one, &kept, "sub/one.yaml");
    assert_string_equal(one.plan->hash, c.plan->nodes[0].child->hash);
    compiled_init(&inlined, &kept, "flow.yaml#d");
    assert_non_null(inlined.plan);
    assert_string_equal(inlined.plan->hash, c.plan->nodes[3].child->hash);
    assert_str(inlined.plan->name, "d");
    assert_str(inlined.plan->nodes[0].name, "e");
    compiled_fini(&inlined);
    compiled_fini(&one);
    compiled_fini(&again);
    compiled_fini(&c);
}

static void hash_of(struct mem_files *files, char out[SHA256_HEX_BYTES]) {
    struct compiled c;
    compiled_init(&c, files, "flow.yaml");
    assert_non_null(c.plan);
    memcpy(out, c.plan->hash, SHA256_HEX_BYTES);
    compiled_fini(&c);
}

static void the_hash_covers_every_file(void **state) {
    (void)state;
    struct mem_files files;
    char first[SHA256_HEX_BYTES], other[SHA256_HEX_BYTES];
    fill(&files);
    hash_of(&files, first);
    assert_int_equal(strlen(first), 64);
    hash_of(&files, other);
    assert_string_equal(first, other);
    files.items[3].text = STR("print(3)\n");
    hash_of(&files, other);
    assert_string_not_equal(first, other);
    fill(&files);
    files.items[1].text = STR("cairn: 1\nnodes: {x: {type: form, title: t, file: ../lib/x.py }}\n");
    hash_of(&files, other);
    assert_string_not_equal(first, other);
}

static void an_entry_that_is_not_there(void **state) {
    (void)state;
    struct mem_files files = {.count = 0};
    struct compiled c;
    compiled_init(&c, &files, "nothing.yaml");
    assert_int_equal(c.err, ERR_NOT_FOUND);
    assert_null(c.plan);
    assert_int_equal(c.diag.count, 0);
    assert_string_equal(c.error.message, "no such file");
    compiled_fini(&c);
    fill(&files);
    compiled_init(&c, &files, "flow.yaml#zz");
    assert_int_equal(c.err, ERR_INVALID);
    assert_str(c.diag.items[0].message, "there is no workflow inside node \"zz\"");
    compiled_fini(&c);
}

static void a_file_name_may_have_a_hash(void **state) {
    (void)state;
    struct mem_files files = {.count = 0};
    struct compiled c;
    mem_add(&files, STR("issue#3.yaml"), STR("cairn: 1\nnodes: {a: {type: work}}\n"));
    compiled_init(&c, &files, "issue#3.yaml");
    assert_non_null(c.plan);
    assert_str(c.plan->name, "issue#3");
    compiled_fini(&c);
}

static enum err read_sub(void *ctx, struct str path, struct arena *a, struct str *out,
                         struct error *e) {
    (void)ctx;
    (void)a;
    if (str_is(path, "flow.yaml")) {
        *out = STR("cairn: 1\nnodes: {a: {type: workflow, workflow: sub/x.yaml}}\n");
        return OK;
    }
    if (str_is(path, "sub/x.yaml")) {
        *out = STR("cairn: 1\nnodes: {a: {type: wrok}}\n");
        return OK;
    }
    return error_set(e, ERR_NOT_FOUND, "no such file");
}

static void files_are_shown_as_the_entry_is(void **state) {
    (void)state;
    struct arena a;
    struct diag d;
    struct plan *plan = NULL;
    arena_init(&a, 0);
    diag_init(&d, &a);
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .display = "../examples/flow.yaml",
                                 .loader = {.read = read_sub},
                                 .kinds = flow_test_kinds};
    assert_int_equal(flow_compile(&source, &plan, &d, NULL), ERR_INVALID);
    assert_int_equal(d.count, 1);
    assert_string_equal(d.items[0].mark.file, "../examples/sub/x.yaml");
    arena_fini(&a);
}

static void sub_workflows_have_a_depth(void **state) {
    (void)state;
    static char texts[40][100], names[40][20];
    struct mem_files files = {.count = 0};
    struct compiled c;
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "w%d.yaml", i);
        snprintf(texts[i], sizeof texts[i],
                 i < 39 ? "cairn: 1\nnodes: {a: {type: workflow, workflow: w%d}}\n"
                        : "cairn: 1\nnodes: {a: {type: work}}\n",
                 i + 1);
        mem_add(&files, str_from(names[i]), str_from(texts[i]));
    }
    compiled_init(&c, &files, "w19.yaml");
    assert_non_null(c.plan);
    compiled_fini(&c);
    compiled_init(&c, &files, "w0.yaml");
    assert_int_equal(c.err, ERR_INVALID);
    assert_int_equal(c.diag.count, 1);
    assert_str(c.diag.items[0].code, "workflow_depth");
    compiled_fini(&c);
}

/* Two nodes for each of 20 files, each of which has two for the next: compiled once each. */
static void shared_sub_workflows_do_not_multiply(void **state) {
    (void)state;
    static char texts[20][200], names[20][20];
    struct mem_files files = {.count = 0};
    struct compiled c;
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "w%d.yaml", i);
        snprintf(texts[i], sizeof texts[i],
                 i < 19 ? "cairn: 1\nnodes: {a: {type: workflow, workflow: w%d}, "
                          "b: {type: workflow, workflow: ./w%d.yaml}}\n"
                        : "cairn: 1\nnodes: {a: {type: work}}\n",
                 i + 1, i + 1);
        mem_add(&files, str_from(names[i]), str_from(texts[i]));
    }
    compiled_init(&c, &files, "w0.yaml");
    assert_non_null(c.plan);
    assert_int_equal(files.reads, 20);
    assert_int_equal(c.plan->file_count, 20);
    compiled_fini(&c);
}

int run_file_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_file_is_read_once),     TEST(a_plan_compiles_again_from_its_files),
        TEST(the_hash_covers_every_file),  TEST(an_entry_that_is_not_there),
        TEST(a_file_name_may_have_a_hash), TEST(files_are_shown_as_the_entry_is),
        TEST(sub_workflows_have_a_depth),  TEST(shared_sub_workflows_do_not_multiply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
