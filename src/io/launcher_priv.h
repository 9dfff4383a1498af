/* What the host and its launcher process say to each other.
 *
 * One SOCK_SEQPACKET pair between two halves of the same program: structs as they are, a message
 * per packet, descriptors by SCM_RIGHTS. To the launcher: spawn, kill, on_death (at most once,
 * first of all), zygote (start one), bye (the last: the end of the socket is then no death). To the
 * host, for each process: started (sent by the process itself just before it executes its
 * program; by the launcher when a fork of a zygote becomes it), failed
 * (it could not be executed), gone (it has ended and so has all that it left behind). `gone` is the
 * last message about an id, and ids are not used again within a launcher; only a spawn that failed
 * at STAGE_ZYGOTE has no `gone` and may be sent again. Zygotes have ids of their own; zygote_gone
 * tells of their end.
 */
#ifndef CAIRN_IO_LAUNCHER_PRIV_H
#define CAIRN_IO_LAUNCHER_PRIV_H

#include "base/base.h"
#include "io/launcher.h"

enum wire_type {
    WIRE_SPAWN = 1,
    WIRE_KILL,
    WIRE_STARTED,
    WIRE_FAILED,
    WIRE_GONE,
    WIRE_ON_DEATH,
    WIRE_BYE,
    WIRE_ZYGOTE,
    WIRE_ZYGOTE_GONE
};

/* The descriptors of a spawn, in this order; those without a flag are always there. */
enum wire_fd { WIRE_FD_OUT, WIRE_FD_ERR, WIRE_FD_IN, WIRE_FD_RESULT, WIRE_FD_STATUS, WIRE_FD_TEXT };
#define WIRE_FDS 6
enum wire_flag { WIRE_HAS_IN = 1, WIRE_HAS_RESULT = 2, WIRE_HAS_TEXT = 4, WIRE_HAS_STATUS = 8 };

struct wire_head {
    uint32_t type;
    uint32_t id;
};

/* The texts follow (argc arguments, envc variables, the folder; each NUL-terminated), or stand in
 * a memfd when they are larger than WIRE_INLINE_BYTES. */
struct wire_spawn {
    struct wire_head head;
    uint32_t flags;
    uint32_t argc;
    uint32_t envc;
    uint32_t zygote; /* whose fork it is to be, 0: none; then it has IN and RESULT, no STATUS and
                      * no TEXT, and its limits are those of the zygote */
    uint64_t text_bytes;
    struct io_limits limits; /* none is 0 */
};
#define WIRE_INLINE_BYTES 32768
/* WIRE_ZYGOTE is a wire_spawn too: inline, without descriptors. */
#define IO_MAX_ZYGOTES 8 /* at a time */

struct wire_kill {
    struct wire_head head;
    int32_t grace_ms;
};

/* The texts follow: argc arguments, envc variables, each NUL-terminated; WIRE_INLINE_BYTES at
 * most. */
struct wire_on_death {
    struct wire_head head;
    uint32_t argc;
    uint32_t envc;
    uint32_t text_bytes;
};

struct wire_started {
    struct wire_head head;
    int64_t pid;
    uint64_t start_time;
};

enum wire_stage {
    STAGE_FORK,
    STAGE_SETUP,
    STAGE_FOLDER,
    STAGE_PROGRAM,
    STAGE_EXEC,
    STAGE_ZYGOTE /* nothing was begun */
};

struct wire_failed {
    struct wire_head head;
    int32_t no; /* errno */
    int32_t stage;
};

struct wire_gone {
    struct wire_head head;
    int32_t status; /* as wait4 gives it */
    int32_t reserved;
    int64_t user_us;
    int64_t system_us;
    int64_t max_rss_kib;
};

/* Every process has CAIRN_ATTEMPT=<nonce as 16 hex digits>-<id> in its environment. */
#define LAUNCHER_TOKEN_NAME "CAIRN_ATTEMPT="

/* The launcher process: called in the child of the host's fork with its end of the pair and a
 * pidfd of the host (-1: none). Never returns, never allocates by malloc (another thread of the
 * host may have held its lock), never touches the host's descriptors but to close them. */
_Noreturn void launcher_child_run(int sock, int host_pidfd, uint64_t nonce);

/* Gives back memory inherited from the host; for the launcher process alone. */
void launcher_shed_memory(void);

#endif
