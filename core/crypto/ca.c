/* SPDX-License-Identifier: MIT */
#include "crypto/ca.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/digest.h"
#include "crypto/rsagen.h"

enum { DAY = 24 * 60 * 60, SKEW = 5 * 60 };

/* P-256 rather than RSA: a handshake costs the server a tenth. */
struct maker {
  EVP_PKEY *ca_key, *key;
  X509 *ca, *cert;
};

static bool plain_name(const char *name) {
  size_t n = strlen(name);
  return n > 0 && n <= 253 &&
         strspn(name, "abcdefghijklmnopqrstuvwxyz"
                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == n;
}

static bool set_serial(X509 *cert) {
  unsigned char raw[16];
  if (!arc_crypto_random(raw, sizeof raw)) {
    return false;
  }
  raw[0] = (unsigned char)((raw[0] & 0x7f) | 0x40); /* positive, full length */
  BIGNUM *bn = BN_bin2bn(raw, sizeof raw, NULL);
  bool ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
  BN_free(bn);
  return ok;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid,
                          const char *value) {
  X509V3_CTX ctx;
  X509V3_set_ctx_nodb(&ctx);
  X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
  X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
  bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
  X509_EXTENSION_free(ext);
  return ok;
}

/* A certificate for `key`, not signed yet; issuer NULL = itself. */
static X509 *begin(EVP_PKEY *key, const char *common_name, X509 *issuer) {
  X509 *cert = X509_new();
  if (!cert || !set_serial(cert) || !X509_set_version(cert, X509_VERSION_3) ||
      !X509_gmtime_adj(X509_getm_notBefore(cert), -SKEW) ||
      !X509_gmtime_adj(X509_getm_notAfter(cert), DAY) ||
      !X509_set_pubkey(cert, key) ||
      !X509_NAME_add_entry_by_txt(
          X509_get_subject_name(cert), "CN", MBSTRING_ASC,
          (const unsigned char *)common_name, -1, -1, 0) ||
      !X509_set_issuer_name(cert,
                            X509_get_subject_name(issuer ? issuer : cert))) {
    X509_free(cert);
    return NULL;
  }
  return cert;
}

/* "PREFIXname,PREFIXname,...,LAST", NUL terminated. */
static bool list(struct arc_buf *to, const char *head, const char *prefix,
                 const char *const *names, size_t n, const char *last) {
  bool ok = arc_buf_text(to, head);
  for (size_t i = 0; ok && i < n; i++) {
    ok = arc_buf_format(to, "%s%s,", prefix, names[i]);
  }
  return ok && arc_buf_text(to, last) && arc_buf_append(to, "", 1);
}

static bool make_authority(struct maker *m, const char *const *names,
                           size_t n) {
  struct arc_buf limits = {0};
  m->ca_key = EVP_EC_gen("P-256");
  m->ca = m->ca_key ? begin(m->ca_key, "arclua emulator, one day", NULL) : NULL;
  bool ok = m->ca &&
            list(&limits, "critical,", "permitted;DNS:", names, n,
                 "permitted;IP:127.0.0.1/255.255.255.255") &&
            add_extension(m->ca, m->ca, NID_basic_constraints,
                          "critical,CA:TRUE,pathlen:0") &&
            add_extension(m->ca, m->ca, NID_key_usage,
                          "critical,keyCertSign,cRLSign") &&
            add_extension(m->ca, m->ca, NID_subject_key_identifier, "hash") &&
            add_extension(m->ca, m->ca, NID_name_constraints,
                          (const char *)arc_buf_head(&limits)) &&
            X509_sign(m->ca, m->ca_key, EVP_sha256()) > 0;
  arc_buf_free(&limits);
  return ok;
}

static bool make_server(struct maker *m, const char *const *names, size_t n) {
  struct arc_buf sans = {0};
  m->key = EVP_EC_gen("P-256");
  m->cert = m->key ? begin(m->key, "arclua emulator", m->ca) : NULL;
  bool ok =
      m->cert && list(&sans, "", "DNS:", names, n, "IP:127.0.0.1") &&
      add_extension(m->cert, m->ca, NID_basic_constraints,
                    "critical,CA:FALSE") &&
      add_extension(m->cert, m->ca, NID_key_usage,
                    "critical,digitalSignature") &&
      add_extension(m->cert, m->ca, NID_ext_key_usage, "serverAuth") &&
      add_extension(m->cert, m->ca, NID_authority_key_identifier, "keyid") &&
      add_extension(m->cert, m->ca, NID_subject_alt_name,
                    (const char *)arc_buf_head(&sans)) &&
      X509_sign(m->cert, m->ca_key, EVP_sha256()) > 0;
  arc_buf_free(&sans);
  return ok;
}

static bool write_out(BIO *bio, struct arc_buf *to) {
  char *text = NULL;
  long n = BIO_get_mem_data(bio, &text);
  return n > 0 && arc_buf_append(to, text, (size_t)n);
}

static bool write_cert(X509 *cert, struct arc_buf *to) {
  BIO *bio = BIO_new(BIO_s_mem());
  bool ok = bio && PEM_write_bio_X509(bio, cert) == 1 && write_out(bio, to);
  BIO_free(bio);
  return ok;
}

static bool write_key(EVP_PKEY *key, struct arc_buf *to) {
  BIO *bio = BIO_new(BIO_s_secmem());
  to->secret = true;
  bool ok = bio &&
            PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) &&
            write_out(bio, to);
  BIO_free(bio);
  return ok;
}

bool arc_ca_make(struct arc_ca *made, const char *const *names, size_t n) {
  memset(made, 0, sizeof *made);
  for (size_t i = 0; i < n; i++) {
    if (!plain_name(names[i])) {
      return false;
    }
  }
  struct maker m = {0};
  bool ok = make_authority(&m, names, n) && make_server(&m, names, n) &&
            write_cert(m.ca, &made->ca) && write_cert(m.cert, &made->cert) &&
            write_key(m.key, &made->key);
  X509_free(m.cert);
  X509_free(m.ca);
  EVP_PKEY_free(m.key);
  EVP_PKEY_free(m.ca_key);
  ERR_clear_error();
  return ok;
}

bool arc_ca_client(const char *name, struct arc_buf *cert,
                   struct arc_buf *key) {
  EVP_PKEY *pkey = arc_rsa_generate(ARC_RSA_MIN);
  X509 *x509 = pkey ? begin(pkey, name, NULL) : NULL;
  bool ok = x509 && X509_sign(x509, pkey, EVP_sha256()) > 0 &&
            write_cert(x509, cert) && write_key(pkey, key);
  X509_free(x509);
  EVP_PKEY_free(pkey);
  ERR_clear_error();
  return ok;
}

void arc_ca_free(struct arc_ca *made) {
  arc_buf_free(&made->ca);
  arc_buf_free(&made->cert);
  arc_buf_free(&made->key);
}
