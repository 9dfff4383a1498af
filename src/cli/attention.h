/* What `cairn list --needs-attention` prints: executions that a person should look at, why, and
 * what to do. Only looks.
 *
 * The table of reasons is in attention.c; docs/cli.md has the same one.
 */
#ifndef CAIRN_CLI_ATTENTION_H
#define CAIRN_CLI_ATTENTION_H

#include "cli/details.h"

/* At most limit executions, newest first, behind f->after, of that status as it really is (empty:
 * of any); with --all also sub-workflows that ended or were interrupted, whose parents say it
 * otherwise. Reported. */
enum err attention_list(struct session *s, struct store_filter *f, struct str status,
                        uint32_t limit) MUST_USE;

#endif
