/* SPDX-License-Identifier: MIT */
#include "crypto/certfile.h"

#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

static const char wrong_password[] = "the password is wrong";
static const char no_password[] =
    "the key is encrypted, and no password was given";

/* What PEM's callback knows. */
struct prompt {
  const struct arc_secret *password;
  bool asked;
};

static int give_password(char *to, int size, int writing, void *arg) {
  struct prompt *prompt = arg;
  (void)writing;
  prompt->asked = true;
  if (!prompt->password || prompt->password->len > (size_t)size) {
    return -1;
  }
  memcpy(to, prompt->password->bytes, prompt->password->len);
  return (int)prompt->password->len;
}

static BIO *open_bytes(const struct arc_secret *bytes) {
  return bytes->len <= INT_MAX ? BIO_new_mem_buf(bytes->bytes, (int)bytes->len)
                               : NULL;
}

/* The end of the blocks that were looked for, not a broken one. */
static bool at_end(void) {
  return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static bool add_cert(struct arc_certfile *file, X509 *x509) {
  if (!file->certs) {
    file->certs = sk_X509_new_null();
  }
  if (file->certs && sk_X509_push(file->certs, x509) > 0) {
    return true;
  }
  X509_free(x509);
  return false;
}

static const char *read_certs(struct arc_certfile *file, BIO *bio) {
  for (X509 *x509; (x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL));) {
    if (!add_cert(file, x509)) {
      return "out of memory";
    }
  }
  return at_end() ? NULL : "a certificate in it cannot be read";
}

/* The blocks of keys, whatever their kind: the decoder says nothing useful at
 * their end. */
static size_t count_keys(const struct arc_secret *bytes) {
  static const char begin[] = "-----BEGIN ", key[] = "PRIVATE KEY-----";
  const char *at = bytes->bytes, *end = at + bytes->len;
  size_t n = 0;
  while ((at = memmem(at, (size_t)(end - at), begin, sizeof begin - 1))) {
    const char *line = memchr(at, '\n', (size_t)(end - at));
    line = line ? line : end;
    n += memmem(at, (size_t)(line - at), key, sizeof key - 1) != NULL;
    at = line;
  }
  return n;
}

static const char *read_key(struct arc_certfile *file, BIO *bio,
                            const struct arc_secret *password) {
  struct prompt prompt = {.password = password};
  file->key = PEM_read_bio_PrivateKey(bio, NULL, give_password, &prompt);
  if (file->key) {
    return NULL;
  }
  if (prompt.asked) {
    return password ? wrong_password : no_password;
  }
  return "the private key in it cannot be read";
}

static const char *read_pem(struct arc_certfile *file,
                            const struct arc_secret *bytes,
                            const struct arc_secret *password) {
  size_t keys = count_keys(bytes);
  if (keys != 1) {
    return keys ? "there is more than one private key"
                : "there is a certificate, but no private key";
  }
  BIO *bio = open_bytes(bytes);
  if (!bio) {
    return "out of memory";
  }
  ERR_clear_error();
  const char *why = read_certs(file, bio);
  if (!why && !BIO_reset(bio)) {
    why = "out of memory";
  }
  ERR_clear_error();
  why = why ? why : read_key(file, bio, password);
  BIO_free(bio);
  return why;
}

static bool mac_fits(PKCS12 *p12, const char *text) {
  return PKCS12_verify_mac(p12, text, text ? (int)strlen(text) : 0) == 1;
}

/* An empty password is spelt in two ways, and which one depends on the
 * writer. */
static bool find_password(PKCS12 *p12, const struct arc_secret *password,
                          const char **text) {
  if (password && password->len) {
    *text = password->bytes;
    return mac_fits(p12, *text);
  }
  *text = NULL;
  if (!mac_fits(p12, NULL)) {
    *text = "";
  }
  return mac_fits(p12, *text);
}

static const char *unpack(struct arc_certfile *file, PKCS12 *p12,
                          const struct arc_secret *password) {
  const char *text = NULL;
  X509 *x509 = NULL;
  STACK_OF(X509) *others = NULL;
  if (!find_password(p12, password, &text)) {
    return password ? wrong_password : no_password;
  }
  if (PKCS12_parse(p12, text, &file->key, &x509, &others) != 1) {
    return "its encryption is too old (RC2 or 3DES): export it again with "
           "AES-256";
  }
  file->certs = others;
  if (x509 && !add_cert(file, x509)) {
    return "out of memory";
  }
  return file->key ? NULL : "there is a certificate, but no private key";
}

static const char *read_p12(struct arc_certfile *file,
                            const struct arc_secret *bytes,
                            const struct arc_secret *password) {
  BIO *bio = open_bytes(bytes);
  PKCS12 *p12 = bio ? d2i_PKCS12_bio(bio, NULL) : NULL;
  const char *why = p12 ? unpack(file, p12, password)
                        : "it is neither PEM nor PKCS #12 (.pfx, .p12)";
  PKCS12_free(p12);
  BIO_free(bio);
  return why;
}

bool arc_certfile_parse(struct arc_certfile *file,
                        const struct arc_secret *bytes,
                        const struct arc_secret *password, const char **why) {
  if (bytes->len && (unsigned char)bytes->bytes[0] == 0x30) { /* SEQUENCE */
    *why = read_p12(file, bytes, password);
  } else if (memmem(bytes->bytes, bytes->len, "-----BEGIN ", 11)) {
    *why = read_pem(file, bytes, password);
  } else {
    *why = bytes->len ? "it is neither PEM nor PKCS #12 (.pfx, .p12)"
                      : "it is empty";
  }
  return !*why;
}

void arc_certfile_clear(struct arc_certfile *file) {
  EVP_PKEY_free(file->key);
  sk_X509_pop_free(file->certs, X509_free);
  memset(file, 0, sizeof *file);
}
