/* YAML 1.2 (core schema) and JSON text to a tree of nodes with source marks, by libyaml's events.
 *
 * Refused with a mark: duplicate keys, keys that are not scalars, aliases that blow up, depth and
 * size past the caps, tabs as indentation, bytes that are not UTF-8, NUL, more than one document,
 * tags other than the core ones, anchors that do not exist. Knows nothing of workflows.
 */
#ifndef CAIRN_YAML_YAML_H
#define CAIRN_YAML_YAML_H

#include "base/base.h"
#include "value/value.h"

enum yaml_type { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_pair;

struct yaml_node {
    enum yaml_type type;
    bool plain;          /* a scalar without quotes and not a block: core schema applied */
    bool block;          /* a literal or folded block scalar (| or >) */
    struct mark mark;    /* where the node starts */
    struct mark content; /* scalars: the first character of the content (block: its first line) */
    struct value value;  /* scalars: null, bool, int, uint, double or text */
    struct str text;     /* scalars: the text as it stands after unquoting */
    uint32_t count;      /* items or pairs */
    struct yaml_node **items;
    struct yaml_pair *pairs; /* in file order */
};

struct yaml_pair {
    struct yaml_node *key; /* a scalar */
    struct yaml_node *value;
};

#define YAML_MAX_BYTES (16u << 20)
#define YAML_MAX_NODES 2000000u /* aliases count each time they are used */
#define YAML_MAX_DEPTH 200u

/* Parses one document. file names the source in marks and must outlive the tree. All nodes are in
 * the arena and borrow nothing from text. Findings have code "yaml" or "duplicate_key"; after
 * duplicates parsing goes on, so one call may report several. An empty document is a null scalar.
 * ERR_INVALID when there are findings, or ERR_NOMEM. When duplicate keys are all that was found,
 * *out is set nevertheless, the first of equal keys being the one in the tree, so that more
 * findings can be made in it. Keys are equal, and known to yaml_get, by their text: 1 and "1" are
 * the same key. */
enum err yaml_parse(struct arena *a, struct str text, const char *file, struct yaml_node **out,
                    struct diag *diag) MUST_USE;
/* The value of a text key of a map, or NULL. */
struct yaml_node *yaml_get(const struct yaml_node *map, struct str key);
/* The tree as a plain value (marks are lost); null and false when out of memory. */
bool yaml_to_value(struct arena *a, const struct yaml_node *n, struct value *out) MUST_USE;
/* The other way: a document whose value reads back identical. Keys must be texts; bytes, times and
 * durations become text. */
void yaml_print(struct value v, struct buf *out);
/* "a list", "a map", "text", "an integer" ...: for messages. */
const char *yaml_describe(const struct yaml_node *n);

/* Of the library behind it, for people. */
const char *yaml_library_version(void);

#endif
