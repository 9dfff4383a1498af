/* Checking a store: pages, journals, rows that belong to nothing, the log, hosts that are gone.
 *
 * Must never write, nor hold a read transaction over more than one check, for that would keep the
 * log from starting anew under a busy owner. What cannot be read is told as damage, and the next
 * check goes on.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/sqlite_priv.h"

enum { LARGE_LOG_BYTES = 76 << 20 }; /* more than traffic alone makes of it */

enum { READERS_MOST = 32 };

/* Processes that held a snapshot when the checks began. */
struct readers {
    long pids[READERS_MOST];
    uint32_t count;
};

/* One check while it looks. */
struct audit {
    struct sqlite_store *s;
    const struct readers *early;
    struct arena arena;
    enum store_health health;
    struct buf text;
    const char *command;
};

static void damaged(struct audit *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The first damage is told; further ones of the same check follow from it more often than not. */
static void damaged(struct audit *a, const char *fmt, ...) {
    char text[1200];
    va_list ap;
    if (a->health == STORE_DAMAGED) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    a->health = STORE_DAMAGED;
    buf_reset(&a->text);
    buf_append_cstr(&a->text, text);
}

static void unreadable(struct audit *a) {
    struct error e = {0};
    sqlite3 *db = a->s->reader.db;
    (void)sqlite_error(a->s, db, sqlite3_extended_errcode(db), &e);
    damaged(a, "%s", e.message);
}

/* The statement, or NULL after telling why not. */
static sqlite3_stmt *stmt(struct audit *a, enum stmt_id id) {
    sqlite3_stmt *st = sqlite_stmt(a->s, &a->s->reader, id, NULL);
    if (!st) {
        unreadable(a);
    }
    return st;
}

/* True for each row; false at the end and, told, when it cannot be read. */
static bool next_row(struct audit *a, sqlite3_stmt *st) {
    int rc = st ? sqlite3_step(st) : SQLITE_DONE;
    if (rc == SQLITE_ROW) {
        return true;
    }
    if (rc != SQLITE_DONE) {
        unreadable(a);
    }
    sqlite3_reset(st);
    return false;
}

static const char *text_at(sqlite3_stmt *st, int at) {
    const unsigned char *text = sqlite3_column_text(st, at);
    return text ? (const char *)text : "";
}

/* ---- pages, format ---- */

static void check_pages(struct audit *a) {
    sqlite3_stmt *st = stmt(a, STMT_CHECK_PAGES);
    buf_append_cstr(&a->text, "all pages are in order");
    while (next_row(a, st)) {
        char line[300];
        snprintf(line, sizeof line, "%s", text_at(st, 0));
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "ok") != 0) {
            damaged(a,
                    "%s; copy it and its -wal file away, then restore a backup or try \"sqlite3 "
                    "FILE .recover\"",
                    line);
        }
    }
}

static void check_format(struct audit *a) {
    sqlite3_stmt *st = stmt(a, STMT_CHECK_FORMAT);
    buf_printf(&a->text, "version %d", STORE_FORMAT_VERSION); /* the transaction has compared it */
    while (next_row(a, st)) {
        buf_printf(&a->text, ", made by %.100s", text_at(st, 0));
    }
}

/* ---- journals ---- */

/* Where the journal of an execution must end, and how far it was seen. */
struct head {
    int64_t num, last_seq, last_event;
    int64_t seen_seq, seen_event;
};

struct heads {
    struct head *items;
    uint32_t count, cap;
};

static bool read_heads(struct audit *a, struct heads *h) {
    sqlite3_stmt *st = stmt(a, STMT_CHECK_HEADS);
    while (next_row(a, st)) {
        h->items = store_array_grow(&a->arena, h->items, h->count, &h->cap, sizeof *h->items);
        if (!h->items) {
            sqlite3_reset(st);
            damaged(a, "out of memory");
            return false;
        }
        h->items[h->count++] = (struct head){.num = sqlite3_column_int64(st, 0),
                                             .last_seq = sqlite3_column_int64(st, 1),
                                             .last_event = sqlite3_column_int64(st, 2)};
    }
    return a->health != STORE_DAMAGED;
}

static int by_num(const void *key, const void *item) {
    int64_t num = *(const int64_t *)key, other = ((const struct head *)item)->num;
    return num < other ? -1 : num > other;
}

static void broken(struct audit *a, const struct head *h, int64_t seq) {
    sqlite3_stmt *st = stmt(a, STMT_CHECK_ID);
    if (!st) {
        return;
    }
    sqlite3_bind_int64(st, 1, h->num);
    char id[64] = "";
    while (next_row(a, st)) {
        snprintf(id, sizeof id, "%s", text_at(st, 0));
    }
    damaged(a, "the journal of %s is broken at event %lld: restore a backup", id, (long long)seq);
}

/* Events lie in commit order, so one pass sees every chain grow from its first event on. */
static int64_t follow_chains(struct audit *a, struct heads *h) {
    sqlite3_stmt *st = stmt(a, STMT_CHECK_EVENTS);
    struct head *at = NULL;
    int64_t count = 0, lost = 0;
    while (next_row(a, st)) {
        int64_t num = sqlite3_column_int64(st, 1), seq = sqlite3_column_int64(st, 2);
        if (!at || at->num != num) {
            at = bsearch(&num, h->items, h->count, sizeof *h->items, by_num);
        }
        count++;
        if (!at) {
            lost++;
            continue;
        }
        if (seq != at->seen_seq + 1 || sqlite3_column_int64(st, 3) != at->seen_event) {
            broken(a, at, at->seen_seq + 1);
        }
        at->seen_seq = seq;
        at->seen_event = sqlite3_column_int64(st, 0);
    }
    if (lost) {
        damaged(a, "%lld events belong to no execution", (long long)lost);
    }
    return count;
}

static void check_journals(struct audit *a) {
    struct heads h = {0};
    if (!read_heads(a, &h)) {
        return;
    }
    int64_t count = h.count || a->health == STORE_SOUND ? follow_chains(a, &h) : 0;
    for (uint32_t i = 0; i < h.count; i++) {
        const struct head *x = &h.items[i];
        if (x->seen_seq != x->last_seq || x->seen_event != x->last_event) {
            broken(a, x, (x->seen_seq < x->last_seq ? x->seen_seq : x->last_seq) + 1);
        }
    }
    if (a->health == STORE_SOUND) {
        buf_printf(&a->text, "%u execution%s, %lld event%s, no gap", h.count,
                   h.count == 1 ? "" : "s", (long long)count, count == 1 ? "" : "s");
    }
}

/* ---- rows ---- */

static void check_rows(struct audit *a) {
    static const char *const columns[] = {
        "progress without an execution",     "inputs without an execution",
        "steps without an execution",        "messages without an execution",
        "inbox rows without an execution",   "executions without progress",
        "executions without inputs",         "executions whose workflow is missing",
        "executions whose parent is missing"};
    sqlite3_stmt *st = stmt(a, STMT_CHECK_ROWS);
    buf_append_cstr(&a->text, "every row belongs to something");
    while (next_row(a, st)) {
        char all[600] = "";
        size_t len = 0;
        for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
            long long n = sqlite3_column_int64(st, (int)i);
            if (n) {
                len += (size_t)snprintf(all + len, sizeof all - len, "%s%lld %s", len ? ", " : "",
                                        n, columns[i]);
            }
        }
        if (len) {
            damaged(a, "%s", all);
        }
    }
}

/* ---- log, hosts, inbox ---- */

/* Readers come and go: one that is there now as it was at the beginning is told. */
static long who_stays(struct audit *a) {
    struct readers now;
    now.count = sqlite_readers(a->s, now.pids, READERS_MOST);
    for (uint32_t i = 0; i < now.count; i++) {
        for (uint32_t k = 0; k < a->early->count; k++) {
            if (now.pids[i] == a->early->pids[k]) {
                return now.pids[i];
            }
        }
    }
    return 0;
}

static void check_log(struct audit *a) {
    char path[PATH_MAX + 8], name[32];
    struct stat st;
    snprintf(path, sizeof path, "%s-wal", a->s->path);
    double bytes = stat(path, &st) == 0 ? (double)st.st_size : 0;
    buf_printf(&a->text, "%.1f MB", bytes / (1 << 20));
    if (bytes <= LARGE_LOG_BYTES) {
        return;
    }
    long pid = who_stays(a);
    a->health = STORE_WARNING;
    if (sqlite_process_name(pid, name, sizeof name)) {
        buf_printf(&a->text,
                   ": process %ld (%s) has been reading from the store for long, so the log cannot "
                   "start anew; end its transaction, or the process",
                   pid, name);
    } else {
        buf_append_cstr(&a->text, ": something has been reading from the store for long, so the "
                                  "log could not start anew; it is cut back by the next commits");
    }
}

static void check_hosts(struct audit *a) {
    struct sqlite_store *s = a->s;
    sqlite3_stmt *st = stmt(a, STMT_HOST_IDS);
    uint32_t alive = 0, stale = 0, live = 0, gone = 0;
    char first[64] = "";
    while (next_row(a, st)) {
        bool lives = sqlite_host_alive(s, sqlite3_column_int64(st, 0), column_time(st, 1));
        alive += lives;
        stale += !lives;
    }
    st = stmt(a, STMT_CHECK_LIVE);
    while (next_row(a, st)) {
        bool missed = sqlite3_column_int(st, 3); /* others may wait without a process */
        bool owned = sqlite3_column_type(st, 1) != SQLITE_NULL &&
                     sqlite_host_alive(s, sqlite3_column_int64(st, 1), column_time(st, 2));
        if (missed && !owned && !gone++) {
            snprintf(first, sizeof first, "%s", text_at(st, 0));
        }
        live++;
    }
    buf_printf(&a->text, "%u process%s at work, %u execution%s not ended", alive,
               alive == 1 ? "" : "es", live, live == 1 ? "" : "s");
    if (stale) { /* each process leaves its row behind: that alone is in order */
        buf_printf(&a->text, ", %u row%s of ended processes", stale, stale == 1 ? "" : "s");
    }
    if (gone) {
        a->health = a->health == STORE_SOUND ? STORE_WARNING : a->health;
        buf_printf(&a->text, ", %u interrupted (%s%s)", gone, first, gone > 1 ? " ..." : "");
        a->command = "resume --all";
    }
}

/* Nobody decides any more on what was asked of an execution that has ended. */
static void check_inbox(struct audit *a) {
    sqlite3_stmt *st = stmt(a, STMT_CHECK_INBOX);
    uint32_t open = 0, late = 0;
    char first[64] = "";
    while (next_row(a, st)) {
        if (sqlite3_column_int(st, 1) && !late++) {
            snprintf(first, sizeof first, "%s", text_at(st, 0));
        }
        open++;
    }
    buf_printf(&a->text, "%u request%s not decided on", open, open == 1 ? "" : "s");
    if (late) {
        a->health = a->health == STORE_SOUND ? STORE_WARNING : a->health;
        buf_printf(&a->text,
                   ", %u of them came when the execution had ended, and had no effect: %s%s", late,
                   first, late > 1 ? " ..." : "");
    }
}

static const struct {
    const char *name;
    void (*look)(struct audit *a);
} checks[] = {{"pages", check_pages}, {"format", check_format}, {"journals", check_journals},
              {"rows", check_rows},   {"log", check_log},       {"hosts", check_hosts},
              {"inbox", check_inbox}};

void sqlite_check(struct store *base, void (*tell)(void *ctx, const struct store_finding *f),
                  void *ctx) {
    struct sqlite_store *s = sqlite_of(base);
    struct readers early;
    early.count = sqlite_readers(s, early.pids, READERS_MOST);
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        struct audit a = {.s = s, .early = &early};
        struct error e = {0};
        arena_init(&a.arena, 0);
        buf_init(&a.text, 0);
        if (sqlite_read_begin(s, &e) == OK) {
            checks[i].look(&a);
            sqlite_read_end(s);
        } else {
            damaged(&a, "%s", e.message);
        }
        tell(ctx, &(struct store_finding){checks[i].name, a.health, buf_str(&a.text), a.command});
        buf_fini(&a.text);
        arena_fini(&a.arena);
    }
}
