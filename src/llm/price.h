/* What a question may use at most, and what an answer cost: tokens and money.
 *
 * Tokens of a prompt are an estimate before it is asked: what the service counts, else a token for
 * every 3 bytes and 8 for each message, which is more than English text has.
 */
#ifndef CAIRN_LLM_PRICE_H
#define CAIRN_LLM_PRICE_H

#include "llm/llm.h"

#define LLM_OUTPUT_TOKENS 4096 /* of an answer at most, when params have no max_tokens */

/* US dollars per million tokens. */
struct llm_price {
    bool known;
    double input, cached, output;
};

/* By the table of prices.def. */
struct llm_price llm_price_find(struct str model);
/* Billionths of a US dollar; cached_tokens are of the input. */
int64_t llm_price_nano_usd(const struct llm_price *p, const struct llm_usage *u);
/* What it may use at most: no cached tokens, the longest answer. */
struct llm_usage llm_usage_most(const struct llm_service *s, const struct llm_request *r);

#endif
