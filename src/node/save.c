/* Files that a node names: where they may lie, and replacing one of them.
 *
 * The paths may come from anybody, so only io/place.h opens them. Which folders are allowed besides
 * the workflow's own is for the process to say, never for the workflow. Writing blocks the loop
 * until the disk has it.
 */
#include "node/node_priv.h"

struct io_bounds node_bounds(const struct step_port *port) {
    struct str folder = arena_str(port->in->arena, port->base_dir);
    return (struct io_bounds){.folder = folder.ptr ? folder.ptr : "", .also = port->allow_paths};
}

enum err node_path_error(struct error *e) {
    if (e->code == ERR_DENIED) {
        struct error was = *e;
        error_set(e, ERR_DENIED,
                  "%.700s; keep files in the workflow's folder, or set CAIRN_ALLOW_PATHS to the "
                  "folders that are allowed besides (separated by :)",
                  was.message);
    }
    return e->code;
}

static enum err save(struct step_port *port, struct str path, struct str text, struct str *out_path,
                     struct error *e) {
    struct io_bounds bounds = node_bounds(port);
    struct io_place place;
    enum err err = io_place_open(&bounds, path, &place, e);
    err = err ? err : io_place_write(&place, text, e);
    io_place_close(&place);
    if (err) {
        return node_path_error(e);
    }
    *out_path = arena_printf(port->in->arena, "%s/%s", place.root_path, place.path);
    return out_path->ptr ? OK : error_nomem(e);
}

void node_save(struct step_port *port, struct str path, struct str text, struct value body) {
    struct error e = {0};
    struct str full;
    struct value_builder meta;
    if (save(port, path, text, &full, &e)) {
        error_wrap(&e, e.code, "save_to");
        node_fail(port, &e);
        return;
    }
    value_builder_init(&meta, port->in->arena);
    value_map_add(&meta, STR("path"), value_text(full));
    struct step_result result = {.body = body, .meta = value_map_done(&meta)};
    port->ops->done(port, &result);
}
