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

struct net_client;

/* An agent as the workflow describes it. */
struct llm_agent {
    struct str name, service, model, system, base_url;
    struct str api_key;    /* name of the secret with its key; empty: the service's own */
    struct value settings; /* the whole map as written: replies, params ... */
    bool perhaps;          /* check: an input chooses the service, it need not be this one */
};

/* A message of the conversation so far. */
struct llm_message {
    bool from_model; /* else it was told to it */
    struct str text;
};

/* One question. Must stay unchanged until the listener's done. */
struct llm_request {
    const struct llm_agent *agent;
    const void *setup; /* from the service's check */
    const struct llm_message *earlier;
    size_t earlier_count;
    struct str prompt;
    struct str form;     /* how the answer must look, told beside the system prompt, or empty */
    struct value schema; /* JSON Schema of the answer, or null */
    struct value params; /* map: settings of the model, or null */
    int64_t index;       /* of the foreach item, -1 for none */
    uint32_t iteration;  /* of the step, from 0 */
    uint32_t attempt;    /* of the step, from 1 */
    struct str id;       /* the same for the same question, asked again after a crash */
    struct str key;      /* the secret itself, or empty; never to be told to anybody else */
    struct str key_name;
    struct str address;     /* what is set for this host as the service's address, or empty */
    int64_t timeout_us;     /* of the step, 0 for none: the service takes its own */
    struct net_client *net; /* NULL: there is no network */
};

struct llm_usage {
    bool known; /* a service may have told nothing: that is not zero */
    uint64_t input_tokens, output_tokens;
    bool cached_known;
    uint64_t cached_tokens; /* of the input */
};

/* The answer, or why there is none. What it points to lives until done returns. */
struct llm_reply {
    const struct error *failure; /* NULL when it answered; ERR_CANCELLED after a cancel */
    struct str failure_type;     /* "rate_limited", "truncated" ...; empty: the code's name */
    int64_t retry_after_us;      /* failure: not again before that, from now; 0: not told */
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
    const char *doc;          /* one line */
    const char *key_name;     /* the secret with its key unless the agent names one, or NULL */
    const char *address_name; /* the setting of a host with its address, or NULL */
    bool costs_nothing;       /* unless the agent has a price */
    /* Tokens of a text as it will count them; NULL: they are estimated by its length. */
    uint64_t (*count)(struct str text);
    /* Reads the settings of an agent; *out lives in keep. ERR_INVALID says what is wrong. */
    enum err (*check)(const struct llm_agent *agent, struct arena *keep, const void **out,
                      struct error *e);
    /* Params that only a node gives; NULL: any. ERR_INVALID says what is wrong. */
    enum err (*check_params)(struct value params, struct error *e);
    /* What goes wrong at once is told by done too. NULL: there is no memory even for that. */
    struct llm_call *(*start)(const struct llm_request *r, struct io_loop *loop,
                              const struct llm_listener *l);
    /* Stops it; done still comes, from a later turn of the loop. */
    void (*cancel)(struct llm_call *call);
};

/* All services, in the order of services.def. */
const struct llm_service *const *llm_services(size_t *out_count);
/* The service that the agent names. ERR_INVALID with a suggestion when there is none;
 * ERR_UNSUPPORTED when this version does not have it. */
enum err llm_service_find(const struct llm_agent *agent, const struct llm_service **out,
                          struct error *e) MUST_USE;

#endif
