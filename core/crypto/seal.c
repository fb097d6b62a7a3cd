/* SPDX-License-Identifier: MIT */
#include "crypto/seal.h"

#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "crypto/base64.h"

enum { NONCE = 12, TAG = 16, DATA_MAX = 1024 * 1024 };

/* nonce, cipher text, tag. */
static bool encrypt(EVP_CIPHER_CTX *ctx, const uint8_t *key, const char *about,
                    const void *data, size_t n, uint8_t *to) {
  int len = 0;
  return RAND_bytes(to, NONCE) == 1 &&
         EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, to) == 1 &&
         EVP_EncryptUpdate(ctx, NULL, &len, (const uint8_t *)about,
                           (int)strlen(about)) == 1 &&
         EVP_EncryptUpdate(ctx, to + NONCE, &len, data, (int)n) == 1 &&
         EVP_EncryptFinal_ex(ctx, to + NONCE + len, &len) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, to + NONCE + n) ==
             1;
}

bool arc_seal(struct arc_buf *to, const uint8_t *key, const char *about,
              const void *data, size_t n) {
  struct arc_buf sealed = {0};
  uint8_t *room =
      n <= DATA_MAX ? arc_buf_reserve(&sealed, NONCE + n + TAG) : NULL;
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  bool ok = room && ctx && encrypt(ctx, key, about, data, n, room) &&
            arc_base64_encode(to, room, NONCE + n + TAG, ARC_BASE64_PADDED);
  EVP_CIPHER_CTX_free(ctx);
  arc_buf_free(&sealed);
  ERR_clear_error();
  return ok;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const uint8_t *key, const char *about,
                    const struct arc_buf *sealed, uint8_t *to) {
  const uint8_t *from = arc_buf_head(sealed);
  size_t n = arc_buf_len(sealed) - NONCE - TAG;
  uint8_t tag[TAG];
  int len = 0;
  memcpy(tag, from + NONCE + n, TAG);
  return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, from) == 1 &&
         EVP_DecryptUpdate(ctx, NULL, &len, (const uint8_t *)about,
                           (int)strlen(about)) == 1 &&
         EVP_DecryptUpdate(ctx, to, &len, from + NONCE, (int)n) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 &&
         EVP_DecryptFinal_ex(ctx, to + len, &len) == 1;
}

struct arc_secret *arc_unseal(const uint8_t *key, const char *about,
                              const char *text) {
  struct arc_buf sealed = {0}, plain = {.secret = true};
  struct arc_secret *secret = NULL;
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  if (ctx && strlen(text) <= 2 * DATA_MAX &&
      arc_base64_decode(&sealed, text, strlen(text)) &&
      arc_buf_len(&sealed) >= NONCE + TAG) {
    size_t n = arc_buf_len(&sealed) - NONCE - TAG;
    uint8_t *room = arc_buf_reserve(&plain, n + 1);
    if (room && decrypt(ctx, key, about, &sealed, room)) {
      secret = arc_secret_new(room, n);
    }
  }
  EVP_CIPHER_CTX_free(ctx);
  arc_buf_free(&sealed);
  arc_buf_free(&plain);
  ERR_clear_error();
  return secret;
}
