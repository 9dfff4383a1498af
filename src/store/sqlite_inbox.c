/* What is put into the inbox, and how others learn of it: the side file <database>-inbox gets a
 * byte after each commit that added a row or gave one its verdict, and whoever waits for either
 * watches that file. It carries nothing: it may be deleted, unreadable, or lie where files can't be
 * watched; then only the polls are left.
 *
 * Invariant: the file is written to after the commit, never before, so who looks when it changes
 * sees what was committed.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/sqlite_priv.h"

/* --- the side file --- */

/* Opened anew each time: whoever bears the name now is the one that is watched. */
static int side_open(struct sqlite_store *s) {
    if (!s->inbox_path) {
        size_t len = strlen(s->path) + sizeof "-inbox";
        s->inbox_path = malloc(len);
        if (!s->inbox_path) {
            return -1;
        }
        snprintf(s->inbox_path, len, "%s-inbox", s->path);
    }
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    return open(s->inbox_path, flags, 0600);
}

void sqlite_inbox_touch(struct sqlite_store *s) {
    int fd = side_open(s);
    if (fd >= 0) {
        (void)!pwrite(fd, ".", 1, 0); /* who does not hear of it polls */
        close(fd);
    }
}

const char *sqlite_inbox_file(struct store *base) {
    struct sqlite_store *s = sqlite_of(base);
    int fd = side_open(s);
    if (fd < 0) {
        return NULL;
    }
    close(fd);
    return s->inbox_path;
}

/* The number that SQLite counts up for the reader when another connection has committed. */
bool sqlite_has_news(struct store *base) {
    struct sqlite_store *s = sqlite_of(base);
    if (!s->reader.db && sqlite_conn_open(s, &s->reader, false, NULL) != OK) {
        return true;
    }
    sqlite3_stmt *st = sqlite_stmt(s, &s->reader, STMT_DATA_VERSION, NULL);
    int64_t version = st && sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    bool news = !version || version != s->data_version;
    s->data_version = version;
    return news;
}

/* --- adding --- */

/* The row that this execution and key have already; 0: none. */
static enum err find_keyed(struct sqlite_store *s, const struct store_inbox *row, int64_t *out,
                           struct error *e) {
    *out = 0;
    if (!row->key.len) {
        return OK;
    }
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, STMT_INBOX_KEYED, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->writer, e);
    }
    sqlite3_bind_int64(st, 1, row->execution);
    bind_text(st, 2, row->key);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *out = sqlite3_column_int64(st, 0);
    }
    enum err status =
        rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : sqlite_conn_fail(s, &s->writer, e);
    sqlite3_reset(st);
    return status;
}

static enum err insert_inbox(struct sqlite_store *s, const struct store_inbox *row, int64_t *out,
                             struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, STMT_INBOX_ADD, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->writer, e);
    }
    sqlite3_bind_int64(st, 1, row->execution);
    bind_text(st, 2, row->kind);
    bind_text(st, 3, row->step);
    bind_text(st, 4, row->payload);
    bind_some(st, 5, row->key);
    sqlite3_bind_int64(st, 6, row->at.us);
    if (sqlite_run(st) != SQLITE_OK) {
        return sqlite_conn_fail(s, &s->writer, e);
    }
    if (sqlite3_changes(s->writer.db) == 0) {
        return store_error_missing((struct store_name){.num = row->execution}, e);
    }
    *out = sqlite3_last_insert_rowid(s->writer.db);
    return OK;
}

enum err sqlite_inbox_add(struct store *base, const struct store_inbox *row, int64_t *out_id,
                          struct error *e) {
    struct sqlite_store *s = sqlite_of(base);
    int64_t id = 0;
    enum err status = sqlite_write_begin(s, e);
    if (status != OK) {
        return status;
    }
    status = find_keyed(s, row, &id, e);
    if (status == OK && !id) {
        status = insert_inbox(s, row, &id, e);
    }
    status = sqlite_write_end(s, status, e);
    if (status == OK) {
        sqlite_inbox_touch(s);
        *out_id = id;
    }
    return status;
}
