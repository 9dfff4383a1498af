/* Secrets on this machine: the key file of `cairn keys`, and where a secret is looked for.
 *
 * Values are borrowed by nobody longer than a call: what was read is overwritten.
 */
#ifndef CAIRN_CLI_KEYS_H
#define CAIRN_CLI_KEYS_H

#include "base/base.h"

struct key {
    struct str name, value;
};

/* The key file in memory. */
struct keys {
    struct arena arena;
    struct str path;
    struct key *items; /* by name */
    size_t count;
};

/* Reads it; one that does not exist is empty. Call keys_close in either case. ERR_DENIED: others
 * may read it. */
enum err keys_open(struct keys *k, struct error *e) MUST_USE;
/* Overwrites what was read. */
void keys_close(struct keys *k);

/* Sets (or, with a value without ptr, removes) a key in the file, whoever else changes it at the
 * same time. ERR_NOT_FOUND: there is none to remove. */
enum err keys_change(struct str name, struct str value, struct error *e) MUST_USE;

/* Letters, digits and _, not first a digit. */
bool keys_is_name(struct str name);

/* First of all: takes the variables CAIRN_SECRET_NAME out of the environment, where others could
 * read them. Later calls of getenv do not find them. */
void keys_take_environment(void);
/* host_secrets.get: CAIRN_SECRET_<name>, the key file, and the variable of that name itself if it
 * is a known service's. */
enum err keys_secret(void *ctx, struct str name, struct arena *a, struct str *out, struct error *e);

#endif
