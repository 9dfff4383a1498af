/* What a node kind is: a constant descriptor, one file in src/node and one row in kinds.def.
 *
 * Everything about a kind follows from its descriptor: checking, `cairn schema`, `cairn kinds`.
 * A NULL function means the default. done or fail is called once, never from start (asserted).
 */
#ifndef CAIRN_FLOW_KIND_H
#define CAIRN_FLOW_KIND_H

#include "base/base.h"
#include "value/value.h"

struct plan_agent;
struct plan_node;
struct node_check;
struct step_in;
struct step_port;
struct step_result;
struct step_wait;
struct step_wake;
struct io_loop;
struct net_client;

enum field_type {
    FIELD_EXPRESSION, /* CEL; a map or list is a structure whose text leaves are expressions */
    FIELD_TEMPLATE,   /* text with {{ }} */
    FIELD_STRUCTURE,  /* any YAML; text leaves are templates (one lone {{ x }} keeps its type) */
    FIELD_LITERAL,    /* text, int, double or bool as literal says; never evaluated */
    FIELD_DURATION,   /* 90s, 1h30m; its value is an int of microseconds */
    FIELD_SCHEMA,     /* a JSON Schema */
    FIELD_VALUE,      /* any YAML, never evaluated */
};

enum literal_type {
    LITERAL_TEXT,
    LITERAL_INT,
    LITERAL_DOUBLE,
    LITERAL_BOOL,
    LITERAL_TEXTS, /* a list */
};

struct field {
    const char *name;
    enum field_type type;
    enum literal_type literal; /* FIELD_LITERAL only */
    bool required;
    bool secret_ok;             /* {{ secrets.X }} may stand here (a field of an effect) */
    bool wants_bool;            /* FIELD_EXPRESSION: a constant that is no bool is refused */
    const char *default_text;   /* shown in docs; the kind applies it */
    const char *const *choices; /* FIELD_LITERAL text: allowed words, NULL-terminated */
    const char *one_of;         /* exactly one field of the same group must be given */
    const char *needs;          /* another field that must be given too */
    const char *first_for;      /* in iteration 0 it stands for that field, which is null then */
    const char *doc;
};

enum kind_flag {
    KIND_PURE = 1 << 0,       /* has eval, no start: runs ahead without waiting for the disk */
    KIND_NO_SLOT = 1 << 1,    /* holds no slot (workflow, ask, wait) */
    KIND_NO_TIMEOUT = 1 << 2, /* defaults.timeout does not reach it */
    KIND_SCOPE = 1 << 3,      /* gets the bodies of its needs by name in step_in.scope */
    KIND_END = 1 << 4,        /* its body is a candidate for finalResult */
    KIND_ANY_EXIT = 1 << 5,   /* a plain need on it is any of its normal exits, but for `out` */
    KIND_ASKS = 1 << 7,       /* its steps wait for answers: one that comes before is kept */
    KIND_PROGRAM = 1 << 6,    /* runs programs, with CAIRN_IDEMPOTENCY_KEY in their environment */
};

struct node_kind {
    const char *name;
    const char *const *aliases; /* names other systems use, NULL-terminated, or NULL */
    const char *doc;            /* one line */
    const char *body_doc;       /* what the body is */
    const struct field *fields;
    size_t field_count;
    const char *const *handles; /* NULL-terminated; NULL means {"out"} */
    uint32_t flags;             /* enum kind_flag */
    const char *example;        /* a YAML node that validates, for docs and tests; may be NULL */
    /* Compile time: checks what fields cannot say, adds handles, reads files, sets purity. */
    void (*check)(struct node_check *c);
    /* Pure kinds: the result. Errors are failures of the step (code is their type). */
    enum err (*eval)(const struct step_in *in, struct step_result *out, struct error *e);
    /* Effects: begins; later calls in->port's done or fail. */
    void (*start)(const struct step_in *in, struct step_port *port);
    /* Effects that call one service: appends its name ("openai", "https://api.example.com"), for
     * a breaker. Nothing when there is none. Fields may be sealed. */
    void (*service)(const struct step_in *in, struct buf *out);
    /* Effects: stop now, with what it began. done or fail ends it as usual. NULL: nothing to. */
    void (*cancel)(struct step_port *port);
    /* Kinds that wait: pure, instead of eval or start. wait says for what, woken what came of it.
     * An error fails the step; one of woken after an answer refuses that answer, and the step
     * waits on. A step that waits holds no slot, no port, no process. */
    enum err (*wait)(const struct step_in *in, wall_us now, struct step_wait *out, struct error *e);
    enum err (*woken)(const struct step_in *in, const struct step_wake *w, struct step_result *out,
                      struct error *e);
};

/* A step's result on success. */
struct step_result {
    struct arena *arena; /* for what body and meta point to (eval only) */
    struct str handle;   /* empty: the kind's only normal handle */
    struct value body;
    struct value meta; /* map or null: usage, exit status, model ... */
    bool conversation; /* contentType conversation */
    bool cached;       /* never by a kind: it is another step's, nothing was performed */
};

/* Whether an attempt that failed may be tried again; retry.on names classes and error types. */
enum failure_class { FAILURE_PERMANENT, FAILURE_TRANSIENT };

struct step_failure {
    enum failure_class class;
    struct str type;        /* "code", "timeout", "expression", "too_large" ... */
    struct str message;     /* what, where, what to do */
    struct value meta;      /* map or null */
    int64_t retry_after_us; /* an attempt after this one starts no earlier than that; 0: as usual */
    bool forget_calls;      /* what calls inside the step answered is not to be used again */
};

/* One attempt of a step, as the kind sees it. Stays valid and unchanged until done or fail. */
struct step_in {
    struct str execution; /* exec_... */
    struct str step;      /* draft#2[3]~1 */
    struct str key;       /* idempotency key: <execution>/<step> */
    uint32_t attempt;     /* from 1 */
    uint32_t failures;    /* attempts before this one that failed; a crash is none */
    const struct plan_node *node;
    const struct value *fields; /* by index of kind->fields; evaluated; null when not given */
    struct value inputs;        /* the execution's inputs (map) */
    struct value ins;           /* map of the node's own `in` names */
    struct value scope;         /* KIND_SCOPE: needs' bodies, ins, item name, index; else null */
    struct value item;          /* foreach: the item */
    int64_t index;              /* foreach: its index, else -1 */
    uint32_t items;             /* foreach: how many there are */
    uint32_t iteration;
    struct value previous; /* the node's body of the iteration before */
    int64_t timeout_us;    /* of this attempt, 0 for none */
    uint64_t max_output_bytes;
    struct arena *arena; /* lives as long as the attempt */
};

/* The table of kinds is an argument everywhere, so that tests pass their own. */
struct kind_table {
    const struct node_kind *const *kinds;
    size_t count;
};
/* By name or alias; NULL when unknown. */
const struct node_kind *kind_find(const struct kind_table *t, struct str name);

#include "flow/kind_check.h"
#include "flow/kind_wait.h"
#include "flow/port.h"

#endif
