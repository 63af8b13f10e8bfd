/* Names of images: "host:port/path/name:tag@sha256:…".
 *
 * Pure. */
#ifndef SK_EDGE_AGENT_ENGINE_IMAGE_H
#define SK_EDGE_AGENT_ENGINE_IMAGE_H

#include "base/base.h"

#define SK_IMAGE_NAME_MAX 512

/* Parts of a name; spans of the text. */
struct sk_image_name {
    struct sk_span host;       /* "registry:5000", "$upstream:443"; empty: the engine's default */
    struct sk_span repository; /* with the host */
    struct sk_span tag;        /* empty: none */
    struct sk_span digest;     /* "sha256:…"; empty: none */
};
/* SK_MALFORMED: no name of an image. */
enum sk_status sk_image_name_parse(struct sk_span text, struct sk_image_name *name);

/* Appends the name as engines are asked for it: `parent` in place of "$upstream", ":latest" where
 * there is neither tag nor digest. SK_NOT_FOUND: "$upstream" without a parent (NULL). */
enum sk_status sk_image_name_put(struct sk_buffer *to, const struct sk_image_name *name,
                                 const char *parent);
/* Whether credentials for `address` ("registry:5000", with or without "https://" and a path) are
 * for this image. */
bool sk_image_is_at(const struct sk_image_name *name, struct sk_span address);

#endif
