/* A VFS of SQLite over the usual one; every file of it counts its writes and syncs. */
#include "store/fault_vfs.h"

#include <sqlite3.h>
#include <string.h>

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct */
};

static struct {
    enum fault_kind kind;
    int left; /* operations until the failing one; 0: never */
    bool lasts, fired;
} plan;

static sqlite3_vfs fault_vfs;

static sqlite3_vfs *real_vfs(void) { return fault_vfs.pAppData; }
static sqlite3_file *real(sqlite3_file *f) { return ((struct fault_file *)f)->real; }

static bool fails(bool is_sync) {
    if (plan.left == 0 || is_sync != (plan.kind == FAULT_SYNC_IO))
        return false;
    if (plan.left > 1) {
        plan.left--;
        return false;
    }
    plan.left = plan.lasts ? 1 : 0;
    plan.fired = true;
    return true;
}

static int file_close(sqlite3_file *f) { return real(f)->pMethods->xClose(real(f)); }

static int file_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at) {
    return real(f)->pMethods->xRead(real(f), out, n, at);
}

static int file_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at) {
    if (!fails(false))
        return real(f)->pMethods->xWrite(real(f), bytes, n, at);
    if (plan.kind == FAULT_WRITE_FULL)
        return SQLITE_FULL;
    real(f)->pMethods->xWrite(real(f), bytes, n / 2, at);
    return SQLITE_IOERR_WRITE;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size) {
    return fails(false) ? SQLITE_IOERR_TRUNCATE : real(f)->pMethods->xTruncate(real(f), size);
}

static int file_sync(sqlite3_file *f, int flags) {
    return fails(true) ? SQLITE_IOERR_FSYNC : real(f)->pMethods->xSync(real(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *out) {
    return real(f)->pMethods->xFileSize(real(f), out);
}

static int file_lock(sqlite3_file *f, int level) {
    return real(f)->pMethods->xLock(real(f), level);
}

static int file_unlock(sqlite3_file *f, int level) {
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int file_reserved(sqlite3_file *f, int *out) {
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int file_control(sqlite3_file *f, int op, void *arg) {
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int file_sector(sqlite3_file *f) { return real(f)->pMethods->xSectorSize(real(f)); }

static int file_traits(sqlite3_file *f) {
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out) {
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *f, int at, int n, int flags) {
    return real(f)->pMethods->xShmLock(real(f), at, n, flags);
}

static void file_shm_barrier(sqlite3_file *f) { real(f)->pMethods->xShmBarrier(real(f)); }

static int file_shm_unmap(sqlite3_file *f, int remove) {
    return real(f)->pMethods->xShmUnmap(real(f), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out) {
    (void)v;
    struct fault_file *file = (struct fault_file *)f;
    file->real = (sqlite3_file *)(file + 1);
    int rc = real_vfs()->xOpen(real_vfs(), name, file->real, flags, out);
    file->base.pMethods = file->real->pMethods ? &methods : NULL;
    return rc;
}

void fault_vfs_install(void) {
    sqlite3_vfs *unix_vfs = sqlite3_vfs_find(NULL);
    fault_vfs = *unix_vfs;
    fault_vfs.zName = "fault";
    fault_vfs.pAppData = unix_vfs;
    fault_vfs.pNext = NULL;
    fault_vfs.szOsFile = (int)sizeof(struct fault_file) + unix_vfs->szOsFile;
    fault_vfs.xOpen = vfs_open;
    sqlite3_vfs_register(&fault_vfs, 1);
}

void fault_vfs_remove(void) { sqlite3_vfs_unregister(&fault_vfs); }

void fault_vfs_arm(enum fault_kind kind, int n, bool lasts) {
    plan.kind = kind;
    plan.left = n;
    plan.lasts = lasts;
    plan.fired = false;
}

bool fault_vfs_fired(void) { return plan.fired; }
