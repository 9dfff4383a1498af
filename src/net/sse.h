/* Server-sent events, read piece by piece as they come (WHATWG HTML section 9.2).
 *
 * Lines end with CR LF, LF or CR; a piece may end anywhere, in the middle of a character or a line
 * end too. Comments are skipped. An event without a blank line after it never happened.
 */
#ifndef CAIRN_NET_SSE_H
#define CAIRN_NET_SSE_H

#include "base/base.h"

#define SSE_MAX_EVENT_BYTES (8u << 20)

/* name is "message" when the event has none; data: its lines joined by LF. Both live until it
 * returns. */
typedef void sse_event_fn(void *ctx, struct str name, struct str data);

struct sse {
    sse_event_fn *event;
    void *ctx;
    size_t max_bytes;
    struct buf line, name, data;
    struct buf id;    /* of the last event that had one; kept for asking for what follows it */
    int64_t retry_us; /* how long the server wants a client to wait before it comes again; 0 */
    bool any_data;    /* the event has a data line, if only an empty one */
    bool after_cr;    /* an LF that comes now belongs to the line end before it */
    bool started;     /* past the place of a byte order mark */
};

/* max_event_bytes bounds a line and the data of an event; 0: SSE_MAX_EVENT_BYTES. */
void sse_init(struct sse *s, size_t max_event_bytes, sse_event_fn *event, void *ctx);
/* Calls event for each one that is complete. ERR_LIMIT: a line or an event is too long; nothing
 * more may be fed then. event must not feed or end s. */
enum err sse_feed(struct sse *s, struct str bytes, struct error *e) MUST_USE;
void sse_fini(struct sse *s);

#endif
