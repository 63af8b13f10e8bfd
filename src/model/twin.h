/* Device twins: three JSON sections with versions and per-leaf metadata, and the rules for changing
 * them.
 *
 * Pure functions over jansson documents. Limits and texts:
 * docs/protocols/device-protocols.md, section 6.3. */
#ifndef SK_MODEL_TWIN_H
#define SK_MODEL_TWIN_H

#include "model/identity.h"

#define SK_TWIN_TAGS_MAX (8 * 1024)     /* bytes by Azure's counting: see sk_twin_size */
#define SK_TWIN_SECTION_MAX (32 * 1024) /* desired, reported */
#define SK_TWIN_KEY_MAX 1024
#define SK_TWIN_STRING_MAX 4096
#define SK_TWIN_DEPTH_MAX 10 /* objects and arrays nested below a section's root */
#define SK_TWIN_INTEGER_MIN (-4503599627370496)
#define SK_TWIN_INTEGER_MAX 4503599627370495

enum sk_twin_section { SK_TWIN_TAGS, SK_TWIN_DESIRED, SK_TWIN_REPORTED };

/* The documents are owned objects without `$version` and `$metadata`. Metadata mirrors its
 * section: each object level and each leaf is an object with $lastUpdated (and $lastUpdatedVersion
 * in desired) beside its children. */
struct sk_twin {
    json_t *tags, *desired, *reported;
    json_t *desired_metadata, *reported_metadata;
    uint64_t desired_version, reported_version;
    uint64_t version; /* counts every change */
    uint64_t etag;    /* see sk_twin_etag */
    /* What automatic configurations are to it, {"id":{"status":"Applied"}, …}, and the properties
     * that they have set, as the tree of their names in desired; NULL: none. */
    json_t *configurations, *configured;
};

/* A fresh twin: version 2, sections at version 1, never updated. */
struct sk_twin sk_twin_new(void);
void sk_twin_free(struct sk_twin *twin);                 /* the contents; leaves it zeroed */
struct sk_twin sk_twin_copy(const struct sk_twin *twin); /* deep */
struct sk_twin sk_twin_move(struct sk_twin *from);
/* With the same documents, which nobody changes from now on, on whatever thread. */
struct sk_twin sk_twin_share(const struct sk_twin *twin);

/* What to do to a twin, all at once. Documents are borrowed; NULL: leave the section; to replace by
 * JSON's null is to empty it. A root's `$version` and `$metadata` are ignored, as SDKs send back
 * what they read. */
struct sk_twin_change {
    const json_t *tags, *desired, *reported;
    bool replace_tags, replace_desired, replace_reported; /* else: merge, null deletes */
    /* Replaced as a whole. A change of these alone is nobody's edit: versions and etag stay. */
    const json_t *configurations, *configured;
};

/* Checks one section's patch or replacement for what does not depend on the twin: SK_INVALID
 * (400004) with a sentence. */
enum sk_status sk_twin_check(enum sk_twin_section section, const json_t *document,
                             char error[SK_MODEL_ERROR_MAX]);
/* Checks and applies a change, or leaves the twin as it was. SK_INVALID (400004): breaks a rule;
 * SK_TOO_LARGE (403100): a section would pass its size; one sentence in `error`. */
enum sk_status sk_twin_apply(struct sk_twin *twin, const struct sk_twin_change *change,
                             int64_t wall_us, char error[SK_MODEL_ERROR_MAX]);
/* Size of a section as Azure counts it: UTF-8 bytes of keys and strings without control
 * characters, 8 a number, 4 a boolean. */
size_t sk_twin_size(const json_t *document);

/* {"desired":{…,"$version":N},"reported":{…,"$version":M}}, what a device's GET answers; a new
 * reference. */
json_t *sk_twin_device_json(const struct sk_twin *twin);
/* The body of a desired notification after `change` was applied, with `$version`: the patch with
 * its nulls; after a replacement the whole new document, with nulls for what is gone, as devices
 * merge it. `before`: the section as it was; a new reference. */
json_t *sk_twin_desired_notification(const json_t *before, const struct sk_twin *after,
                                     const struct sk_twin_change *change);
/* The service's `Twin` (with metadata and the identity's read-only copy); a new reference.
 * `presence` may be NULL. */
json_t *sk_twin_service_json(const struct sk_twin *twin, const struct sk_identity *identity,
                             const struct sk_presence *presence);
/* What a route's `twinChangeNotification` says. After an update: `version`, and of the sections
 * that were changed (NULL: one that was not) the patch, for properties with its metadata and
 * `$version`. After a replacement, and of an identity that was made: ids, etag, version and all
 * sections. New references. */
json_t *sk_twin_update_json(const struct sk_twin *after, const json_t *tags, const json_t *desired,
                            const json_t *reported);
json_t *sk_twin_whole_json(const struct sk_twin *twin, const struct sk_identity *identity);
/* Reads the sections out of the body of a service's PATCH or PUT: `tags` and `properties.desired`
 * (borrowed from `body`). PUT replaces the sections that are there, null empties one. SK_INVALID
 * with a sentence. */
enum sk_status sk_twin_change_from_json(const json_t *body, bool replace,
                                        struct sk_twin_change *change,
                                        char error[SK_MODEL_ERROR_MAX]);

#endif
