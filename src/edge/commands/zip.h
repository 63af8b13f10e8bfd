/* A zip archive that is written: texts under names. */
#ifndef SK_EDGE_COMMANDS_ZIP_H
#define SK_EDGE_COMMANDS_ZIP_H

#include "base/base.h"

struct edge_zip;

/* Makes the file, or empties it; NULL: it cannot be written. */
struct edge_zip *edge_zip_open(const char *path);
/* Adds one file, compressed, with the time `wall_us`. SK_IO. */
enum sk_status edge_zip_add(struct edge_zip *zip, const char *name, struct sk_span bytes,
                            int64_t wall_us);
/* Ends and frees. SK_IO: the archive is not whole. */
enum sk_status edge_zip_close(struct edge_zip *zip);

#endif
