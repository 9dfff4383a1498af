/* Kinds of node of the rig, and what they tell it.
 */
#ifndef CAIRN_TESTS_UNIT_HOST_RIG_KINDS_H
#define CAIRN_TESTS_UNIT_HOST_RIG_KINDS_H

#include "flow/flow.h"

/* work: an effect; light: an effect that holds no slot; mute: an effect that cannot be told to
 * stop; post: an effect whose `value` may hold secrets;
 * calc, end: `value`; choose: `when`; frail: pure, finds no memory as often as the rig says;
 * kid: `workflow` with `inputs`. */
extern const struct kind_table rig_kinds;

void rig_kind_started(struct step_port *port);
void rig_kind_cancelled(struct step_port *port);
bool rig_kind_has_no_memory(void);

#endif
