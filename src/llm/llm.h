/* Models that answer: one interface for all services, one file per service (services.def).
 *
 * A service gets a request and answers by its listener, exactly once and never from inside start.
 * It knows no workflow: what an agent's settings mean is checked once, when the workflow is
 * compiled, and what came of that (setup) is handed back with each request. Nothing here retries;
 * a failure says whether it may pass (ERR_TRANSIENT).
 */
#ifndef CAIRN_LLM_LLM_H
#define CAIRN_LLM_LLM_H

#include "base/base.h"
#include "io/loop.h"
#include "value/value.h"

/* An agent as the workflow describes it. */
struct llm_agent {
    struct str name, service, model, system, base_url;
    struct value settings; /* the whole map as written: replies, params ... */
};

/* One question. Must stay unchanged until the listener's done. */
struct llm_request {
    const struct llm_agent *agent;
    const void *setup; /* from the service's check */
    struct str prompt;
    int64_t index;      /* of the foreach item, -1 for none */
    uint32_t iteration; /* of the step, from 0 */
    uint32_t attempt;   /* of the step, from 1 */
};

struct llm_usage {
    uint64_t input_tokens, output_tokens;
};

/* The answer, or why there is none. What it points to lives until done returns. */
struct llm_reply {
    const struct error *failure; /* NULL when it answered; ERR_CANCELLED after a cancel */
    struct str text;
    struct str model; /* who answered, by its own name */
    struct llm_usage usage;
};

struct llm_listener {
    void *ctx;
    void (*chunk)(void *ctx, struct str text); /* a piece of the text as it comes */
    void (*done)(void *ctx, const struct llm_reply *reply);
};

struct llm_call; /* a request under way; the service owns it */

struct llm_service {
    const char *name;
    const char *doc; /* one line */
    /* Reads the settings of an agent; *out lives in keep. ERR_INVALID says what is wrong. */
    enum err (*check)(const struct llm_agent *agent, struct arena *keep, const void **out,
                      struct error *e);
    /* Never NULL: what goes wrong at once is told by done too. */
    struct llm_call *(*start)(const struct llm_request *r, struct io_loop *loop,
                              const struct llm_listener *l);
    /* Stops it; done still comes, from a later turn of the loop. */
    void (*cancel)(struct llm_call *call);
};

/* The service that the agent names. ERR_INVALID with a suggestion when there is none;
 * ERR_UNSUPPORTED when this version does not have it. */
enum err llm_service_find(const struct llm_agent *agent, const struct llm_service **out,
                          struct error *e) MUST_USE;

#endif
