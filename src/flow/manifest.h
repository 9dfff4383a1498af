/* YAML files that a kind reads by itself when a workflow is compiled, as files of the workflow, and
 * what may stand in them. Findings point into the file. Trees live until the check function ends;
 * what is compiled lives as long as the plan.
 */
#ifndef CAIRN_FLOW_MANIFEST_H
#define CAIRN_FLOW_MANIFEST_H

#include "flow/kind.h"
#include "flow/pval.h"
#include "yaml/yaml.h"

/* The map in that file. NULL when there is none, which was reported; also, without a report, when
 * findings in the file were reported before. */
const struct yaml_node *check_yaml_read(struct node_check *c, const char *field, struct str path);
/* n is a map whose keys are all among words (NULL-terminated); reports otherwise. */
bool check_yaml_keys(struct node_check *c, const struct yaml_node *n, const char *what,
                     const char *const *words);
/* Reports a finding there. */
void check_yaml_error(struct node_check *c, const struct yaml_node *n, const char *code,
                      const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Compiles a structure whose expressions know only these names (NULL-terminated; a name's slot is
 * its index). PVAL_NONE without n, or when something was reported. */
struct pval check_yaml_structure(struct node_check *c, const struct yaml_node *n,
                                 const char *const *names);
/* Likewise an expression; NULL. */
const struct expr *check_yaml_expression(struct node_check *c, const struct yaml_node *n,
                                         const char *const *names);
/* "a, b, c": the keys of a map, for messages. */
struct str check_yaml_words(struct node_check *c, const struct yaml_node *map);

#endif
