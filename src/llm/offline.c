/* The service `offline`: a model without a model. Scripted replies, or an echo of the prompt.
 *
 * An answer depends on nothing but the request: its prompt, and for a list of replies the foreach
 * index or else the iteration of the step. Never on a clock, on chance, on other requests or on the
 * order in which they come, so an execution gives the same result however its steps interleave.
 * Tokens are words.
 */
#include "llm/llm.h"

#include <stdlib.h>

#define ECHO_BYTES 2000

/* A reply, or several: one for each time the step runs. */
struct rule {
    const struct str *match; /* any of them in the prompt, in any case of letters; none: always */
    size_t match_count;
    const struct str *replies;
    size_t reply_count;
    uint32_t fail; /* so many attempts of a step fail before it answers */
};

/* The first rule that fits answers. */
struct script {
    const struct rule *rules;
    size_t count;
};

/* ---- compile time: settings.replies and settings.default ---- */

struct reader {
    struct arena *keep;
    struct error *e;
};

static struct str reply_text(struct reader *r, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_text(v, &b);
    struct str text = buf_ok(&b) ? arena_str(r->keep, buf_str(&b)) : (struct str){0};
    buf_fini(&b);
    return text;
}

/* One value, or a list of them, as texts. */
static enum err read_texts(struct reader *r, struct value v, const struct str **out,
                           size_t *out_count) {
    bool many = v.type == VALUE_LIST;
    size_t count = many ? value_count(v) : 1;
    struct str *texts = ARENA_ARRAY(r->keep, count + 1, struct str);
    for (size_t i = 0; texts && i < count; i++) {
        texts[i] = reply_text(r, many ? v.items[i] : v);
        if (!texts[i].ptr) {
            return error_nomem(r->e);
        }
    }
    *out = texts;
    *out_count = count;
    return texts ? OK : error_nomem(r->e);
}

static enum err read_key(struct reader *r, struct str key, struct value v, struct rule *rule) {
    if (str_is(key, "match")) {
        enum err err = read_texts(r, v, &rule->match, &rule->match_count);
        if (!err && !rule->match_count) {
            return error_set(r->e, ERR_INVALID, "\"match\" is an empty list");
        }
        for (size_t i = 0; !err && i < rule->match_count; i++) {
            if (!rule->match[i].len) {
                return error_set(r->e, ERR_INVALID,
                                 "\"match\" has an empty text, which would fit every prompt; leave "
                                 "\"match\" out for that");
            }
        }
        return err;
    }
    if (str_is(key, "reply")) {
        return read_texts(r, v, &rule->replies, &rule->reply_count);
    }
    if (str_is(key, "fail")) {
        if (v.type != VALUE_INT || v.num < 1 || v.num > 1000) {
            return error_set(r->e, ERR_INVALID, "\"fail\" must be a number of attempts, 1 to 1000");
        }
        rule->fail = (uint32_t)v.num;
        return OK;
    }
    return error_set(r->e, ERR_INVALID,
                     "a reply has no key \"%.*s\"; its keys are match, reply, fail",
                     STR_ARG(str_sub(key, 0, 60)));
}

static enum err read_rule(struct reader *r, struct value v, struct rule *rule) {
    if (v.type != VALUE_MAP) {
        return error_set(r->e, ERR_INVALID,
                         "\"replies\" mixes plain replies and rules; write {reply: ...} for a "
                         "reply that fits every prompt");
    }
    for (size_t i = 0; i < value_count(v); i++) {
        enum err err = read_key(r, value_str(v.pairs[i].key), v.pairs[i].val, rule);
        if (err) {
            return err;
        }
    }
    if (!rule->reply_count) {
        return error_set(r->e, ERR_INVALID, "a rule of \"replies\" has no \"reply\"");
    }
    return OK;
}

static bool is_rule(struct value v) {
    return v.type == VALUE_MAP && (value_get(v, STR("reply")) || value_get(v, STR("match")));
}

static bool has_rules(struct value replies) {
    for (size_t i = 0; i < value_count(replies); i++) {
        if (is_rule(replies.items[i])) {
            return true;
        }
    }
    return false;
}

static enum err read_rules(struct reader *r, struct value replies, struct rule *rules,
                           size_t *out_count) {
    if (replies.type != VALUE_LIST || !value_count(replies)) {
        return error_set(r->e, ERR_INVALID,
                         "\"replies\" must be a list that is not empty: of texts, or of rules "
                         "such as {match: refund, reply: billing}");
    }
    if (!has_rules(replies)) {
        *out_count = 1;
        return read_texts(r, replies, &rules[0].replies, &rules[0].reply_count);
    }
    for (size_t i = 0; i < value_count(replies); i++) {
        enum err err = read_rule(r, replies.items[i], &rules[i]);
        if (err) {
            return err;
        }
    }
    *out_count = value_count(replies);
    return OK;
}

/* A file of replies may also be a map with a default of its own. */
static enum err open_file_map(struct reader *r, struct value *replies, struct value *fallback) {
    if (replies->type != VALUE_MAP) {
        return OK;
    }
    struct value map = *replies;
    *replies = value_null();
    for (size_t i = 0; i < value_count(map); i++) {
        struct str key = value_str(map.pairs[i].key);
        if (str_is(key, "replies")) {
            *replies = map.pairs[i].val;
        } else if (str_is(key, "default")) {
            *fallback = map.pairs[i].val;
        } else {
            return error_set(r->e, ERR_INVALID,
                             "replies as a map have the keys replies and default, not \"%.*s\"",
                             STR_ARG(str_sub(key, 0, 60)));
        }
    }
    return OK;
}

static struct value setting(const struct llm_agent *agent, struct str key) {
    const struct value *v = value_get(agent->settings, key);
    return v ? *v : value_null();
}

static enum err check(const struct llm_agent *agent, struct arena *keep, const void **out,
                      struct error *e) {
    struct reader r = {keep, e};
    struct value replies = setting(agent, STR("replies"));
    struct value fallback = setting(agent, STR("default"));
    bool scripted = value_get(agent->settings, STR("replies")) != NULL;
    enum err err = open_file_map(&r, &replies, &fallback);
    struct script *script = ARENA_NEW(keep, struct script);
    struct rule *rules = ARENA_ARRAY(keep, value_count(replies) + 2, struct rule);
    if (err || !script || !rules) {
        return err ? err : error_nomem(e);
    }
    if (scripted && (!value_is_null(replies) || value_is_null(fallback))) {
        err = read_rules(&r, replies, rules, &script->count);
    }
    if (!err && !value_is_null(fallback)) {
        struct rule *last = &rules[script->count++];
        err = read_texts(&r, fallback, &last->replies, &last->reply_count);
    }
    script->rules = rules;
    *out = script;
    return err;
}

/* ---- answering ---- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

static bool occurs(struct str text, struct str word) {
    for (size_t at = 0; at + word.len <= text.len; at++) {
        size_t i = 0;
        while (i < word.len && lower(text.ptr[at + i]) == lower(word.ptr[i])) {
            i++;
        }
        if (i == word.len) {
            return true;
        }
    }
    return false;
}

static bool fits(const struct rule *rule, struct str prompt) {
    for (size_t i = 0; i < rule->match_count; i++) {
        if (occurs(prompt, rule->match[i])) {
            return true;
        }
    }
    return rule->match_count == 0;
}

static uint64_t count_words(struct str text) {
    uint64_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        bool space = text.ptr[i] == ' ' || (text.ptr[i] >= '\t' && text.ptr[i] <= '\r');
        words += !space && !inside;
        inside = !space;
    }
    return words;
}

/* Past the end of a list its last reply stays. */
static struct str pick(const struct rule *rule, const struct llm_request *r) {
    uint64_t turn = r->index >= 0 ? (uint64_t)r->index : r->iteration;
    return rule->replies[turn < rule->reply_count ? turn : rule->reply_count - 1];
}

static struct str echo(struct str prompt, struct buf *b) {
    struct str text = str_trim(prompt);
    size_t end = text.len < ECHO_BYTES ? text.len : ECHO_BYTES;
    while (end < text.len && end > 0 && ((unsigned char)text.ptr[end] & 0xc0) == 0x80) {
        end--;
    }
    buf_append_cstr(b, "Offline reply to: ");
    buf_append(b, str_sub(text, 0, end));
    buf_append_cstr(b, end < text.len ? "..." : "");
    return buf_str(b);
}

static enum err no_rule(const struct script *script, struct str prompt, struct error *e) {
    struct buf shown;
    buf_init(&shown, 0);
    value_print_short(value_text(prompt), 120, &shown);
    error_set(e, ERR_INVALID,
              "none of the agent's %zu rules in \"replies\" fits the prompt %.*s; a rule without "
              "\"match\" at the end fits every prompt",
              script->count, STR_ARG(buf_str(&shown)));
    buf_fini(&shown);
    return ERR_INVALID;
}

static enum err answer(const struct llm_request *r, struct buf *b, struct str *out,
                       struct error *e) {
    const struct script *script = r->setup;
    if (!script->count) {
        *out = echo(r->prompt, b);
        return buf_ok(b) ? OK : error_nomem(e);
    }
    for (size_t i = 0; i < script->count; i++) {
        const struct rule *rule = &script->rules[i];
        if (!fits(rule, r->prompt)) {
            continue;
        }
        if (r->attempt <= rule->fail) {
            return error_set(e, ERR_TRANSIENT, "scripted failure %u of %u", r->attempt, rule->fail);
        }
        *out = pick(rule, r);
        return OK;
    }
    return no_rule(script, r->prompt, e);
}

struct llm_call {
    const struct llm_request *request;
    struct llm_listener listener;
    struct io_timer *timer;
    bool cancelled;
};

static void due(void *ctx) {
    struct llm_call *call = ctx;
    const struct llm_request *r = call->request;
    struct llm_listener l = call->listener;
    struct llm_reply reply = {.model = STR("offline")};
    struct error why = {0};
    struct buf b;
    buf_init(&b, 0);
    enum err err = call->cancelled ? error_set(&why, ERR_CANCELLED, "the question was taken back")
                                   : answer(r, &b, &reply.text, &why);
    if (err) {
        reply.failure = &why;
    } else {
        reply.usage.known = true;
        reply.usage.input_tokens = count_words(r->agent->system) + count_words(r->prompt);
        reply.usage.output_tokens = count_words(reply.text);
        l.chunk(l.ctx, reply.text);
    }
    io_timer_close(call->timer);
    free(call);
    l.done(l.ctx, &reply);
    buf_fini(&b);
}

static struct llm_call *start(const struct llm_request *r, struct io_loop *loop,
                              const struct llm_listener *l) {
    struct llm_call *call = calloc(1, sizeof *call);
    struct io_timer *timer = call ? io_timer_open(loop, due, call) : NULL;
    if (!timer) {
        free(call);
        return NULL;
    }
    *call = (struct llm_call){.request = r, .listener = *l, .timer = timer};
    io_timer_start(call->timer, 0);
    return call;
}

static void cancel(struct llm_call *call) { call->cancelled = true; }

const struct llm_service llm_offline = {
    .name = "offline",
    .doc = "a deterministic model built into cairn: scripted replies, or an echo",
    .costs_nothing = true,
    .count = count_words,
    .check = check,
    .start = start,
    .cancel = cancel,
};
