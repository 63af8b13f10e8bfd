/* The keys of the edge's config.toml and their types. Inside src/edge/daemon only. */
#ifndef SK_EDGE_DAEMON_CONFIG_KEYS_H
#define SK_EDGE_DAEMON_CONFIG_KEYS_H

#include <jansson.h>

#include "base/base.h"

enum config_type {
    CONFIG_TEXT,
    CONFIG_INTEGER,
    CONFIG_BOOLEAN,
    CONFIG_TABLE, /* its members are rows of their own */
    CONFIG_MAP,   /* members with free names, all texts, numbers or booleans */
    CONFIG_LIST,  /* of texts */
    CONFIG_TEXT_OR_TABLE,
    CONFIG_ANY,
};

struct config_key {
    const char *path;
    enum config_type type;
    bool later; /* valid in Azure's file, of no effect here yet */
};

/* The row of a path, or NULL. */
const struct config_key *config_key_find(const char *path);
/* The known key beside `path` whose name looks most like it, or NULL when none does. */
const char *config_key_near(const char *path);
/* "text", "number", … for sentences. */
const char *config_type_text(enum config_type type);
bool config_type_fits(enum config_type type, const json_t *value);

#endif
