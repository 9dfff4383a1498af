/* Prices and estimates; see price.h. Money is counted in billionths of a US dollar, so that sums of
 * many calls are exact.
 *
 * Nothing here knows a budget.
 */
#include "llm/price.h"

#include <math.h>

static const struct {
    const char *model;
    double input, cached, output;
} prices[] = {
#define PRICE(model, input, cached, output) {model, input, cached, output},
#include "llm/prices.def"
#undef PRICE
};

/* -2024-07-18 */
static bool is_date(struct str s) {
    static const char form[] = "-dddd-dd-dd";
    for (size_t i = 0; i < s.len && s.len == sizeof form - 1; i++) {
        bool digit = s.ptr[i] >= '0' && s.ptr[i] <= '9';
        if (form[i] == 'd' ? !digit : s.ptr[i] != '-') {
            return false;
        }
    }
    return s.len == sizeof form - 1;
}

struct llm_price llm_price_find(struct str model) {
    for (size_t i = 0; i < ARRAY_LEN(prices); i++) {
        struct str name = str_from(prices[i].model);
        struct str rest = str_starts(model, name) ? str_sub(model, name.len, model.len) : STR("?");
        if (rest.len == 0 || is_date(rest)) {
            return (struct llm_price){true, prices[i].input, prices[i].cached, prices[i].output};
        }
    }
    return (struct llm_price){0};
}

int64_t llm_price_nano_usd(const struct llm_price *p, const struct llm_usage *u) {
    double cached =
        (double)(u->cached_tokens < u->input_tokens ? u->cached_tokens : u->input_tokens);
    double input = (double)u->input_tokens - cached, output = (double)u->output_tokens;
    /* dollars per million tokens are thousands of billionths of a dollar per token */
    double nano = (input * p->input + cached * p->cached + output * p->output) * 1000;
    return nano < 1e18 ? llround(nano) : INT64_C(1000000000000000000);
}

static uint64_t count(const struct llm_service *s, struct str text) {
    if (s->count) {
        return s->count(text);
    }
    return text.len ? text.len / 3 + 8 : 0;
}

static uint64_t longest_answer(struct value params) {
    static const char *const keys[] = {"max_tokens", "max_completion_tokens"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct value *v = value_get(params, str_from(keys[i]));
        if (v && v->type == VALUE_INT && v->num > 0 && v->num < INT32_MAX) {
            return (uint64_t)v->num;
        }
    }
    return LLM_OUTPUT_TOKENS;
}

struct llm_usage llm_usage_most(const struct llm_service *s, const struct llm_request *r) {
    uint64_t tokens = count(s, r->agent->system) + count(s, r->form) + count(s, r->prompt);
    for (size_t i = 0; i < r->earlier_count; i++) {
        tokens += count(s, r->earlier[i].text);
    }
    return (struct llm_usage){
        .known = true, .input_tokens = tokens, .output_tokens = longest_answer(r->params)};
}
