/* Chat completions, the API of OpenAI that many servers speak: making a request, reading the answer
 * whole or as a stream, and telling what a refusal means. Never here: sending anything.
 */
#ifndef CAIRN_LLM_CHAT_H
#define CAIRN_LLM_CHAT_H

#include "llm/llm.h"
#include "net/net.h"

#define CHAT_DEFAULT_URL "https://api.openai.com/v1"

/* ---- chat_request.c ---- */

/* No params that this file decides on itself; ERR_INVALID names the one. Null is fine. */
enum err chat_params_check(struct value params, struct error *e) MUST_USE;
/* ERR_INVALID when url is no address of a server. */
enum err chat_url_check(struct str url, struct error *e) MUST_USE;
/* Where r goes: the agent's base_url, else the host's address, else OpenAI. In a. */
enum err chat_url(const struct llm_request *r, struct arena *a, struct str *out, struct error *e)
    MUST_USE;
/* The body of the POST. */
enum err chat_body(const struct llm_request *r, struct arena *a, struct buf *out, struct error *e)
    MUST_USE;

/* ---- chat_error.c ---- */

struct chat_failure {
    struct error error;
    struct str type; /* static text */
    int64_t retry_after_us;
    struct str key, key_name; /* set by the caller: what no message may quote */
};

/* An answer other than 200: head with its headers, and its body. */
void chat_status_read(const struct net_response *head, struct str body, wall_us now,
                      struct chat_failure *out);
/* The object `error` of a body or of a stream that began well. */
void chat_error_read(struct value error, struct chat_failure *out);
/* Text of the server for a message: without the key, UTF-8, and only then cut. In b. */
struct str chat_quote(const struct chat_failure *f, struct str text, size_t max_bytes,
                      struct buf *b);
/* Sets a failure: ERR_TRANSIENT or what never gets better. */
void chat_fail(struct chat_failure *out, enum err code, const char *type, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* ---- chat_answer.c ---- */

enum chat_finish {
    CHAT_OPEN, /* not yet told */
    CHAT_STOP,
    CHAT_LENGTH,
    CHAT_FILTER,
    CHAT_TOOLS,
};

/* What has come so far. */
struct chat_answer {
    struct buf text, refusal, model;
    enum chat_finish finish;
    bool begun; /* there was a message, empty perhaps */
    bool over;  /* [DONE] */
    struct llm_usage usage;
    struct arena scratch; /* of one event */
};

void chat_answer_init(struct chat_answer *a);
void chat_answer_fini(struct chat_answer *a);
/* One event of the stream; *out_piece is what it adds to the text, valid until the next. */
enum err chat_answer_event(struct chat_answer *a, struct str data, struct str *out_piece,
                           struct chat_failure *out) MUST_USE;
/* An answer that was not streamed. */
enum err chat_answer_whole(struct chat_answer *a, struct str body, struct chat_failure *out)
    MUST_USE;
/* Everything has come: is it an answer? */
enum err chat_answer_end(const struct chat_answer *a, struct chat_failure *out) MUST_USE;

#endif
