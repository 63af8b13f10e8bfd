/* Import and export of identities, from and to containers of the hub's own blob service. Inside
 * src/hub/transfers only.
 *
 * One job at a time, as at Azure. What is shown of a job is its document in the registry; of the
 * one that runs it is here. A job that a fall of the hub has ended is failed: whoever wants it done
 * asks again. Reference: docs/protocols/service-api.md, section 7; decision 32. */
#ifndef SK_HUB_TRANSFERS_PARTS_H
#define SK_HUB_TRANSFERS_PARTS_H

#include "azure/blob_auth.h"
#include "hub/parts.h"

struct transfer;

/* How one is done. */
struct transfer_kind {
    const char *type;
    void *(*start)(struct transfer *transfer);
    void (*free)(void *work); /* it stops here, whatever is under way */
};
extern const struct transfer_kind transfer_export, transfer_import;

struct transfer {
    struct sk_hub *hub;
    const struct transfer_kind *kind;
    json_t *job;          /* JobProperties, as they are shown */
    char *input, *output; /* containers; NULL: none */
    bool without_keys;
    void *work;
};

/* The job's blob: what the member says, or the default. */
struct sk_span transfer_blob(const struct transfer *transfer, const char *member);
void transfer_progress(struct transfer *transfer, uint64_t done, uint64_t of);
/* It has ended; `reason` NULL: well. Frees the work and the transfer. */
void transfer_end(struct transfer *transfer, const char *reason);

/* line.c: an identity with its twin as a line of a file; a new reference. */
json_t *transfer_line(const struct sk_registry_entry *entry, bool without_keys);

#endif
