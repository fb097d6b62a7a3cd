/* SPDX-License-Identifier: MIT */
#include "ssh/agent_add.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "crypto/rsagen.h"
#include "ssh/agent_peer.h"

static bool add_number(struct arc_buf *to, const EVP_PKEY *pair,
                       const char *name) {
  unsigned char bytes[ARC_RSA_MAX / 8];
  BIGNUM *number = NULL;
  bool ok = EVP_PKEY_get_bn_param(pair, name, &number) &&
            (size_t)BN_num_bytes(number) <= sizeof bytes;
  if (ok) {
    ok = arc_sshkey_mpint(to, bytes, (size_t)BN_bn2bin(number, bytes));
    OPENSSL_cleanse(bytes, sizeof bytes);
  }
  BN_clear_free(number);
  return ok;
}

/* draft-miller-ssh-agent, 3.2.5; as OpenSSH has it for certificates. */
static bool add_key(struct arc_buf *to, const EVP_PKEY *pair,
                    const struct arc_sshcert *cert) {
  static const char *const numbers[] = {
      OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
      OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2};
  bool ok = arc_buf_string(to, cert->type, strlen(cert->type)) &&
            arc_buf_string(to, cert->blob, cert->n_blob);
  for (size_t i = 0; ok && i < sizeof numbers / sizeof *numbers; i++) {
    ok = add_number(to, pair, numbers[i]);
  }
  return ok;
}

struct arc_secret *arc_agent_add_message(const struct arc_sshkey *key,
                                         const struct arc_sshcert *cert,
                                         const char *comment,
                                         uint32_t seconds) {
  static const uint8_t type = ARC_AGENT_ADD, lifetime = ARC_AGENT_LIFETIME;
  struct arc_buf body = {.secret = true}, all = {.secret = true};
  struct arc_secret *message = NULL;
  const EVP_PKEY *pair = arc_sshkey_pair(key);
  if (pair && arc_buf_append(&body, &type, 1) && add_key(&body, pair, cert) &&
      arc_buf_string(&body, comment, strlen(comment)) &&
      arc_buf_append(&body, &lifetime, 1) && arc_buf_u32(&body, seconds) &&
      arc_buf_string(&all, arc_buf_head(&body), arc_buf_len(&body))) {
    message = arc_secret_new(arc_buf_head(&all), arc_buf_len(&all));
  }
  arc_buf_free(&body);
  arc_buf_free(&all);
  ERR_clear_error();
  return message;
}
