/* What the files of src/schema share. A schema is compiled to nodes; a node is a list of rules,
 * one per keyword; a rule knows how to check an instance (keywords.c has the table).
 *
 * Checking recurses over schema and instance together: SCHEMA_MAX_DEPTH bounds it, and with it
 * references that run in circles. SCHEMA_MAX_STEPS bounds the work.
 */
#ifndef CAIRN_SCHEMA_PRIV_H
#define CAIRN_SCHEMA_PRIV_H

#include "schema/schema.h"
#include "value/regex.h"

#define SCHEMA_MAX_DEPTH 1000u
#define SCHEMA_MAX_NESTING 200u /* of the schema's own text */
#define SCHEMA_MAX_STEPS 20000000ull

struct schema_node;
struct schema_rule;
struct schema_run;
struct schema_frame;

/* --- compiled form --- */

/* A part of the schema with an $id of its own (the root has one, maybe empty). */
struct schema_resource {
    struct str uri;
    struct value raw;
    struct map anchors; /* $anchor and $dynamicAnchor: name -> node */
    struct map dynamic; /* $dynamicAnchor only */
};

enum schema_type {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_INTEGER = 4,
    TYPE_NUMBER = 8,
    TYPE_STRING = 16,
    TYPE_ARRAY = 32,
    TYPE_OBJECT = 64,
};

struct schema_pattern {
    const struct regex *regex;
    struct schema_node *node;
};

struct schema_node {
    bool never; /* the schema false; true is a node without rules */
    struct value raw;
    struct schema_resource *resource;
    const struct value_pair *identity; /* of raw: the same map is compiled once */
    struct schema_rule *rules;         /* in the order of the keyword table */
    uint32_t rule_count;
    uint32_t types;                  /* enum schema_type bits of "type", 0 when absent */
    uint32_t prefix_count;           /* of prefixItems */
    struct map properties;           /* name -> node */
    struct schema_pattern *patterns; /* patternProperties */
    uint32_t pattern_count;
};

struct schema_compiler;

struct schema_keyword {
    const char *name;
    /* Reads the keyword's value into the rule; sets *skip when there is nothing to check. */
    enum err (*parse)(struct schema_compiler *c, struct schema_node *n, struct schema_rule *r);
    bool (*check)(struct schema_run *x, const struct schema_frame *f, const struct schema_rule *r);
};

struct schema_rule {
    const struct schema_keyword *keyword;
    struct value value;         /* the keyword's value as it stands in the schema */
    struct schema_node *node;   /* the one subschema, or the target of a reference */
    struct schema_node **nodes; /* several */
    uint32_t count;
    const struct regex *regex;
    uint64_t limit, limit_max;
    struct str dynamic; /* $dynamicRef: the name looked up at run time, or empty */
    bool skip;
};

struct schema {
    struct schema_node *root;
    bool tracks; /* some unevaluated keyword: evaluated items and properties are kept */
};

/* Tables of keywords, one per file; checked in this order. */
struct schema_table {
    const struct schema_keyword *keywords;
    size_t count;
};
extern const struct schema_table schema_value_table;       /* rules_value.c */
extern const struct schema_table schema_logic_table;       /* rules_logic.c */
extern const struct schema_table schema_list_table;        /* rules_list.c */
extern const struct schema_table schema_map_table;         /* rules_map.c */
extern const struct schema_table schema_unevaluated_table; /* rules_unevaluated.c: last */

/* --- compiling (compile.c) --- */

/* A step of the place within the schema, for messages. */
struct schema_at {
    const struct schema_at *outer;
    struct str key;
};

struct schema_pending;

struct schema_compiler {
    struct arena *arena;
    struct arena scratch;
    struct schema *schema;
    struct map nodes;               /* identity -> node */
    struct map resources;           /* uri -> resource */
    struct schema_pending *pending; /* references not yet resolved */
    struct str base;                /* the place that at begins from, as a JSON Pointer */
    const struct schema_at *at;
    uint32_t depth;
    bool formats; /* format is an assertion */
    struct error *error;
};

enum err schema_invalid(struct schema_compiler *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The node of a subschema below the current place: key, or index when key is empty. */
enum err schema_subnode(struct schema_compiler *c, const struct schema_node *parent, struct str key,
                        struct value raw, struct schema_node **out);
enum err schema_defer_ref(struct schema_compiler *c, struct schema_node *n, struct schema_rule *r);
enum err schema_regex(struct schema_compiler *c, struct str pattern, const struct regex **out);
/* A size: an integer, or a double without fraction, at least 0. */
bool schema_size(struct value v, uint64_t *out);

/* --- checking (check.c) --- */

struct schema_place {
    const struct schema_place *outer;
    struct str key; /* of a map; ptr NULL: index of a list */
    size_t index;
};

/* The resources entered so far, innermost first. */
struct schema_scope {
    const struct schema_scope *outer;
    const struct schema_resource *resource;
};

/* Which items and properties of one instance some subschema has looked at. */
struct schema_seen {
    bool all;
    uint32_t count; /* of the instance */
    uint8_t *bits;  /* one byte each; NULL: none */
};

struct schema_frame {
    const struct schema_node *node;
    struct value v;
    const struct schema_place *place;
    const struct schema_scope *scope;
    struct schema_seen *seen; /* NULL when nothing is tracked */
};

/* Where errors go: kept up to cap, then only counted. */
struct schema_sink {
    struct schema_error *errors;
    uint32_t cap;
    uint32_t count;
};

struct schema_run {
    const struct schema *schema;
    struct arena *arena;  /* of the messages */
    struct arena scratch; /* of what is needed while checking */
    struct arena search;  /* of one search with a regular expression */
    struct schema_sink *sink;
    uint64_t steps;
    uint32_t depth;
    bool explaining; /* inside a second look at failed alternatives */
    enum err err;
    struct error *error;
};

/* Checks v at a place below f (a property or an item). */
bool schema_apply_child(struct schema_run *x, const struct schema_frame *f,
                        const struct schema_node *n, struct value v, struct schema_place place);
/* Checks f's own value against another node; what it evaluated counts for f when it passes. */
bool schema_apply_same(struct schema_run *x, const struct schema_frame *f,
                       const struct schema_node *n);
/* The same with no error kept. */
bool schema_test_same(struct schema_run *x, const struct schema_frame *f,
                      const struct schema_node *n);
bool schema_test_child(struct schema_run *x, const struct schema_frame *f,
                       const struct schema_node *n, struct value v, struct schema_place place);
/* The first error of a node that fails, for messages; empty when it passes. */
struct str schema_explain(struct schema_run *x, const struct schema_frame *f,
                          const struct schema_node *n);
/* Adds an error of the rule; returns false. */
bool schema_fail(struct schema_run *x, const struct schema_frame *f, const struct schema_rule *r,
                 const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Whether an error found now is kept: otherwise its words need not be made. */
static inline bool schema_keeps_errors(const struct schema_run *x) {
    return x->sink->count < x->sink->cap;
}
/* Whether the expression matches; false also when the run was stopped. */
bool schema_search(struct schema_run *x, const struct regex *regex, struct str text);
/* Counts work; false when there was too much. */
bool schema_step(struct schema_run *x, uint64_t steps);
bool schema_stop(struct schema_run *x, enum err err);
/* The error when scratch gives no memory: the system has none, or the check wants too much. */
enum err schema_no_room(struct schema_run *x);
void schema_mark_seen(struct schema_run *x, const struct schema_frame *f, size_t index);
void schema_mark_all(const struct schema_frame *f);
bool schema_is_seen(const struct schema_frame *f, size_t index);

/* text "x", 3.5, null, a list of 3, a map: in the scratch arena. */
const char *schema_describe(struct schema_run *x, struct value v);
bool schema_has_type(struct value v, uint32_t types);
/* "integer or null": in the arena. */
const char *schema_type_names(struct arena *a, uint32_t types);

/* --- helpers --- */

bool schema_is_number(struct value v);
/* Exact order across int, uint and double: <0, 0, >0; NaN is above all. */
int schema_number_cmp(struct value a, struct value b);
bool schema_number_is_integer(struct value v);
/* Whether v is a multiple of m (> 0), both taken as the decimal numbers they are written as. */
bool schema_number_is_multiple(struct value v, struct value m);

/* A known format's check, or NULL. */
typedef bool schema_format_fn(struct str s);
schema_format_fn *schema_format_find(struct str name);

/* RFC 3986, 5.2: ref against base, both may have a fragment; ptr NULL when out of memory. */
struct str schema_uri_resolve(struct arena *a, struct str base, struct str ref);
/* Cuts at '#': the part before; *fragment gets what follows. */
struct str schema_uri_split(struct str uri, struct str *fragment);

#endif
