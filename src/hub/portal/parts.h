/* The portal's parts. Inside src/hub/portal only. */
#ifndef SK_HUB_PORTAL_PARTS_H
#define SK_HUB_PORTAL_PARTS_H

#include "hub/parts.h"

struct portal_file {
    const char *name; /* below /portal/: "index.html" */
    const char *type; /* Content-Type */
    const char *hash; /* of what is in it */
    bool hashed;      /* so is its name: what has it never changes */
    const unsigned char *gzip;
    size_t gzip_n, plain_n; /* bytes, with and without gzip */
};

struct portal_files {
    const struct portal_file *at; /* "index.html" is among them, unless there are none */
    size_t count;
};

/* files.c: those that this program was built with. */
struct portal_files portal_files(void);

/* portal.c: answers a request to a path that begins with /portal. */
void portal_answer(struct sk_http_exchange *exchange, struct portal_files files);

#endif
