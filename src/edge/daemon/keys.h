/* Keys of modules, all from one master key in the key store.
 *
 * Module keys are derived, never stored, so that signing works offline and a lost cache costs
 * nothing: HMAC-SHA256(master, "<moduleId>:<generationId>:primary"). What has been derived stays in
 * memory: signing goes on while a token or TPM is away, and does not wait for it. The master key
 * does not change behind our back: its check value is written down beside the file of identities.
 *
 * Calls that need the store have its statuses and a sentence in `reason`. */
#ifndef SK_EDGE_DAEMON_KEYS_H
#define SK_EDGE_DAEMON_KEYS_H

#include "trust/keys/store.h"

#define SK_KEY_TEXT 45 /* base64 of 32 bytes and a NUL */

struct sk_keys;

/* Finds the master key in the store, which is borrowed, or makes it when there has never been one.
 * `folder`, which is made, holds the check value, and the master key of an older store of files:
 * it moves to the store. SK_IO: the store cannot be reached, or the master key is not there, or
 * not the one of before: a person must see to it, or it comes back by itself. */
enum sk_status sk_keys_open(struct sk_io *io, struct sk_key_store *store, const char *folder,
                            struct sk_keys **keys, char reason[256]);
void sk_keys_free(struct sk_keys *keys);

/* A module's SAS key as base64, as the hub is told it. */
enum sk_status sk_keys_module(struct sk_keys *keys, struct sk_span module_id,
                              struct sk_span generation_id, bool secondary, char to[SK_KEY_TEXT],
                              char reason[256]);
/* HMAC-SHA256 of `data` with the module's primary key. */
enum sk_status sk_keys_sign(struct sk_keys *keys, struct sk_span module_id,
                            struct sk_span generation_id, struct sk_span data, uint8_t digest[32],
                            char reason[256]);

/* Encrypts for the module in this generation, and binds to the IV, which is the caller's, 1 to
 * 64 bytes, and may come again: the same text with the same IV gives the same bytes, and that is
 * all that it tells (AES-256-SIV). Appends version, tag and ciphertext to `to`. SK_INVALID: the
 * IV is empty or too long. */
enum sk_status sk_keys_encrypt(const struct sk_keys *keys, struct sk_span module_id,
                               struct sk_span generation_id, struct sk_span iv,
                               struct sk_span plaintext, struct sk_buffer *to);
/* Also what was encrypted before there were keys of modules. SK_UNAUTHORIZED: not encrypted
 * here, for this module, with this IV. */
enum sk_status sk_keys_decrypt(const struct sk_keys *keys, struct sk_span module_id,
                               struct sk_span generation_id, struct sk_span iv,
                               struct sk_span ciphertext, struct sk_buffer *to);

#endif
