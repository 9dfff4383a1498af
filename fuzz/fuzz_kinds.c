/* Any text as a workflow with the real kinds: their checks, services and files must bear whatever
 * stands in a node. fuzz_flow looks at graphs with the kinds of the unit tests; this one at fields.
 *
 * Checked: it ends without a crash, what is refused has a finding with a place and a message in
 * UTF-8, and compiling what compiled gives the same hash again. A broken promise aborts.
 */
#include "flow/flow.h"
#include "node/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "other.yaml" is a workflow, every other file holds some text. */
static enum err read_input(void *ctx, struct str path, struct arena *a, struct str *out,
                           struct error *e) {
    (void)a;
    if (str_is(path, "none.txt")) {
        return error_set(e, ERR_NOT_FOUND, "no such file");
    }
    if (str_is(path, "other.yaml")) {
        *out = STR("cairn: 1\ninputs: {n: {type: integer, default: 1}}\n"
                   "nodes: {x: {type: transform, value: inputs.n}}\n");
        return OK;
    }
    *out = str_is(path, "flow.yaml") ? *(const struct str *)ctx : STR("[a, {{ inputs.n }}]\n");
    return OK;
}

static enum err compile(struct str text, char hash[SHA256_HEX_BYTES]) {
    struct arena a;
    struct diag d;
    struct plan *plan = NULL;
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .loader = {.ctx = &text, .read = read_input},
                                 .kinds = node_kinds()};
    arena_init(&a, 0);
    diag_init(&d, &a);
    enum err err = flow_compile(&source, &plan, &d, NULL);
    ASSERT(err == OK || (err == ERR_INVALID && d.errors > 0));
    for (uint32_t i = 0; i < d.count; i++) {
        ASSERT(d.items[i].message.len > 0 && d.items[i].mark.file);
        ASSERT(str_is_utf8(d.items[i].message) && str_is_utf8(d.items[i].help));
    }
    memcpy(hash, plan ? plan->hash : "", plan ? SHA256_HEX_BYTES : 1);
    plan_free(plan);
    arena_fini(&a);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size};
    char first[SHA256_HEX_BYTES], second[SHA256_HEX_BYTES];
    ASSERT(compile(text, first) == compile(text, second));
    ASSERT(strcmp(first, second) == 0);
    return 0;
}
