/* Images for edges below this one: what they ask of the registry API (`/v2/…`) goes on to the
 * registry that this edge is told of, and the answer back. Inside src/edge/hub only.
 *
 * Reading alone; who may is the registry's to say: credentials pass through. An answer is handed on
 * as it comes: of each, at most what the child's connection holds is here. */
#ifndef SK_EDGE_HUB_IMAGES_H
#define SK_EDGE_HUB_IMAGES_H

#include "net/http_server.h"

#define EDGE_IMAGES_PATH "/v2"

struct edge_images;

enum { EDGE_IMAGES_AT_ONCE = 64, EDGE_IMAGES_SILENCE_S = 60 };

/* `registry`: its URL, NULL: every request is told that there is none. `tls`: for https; must
 * outlive it. */
struct edge_images *edge_images_new(struct sk_io *io, const char *registry, struct sk_tls *tls);
/* Nothing may be under way any more. NULL is fine. */
void edge_images_free(struct edge_images *images);
/* A request, of which the body has not been read; `arg`: struct edge_images. */
void edge_images_serve(void *arg, struct sk_http_exchange *exchange);

#endif
