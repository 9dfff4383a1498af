/* Looking into a database, or meddling with it, as other programs do. */
#include <sqlite3.h>

#include "store/suite.h"

static sqlite3 *connect(struct fixture *f) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

void sql_run(struct fixture *f, const char *sql) {
    sqlite3 *db = connect(f);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

static void add_row(sqlite3_stmt *st, struct buf *out) {
    if (out->len)
        buf_append_char(out, '\n');
    for (int i = 0; i < sqlite3_column_count(st); i++) {
        const char *text = (const char *)sqlite3_column_text(st, i);
        if (i)
            buf_append_char(out, '|');
        buf_append_cstr(out, text ? text : "-");
    }
}

struct str sql_rows(struct fixture *f, const char *sql) {
    sqlite3 *db = connect(f);
    sqlite3_stmt *st = NULL;
    struct buf text;
    buf_init(&text, 0);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        add_row(st, &text);
    if (rc != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(st);
    sqlite3_close(db);
    struct str copy = arena_str(&f->a, buf_str(&text));
    buf_fini(&text);
    return copy;
}
