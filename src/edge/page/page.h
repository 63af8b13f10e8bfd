/* The local page: how this edge stands, in a browser on the machine.
 *
 * A view of the two sockets for people, the agent's and the edge hub's: it has no state of its own
 * and changes nothing. Whoever asks must show the page's key, which only who may read
 * <data>/agent/page.key knows (`skerry-edge page` prints the address with it): modules are on this
 * machine too. What is secret in a deployment, environments and credentials, is not shown. */
#ifndef SK_EDGE_PAGE_PAGE_H
#define SK_EDGE_PAGE_PAGE_H

#include "io/io.h"

struct sk_page;

/* Texts are copied. */
struct sk_page_options {
    struct sk_endpoint at;
    const char *agent_path, *hub_path; /* the sockets */
    const char *key_file;
};
/* On failure a sentence in `reason`: SK_EXISTS, another program has the port; SK_IO … */
enum sk_status sk_page_open(struct sk_io *io, const struct sk_page_options *options,
                            struct sk_page **page, char reason[256]);
void sk_page_close(struct sk_page *page);

#define SK_PAGE_KEY_FILE "agent/page.key" /* below the data folder */
#define SK_PAGE_KEY 33                    /* 32 hexadecimal digits and a NUL */
/* The key in the file, which is made when it is not there. Else a sentence in `reason`. */
enum sk_status sk_page_key(struct sk_io *io, const char *file, char key[SK_PAGE_KEY],
                           char reason[256]);

#endif
