/* What the files of src/yaml share: the prepared source, the core schema, places, messages.
 *
 * Order of work: source.c checks the bytes and replaces what libyaml misreads, compose.c builds
 * the tree from libyaml's events, scalar.c resolves scalars, place.c finds where their content
 * starts, message.c turns libyaml's errors into sentences. Nothing here outlives a yaml_parse.
 */
#ifndef CAIRN_YAML_PRIV_H
#define CAIRN_YAML_PRIV_H

#include <yaml.h>

#include "yaml/yaml.h"

struct yaml_source {
    struct str text; /* what libyaml reads: no byte order mark, awkward characters replaced */
    struct buf copy; /* holds text when something was replaced */
    const char *file;
    uint8_t block; /* third byte of the stand-ins, 0 when there are none */
};

/* A place in the source that only moves forward. */
struct yaml_cursor {
    struct str text;
    size_t byte;
    size_t index; /* in code points, as libyaml counts */
};

/* Checks text (size, UTF-8, control characters) and readies it for libyaml; borrows text. */
enum err yaml_source_init(struct yaml_source *s, struct str text, const char *file,
                          struct diag *diag);
void yaml_source_fini(struct yaml_source *s);
/* A copy of a scalar's text in the arena with the replaced characters back in place; ptr is NULL
 * when out of memory. */
struct str yaml_source_restore(const struct yaml_source *s, struct arena *a, struct str scalar,
                               bool double_quoted);

enum yaml_tag {
    TAG_NONE,
    TAG_STR,
    TAG_INT,
    TAG_FLOAT,
    TAG_BOOL,
    TAG_NULL,
    TAG_SEQ,
    TAG_MAP,
    TAG_OTHER
};

enum yaml_tag yaml_tag_parse(const char *tag);
/* The value of a scalar: plain ones by the core schema, others are text, unless the tag decides.
 * False when the text does not fit the tag or is a number beyond every range. text must be
 * NUL-terminated. */
bool yaml_scalar_resolve(struct str text, bool plain, enum yaml_tag tag, struct value *out);

/* Where the content of the scalar event starts, text being its content. */
struct mark yaml_place_content(struct yaml_cursor *c, const yaml_event_t *event, struct str text,
                               const char *file);

static inline struct mark yaml_mark(yaml_mark_t m, const char *file) {
    return (struct mark){file, (uint32_t)m.line + 1, (uint32_t)m.column + 1};
}

/* Adds the finding for the error the parser stopped with; ERR_INVALID or ERR_NOMEM. */
enum err yaml_message_report(const yaml_parser_t *p, const struct yaml_source *s,
                             struct diag *diag);

/* Builds the tree. *out is set when nothing, or nothing but duplicate keys, was found. */
enum err yaml_compose(struct arena *a, const struct yaml_source *s, struct yaml_node **out,
                      struct diag *diag);

#endif
