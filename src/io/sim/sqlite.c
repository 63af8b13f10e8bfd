/* SQLite's files on the simulated disk: a VFS a loop.
 *
 * Writes are visible at once and durable after xSync, which is where a power cut can come in
 * between. Locks are always granted and there is no shared memory: the registry opens its database
 * with locking_mode=EXCLUSIVE. */
#include "io/sim/parts.h"

#include <sqlite3.h>
#include <stdio.h>

struct vfs {
    sqlite3_vfs base;
    struct sim_loop *loop;
    char name[32];
};

struct vfs_file {
    sqlite3_file base;
    struct sk_file *file;
    struct sim_loop *loop;
    char *remove_on_close; /* its path, or NULL */
};

static struct vfs_file *of(sqlite3_file *file) {
    return (struct vfs_file *)file;
}

static int file_close(sqlite3_file *base) {
    struct vfs_file *file = of(base);
    sim_file_close(file->file);
    if (file->remove_on_close) sim_file_remove(&file->loop->base, file->remove_on_close);
    free(file->remove_on_close);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *to, int n, sqlite3_int64 offset) {
    size_t got;
    if (sim_file_read(of(base)->file, (uint64_t)offset, to, (size_t)n, &got))
        return SQLITE_IOERR_READ;
    if (got == (size_t)n) return SQLITE_OK;
    memset((char *)to + got, 0, (size_t)n - got);
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *from, int n, sqlite3_int64 offset) {
    enum sk_status status =
        sim_file_write(of(base)->file, (uint64_t)offset, sk_span(from, (size_t)n));
    return status == SK_OK ? SQLITE_OK : status == SK_NO_SPACE ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
    return sim_file_cut(of(base)->file, (uint64_t)size) ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags) {
    (void)flags;
    return sim_file_sync(of(base)->file) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
    *size = (sqlite3_int64)sim_file_size(of(base)->file);
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int level) {
    (void)base, (void)level;
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *reserved) {
    (void)base;
    *reserved = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int operation, void *arg) {
    (void)base, (void)operation, (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base) {
    (void)base;
    return 512;
}

static int file_traits(sqlite3_file *base) {
    (void)base;
    /* a torn write damages no byte outside it: true of disk.c, as of unix files */
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
};

static struct sim_loop *loop_of(sqlite3_vfs *vfs) {
    return ((struct vfs *)vfs)->loop;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *base, int flags,
                    int *flags_out) {
    struct vfs_file *file = of(base);
    struct sim_loop *loop = loop_of(vfs);
    *file = (struct vfs_file){.loop = loop};
    char temporary[64];
    if (path == NULL) {
        snprintf(temporary, sizeof temporary, "/tmp/sqlite-%016llx",
                 (unsigned long long)sim_random(loop->sim));
        path = temporary;
    }
    if ((flags & SQLITE_OPEN_EXCLUSIVE) && sim_file_exists(loop, path)) return SQLITE_CANTOPEN;
    if (sim_file_open(loop, path, (flags & SQLITE_OPEN_CREATE) != 0, &file->file))
        return SQLITE_CANTOPEN;
    if (flags & SQLITE_OPEN_DELETEONCLOSE) file->remove_on_close = sk_span_dup(sk_span_z(path));
    file->base.pMethods = &methods;
    if (flags_out) *flags_out = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync) {
    (void)sync;
    enum sk_status status = sim_file_remove(&loop_of(vfs)->base, path);
    return status == SK_OK          ? SQLITE_OK
           : status == SK_NOT_FOUND ? SQLITE_IOERR_DELETE_NOENT
                                    : SQLITE_IOERR_DELETE;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
    (void)flags;
    *result = sim_file_exists(loop_of(vfs), path);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int n, char *to) {
    (void)vfs;
    return snprintf(to, (size_t)n, "%s", path) < n ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_random(sqlite3_vfs *vfs, int n, char *to) {
    for (int i = 0; i < n; i++) to[i] = (char)sim_random(loop_of(vfs)->sim);
    return n;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us) {
    (void)vfs;
    return us;
}

static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *julian_ms) {
    *julian_ms =
        sk_io_wall(&loop_of(vfs)->base) / 1000 + 210866760000000; /* 1970 as a Julian day, in ms */
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *vfs, double *julian_days) {
    sqlite3_int64 ms;
    vfs_time_ms(vfs, &ms);
    *julian_days = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *to) {
    (void)vfs, (void)n, (void)to;
    return 0;
}

const char *sim_sqlite_vfs(struct sk_io *io) {
    struct sim_loop *loop = sim_loop(io);
    struct vfs *vfs = loop->vfs;
    if (vfs) return vfs->name;
    /* names are process-wide, several worlds may stand side by side; no effect on a run */
    static unsigned made;
    loop->vfs = vfs = SK_NEW(struct vfs);
    vfs->loop = loop;
    snprintf(vfs->name, sizeof vfs->name, "sk-sim-%u", ++made);
    vfs->base = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct vfs_file),
        .mxPathname = 1024,
        .zName = vfs->name,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time_ms,
    };
    sqlite3_vfs_register(&vfs->base, 0);
    /* SQLite draws its WAL salts from one generator of its own, which would be seeded by the real
     * system. */
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(sim_random(loop->sim) | 1), NULL);
    return vfs->name;
}

void sim_sqlite_loop_freed(struct sim_loop *loop) {
    struct vfs *vfs = loop->vfs;
    if (vfs == NULL) return;
    sqlite3_vfs_unregister(&vfs->base);
    free(vfs);
}
