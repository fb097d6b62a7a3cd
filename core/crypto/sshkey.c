/* SPDX-License-Identifier: MIT */
#include "crypto/sshkey.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "crypto/base64.h"
#include "crypto/digest.h"
#include "crypto/rsagen.h"
#include "util/err.h"

static const char TYPE[] = "ssh-rsa";

struct arc_sshkey {
  unsigned refs;
  EVP_PKEY *pair;      /* NULL: only the public half is here */
  struct arc_buf e, n; /* big endian, no leading zero */
  char id[2 * ARC_SHA256_SIZE + 1];
};

/* ---- numbers --------------------------------------------------------------
 */

static const uint8_t *skip_zeros(const uint8_t *bytes, size_t *n) {
  while (*n && !*bytes) {
    bytes++;
    (*n)--;
  }
  return bytes;
}

bool arc_sshkey_mpint(struct arc_buf *to, const uint8_t *bytes, size_t n) {
  bytes = skip_zeros(bytes, &n);
  bool high = n && *bytes & 0x80; // must not look negative
  return arc_buf_u32(to, (uint32_t)(n + high)) &&
         (!high || arc_buf_append(to, "", 1)) && arc_buf_append(to, bytes, n);
}

static bool set_number(struct arc_buf *to, const uint8_t *bytes, size_t n) {
  bytes = skip_zeros(bytes, &n);
  return n && arc_buf_append(to, bytes, n);
}

static bool same_number(const struct arc_buf *a, const uint8_t *b, size_t n) {
  b = skip_zeros(b, &n);
  return n == arc_buf_len(a) && !memcmp(arc_buf_head(a), b, n);
}

static bool encode(struct arc_buf *to, const struct arc_buf *number) {
  return arc_base64_encode(to, arc_buf_head(number), arc_buf_len(number),
                           ARC_BASE64_URL);
}

/* ---- the key --------------------------------------------------------------
 */

static bool name_key(struct arc_sshkey *key) {
  static const char hex[] = "0123456789abcdef";
  struct arc_buf text = {0};
  uint8_t digest[ARC_SHA256_SIZE];
  bool ok = encode(&text, &key->n) && encode(&text, &key->e) &&
            arc_crypto_sha256(arc_buf_head(&text), arc_buf_len(&text), digest);
  arc_buf_free(&text);
  for (size_t i = 0; ok && i < sizeof digest; i++) {
    key->id[2 * i] = hex[digest[i] >> 4];
    key->id[2 * i + 1] = hex[digest[i] & 15];
  }
  return ok;
}

static struct arc_sshkey *new_key(const uint8_t *e, size_t n_e,
                                  const uint8_t *n, size_t n_n) {
  struct arc_sshkey *key = calloc(1, sizeof *key);
  if (!key) {
    return NULL;
  }
  key->refs = 1;
  if (!set_number(&key->e, e, n_e) || !set_number(&key->n, n, n_n) ||
      !name_key(key)) {
    arc_sshkey_unref(key);
    return NULL;
  }
  return key;
}

struct arc_sshkey *arc_sshkey_ref(struct arc_sshkey *key) {
  key->refs++;
  return key;
}

void arc_sshkey_unref(struct arc_sshkey *key) {
  if (key && !--key->refs) {
    EVP_PKEY_free(key->pair);
    arc_buf_free(&key->e);
    arc_buf_free(&key->n);
    free(key);
  }
}

const char *arc_sshkey_id(const struct arc_sshkey *key) { return key->id; }

bool arc_sshkey_is(const struct arc_sshkey *key, const uint8_t *e, size_t n_e,
                   const uint8_t *n, size_t n_n) {
  return same_number(&key->e, e, n_e) && same_number(&key->n, n, n_n);
}

bool arc_sshkey_jwk(const struct arc_sshkey *key, struct arc_buf *to) {
  return arc_buf_text(to, "{\"kty\":\"RSA\",\"n\":\"") && encode(to, &key->n) &&
         arc_buf_text(to, "\",\"e\":\"") && encode(to, &key->e) &&
         arc_buf_format(to, "\",\"kid\":\"%s\"}", key->id);
}

bool arc_sshkey_blob(const struct arc_sshkey *key, struct arc_buf *to) {
  return arc_buf_string(to, TYPE, sizeof TYPE - 1) &&
         arc_sshkey_mpint(to, arc_buf_head(&key->e), arc_buf_len(&key->e)) &&
         arc_sshkey_mpint(to, arc_buf_head(&key->n), arc_buf_len(&key->n));
}

bool arc_sshkey_private(const struct arc_sshkey *key) { return key->pair; }

EVP_PKEY *arc_sshkey_pair(const struct arc_sshkey *key) { return key->pair; }

struct arc_secret *arc_sshkey_pem(const struct arc_sshkey *key) {
  struct arc_secret *pem = NULL;
  BIO *bio = key->pair ? BIO_new(BIO_s_secmem()) : NULL;
  if (bio && PEM_write_bio_PrivateKey(bio, key->pair, NULL, NULL, 0, NULL,
                                      NULL) == 1) {
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);
    pem = n > 0 ? arc_secret_new(text, (size_t)n) : NULL;
  }
  BIO_free(bio);
  ERR_clear_error();
  return pem;
}

bool arc_sshkey_sign(const struct arc_sshkey *key, const void *data, size_t n,
                     struct arc_buf *to) {
  static const char algorithm[] = "rsa-sha2-256";
  unsigned char sig[ARC_RSA_MAX / 8];
  size_t n_sig = sizeof sig;
  EVP_MD_CTX *ctx = key->pair ? EVP_MD_CTX_new() : NULL;
  bool ok = ctx &&
            EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->pair) == 1 &&
            EVP_DigestSign(ctx, sig, &n_sig, data, n) == 1;
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return ok && arc_buf_string(to, algorithm, sizeof algorithm - 1) &&
         arc_buf_string(to, sig, n_sig);
}

/* ---- of a file ------------------------------------------------------------
 */

/* The numbers of an ssh-rsa blob; false when it is none. */
static bool read_blob(const struct arc_buf *blob, const uint8_t **e,
                      uint32_t *n_e, const uint8_t **n, uint32_t *n_n) {
  struct arc_cursor cur = {.at = arc_buf_head(blob), .left = arc_buf_len(blob)};
  uint32_t len;
  const uint8_t *type = arc_cursor_string(&cur, &len);
  *e = arc_cursor_string(&cur, n_e);
  *n = arc_cursor_string(&cur, n_n);
  return type && *e && *n && !cur.left && len == sizeof TYPE - 1 &&
         !memcmp(type, TYPE, len);
}

static struct arc_err *refuse(const char *name, const char *why) {
  return arc_err_reason("ssh.bad-key", "%s: %s", name, why);
}

struct arc_sshkey *arc_sshkey_parse(const char *line, const char *name,
                                    struct arc_err **err) {
  const uint8_t *e, *n;
  uint32_t n_e, n_n;
  struct arc_buf blob = {0};
  struct arc_sshkey *key = NULL;
  size_t type = strcspn(line, " \t");
  const char *text = line + type + strspn(line + type, " \t");
  if (type != sizeof TYPE - 1 || strncmp(line, TYPE, type) != 0) {
    *err = refuse(name, "an RSA public key (ssh-rsa ...) is needed: Entra "
                        "certifies no other; make one with ssh-keygen -t rsa "
                        "-b 3072");
  } else if (!arc_base64_decode(&blob, text, strcspn(text, " \t\r\n")) ||
             !read_blob(&blob, &e, &n_e, &n, &n_n)) {
    *err = refuse(name, "it is not a public key");
  } else if (!(key = new_key(e, n_e, n, n_n))) {
    *err = arc_err_new(ARC_E_NOMEM, "out of memory");
  } else if (arc_buf_len(&key->n) < ARC_RSA_MIN / 8 ||
             arc_buf_len(&key->n) > 2 * ARC_RSA_MAX / 8) {
    *err = refuse(name, "an RSA key of 2048 bits or more is needed");
    arc_sshkey_unref(key);
    key = NULL;
  }
  arc_buf_free(&blob);
  return key;
}

/* ---- a new pair -----------------------------------------------------------
 */

/* What the thread has; lives until it is back, whether or not the operation
 * still does. */
struct work {
  uv_work_t request;
  struct making *op; /* NULL: nobody waits any more */
  unsigned bits;
  EVP_PKEY *pair;
};

struct making {
  struct arc_op op;
  struct work *work;
  struct arc_sshkey *key;
};

/* The key takes the pair over, in any case. */
static struct arc_sshkey *key_of(EVP_PKEY *pair) {
  unsigned char e[8], n[ARC_RSA_MAX / 8];
  BIGNUM *bn_e = NULL, *bn_n = NULL;
  struct arc_sshkey *key = NULL;
  if (pair && EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_E, &bn_e) &&
      EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_N, &bn_n) &&
      (size_t)BN_num_bytes(bn_e) <= sizeof e &&
      (size_t)BN_num_bytes(bn_n) <= sizeof n) {
    size_t n_e = (size_t)BN_bn2bin(bn_e, e);
    key = new_key(e, n_e, n, (size_t)BN_bn2bin(bn_n, n));
  }
  BN_free(bn_e);
  BN_free(bn_n);
  if (key) {
    key->pair = pair;
  } else {
    EVP_PKEY_free(pair);
  }
  return key;
}

static void on_thread(uv_work_t *request) {
  struct work *work = request->data;
  work->pair = arc_rsa_generate(work->bits);
  OPENSSL_thread_stop();
}

static void back(uv_work_t *request, int status) {
  struct work *work = request->data;
  struct making *op = work->op;
  if (op && !status) {
    op->key = key_of(work->pair);
    work->pair = NULL;
  }
  if (op) {
    op->work = NULL;
    arc_op_finish(&op->op,
                  op->key ? NULL
                          : arc_err_new(ARC_E_NOMEM, "cannot make an RSA key"));
  }
  EVP_PKEY_free(work->pair);
  free(work);
}

static void detach(struct arc_op *op) {
  struct making *making = (struct making *)op;
  if (making->work) {
    making->work->op = NULL;
    uv_cancel((uv_req_t *)&making->work->request);
    making->work = NULL;
  }
}

static void destroy(struct arc_op *op) {
  arc_sshkey_unref(((struct making *)op)->key);
  free(op);
}

struct arc_op *arc_sshkey_generate(struct arc_loop *loop, unsigned bits) {
  static const struct arc_op_class making_class = {
      .name = "crypto.ssh_key", .detach = detach, .destroy = destroy};
  struct making *op = arc_op_new(loop, &making_class, sizeof *op, ARC_FOREVER);
  struct work *work = op ? calloc(1, sizeof *work) : NULL;
  if (!op) {
    return NULL;
  }
  int rc = UV_ENOMEM;
  if (work) {
    *work = (struct work){.op = op, .bits = bits};
    work->request.data = work;
    rc = uv_queue_work(arc_loop_uv(loop), &work->request, on_thread, back);
  }
  if (rc) {
    free(work);
    arc_op_finish(&op->op, arc_err_errno(rc, "cannot make an RSA key"));
  } else {
    op->work = work;
  }
  return &op->op;
}

struct arc_sshkey *arc_sshkey_take(struct arc_op *op) {
  struct making *making = (struct making *)op;
  struct arc_sshkey *key = making->key;
  making->key = NULL;
  return key;
}
