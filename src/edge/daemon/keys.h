/* The daemon's key store in files: one master key from which everything else is derived.
 *
 * Module keys are derived, never stored, so that signing works offline and a lost cache costs
 * nothing: HMAC-SHA256(master, "<moduleId>:<generationId>:primary"). The files are 0600 in a
 * folder 0700; no other process reads them. */
#ifndef SK_EDGE_DAEMON_KEYS_H
#define SK_EDGE_DAEMON_KEYS_H

#include "io/io.h"

#define SK_KEY_TEXT 45 /* base64 of 32 bytes and a NUL */

struct sk_keys;

/* Opens the store in `folder`, or makes it. On failure a sentence in `reason`; SK_MALFORMED: a
 * damaged key file. */
enum sk_status sk_keys_open(struct sk_io *io, const char *folder, struct sk_keys **keys,
                            char reason[256]);
void sk_keys_free(struct sk_keys *keys);

/* A module's SAS key as base64, as the hub is told it. */
void sk_keys_module(const struct sk_keys *keys, struct sk_span module_id,
                    struct sk_span generation_id, bool secondary, char to[SK_KEY_TEXT]);
/* HMAC-SHA256 of `data` with the module's primary key. */
void sk_keys_sign(const struct sk_keys *keys, struct sk_span module_id,
                  struct sk_span generation_id, struct sk_span data, uint8_t digest[32]);

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
