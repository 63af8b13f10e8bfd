/* hub.toml: what it may hold, read and checked. A mistake is one sentence with file, line, key and
 * the mend. */
#ifndef SK_HUB_SERVER_CONFIG_H
#define SK_HUB_SERVER_CONFIG_H

#include "hub/hub.h"

#define SK_HUB_CONFIG_ERROR_MAX SK_CONFIG_ERROR_MAX
/* Bytes of the file: what is larger is neither read nor written. */
#define SK_HUB_CONFIG_BYTES_MAX (1024 * 1024)

struct sk_hub_config {
    struct sk_arena arena; /* all texts and lists */
    const char *file;
    json_t *document; /* the file as it was read */
    struct sk_endpoint *addresses;
    size_t address_count;
    const char *certificate, *key; /* paths of PEM files */
    struct sk_span *origins;       /* of pages that may open WebSockets */
    size_t origin_count;
    struct sk_endpoint metrics;   /* host NULL: none */
    struct sk_door_limits limits; /* 0: the default */
    struct sk_hub_options *hubs;
    size_t hub_count;
};

/* Reads and checks a file; relative paths in it count from its folder. `told`: NULL, or gets a
 * line for each key that counts. SK_NOT_FOUND, SK_MALFORMED, SK_INVALID with a sentence a line
 * in `error`. */
enum sk_status sk_hub_config_load(struct sk_io *io, const char *path, struct sk_hub_config *config,
                                  struct sk_buffer *told, char error[SK_HUB_CONFIG_ERROR_MAX]);
/* The same from a text; `folder` stands for the file's. */
enum sk_status sk_hub_config_parse(struct sk_span text, const char *file_name, const char *folder,
                                   struct sk_hub_config *config,
                                   char error[SK_HUB_CONFIG_ERROR_MAX]);
/* Reads the file of what counts now again; what counts from a start on must be as it was. */
enum sk_status sk_hub_config_load_again(struct sk_io *io, const struct sk_hub_config *now,
                                        struct sk_hub_config *next,
                                        char error[SK_HUB_CONFIG_ERROR_MAX]);
/* The same from a text that the file may become. */
enum sk_status sk_hub_config_parse_again(struct sk_span text, const struct sk_hub_config *now,
                                         struct sk_hub_config *next,
                                         char error[SK_HUB_CONFIG_ERROR_MAX]);
/* The text of a file, bounded; with a sentence on failure. */
enum sk_status sk_hub_config_text(struct sk_io *io, const char *path, struct sk_buffer *toml,
                                  char error[SK_HUB_CONFIG_ERROR_MAX]);
void sk_hub_config_free(struct sk_hub_config *config); /* the contents */

/* Every key of hub.toml. */
#define SK_HUB_KEY_TABLES_MAX 16
sk_config_keys sk_hub_config_keys(const struct sk_config_key *tables[SK_HUB_KEY_TABLES_MAX]);
/* docs/reference/hub.toml.md */
void sk_hub_config_reference(struct sk_buffer *to);

#endif
