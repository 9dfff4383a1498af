/* What is asked of a chat completions server: its address and the JSON body of the request.
 *
 * Params go through as they are written, for every server knows others, but none may change what
 * cairn itself relies on. The only one renamed is max_tokens, which OpenAI calls
 * max_completion_tokens by now.
 */
#include "llm/chat.h"

static bool is_openai(struct str url) { return str_starts(url, STR("https://api.openai.com/")); }

enum err chat_params_check(struct value params, struct error *e) {
    static const char *const own[] = {"model", "messages",    "stream",    "stream_options", "n",
                                      "tools", "tool_choice", "functions", "function_call"};
    for (size_t i = 0; params.type == VALUE_MAP && i < value_count(params); i++) {
        struct str key = value_str(params.pairs[i].key);
        for (size_t k = 0; k < ARRAY_LEN(own); k++) {
            if (str_is(key, own[k])) {
                return error_set(e, ERR_INVALID,
                                 "\"params\" cannot have \"%s\": it is not a setting of the model "
                                 "that may be changed here",
                                 own[k]);
            }
        }
    }
    return OK;
}

enum err chat_url_check(struct str url, struct error *e) {
    size_t scheme = str_starts(url, STR("https://")) ? 8 : str_starts(url, STR("http://")) ? 7 : 0;
    bool odd = !scheme || url.len == scheme || url.len > 2000;
    for (size_t i = 0; i < url.len; i++) {
        odd |= (unsigned char)url.ptr[i] <= ' ' || url.ptr[i] == '?' || url.ptr[i] == '#';
    }
    return odd ? error_set(e, ERR_INVALID,
                           "\"base_url\" must be the address that /chat/completions comes after, "
                           "such as http://localhost:11434/v1, not \"%.*s\"",
                           STR_ARG(str_sub(url, 0, 100)))
               : OK;
}

static struct str base_of(const struct llm_request *r) {
    struct str base = r->agent->base_url.len ? r->agent->base_url : r->address;
    base = base.len ? base : STR(CHAT_DEFAULT_URL);
    while (base.len && base.ptr[base.len - 1] == '/') {
        base.len--;
    }
    return base;
}

enum err chat_url(const struct llm_request *r, struct arena *a, struct str *out, struct error *e) {
    struct str base = base_of(r);
    enum err err = chat_url_check(base, e);
    struct str url = err ? base : arena_printf(a, "%.*s/chat/completions", STR_ARG(base));
    if (!err && !url.ptr) {
        return error_nomem(e);
    }
    *out = url;
    return err;
}

/* ---- the body ---- */

static void add_message(struct value_builder *list, const char *role, struct str text) {
    struct value_builder b;
    value_builder_init(&b, list->arena);
    value_map_add(&b, STR("role"), value_text(str_from(role)));
    value_map_add(&b, STR("content"), value_text(text));
    value_list_add(list, value_map_done(&b));
    list->ok &= b.ok;
}

static struct value messages(const struct llm_request *r, struct arena *a, bool *ok) {
    struct value_builder list;
    struct str system = r->agent->system;
    value_builder_init(&list, a);
    if (r->form.len) {
        system = system.len ? arena_printf(a, "%.*s\n\n%.*s", STR_ARG(system), STR_ARG(r->form))
                            : r->form;
        list.ok &= system.ptr != NULL;
    }
    if (system.len) {
        add_message(&list, "system", system);
    }
    for (size_t i = 0; i < r->earlier_count; i++) {
        add_message(&list, r->earlier[i].from_model ? "assistant" : "user", r->earlier[i].text);
    }
    add_message(&list, "user", r->prompt);
    *ok &= list.ok;
    return value_list_done(&list);
}

/* {type: json_schema, json_schema: {name, schema}} */
static struct value response_format(struct value schema, struct arena *a, bool *ok) {
    struct value_builder inner, outer;
    value_builder_init(&inner, a);
    value_builder_init(&outer, a);
    value_map_add(&inner, STR("name"), value_text(STR("answer")));
    value_map_add(&inner, STR("schema"), schema);
    value_map_add(&outer, STR("type"), value_text(STR("json_schema")));
    value_map_add(&outer, STR("json_schema"), value_map_done(&inner));
    *ok &= inner.ok && outer.ok;
    return value_map_done(&outer);
}

/* The API takes schemas of objects alone; of others the model is told by the form. */
static bool is_object(struct value schema) {
    const struct value *type = value_get(schema, STR("type"));
    return type && type->type == VALUE_TEXT && str_is(value_str(*type), "object");
}

static void add_params(struct value_builder *b, const struct llm_request *r) {
    bool rename = is_openai(base_of(r));
    for (size_t i = 0; r->params.type == VALUE_MAP && i < value_count(r->params); i++) {
        struct str key = value_str(r->params.pairs[i].key);
        key = rename && str_is(key, "max_tokens") ? STR("max_completion_tokens") : key;
        value_map_add(b, key, r->params.pairs[i].val);
    }
}

enum err chat_body(const struct llm_request *r, struct arena *a, struct buf *out, struct error *e) {
    struct value_builder b, options;
    bool ok = true;
    value_builder_init(&b, a);
    value_builder_init(&options, a);
    value_map_add(&options, STR("include_usage"), value_bool(true));
    value_map_add(&b, STR("model"), value_text(r->agent->model));
    value_map_add(&b, STR("messages"), messages(r, a, &ok));
    value_map_add(&b, STR("stream"), value_bool(true));
    value_map_add(&b, STR("stream_options"), value_map_done(&options));
    if (is_object(r->schema)) {
        value_map_add(&b, STR("response_format"), response_format(r->schema, a, &ok));
    }
    add_params(&b, r);
    struct value body = value_map_done(&b);
    if (!ok || !b.ok || !options.ok) {
        return error_nomem(e);
    }
    value_print_json(body, 0, out);
    return buf_ok(out) ? OK : error_nomem(e);
}
