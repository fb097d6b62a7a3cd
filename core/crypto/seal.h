/* SPDX-License-Identifier: MIT */
#ifndef ARC_SEAL_H
#define ARC_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"
#include "util/secret.h"

enum { ARC_SEAL_KEY_SIZE = 32 };

/* Encrypts and authenticates n bytes (AES-256-GCM, a random nonce) and appends
 * them as base64. `about` is authenticated, too: what is sealed for one account
 * does not open for another. key: ARC_SEAL_KEY_SIZE bytes. */
bool arc_seal(struct arc_buf *to, const uint8_t *key, const char *about,
              const void *data, size_t n);
/* Opens what arc_seal gave; NULL: another key, other text, or no memory. */
struct arc_secret *arc_unseal(const uint8_t *key, const char *about,
                              const char *text);

#endif
