/* Where the parts are put together: the store that the command line names, a loop, a host and the
 * table of node kinds. Nothing else in cli opens one of them.
 */
#ifndef CAIRN_CLI_SESSION_H
#define CAIRN_CLI_SESSION_H

#include "cli/cli.h"
#include "host/host.h"

struct session {
    struct cli *cli;
    struct str url; /* of the store */
    struct kind_table kinds;
    struct store *store;  /* NULL: it does not exist (and was not to be made) */
    struct io_loop *loop; /* with a host only */
    struct net_client *net;
    struct host *host;
    bool watched; /* before its host: from the beginning, somebody notes should this process die */
};

/* Reports that there is no store under the name that was given; the exit status. */
int session_no_store(const struct session *s);
/* Opens the store; with make a missing one is created, else store stays NULL. What fails is
 * reported. Close it in either case. */
enum err session_open(struct session *s, struct cli *c, bool make) MUST_USE;
/* The loop, then (once its observer exists) a host on it. Reported. */
enum err session_open_loop(struct session *s) MUST_USE;
enum err session_open_host(struct session *s, const struct host_observer *observer) MUST_USE;
/* The network that the host hands to its kinds (network.c). */
enum err session_open_net(struct session *s, struct error *e) MUST_USE;
/* host_options.settings, in a (services.c). */
struct value session_settings(struct arena *a);
void session_close(struct session *s);

/* A file of the user's: below $variable when that is absolute (the XDG base directory rules ignore
 * it otherwise), else below the home. Its ptr is NULL when there is no home. */
struct str session_user_path(struct arena *a, const char *variable, const char *below_home,
                             const char *file);

/* For a command that only looks: calls it with the open session. Gives the exit status. */
int session_run(struct cli *c, int (*look)(struct session *s));

/* " --store URL" when the command line named one, so that what is suggested works; else "". */
struct str session_store_option(const struct session *s);
wall_us session_now(void);
/* What is said when a host waits for others to let go of the store (why), or need not any more. */
struct str session_busy_line(struct arena *a, const struct error *why);
/* After a claim that failed: true when others merely hold the store, which is told once (told is
 * set), after a moment in which signals are taken. Then it is to be tried again, for as long as it
 * takes. */
bool session_waits(struct session *s, bool *told, const struct error *why);

/* Who uses this, for what is recorded of requests. */
struct str session_user(struct session *s);

/* The one execution that an id, a unique prefix of one or @last means: its whole id. A word that
 * means none or several is reported with the candidates. ERR_NOT_FOUND, ERR_AMBIGUOUS. */
enum err session_find(struct session *s, const char *word, struct str *out_id) MUST_USE;

#endif
