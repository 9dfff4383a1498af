/* Reading test data: whole files, and files with one JSON value per line. Tests run with the
 * project's folder as the current one.
 */
#ifndef CAIRN_TESTS_JSONL_H
#define CAIRN_TESTS_JSONL_H

#include "base/base.h"
#include "value/value.h"

/* The content of a file in the arena; false when it is not there. */
bool file_read(const char *path, struct arena *a, struct str *out);
/* A list with the value of every line that is not empty. Stops the program, naming the line, when
 * one is no JSON; false when the file is not there. */
bool jsonl_read(const char *path, struct arena *a, struct value *out);
/* The text of a key, or an empty slice. */
struct str jsonl_text(struct value map, const char *key);

#endif
