/* Parts of cairn alone, without a host: quick, so that many more n are tried. Each piece of work is
 * small, and what it gives is printed, so that a wrong result that came without an error is seen.
 */
#include "expr/expr.h"
#include "fail.h"
#include "flow/flow.h"
#include "host/host.h"
#include "net/net.h"
#include "schema/schema.h"
#include "task.h"
#include "value/csv.h"
#include "value/redact.h"
#include "value/regex.h"
#include "yaml/yaml.h"

static enum err no_more(struct error *e) { return error_set(e, ERR_NOT_FOUND, "no more"); }

/* Of findings, the first. */
static enum err found(const struct diag *d, enum err err, struct error *e) {
    return error_set(e, err, "%.*s", STR_ARG(d->count ? d->items[0].message : STR("no finding")));
}

/* ---- expressions and templates ---- */

static enum err find_name(void *ctx, const struct str *path, uint32_t count, struct expr_ref *out,
                          struct error *e) {
    (void)ctx;
    (void)count;
    if (!str_is(path[0], "rows")) {
        return error_set(e, ERR_NOT_FOUND, "unknown name \"%.*s\"", STR_ARG(path[0]));
    }
    *out = (struct expr_ref){.slot = 0, .consumed = 1};
    return OK;
}

static enum err secret_may_stand(void *ctx, struct str name, struct error *e) {
    (void)ctx;
    (void)name;
    (void)e;
    return OK;
}

static enum err get_rows(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    (void)ctx;
    (void)slot;
    (void)e;
    static const struct value rows[] = {{.type = VALUE_INT, .num = 3},
                                        {.type = VALUE_INT, .num = 4}};
    *out = value_list(rows, 2);
    return OK;
}

static const struct expr_scope scope = {.find = find_name, .secret = secret_may_stand};

static const char *const more_expressions[] = {
    "rows.map(r, r * 2).filter(r, r > 6).exists(r, r == 8) ? {'a': [1, 2u, 3.5]} : {}",
    "'a' + string(rows[0]) + \"b\\n\" + b'xyz'.size().string()",
    "has({'a': {'b': 1}}.a) && rows.all(r, r > 0) || 1 / 0 > 2",
    "timestamp('2024-02-29T12:00:00Z') + duration('1h30m')",
    "rows.sort() == [3, 4] && 'x' in ['x', 'y'] && !(rows[1] < rows[0])",
    "nobody + 1",
    "1 +",
};

static enum err work_expression(size_t i, struct buf *out, struct error *e) {
    size_t count;
    const struct expr_function *f = expr_functions(&count);
    if (i >= count + ARRAY_LEN(more_expressions)) {
        return no_more(e);
    }
    const char *text = i < count ? f[i].example : more_expressions[i - count];
    const struct expr *x;
    struct value v;
    struct diag d;
    struct arena a;
    arena_init(&a, 0);
    diag_init(&d, &a);
    enum err err = expr_compile(&a, str_from(text), (struct mark){0}, &scope, &x, &d);
    if (err) {
        found(&d, err, e);
    } else {
        struct expr_env env = {.get = get_rows, .arena = &a};
        err = expr_eval(x, &env, &v, e);
    }
    if (!err) {
        value_print_canonical(v, out);
    }
    arena_fini(&a);
    return err;
}

static const char *const templates[] = {
    "plain",
    "{{ rows }}",
    "a {{ rows[0] }} {{#each rows as r, i}}{{ i }}={{ r }}{{#if r > 3}}!{{#else}}?{{/if}}{{/each}}",
    "\\{{ x }} [y] {{ secrets.TOKEN }}",
    "{{#if rows}}",
};

static enum err give_secret(void *ctx, struct str name, struct str *out, struct error *e) {
    (void)ctx;
    (void)name;
    (void)e;
    *out = STR("s3cret");
    return OK;
}

static enum err work_template(size_t i, struct buf *out, struct error *e) {
    const struct tmpl *t;
    const struct secret_source source = {NULL, give_secret};
    struct value v;
    struct str text;
    struct diag d;
    struct arena a;
    if (i >= ARRAY_LEN(templates)) {
        return no_more(e);
    }
    arena_init(&a, 0);
    diag_init(&d, &a);
    enum err err = tmpl_compile(&a, str_from(templates[i]), (struct mark){0}, &scope, &t, &d);
    if (err) {
        found(&d, err, e);
    } else {
        struct expr_env env = {.get = get_rows, .arena = &a};
        err = tmpl_eval_text(t, &env, &v, e);
        text = err ? STR("") : value_str(v);
    }
    if (!err && tmpl_has_secrets(t)) {
        err = secret_text_open(value_str(v), &source, &a, &text, e);
    }
    if (!err) {
        buf_append(out, text);
    }
    arena_fini(&a);
    return err;
}

/* ---- values ---- */

static const char *const documents[] = {
    "{\"a\": [1, 2.5, null, true, \"text \\u00e4\"], \"b\": {\"c\": 18446744073709551615}}",
    "[{\"k0\":0,\"k1\":1,\"k2\":2,\"k3\":3,\"k4\":4,\"k5\":5,\"k6\":6,\"k7\":7,\"k8\":8,\"k9\":9}]",
    "[[[[[[[[1]]]]]]], \"\", {}, 1e300, -0.0]",
    "[0.12345678901234567, 123456789012345678, 1.7976931348623157e+308, -12345678901234567890123]",
    "{\"a\": 1, \"a\": 2}",
    "[1,",
};

static enum err work_value(size_t i, struct buf *out, struct error *e) {
    struct value v, copy, back;
    struct buf bytes;
    struct arena a;
    if (i >= ARRAY_LEN(documents)) {
        return no_more(e);
    }
    arena_init(&a, 0);
    buf_init(&bytes, 0);
    enum err err = value_parse_json(&a, str_from(documents[i]), &v, e);
    if (!err && !value_copy(&a, v, &copy)) {
        err = error_nomem(e);
    }
    if (!err) {
        value_encode(copy, &bytes);
        err = buf_ok(&bytes) ? value_decode(&a, buf_str(&bytes), &back, e) : error_nomem(e);
    }
    if (!err) {
        value_print_json(back, 2, out);
        value_print_canonical(back, out);
        value_print_text(back, out);
        buf_append_char(out, value_identical(v, back) ? '=' : '!');
    }
    buf_fini(&bytes);
    arena_fini(&a);
    return err;
}

static const char *const tables[] = {
    "name,n\r\nAda,1\r\n\"Gra\"\"ce\",2\r\n",
    "a,b\n1,2\n3\n",
};

static enum err work_csv(size_t i, struct buf *out, struct error *e) {
    struct value rows;
    struct csv_style style = {.lf = true};
    struct arena a;
    if (i >= ARRAY_LEN(tables)) {
        return no_more(e);
    }
    arena_init(&a, 0);
    enum err err = value_parse_csv(&a, str_from(tables[i]), &rows, e);
    err = err ? err : value_print_csv(rows, &style, &a, out, e);
    arena_fini(&a);
    return err;
}

static const char *const patterns[] = {"^(a|b)+[c-x]{2,5}\\w*$", "(?i)\\bHELLO\\b", "(a", "\\d+|ä"};

static enum err work_regex(size_t i, struct buf *out, struct error *e) {
    const struct regex *r;
    bool hit;
    struct arena a;
    if (i >= ARRAY_LEN(patterns)) {
        return no_more(e);
    }
    arena_init(&a, 0);
    enum err err = regex_compile(&a, str_from(patterns[i]), &r, e);
    err = err ? err : regex_search(r, STR("abab cde hello 12"), &a, &hit, e);
    if (!err) {
        buf_append_cstr(out, hit ? "yes" : "no");
    }
    arena_fini(&a);
    return err;
}

static enum err redact_all(struct redactor *r, struct arena *a, struct buf *out) {
    struct value v, told;
    struct str text;
    struct error e;
    struct redact_stream *s = redact_stream_new(r);
    bool ok = s && redactor_add(r, STR("ONE"), STR("s3cret-1")) &&
              redactor_add(r, STR("TWO"), STR("s3cret-1 and more"));
    ok = ok && redact_stream_feed(s, STR("it is s3cr"), false, out) &&
         redact_stream_feed(s, STR("et-1 and more, czNjcmV0LTE="), true, out);
    ok = ok && redact_message(r, a, STR("cut off: s3cret"), &text);
    if (ok) {
        buf_append(out, text);
    }
    ok = ok && value_parse_json(a, STR("{\"s3cret-1\": [1, \"a s3cret-1\"]}"), &v, &e) == OK &&
         redact_value(r, a, v, &told);
    if (ok) {
        value_print_json(told, 0, out);
    }
    redact_stream_free(s);
    return ok ? OK : ERR_NOMEM;
}

static enum err work_redact(size_t i, struct buf *out, struct error *e) {
    struct arena a;
    if (i > 0) {
        return no_more(e);
    }
    arena_init(&a, 0);
    struct redactor *r = redactor_new();
    enum err err = r ? redact_all(r, &a, out) : ERR_NOMEM;
    redactor_free(r);
    arena_fini(&a);
    return err ? error_nomem(e) : OK;
}

/* ---- schemas ---- */

static const struct {
    const char *schema, *value;
} schemas[] = {
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"default\":3},"
     "\"b\":{\"type\":\"string\",\"pattern\":\"^x\",\"format\":\"date-time\"}},"
     "\"required\":[\"b\"],\"additionalProperties\":false}",
     "{\"b\":\"y\",\"c\":1}"},
    {"{\"$defs\":{\"n\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/n\"}}},"
     "\"$ref\":\"#/$defs/n\",\"uniqueItems\":true}",
     "[[],[[]],[[[]]]]"},
    {"{\"anyOf\":[{\"type\":\"integer\"},{\"enum\":[\"a\",\"b\"]}],\"not\":{\"const\":4},"
     "\"if\":{\"type\":\"integer\"},\"then\":{\"multipleOf\":2}}",
     "3"},
    {"{\"type\":\"object\",\"patternProperties\":{\"^p\":{\"minLength\":2}},"
     "\"unevaluatedProperties\":false,\"dependentRequired\":{\"p1\":[\"p2\"]}}",
     "{\"p1\":\"x\",\"q\":1}"},
    {"{\"type\":\"strange\"}", "1"},
};

static enum err work_schema(size_t i, struct buf *out, struct error *e) {
    const struct schema *s;
    struct value source, v, filled;
    struct schema_result result = {0};
    struct arena a;
    if (i >= ARRAY_LEN(schemas)) {
        return no_more(e);
    }
    arena_init(&a, 0);
    enum err err = value_parse_json(&a, str_from(schemas[i].schema), &source, e);
    err = err ? err : value_parse_json(&a, str_from(schemas[i].value), &v, e);
    err = err ? err : schema_compile(&a, source, &s, e);
    err = err ? err : schema_fill(s, v, &a, &filled, e);
    err = err ? err : schema_check(s, filled, &a, &result, e);
    if (!err) {
        value_print_json(filled, 0, out);
    }
    for (uint32_t k = 0; !err && k < result.count; k++) {
        buf_printf(out, "%.*s: %.*s; ", STR_ARG(result.errors[k].instance),
                   STR_ARG(result.errors[k].message));
    }
    arena_fini(&a);
    return err;
}

/* ---- YAML and workflow files ---- */

static const char *const yamls[] = {
    "a: &x [1, two, 3.5, null]\nb: *x\nc: |\n  text\n  more\n\"d\": {e: 'f', g: !!str 1}\n",
    "- [a, b]\n- ? key\n  : value\n- >-\n  folded\n  text\n",
    "a: 1\na: 2\n",
    "a: [1\nb: 2\n",
};

static enum err work_yaml(size_t i, struct buf *out, struct error *e) {
    struct yaml_node *tree;
    struct value v;
    struct diag d;
    struct arena a;
    if (i >= ARRAY_LEN(yamls)) {
        return no_more(e);
    }
    arena_init(&a, 0);
    diag_init(&d, &a);
    enum err err = yaml_parse(&a, str_from(yamls[i]), "x.yaml", &tree, &d);
    if (err) {
        found(&d, err, e);
    } else if (!yaml_to_value(&a, tree, &v)) {
        err = error_nomem(e);
    } else {
        value_print_canonical(v, out);
        yaml_print(v, out);
    }
    arena_fini(&a);
    return err;
}

static enum err read_text(void *ctx, struct str path, struct arena *a, struct str *out,
                          struct error *e) {
    if (!str_is(path, "flow.yaml")) {
        return error_set(e, ERR_NOT_FOUND, "there is no file %.*s", STR_ARG(path));
    }
    *out = arena_str(a, str_from(ctx));
    return out->ptr ? OK : error_nomem(e);
}

static const char *const wrong_flows[] = {
    "cairn: 1\nnodes:\n  a: {type: transfrom, value: 1}\n  b: {type: end, needs: [c], valu: 1}\n",
    "cairn: 1\nnodes:\n  a: {type: transform, value: nobody + 1, needs: [b]}\n"
    "  b: {type: transform, value: '{{ 1 +', needs: [a]}\n",
    "cairn: 1\ninputs: {x: {type: strange}}\nnodes: {}\n",
};

/* A plan goes into a bundle and comes out of it as it was. */
static enum err through_bundle(const struct plan *p, struct buf *out, struct error *e) {
    struct buf bundle;
    struct plan *again = NULL;
    buf_init(&bundle, 0);
    enum err err = host_bundle_encode(p, &bundle, e);
    err = err ? err : host_bundle_compile(buf_str(&bundle), p->entry, task_kinds(), &again, e);
    if (!err) {
        buf_printf(out, "%u nodes, %.*s, %s", again->node_count, STR_ARG(again->name),
                   strcmp(p->hash, again->hash) ? "another hash" : "the same hash");
    }
    plan_free(again);
    buf_fini(&bundle);
    return err;
}

static enum err work_flow(size_t i, struct buf *out, struct error *e) {
    struct diag d;
    struct arena a;
    struct plan *p = NULL;
    if (i >= story_count + ARRAY_LEN(wrong_flows)) {
        return no_more(e);
    }
    const char *text = i < story_count ? stories[i].document : wrong_flows[i - story_count];
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .loader = {(void *)(uintptr_t)text, read_text},
                                 .kinds = task_kinds()};
    arena_init(&a, 0);
    diag_init(&d, &a);
    enum err err = flow_compile(&source, &p, &d, e);
    if (err == ERR_INVALID) {
        found(&d, err, e);
    }
    err = err ? err : through_bundle(p, out, e);
    plan_free(p);
    arena_fini(&a);
    return err;
}

static enum err work_format(size_t i, struct buf *out, struct error *e) {
    struct kind_table kinds = task_kinds();
    struct value v;
    struct arena a;
    if (i > 0) {
        return no_more(e);
    }
    arena_init(&a, 0);
    enum err err = flow_schema(&kinds, &a, &v);
    if (err) {
        error_nomem(e);
    } else {
        value_print_json(v, 0, out);
    }
    arena_fini(&a);
    return err;
}

/* ---- requests ---- */

struct asked {
    enum err err;
    struct error *e;
    bool told;
};

static void on_answer(void *ctx, const struct net_response *r, const struct error *failure) {
    struct asked *x = ctx;
    (void)r;
    x->told = true;
    x->err = failure ? failure->code : OK;
    if (failure) {
        *x->e = *failure;
    }
}

/* Nobody listens there: a socket, a failure, and it is told. */
static enum err work_request(size_t i, struct buf *out, struct error *e) {
    static const char *const urls[] = {"http://127.0.0.1:1/", "http://[::1]:1/", "no url"};
    struct net_policy policy = {.allow_loopback = true};
    struct net_request q = {.url = str_from(i < ARRAY_LEN(urls) ? urls[i] : "")};
    struct asked x = {.e = e};
    struct net_listener l = {.ctx = &x, .done = on_answer};
    struct net_client *c = NULL;
    struct io_loop *loop;
    if (i >= ARRAY_LEN(urls)) {
        return no_more(e);
    }
    enum err err = io_loop_open(&io_clock_system, &loop, e);
    if (err) {
        return err;
    }
    err = net_client_open(loop, &policy, &c, e);
    if (!err && !net_send(c, &q, &l)) {
        err = error_nomem(e);
    }
    while (!err && !x.told && io_loop_turn(loop, true)) {}
    if (!err && !x.told) {
        err = error_set(e, ERR_STORE, "it was never told");
    }
    buf_printf(out, "told");
    net_client_close(c);
    while (io_loop_turn(loop, false)) {}
    io_loop_close(loop);
    return err ? err : x.err;
}

const struct unit units[] = {
    {"expressions", work_expression},
    {"templates", work_template},
    {"values", work_value},
    {"csv", work_csv},
    {"regex", work_regex},
    {"redact", work_redact},
    {"schemas", work_schema},
    {"yaml", work_yaml},
    {"flow", work_flow},
    {"format", work_format},
    {"requests", work_request},
    {"changes", work_change},
};
const size_t unit_count = ARRAY_LEN(units);
