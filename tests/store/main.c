/* Every test of the stores: the suite for each backend of backends.def, then what only a database
 * file can suffer.
 */
#include "store/suite.h"

int main(void) {
    size_t count;
    const struct store_backend *rows = store_backends(&count);
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        failed += run_suite(rows[i].scheme);
        failed += run_lists(rows[i].scheme);
        failed += run_steps(rows[i].scheme);
        failed += run_cached(rows[i].scheme);
        failed += run_trees(rows[i].scheme);
        failed += run_faulty(rows[i].scheme);
    }
    failed += run_agree();
    failed += run_sqlite_files();
    failed += run_sqlite_upgrade();
    failed += run_sqlite_views();
    failed += run_sqlite_modes();
    failed += run_sqlite_damage();
    failed += run_sqlite_torture();
    failed += run_sqlite_power();
    failed += run_sqlite_processes();
    failed += run_sqlite_turns();
    failed += run_sqlite_log();
    return failed != 0;
}
