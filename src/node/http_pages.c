/* Paging: each page is a recorded call, so those that an earlier attempt has finished are not
 * asked for again.
 *
 * What is recorded of a page is its items and where the next one is, not the page. The next page
 * may not leave the origin of the first: the credentials are for that one alone.
 */
#include "node/http_priv.h"

/* ---- the expressions over a page ---- */

static enum err get_name(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    const struct value *names = ctx;
    (void)e;
    *out = names[slot];
    return OK;
}

static enum err evaluate(const struct step_in *in, const struct expr *x, struct value *names,
                         struct value *out, struct error *e) {
    struct expr_env env = {
        .ctx = names, .get = get_name, .arena = in->arena, .max_bytes = NODE_EVAL_BYTES};
    return expr_eval(x, &env, out, e);
}

static enum err check_results(struct value items, struct value next, struct error *e) {
    if (items.type != VALUE_LIST) {
        return error_set(e, ERR_EXPRESSION, "items of paginate must give a list, not %s",
                         value_type_name(items.type));
    }
    if (!value_is_null(next) && next.type != VALUE_TEXT && next.type != VALUE_MAP) {
        return error_set(e, ERR_EXPRESSION,
                         "next of paginate must give a URL, a map of params or null, not %s",
                         value_type_name(next.type));
    }
    return OK;
}

static enum err read_page(struct http_run *x, const struct net_response *r, struct value page,
                          struct value *out_answer, struct error *e) {
    const struct step_in *in = x->port->in;
    struct value items, next;
    struct value_builder b;
    struct value names[] = {[HTTP_PAGE] = page,
                            [HTTP_PAGE_HEADERS] = http_headers_value(in->arena, r),
                            [HTTP_PAGE_STATUS] = value_int(r->status),
                            [HTTP_PAGE_NUMBER] = value_int(x->number)};
    enum err err = evaluate(in, x->data->items, names, &items, e);
    err = err ? err : evaluate(in, x->data->next, names, &next, e);
    err = err ? err : check_results(items, next, e);
    if (err) {
        return err;
    }
    value_builder_init(&b, in->arena);
    value_map_add(&b, STR("status"), value_int(r->status));
    value_map_add(&b, STR("bytes"), value_int((int64_t)r->body.len));
    value_map_add(&b, STR("items"), items);
    value_map_add(&b, STR("next"), next);
    *out_answer = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

/* ---- from page to page ---- */

static struct value part(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return v ? *v : value_null();
}

/* The params of before, those of the same name replaced. */
static struct value merge(struct arena *a, struct value before, struct value more) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (size_t i = 0; before.type == VALUE_MAP && i < value_count(before); i++) {
        value_map_add(&b, value_str(before.pairs[i].key), before.pairs[i].val);
    }
    for (size_t i = 0; i < value_count(more); i++) {
        value_map_add(&b, value_str(more.pairs[i].key), more.pairs[i].val);
    }
    return value_map_done(&b);
}

/* Where the next page is; false when there is none. */
static bool move_on(struct http_run *x, struct value next) {
    if (value_is_null(next) || (next.type == VALUE_TEXT && !value_str(next).len)) {
        return false;
    }
    if (next.type == VALUE_MAP) {
        x->ask.params = merge(x->port->in->arena, x->ask.params, next);
        return true;
    }
    x->ask.base = x->ask.base.len ? x->ask.base : x->ask.recorded;
    x->ask.url = value_str(next);
    x->ask.params = value_null();
    return true;
}

/* Adds the items; true when another page is to be asked for. The port is answered otherwise. */
static bool add_page(struct http_run *x, struct value answer) {
    const struct http_data *d = x->data;
    struct value items = part(answer, "items");
    struct error e;
    for (size_t i = 0; i < value_count(items); i++) {
        value_list_add(&x->items, items.items[i]);
    }
    bool more = move_on(x, part(answer, "next"));
    if (more && !d->max_pages && x->number == HTTP_PAGES_MAX) {
        error_set(&e, ERR_LIMIT, "there are more than %d pages; max_pages says how many to take",
                  HTTP_PAGES_MAX);
        http_fail_error(x, &e);
        return false;
    }
    if (more && x->number != d->max_pages) {
        return true;
    }
    x->more = more;
    struct value all = value_list_done(&x->items);
    if (x->items.ok) {
        http_done(x, all);
    } else {
        error_nomem(&e);
        http_fail_error(x, &e);
    }
    return false;
}

static struct value request_value(const struct http_run *x) {
    struct value_builder b;
    value_builder_init(&b, x->port->in->arena);
    value_map_add(&b, STR("page"), value_int(x->number));
    value_map_add(&b, STR("method"), value_text(x->ask.net.method));
    value_map_add(&b, STR("url"), value_text(x->ask.recorded));
    return value_map_done(&b);
}

/* The pages so far have used up some of what the step may give. */
static enum err prepare(struct http_run *x, struct error *e) {
    const struct step_in *in = x->port->in;
    if (x->bytes >= in->max_output_bytes) {
        return error_set(e, ERR_LIMIT, "the pages are longer than %llu bytes (max_output_bytes)",
                         (unsigned long long)in->max_output_bytes);
    }
    x->number++;
    x->ask.max_bytes = in->max_output_bytes - x->bytes;
    return http_request_begin(in, &x->ask, e);
}

static enum err make(struct http_run *x, struct error *e) {
    const struct step_in *in = x->port->in;
    x->ask.key = arena_printf(in->arena, "%.*s/%u", STR_ARG(in->key), x->call);
    return x->ask.key.ptr ? http_request_make(in, &x->ask, e) : error_nomem(e);
}

static void send_page(struct http_run *x) {
    struct error e = {0};
    if (make(x, &e)) {
        http_fail_error(x, &e);
    } else {
        http_send(x);
    }
}

static void ask_on(struct http_run *x) {
    struct value answer;
    struct error e = {0};
    do {
        if (x->cancelled) { /* while no request was under way that could be stopped */
            error_set(&e, ERR_CANCELLED, "the step was cancelled");
        }
        if (e.code || prepare(x, &e)) {
            http_fail_error(x, &e);
            return;
        }
        x->call = x->port->ops->call_begin(x->port, request_value(x), &answer);
        if (value_is_null(answer)) {
            send_page(x);
            return;
        }
        x->bytes += (uint64_t)part(answer, "bytes").num;
        x->status = (int)part(answer, "status").num;
        x->url = x->ask.shown;
    } while (add_page(x, answer));
}

void http_pages_begin(struct http_run *x) {
    value_builder_init(&x->items, x->port->in->arena);
    ask_on(x);
}

void http_pages_take(struct http_run *x, const struct net_response *r, struct value page) {
    struct value answer;
    struct error e = {0};
    if (read_page(x, r, page, &answer, &e)) {
        http_fail_error(x, &e);
        return;
    }
    x->port->ops->call_done(x->port, x->call, answer);
    if (add_page(x, answer)) {
        ask_on(x);
    }
}
