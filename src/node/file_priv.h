/* The parts of the file kind: formats (file_format.c) and the keys that select in what was read or
 * is updated (file_keys.c). Pure: only file.c touches files.
 */
#ifndef CAIRN_NODE_FILE_PRIV_H
#define CAIRN_NODE_FILE_PRIV_H

#include "value/value.h"

enum file_operation { FILE_READ, FILE_WRITE, FILE_APPEND, FILE_UPDATE };
/* NULL-terminated, by enum file_operation. */
extern const char *const file_operations[];

enum file_format { FILE_JSON, FILE_JSONL, FILE_YAML, FILE_CSV, FILE_TEXT, FILE_BYTES };
/* NULL-terminated, by enum file_format. */
extern const char *const file_formats[];

/* The position of a word that is in such a list. */
int file_word(const char *const *words, struct str word);
/* By the extension of path; text when it says nothing. */
enum file_format file_format_of(struct str path);
/* ERR_INVALID when that operation does not work with that format; says what does. */
enum err file_format_check(enum file_format f, enum file_operation o, struct error *e);
/* What text means. A byte order mark is skipped, except in bytes. */
enum err file_decode(enum file_format f, struct str text, struct arena *a, struct value *out,
                     struct error *e);
/* The text of a whole file. */
enum err file_encode(enum file_format f, struct value v, struct arena *scratch, struct buf *out,
                     struct error *e);
/* What is added to a file whose text was before (only needed for csv). */
enum err file_encode_more(enum file_format f, struct value v, struct str before,
                          struct arena *scratch, struct buf *out, struct error *e);

/* true, a number or "10-20", "10-", "7": which lines, from 1; false when it is none of these.
 * to is UINT64_MAX for all the rest, from 0 when no lines are wanted (false, null). */
bool file_lines_parse(struct value v, uint64_t *out_from, uint64_t *out_to);
/* Those lines of a text, without their ends: a list. */
enum err file_lines_cut(struct str text, uint64_t from, uint64_t to, struct arena *a,
                        struct value *out, struct error *e);

/* keys: a dotted path (gives its value) or a list of them (gives a map by path). */
enum err file_keys_get(struct value v, struct value keys, struct arena *a, struct value *out,
                       struct error *e);
/* v with value put there. keys: null: value, a map, is merged into v (maps into maps, anything else
 * replaces); a path: value stands there; a list: value is a map by path. v may be null. */
enum err file_keys_put(struct value v, struct value keys, struct value value, struct arena *a,
                       struct value *out, struct error *e);

#endif
