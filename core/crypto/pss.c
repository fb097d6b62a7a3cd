/* SPDX-License-Identifier: MIT */
#include "crypto/pss.h"

#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "crypto/base64.h"
#include "util/err.h"

enum { SIGNATURE_MAX = 2048 }; /* of an RSA key of 16384 bits */

/* The parameters that RFC 7518 fixes. */
static bool set_pss(EVP_PKEY_CTX *ctx) {
  return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
}

static bool sign(EVP_PKEY *key, bool rs256, const struct arc_buf *all,
                 size_t from, unsigned char *sig, size_t *n_sig) {
  EVP_PKEY_CTX *params = NULL;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool ok = ctx &&
            EVP_DigestSignInit(ctx, &params, EVP_sha256(), NULL, key) == 1 &&
            (rs256 || set_pss(params)) &&
            EVP_DigestSign(ctx, sig, n_sig, arc_buf_head(all) + from,
                           arc_buf_len(all) - from) == 1;
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return ok;
}

bool arc_pss_sign(EVP_PKEY *key, bool rs256, const char *header,
                  size_t n_header, const char *claims, size_t n_claims,
                  struct arc_buf *to) {
  size_t before = arc_buf_len(to);
  unsigned char sig[SIGNATURE_MAX];
  size_t n = sizeof sig;
  return arc_base64_encode(to, header, n_header, ARC_BASE64_URL) &&
         arc_buf_text(to, ".") &&
         arc_base64_encode(to, claims, n_claims, ARC_BASE64_URL) &&
         sign(key, rs256, to, before, sig, &n) && arc_buf_text(to, ".") &&
         arc_base64_encode(to, sig, n, ARC_BASE64_URL);
}

static bool check(EVP_PKEY *key, const char *text, size_t n,
                  const struct arc_buf *sig) {
  EVP_PKEY_CTX *params = NULL;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool ok = ctx &&
            EVP_DigestVerifyInit(ctx, &params, EVP_sha256(), NULL, key) == 1 &&
            set_pss(params) &&
            EVP_DigestVerify(ctx, arc_buf_head(sig), arc_buf_len(sig),
                             (const unsigned char *)text, n) == 1;
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return ok;
}

static EVP_PKEY *public_key(const char *pem, size_t n) {
  BIO *bio = n <= INT_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
  X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  EVP_PKEY *key = x509 ? X509_get_pubkey(x509) : NULL;
  X509_free(x509);
  BIO_free(bio);
  ERR_clear_error();
  return key;
}

static struct arc_err *verify(EVP_PKEY *key, const char *token, size_t n,
                              struct arc_buf *claims) {
  const char *first = memchr(token, '.', n);
  const char *second = memrchr(token, '.', n);
  struct arc_buf sig = {0};
  if (!first || first == second) {
    return arc_err_new(ARC_E_PROTOCOL, "not a signed token");
  }
  size_t n_signed = (size_t)(second - token);
  struct arc_err *err = NULL;
  if (!arc_base64_decode(&sig, second + 1, n - n_signed - 1) ||
      !check(key, token, n_signed, &sig)) {
    err = arc_err_new(ARC_E_AUTH, "the token has an invalid signature");
  } else if (!arc_base64_decode(claims, first + 1,
                                (size_t)(second - first) - 1)) {
    err = arc_err_new(ARC_E_PROTOCOL, "the token's claims are not base64url");
  }
  arc_buf_free(&sig);
  return err;
}

struct arc_err *arc_pss_verify(const char *pem, size_t n_pem, const char *token,
                               size_t n, struct arc_buf *claims) {
  EVP_PKEY *key = public_key(pem, n_pem);
  struct arc_err *err =
      key ? verify(key, token, n, claims)
          : arc_err_new(ARC_E_CONFIG, "not a certificate in PEM");
  EVP_PKEY_free(key);
  return err;
}
