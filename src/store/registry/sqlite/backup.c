/* A copy of a registry that another process may be using: by SQLite's own backup, within one read
 * transaction, so it is what was committed when it began. */
#include <stdio.h>

#include "store/registry/sqlite/parts.h"

enum { BUSY_MS = 10000 };

static enum sk_status copy(sqlite3 *from, sqlite3 *to) {
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int code = backup ? sqlite3_backup_step(backup, -1) : SQLITE_ERROR;
    if (backup) sqlite3_backup_finish(backup);
    if (code == SQLITE_FULL) return SK_NO_SPACE;
    return code == SQLITE_DONE ? SK_OK : SK_IO;
}

enum sk_status sk_registry_sqlite_backup(const char *from, const char *to,
                                         char reason[SK_MODEL_ERROR_MAX]) {
    sqlite3 *source = NULL, *target = NULL;
    enum sk_status status = SK_OK;
    if (sqlite3_open_v2(from, &source, SQLITE_OPEN_READWRITE, NULL) ||
        sqlite3_busy_timeout(source, BUSY_MS)) {
        snprintf(reason, SK_MODEL_ERROR_MAX, "%s cannot be read: %s", from, sqlite3_errmsg(source));
        status = SK_IO;
    } else if (sqlite3_open_v2(to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL)) {
        snprintf(reason, SK_MODEL_ERROR_MAX, "%s cannot be made: %s", to, sqlite3_errmsg(target));
        status = SK_IO;
    } else if ((status = copy(source, target)) != SK_OK) {
        snprintf(reason, SK_MODEL_ERROR_MAX, "%s cannot be copied to %s: %s", from, to,
                 sqlite3_errmsg(target));
    }
    sqlite3_close(source);
    sqlite3_close(target);
    return status;
}
