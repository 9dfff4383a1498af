/* A workflow as the store keeps it: every file it is made of, read once at submission. An execution
 * never opens a workflow file again.
 */
#include "host/host_priv.h"

enum err host_bundle_encode(const struct plan *p, struct buf *out, struct error *e) {
    struct arena a;
    struct value_builder files;
    arena_init(&a, 0);
    value_builder_init(&files, &a);
    for (uint32_t i = 0; i < p->file_count; i++) {
        value_map_add(&files, p->files[i].path, value_bytes(p->files[i].text));
    }
    struct value v = value_map_done(&files);
    bool ok = files.ok;
    if (ok) {
        value_encode(v, out);
    }
    arena_fini(&a);
    return ok && buf_ok(out) ? OK : error_nomem(e);
}

enum err host_workflow_put(struct store *s, const struct plan *p, struct error *e) {
    struct buf bundle;
    buf_init(&bundle, 0);
    enum err err = host_bundle_encode(p, &bundle, e);
    err = err ? err : store_workflow_put(s, str_from(p->hash), p->name, buf_str(&bundle), e);
    buf_fini(&bundle);
    return err;
}

static enum err read_bundled(void *ctx, struct str path, struct arena *a, struct str *out,
                             struct error *e) {
    const struct value *files = ctx;
    const struct value *v = value_get(*files, path);
    if (!v) {
        return error_set(e, ERR_CORRUPT, "the stored workflow has no file \"%.*s\"", STR_ARG(path));
    }
    *out = arena_str(a, value_str(*v));
    return out->ptr ? OK : error_nomem(e);
}

enum err host_bundle_compile(struct str bundle, struct str entry, struct kind_table kinds,
                             struct plan **out, struct error *e) {
    struct arena a;
    struct value files;
    struct diag diag;
    arena_init(&a, 0);
    diag_init(&diag, &a);
    enum err err = value_decode(&a, bundle, &files, e);
    if (!err) {
        struct flow_source source = {
            .entry = entry, .loader = {&files, read_bundled}, .kinds = kinds};
        err = flow_compile(&source, out, &diag, e);
    }
    if (err == ERR_INVALID) {
        struct str why = diag.count ? diag.items[0].message : STR("no reason given");
        err = error_set(e, ERR_UNSUPPORTED, "the stored workflow does not compile here: %.*s",
                        STR_ARG(why));
    }
    arena_fini(&a);
    return err;
}
