#include "hub/portal/parts.h"

/* What script/build has made of portal/ (portal/pack.js), or nothing: bytes, and a table. */
#include "hub_portal_files.inc"

struct portal_files portal_files(void) {
#ifdef PORTAL_FILES
    return (struct portal_files){files, sizeof files / sizeof *files};
#else
    return (struct portal_files){0};
#endif
}
