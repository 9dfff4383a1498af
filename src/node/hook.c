/* hook: tells somebody else that an execution has come this far: a program, a web service, a file.
 *
 * The payload goes to the program's standard input, is posted to the URL (hook_url.c) or replaces
 * the file. Exactly one of them is named. A step that runs again after a crash tells it again: the
 * idempotency key goes along, and the file just holds the same once more.
 */
#include "flow/plan.h"
#include "node/code_priv.h"
#include "node/hook_priv.h"
#include "node/node_priv.h"

enum { COMMAND, URL, PATH, PAYLOAD, SECRET, FIELDS };

static const struct field fields[FIELDS] = {
    [COMMAND] = {.name = "command",
                 .type = FIELD_STRUCTURE,
                 .secret_ok = true,
                 .one_of = "where to",
                 .doc = "a program and its arguments, as a list: it gets the payload as JSON on "
                        "standard input, and is contained like that of a code node"},
    [URL] = {.name = "url",
             .type = FIELD_TEMPLATE,
             .secret_ok = true,
             .one_of = "where to",
             .doc = "where the payload is posted as JSON, with the headers webhook-id and "
                    "webhook-timestamp of Standard Webhooks"},
    [PATH] = {.name = "path",
              .type = FIELD_TEMPLATE,
              .one_of = "where to",
              .doc = "a file in the workflow's folder that the payload replaces, as JSON; missing "
                     "folders are made"},
    [PAYLOAD] = {.name = "payload",
                 .type = FIELD_STRUCTURE,
                 .secret_ok = true,
                 .doc = "what is told; every name the node sees, when it is not given"},
    [SECRET] = {.name = "secret",
                .type = FIELD_LITERAL,
                .literal = LITERAL_TEXT,
                .needs = "url",
                .doc = "name of the secret that signs the message (webhook-signature, v1: "
                       "HMAC-SHA256); one that begins with whsec_ is base64 behind that"},
};

static struct value payload_of(const struct step_in *in) {
    return in->node->fields[PAYLOAD].type == PVAL_NONE ? in->scope : in->fields[PAYLOAD];
}

static bool print_payload(const struct step_in *in, struct str *out) {
    struct buf json;
    buf_init(&json, 0);
    value_print_json(payload_of(in), 0, &json);
    *out = arena_str(in->arena, buf_str(&json));
    bool ok = buf_ok(&json) && out->ptr != NULL;
    buf_fini(&json);
    return ok;
}

/* ---- a file ---- */

static enum err write_file(struct step_port *port, struct str *out_path, struct error *e) {
    const struct step_in *in = port->in;
    struct io_bounds bounds = node_bounds(port);
    struct io_place place;
    struct str json;
    if (!print_payload(in, &json)) {
        return error_nomem(e);
    }
    struct str text = arena_printf(in->arena, "%.*s\n", STR_ARG(json));
    enum err status = text.ptr != NULL ? OK : error_nomem(e);
    if (status == OK) {
        status = io_place_open(&bounds, value_str(in->fields[PATH]), &place, e);
        status = status == OK ? io_place_write(&place, text, e) : status;
        io_place_close(&place);
    }
    if (status != OK) {
        return node_path_error(e);
    }
    *out_path = arena_printf(in->arena, "%s/%s", place.root_path, place.path);
    return out_path->ptr != NULL ? OK : error_nomem(e);
}

static void tell_file(struct step_port *port) {
    struct error e = {0};
    struct str path;
    if (write_file(port, &path, &e) != OK) {
        node_fail(port, &e);
        return;
    }
    struct step_result result = {.body = value_text(path)};
    port->ops->done(port, &result);
}

/* ---- all three ---- */

static void start(const struct step_in *in, struct step_port *port) {
    static const struct code_data program = {0};
    if (!value_is_null(in->fields[PATH])) {
        node_defer(port, tell_file);
        return;
    }
    if (value_is_null(in->fields[URL])) {
        struct code_job job = {
            .data = &program, .names = payload_of(in), .command = in->fields[COMMAND]};
        code_run_start(port, &job);
        return;
    }
    struct hook_webhook w = {.url = value_str(in->fields[URL])};
    if (!value_is_null(in->fields[SECRET])) {
        w.secret = value_str(in->fields[SECRET]);
    }
    if (!print_payload(in, &w.body)) {
        w.body = (struct str){0};
    }
    hook_url_start(port, &w);
}

static void cancel(struct step_port *port) {
    const struct value *given = port->in->fields;
    if (!value_is_null(given[PATH])) {
        node_defer_cancel(port);
    } else if (!value_is_null(given[URL])) {
        hook_url_cancel(port);
    } else {
        code_run_cancel(port);
    }
}

static void service(const struct step_in *in, struct buf *out) {
    if (in->fields[URL].type == VALUE_TEXT) {
        node_service_of_url(value_str(in->fields[URL]), out);
    }
}

static void check(struct node_check *c) {
    struct value command = check_literal(c, "command");
    if (!value_is_null(command) && (command.type != VALUE_LIST || value_count(command) == 0)) {
        check_error(c, "command", "bad_field",
                    "command is a list of the program and its arguments, like [notify-send, done]");
    }
}

const struct node_kind node_hook = {
    .name = "hook",
    .doc = "tells a program, a web service or a file how far the execution has come",
    .body_doc = "what the program or the web service answered, as JSON if it is JSON or as text; "
                "the path of the file",
    .fields = fields,
    .field_count = FIELDS,
    .flags = KIND_SCOPE | KIND_PROGRAM,
    .example = "type: hook\n"
               "command: [cat]\n"
               "payload: {about: \"{{ inputs.topic }}\"}\n",
    .check = check,
    .start = start,
    .service = service,
    .cancel = cancel,
};
