/* The registry on SQLite: one file, in WAL mode. */
#ifndef SK_STORE_REGISTRY_SQLITE_SQLITE_H
#define SK_STORE_REGISTRY_SQLITE_SQLITE_H

#include "store/registry/registry.h"

/* Sets SQLite up for this process, once; opening does it, or a parent for its children. */
void sk_registry_sqlite_prepare(void);
/* Opens or makes the file at `path` (its folder must be there) and brings it to the newest form.
 * On failure writes a sentence to `reason`: SK_UNSUPPORTED (made by a newer Skerry), SK_MALFORMED
 * (damaged), SK_IO, SK_NO_SPACE. */
enum sk_status sk_registry_sqlite_open(struct sk_io *io, const char *path,
                                       struct sk_registry **registry,
                                       char reason[SK_MODEL_ERROR_MAX]);
/* Copies a registry that other processes may be using; `to` must not be there. A sentence in
 * `reason`: SK_NO_SPACE, SK_IO. */
enum sk_status sk_registry_sqlite_backup(const char *from, const char *to,
                                         char reason[SK_MODEL_ERROR_MAX]);

#endif
