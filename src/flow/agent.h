/* An agent of a workflow, as the plan keeps it. Immutable, in the plan's arena; what it means
 * belongs to the kinds that ask agents and to the services.
 */
#ifndef CAIRN_FLOW_AGENT_H
#define CAIRN_FLOW_AGENT_H

#include "base/base.h"
#include "expr/expr.h"
#include "value/value.h"

struct plan_input;

/* Texts of an agent that may be templates over the inputs of the execution. */
enum agent_text { AGENT_SERVICE, AGENT_MODEL, AGENT_SYSTEM, AGENT_BASE_URL, AGENT_TEXTS };

/* Whose earlier messages of the execution an agent sees. */
enum memory_keep { MEMORY_NONE, MEMORY_OWN, MEMORY_ALL };

/* US dollars per million tokens. */
struct agent_price {
    bool given;
    double input, cached, output;
};

struct plan_agent {
    struct str name;
    struct str texts[AGENT_TEXTS];             /* as written */
    const struct tmpl *templates[AGENT_TEXTS]; /* NULL: the text is what it is */
    struct str api_key;                        /* name of the secret with the key, or empty */
    enum memory_keep keep;
    uint32_t at_most; /* of earlier messages, 0 for no limit */
    struct agent_price price;
    struct value settings;           /* the whole map as written: replies, memory, params */
    const struct plan_input *inputs; /* of the workflow: what templates may read */
    uint32_t input_count;
    struct mark mark;
};

/* A text of an agent in an execution with these inputs (a map); in arena, or the plan's. */
enum err plan_agent_text(const struct plan_agent *a, enum agent_text which, struct value inputs,
                         struct arena *arena, struct str *out, struct error *e) MUST_USE;

#endif
