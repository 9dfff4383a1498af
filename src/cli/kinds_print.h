/* What `cairn kinds` prints in its three forms, from the descriptors of the kinds.
 *
 * A field of a descriptor that is not shown here is not documented anywhere: all three forms show
 * all of them.
 */
#ifndef CAIRN_CLI_KINDS_PRINT_H
#define CAIRN_CLI_KINDS_PRINT_H

#include "cli/cli.h"
#include "flow/flow.h"

/* What a field is: "template", "integer", "list of texts". */
const char *kinds_type_name(const struct field *f);
/* "required; exactly one of when, switch; only with function; default 1"; nothing for no rules. */
void kinds_put_rules(struct buf *b, const struct node_kind *kind, const struct field *f);
/* "a, b", or otherwise when there are none. */
void kinds_put_words(struct buf *b, const char *const *words, const char *otherwise);

/* One kind, or with NULL all of them and the fields that every node understands. */
void kinds_print_text(struct cli *c, struct kind_table kinds, const struct node_kind *one);
void kinds_print_json(struct cli *c, struct kind_table kinds, const struct node_kind *one);
void kinds_print_markdown(struct cli *c, struct kind_table kinds, const struct node_kind *one);

#endif
