/* SPDX-License-Identifier: MIT */
#include "crypto/digest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

bool arc_crypto_sha256(const void *data, size_t n,
                       uint8_t out[ARC_SHA256_SIZE]) {
  return EVP_Q_digest(NULL, "SHA256", NULL, data, n, out, NULL) == 1;
}

int arc_crypto_sha256_file(int fd, uint8_t out[ARC_SHA256_SIZE]) {
  enum { PIECE = 256 * 1024 };
  uint8_t *piece = malloc(PIECE);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  off_t at = 0;
  ssize_t n = 0;
  bool ok = piece && context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
  while (ok && (n = pread(fd, piece, PIECE, at)) > 0) {
    ok = EVP_DigestUpdate(context, piece, (size_t)n);
    at += n;
  }
  int error = n < 0 ? errno : 0;
  ok = ok && !error && EVP_DigestFinal_ex(context, out, NULL);
  EVP_MD_CTX_free(context);
  free(piece);
  return error ? error : ok ? 0 : ENOMEM;
}

bool arc_crypto_hmac_sha256(const void *key, size_t n_key, const void *data,
                            size_t n, uint8_t out[ARC_SHA256_SIZE]) {
  size_t size = 0;
  return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, n_key, data, n, out,
                   ARC_SHA256_SIZE, &size) &&
         size == ARC_SHA256_SIZE;
}

bool arc_crypto_random(void *to, size_t n) {
  return n <= INT_MAX && RAND_bytes(to, (int)n) == 1;
}

bool arc_crypto_uuid(char out[ARC_UUID_SIZE]) {
  uint8_t raw[16];
  if (!arc_crypto_random(raw, sizeof raw)) {
    return false;
  }
  raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40); /* RFC 9562 §5.4 */
  raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
  size_t at = 0;
  for (size_t i = 0; i < sizeof raw; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      out[at++] = '-';
    }
    at += (size_t)snprintf(out + at, ARC_UUID_SIZE - at, "%02x", raw[i]);
  }
  return true;
}

bool arc_crypto_equal(const void *a, size_t n_a, const void *b, size_t n_b) {
  return n_a == n_b && CRYPTO_memcmp(a, b, n_a) == 0;
}
