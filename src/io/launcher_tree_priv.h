/* The launcher's table of what it started, and ending whole trees of processes.
 *
 * A tree is the main process and its descendants, and those strays (children of the launcher that
 * it did not start: their parents have ended) that can be laid at its door: seen in the tree
 * before, of its session, or with its token in their environment; and their descendants.
 */
#ifndef CAIRN_IO_LAUNCHER_TREE_PRIV_H
#define CAIRN_IO_LAUNCHER_TREE_PRIV_H

#include "io/launcher_priv.h"
#include "io/proc_priv.h"

struct launched {
    uint32_t id;
    pid_t pid;
    bool ended;            /* the main process was waited for */
    bool unsettled;        /* ended, and not yet looked at for what it left */
    bool ending;           /* the tree is being ended */
    bool gone;             /* ended, and nothing is left of the tree */
    int64_t kill_at_ns;    /* ending: when SIGTERM becomes SIGKILL */
    int64_t give_up_at_ns; /* ending: when what cannot be killed is left alone */
    struct wire_gone result;
};

/* A zygote. Its forks have its token until they have been told whose they are. */
struct helper {
    uint32_t id;
    pid_t pid;
};

struct tree {
    struct proc_vec launched; /* struct launched */
    struct proc_vec rows;     /* the last scan */
    struct proc_vec known;    /* struct known: processes seen in a tree that is being ended */
    struct proc_vec helpers;  /* struct helper: children of this process that are in no tree */
    uint64_t nonce;
    pid_t self;
    int64_t next_look_ns; /* when trees that are being ended are looked at again; 0: none is */
    int64_t look_pause_ns;
};

void tree_init(struct tree *t, uint64_t nonce);
/* NULL when the system has no memory. */
struct launched *tree_add(struct tree *t, uint32_t id, pid_t pid);
bool tree_helper_add(struct tree *t, uint32_t id, pid_t pid);
/* It was waited for; nothing when it is none. */
void tree_helper_drop(struct tree *t, pid_t pid);
struct launched *tree_find(struct tree *t, uint32_t id);
struct launched *tree_find_pid(struct tree *t, pid_t pid);
/* Ends the tree: SIGTERM now unless grace_ms is 0, SIGKILL after it. May be called again. */
void tree_end(struct tree *t, struct launched *p, int grace_ms);
/* After main processes were waited for (`ended` and `unsettled` set): finds out, in almost all
 * cases cheaply, whether they left anything; if so that is being ended from now on. */
void tree_settle(struct tree *t);
/* Looks at the trees that are being ended, kills what is due. To be called when next_look_ns has
 * come or a stray has ended (the last process of a tree is always a child of this one). */
void tree_look(struct tree *t);
void tree_forget(struct tree *t, struct launched *p);
/* Kills every descendant of this process until none is left. */
void tree_kill_all(struct tree *t);
int64_t tree_now_ns(void);

#endif
