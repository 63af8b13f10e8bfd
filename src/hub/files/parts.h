/* What the files of uploads share. Inside src/hub/files only. */
#ifndef SK_HUB_FILES_PARTS_H
#define SK_HUB_FILES_PARTS_H

#include "azure/blob_auth.h"
#include "hub/parts.h"

/* storage.c: a storage account of somebody else's, where one is configured. */
struct storage;
/* `*storage` stays NULL where none is. */
enum sk_status storage_open(struct sk_hub *hub, struct storage **storage, char reason[512]);
void storage_close(struct storage *storage); /* ends what is asked with SK_CLOSED */
struct sk_span storage_account(const struct storage *storage);
struct sk_span storage_key(const struct storage *storage);
/* The host name that clients put behind "https://", with port and path. */
struct sk_span storage_host(const struct storage *storage);
/* As hub_blob_look. */
void storage_look(struct storage *storage, struct sk_span container, struct sk_span blob,
                  hub_blob_done *done, void *arg);
bool storage_fine(struct sk_span connection_string, char why[SK_CONFIG_WHY_MAX]);

#endif
