/* SPDX-License-Identifier: MIT */
#ifndef ARC_DIGEST_H
#define ARC_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARC_SHA256_SIZE = 32, ARC_UUID_SIZE = 37 };

/* All return false when the library fails (no memory, no entropy). */
bool arc_crypto_sha256(const void *data, size_t n,
                       uint8_t out[ARC_SHA256_SIZE]);
/* Of a file from its beginning; 0 or a positive errno. May block: for a thread
 * of its own. */
int arc_crypto_sha256_file(int fd, uint8_t out[ARC_SHA256_SIZE]);
bool arc_crypto_hmac_sha256(const void *key, size_t n_key, const void *data,
                            size_t n, uint8_t out[ARC_SHA256_SIZE]);
bool arc_crypto_random(void *to, size_t n);
/* A random UUID (version 4), lower case, NUL terminated. */
bool arc_crypto_uuid(char out[ARC_UUID_SIZE]);
/* Compares without telling by its time where the first difference is. */
bool arc_crypto_equal(const void *a, size_t n_a, const void *b, size_t n_b);

#endif
