/* Planted bugs, so that the simulator can be shown to find them. MUTANT(name) is true when the bug
 * of that name (mutants.def) is switched on, which is possible only in the second simulator, built
 * with -DCAIRN_MUTANTS=1. Everywhere else it is the constant false and leaves no trace in the
 * binary. An expression with it must read as correct code when it is false.
 */
#ifndef CAIRN_BASE_MUTANT_H
#define CAIRN_BASE_MUTANT_H

#ifdef CAIRN_MUTANTS

enum mutant {
    MUTANT_none,
#define MUTANT_ROW(name, doc) MUTANT_##name,
#include "base/mutants.def"
#undef MUTANT_ROW
};
extern enum mutant mutant_on; /* of tests/mutants */
#define MUTANT(name) (mutant_on == MUTANT_##name)

#else

#define MUTANT(name) false

#endif

#endif
