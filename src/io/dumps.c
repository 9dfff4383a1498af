/* Core dumps without memory, for a process that has seen a secret.
 *
 * Two ways at once, as neither is enough: the size limit is ignored where the kernel hands dumps to
 * a program, and the filter (core(5), coredump_filter) may be missing in a kernel. The process must
 * stay "dumpable" (prctl): otherwise its children could not open the descriptors that they are
 * given as /proc/<pid>/fd/N.
 */
#include "io/dumps.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"

void io_dumps_forbid(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = 0;
        (void)!setrlimit(RLIMIT_CORE, &limit);
    }
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "0", 1);
        close(fd);
    }
}
