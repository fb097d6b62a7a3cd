/* SPDX-License-Identifier: MIT */
#include "crypto/jwt.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "crypto/base64.h"
#include "crypto/rsagen.h"
#include "util/err.h"

struct arc_rsa {
  EVP_PKEY *pkey;
};

struct arc_rsa *arc_rsa_new(void) {
  struct arc_rsa *key = calloc(1, sizeof *key);
  if (!key) {
    return NULL;
  }
  key->pkey = arc_rsa_generate(ARC_RSA_MIN);
  if (!key->pkey) {
    ERR_clear_error();
    free(key);
    return NULL;
  }
  return key;
}

void arc_rsa_free(struct arc_rsa *key) {
  if (key) {
    EVP_PKEY_free(key->pkey);
    free(key);
  }
}

static bool number(const struct arc_rsa *key, const char *name,
                   struct arc_buf *to) {
  BIGNUM *value = NULL;
  unsigned char bytes[512];
  bool ok = false;
  if (EVP_PKEY_get_bn_param(key->pkey, name, &value) &&
      (size_t)BN_num_bytes(value) <= sizeof bytes) {
    int n = BN_bn2bin(value, bytes);
    ok = n > 0 && arc_base64_encode(to, bytes, (size_t)n, ARC_BASE64_URL);
  }
  BN_free(value);
  ERR_clear_error();
  return ok;
}

bool arc_rsa_modulus(const struct arc_rsa *key, struct arc_buf *to) {
  return number(key, OSSL_PKEY_PARAM_RSA_N, to);
}

bool arc_rsa_exponent(const struct arc_rsa *key, struct arc_buf *to) {
  return number(key, OSSL_PKEY_PARAM_RSA_E, to);
}

bool arc_rsa_pem(const struct arc_rsa *key, struct arc_buf *to) {
  BIO *bio = BIO_new(BIO_s_secmem());
  bool ok = bio && PEM_write_bio_PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL,
                                            NULL) == 1;
  if (ok) {
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);
    ok = n > 0 && arc_buf_append(to, text, (size_t)n);
  }
  BIO_free(bio);
  ERR_clear_error();
  return ok;
}

bool arc_jwt_sign(const struct arc_rsa *key, const char *header,
                  size_t n_header, const char *claims, size_t n_claims,
                  struct arc_buf *to) {
  size_t before = arc_buf_len(to);
  if (!arc_base64_encode(to, header, n_header, ARC_BASE64_URL) ||
      !arc_buf_text(to, ".") ||
      !arc_base64_encode(to, claims, n_claims, ARC_BASE64_URL)) {
    return false;
  }
  unsigned char sig[512];
  size_t n = sizeof sig;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool ok = ctx &&
            EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
            EVP_DigestSign(ctx, sig, &n, arc_buf_head(to) + before,
                           arc_buf_len(to) - before) == 1;
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return ok && arc_buf_text(to, ".") &&
         arc_base64_encode(to, sig, n, ARC_BASE64_URL);
}

static bool check(const struct arc_rsa *key, const char *input, size_t n,
                  const struct arc_buf *sig) {
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool ok =
      ctx &&
      EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
      EVP_DigestVerify(ctx, arc_buf_head(sig), arc_buf_len(sig),
                       (const unsigned char *)input, n) == 1;
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return ok;
}

/* The algorithm is ours to choose, not the token's: a header that does not
 * say RS256 is refused whatever its signature. */
static bool says_rs256(const char *token, size_t n) {
  struct arc_buf header = {0};
  bool ok = arc_base64_decode(&header, token, n) &&
            memmem(arc_buf_head(&header), arc_buf_len(&header), "\"RS256\"", 7);
  arc_buf_free(&header);
  return ok;
}

struct arc_err *arc_jwt_verify(const struct arc_rsa *key, const char *token,
                               size_t n, struct arc_buf *claims) {
  const char *first = memchr(token, '.', n);
  const char *second =
      first ? memchr(first + 1, '.', n - (size_t)(first + 1 - token)) : NULL;
  if (!second) {
    return arc_err_new(ARC_E_PROTOCOL, "not a signed token");
  }
  size_t signed_n = (size_t)(second - token);
  struct arc_buf sig = {0};
  struct arc_err *err = NULL;
  if (!arc_base64_decode(&sig, second + 1, n - signed_n - 1) ||
      !says_rs256(token, (size_t)(first - token))) {
    err = arc_err_new(ARC_E_PROTOCOL, "not a signed token");
  } else if (!check(key, token, signed_n, &sig)) {
    err = arc_err_new(ARC_E_AUTH, "the token has an invalid signature");
  } else if (!arc_base64_decode(claims, first + 1,
                                (size_t)(second - first) - 1)) {
    err = arc_err_new(ARC_E_PROTOCOL, "the token's claims are not base64url");
  }
  arc_buf_free(&sig);
  return err;
}
