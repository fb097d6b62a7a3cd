/* SPDX-License-Identifier: MIT */
/* The file of an application's certificate: PEM or PKCS #12. The first line is
 * the password; none when it is empty. */
#include "fuzz.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "crypto/clientcert.h"

/* Above, opening a key is only slow. */
enum { ROUNDS_MAX = 4096 };

static bool is_slow(const ASN1_INTEGER *rounds) {
  int64_t n = 0;
  return rounds && (!ASN1_INTEGER_get_int64(&n, rounds) || n > ROUNDS_MAX);
}

static bool slow_cipher(const X509_ALGOR *algor) {
  const ASN1_OBJECT *name;
  const void *value;
  int type;
  X509_ALGOR_get0(&name, &type, &value, algor);
  if (type != V_ASN1_SEQUENCE) {
    return false;
  }
  PBE2PARAM *two =
      ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algor->parameter);
  const ASN1_TYPE *derive = two ? two->keyfunc->parameter : NULL;
  PBKDF2PARAM *param =
      derive && derive->type == V_ASN1_SEQUENCE
          ? ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), derive)
          : NULL;
  PBEPARAM *one =
      ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), algor->parameter);
  // Other functions (scrypt) have their own way of being slow.
  bool slow = (two && !param) || (param && is_slow(param->iter)) ||
              (one && is_slow(one->iter));
  PBE2PARAM_free(two);
  PBKDF2PARAM_free(param);
  PBEPARAM_free(one);
  return slow;
}

/* A key in PEM of too many rounds. */
static bool slow_pem(const char *text, size_t n) {
  BIO *bio = BIO_new_mem_buf(text, (int)n);
  char *name = NULL, *header = NULL;
  unsigned char *data = NULL;
  long len = 0;
  bool slow = false;
  DEMAND(bio);
  while (!slow && PEM_read_bio(bio, &name, &header, &data, &len)) {
    const unsigned char *at = data;
    X509_SIG *sig = d2i_X509_SIG(NULL, &at, len);
    const X509_ALGOR *algor = NULL;
    if (sig) {
      X509_SIG_get0(sig, &algor, NULL);
      slow = slow_cipher(algor);
    }
    X509_SIG_free(sig);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
  }
  BIO_free(bio);
  return slow;
}

static bool slow_p12(const char *text, size_t n) {
  const unsigned char *at = (const unsigned char *)text;
  PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)n);
  const ASN1_INTEGER *rounds = NULL;
  if (p12) {
    PKCS12_get0_mac(NULL, NULL, NULL, &rounds, p12);
  }
  bool slow = is_slow(rounds);
  PKCS12_free(p12);
  return slow;
}

static void check_cert(const struct arc_clientcert *cert) {
  double from, to;
  struct arc_buf text = {0};
  size_t count = arc_clientcert_count(cert);
  DEMAND(count > 0 && count <= 10);
  arc_clientcert_validity(cert, &from, &to);
  DEMAND(arc_clientcert_thumbprint(cert, false, &text) &&
         arc_buf_len(&text) == 43);
  for (size_t i = 0; i < count; i++) {
    DEMAND(arc_clientcert_der(cert, i, &text));
  }
  arc_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  char *password = fuzz_line(&in);
  struct arc_secret *file = arc_secret_new(in.at, in.left);
  struct arc_secret *word =
      *password ? arc_secret_new(password, strlen(password)) : NULL;
  struct arc_err *err = NULL;
  DEMAND(file);
  if (!slow_pem(file->bytes, file->len) && !slow_p12(file->bytes, file->len)) {
    struct arc_clientcert *cert =
        arc_clientcert_parse(file, word, "the file", &err);
    DEMAND(!cert == (err != NULL));
    if (cert) {
      check_cert(cert);
    } else {
      fuzz_check_error(err);
      DEMAND(err->reason);
    }
    arc_clientcert_free(cert);
  }
  arc_err_unref(err);
  arc_secret_unref(word);
  arc_secret_unref(file);
  free(password);
  return 0;
}
