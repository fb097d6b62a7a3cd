/* SPDX-License-Identifier: MIT */
#include "crypto/clientcert.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/base64.h"
#include "crypto/certfile.h"
#include "crypto/pss.h"
#include "util/err.h"

enum { CHAIN_MAX = 10, RSA_BITS_MIN = 2048 };

struct arc_clientcert {
  EVP_PKEY *key;
  X509 *chain[CHAIN_MAX]; /* ours first, then each one's issuer */
  size_t count;
};

static bool add(struct arc_clientcert *cert, X509 *x509) {
  if (cert->count == CHAIN_MAX || !X509_up_ref(x509)) {
    return false;
  }
  cert->chain[cert->count++] = x509;
  return true;
}

/* Ours is the one with the key, wherever it stands in the file. */
static X509 *find_leaf(const struct arc_certfile *file) {
  for (int i = 0; i < sk_X509_num(file->certs); i++) {
    X509 *x509 = sk_X509_value(file->certs, i);
    if (X509_check_private_key(x509, file->key) == 1) {
      return x509;
    }
  }
  return NULL;
}

static X509 *find_issuer(const struct arc_certfile *file, X509 *of) {
  for (int i = 0; i < sk_X509_num(file->certs); i++) {
    X509 *x509 = sk_X509_value(file->certs, i);
    if (x509 != of && X509_check_issued(x509, of) == X509_V_OK) {
      return x509;
    }
  }
  return NULL;
}

static bool add_chain(struct arc_clientcert *cert,
                      const struct arc_certfile *file) {
  X509 *at = find_leaf(file);
  while (at && add(cert, at)) {
    bool is_root = X509_check_issued(at, at) == X509_V_OK;
    at = is_root ? NULL : find_issuer(file, at);
  }
  return cert->count;
}

static struct arc_err *refuse(const char *name, const char *why) {
  return arc_err_reason("cred.bad-certificate", "%s: %s", name, why);
}

static struct arc_err *fill(struct arc_clientcert *cert,
                            struct arc_certfile *file, const char *name) {
  if (EVP_PKEY_get_base_id(file->key) != EVP_PKEY_RSA) {
    return refuse(name, "the key is not an RSA key, which Entra asks for");
  }
  if (EVP_PKEY_get_bits(file->key) < RSA_BITS_MIN) {
    return refuse(name, "the RSA key has less than 2048 bits");
  }
  if (sk_X509_num(file->certs) <= 0) {
    return refuse(name, "there is a key, but no certificate");
  }
  if (!add_chain(cert, file)) {
    return refuse(name, "the key does not belong to the certificate");
  }
  cert->key = file->key;
  file->key = NULL;
  return NULL;
}

struct arc_clientcert *arc_clientcert_parse(const struct arc_secret *bytes,
                                            const struct arc_secret *password,
                                            const char *name,
                                            struct arc_err **err) {
  struct arc_clientcert *cert = calloc(1, sizeof *cert);
  struct arc_certfile file = {0};
  const char *why = NULL;
  *err = !cert ? arc_err_new(ARC_E_NOMEM, "out of memory")
         : arc_certfile_parse(&file, bytes, password, &why)
             ? fill(cert, &file, name)
             : refuse(name, why);
  arc_certfile_clear(&file);
  ERR_clear_error();
  arc_wipe_stack();
  if (*err) {
    arc_clientcert_free(cert);
    return NULL;
  }
  return cert;
}

void arc_clientcert_free(struct arc_clientcert *cert) {
  if (!cert) {
    return;
  }
  for (size_t i = 0; i < cert->count; i++) {
    X509_free(cert->chain[i]);
  }
  EVP_PKEY_free(cert->key);
  free(cert);
}

static bool seconds(const ASN1_TIME *time, double *to) {
  struct tm tm;
  if (!ASN1_TIME_to_tm(time, &tm)) {
    return false;
  }
  *to = (double)timegm(&tm);
  return true;
}

bool arc_clientcert_validity(const struct arc_clientcert *cert, double *from,
                             double *to) {
  bool ok = seconds(X509_get0_notBefore(cert->chain[0]), from) &&
            seconds(X509_get0_notAfter(cert->chain[0]), to);
  ERR_clear_error();
  return ok;
}

bool arc_clientcert_thumbprint(const struct arc_clientcert *cert, bool sha1,
                               struct arc_buf *to) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  bool ok = X509_digest(cert->chain[0], sha1 ? EVP_sha1() : EVP_sha256(),
                        digest, &n) == 1 &&
            arc_base64_encode(to, digest, n, ARC_BASE64_URL);
  ERR_clear_error();
  return ok;
}

size_t arc_clientcert_count(const struct arc_clientcert *cert) {
  return cert->count;
}

bool arc_clientcert_der(const struct arc_clientcert *cert, size_t index,
                        struct arc_buf *to) {
  unsigned char *der = NULL;
  int n = i2d_X509(cert->chain[index], &der);
  bool ok = n > 0 && arc_base64_encode(to, der, (size_t)n, ARC_BASE64_PADDED);
  OPENSSL_free(der);
  ERR_clear_error();
  return ok;
}

bool arc_clientcert_sign(const struct arc_clientcert *cert, bool rs256,
                         const char *header, size_t n_header,
                         const char *claims, size_t n_claims,
                         struct arc_buf *to) {
  return arc_pss_sign(cert->key, rs256, header, n_header, claims, n_claims, to);
}
