/* SPDX-License-Identifier: MIT */
#include "ssh/certified.h"

#include <stdlib.h>

#include "ssh/keys.h"
#include "util/err.h"

/* The key with the certificate, by way of PEM: libssh takes no other. */
static ssh_key join(const struct arc_sshkey *key,
                    const struct arc_pubkey *cert) {
  ssh_key plain = NULL, both = NULL;
  struct arc_secret *pem = arc_sshkey_pem(key);
  if (pem && ssh_pki_import_privkey_base64(pem->bytes, NULL, NULL, NULL,
                                           &plain) == SSH_OK) {
    both = arc_keys_certify(plain, cert);
  }
  ssh_key_free(plain);
  arc_secret_unref(pem);
  return both;
}

struct arc_certified *arc_certified_new(const struct arc_sshkey *key,
                                        const struct arc_sshcert *cert,
                                        struct arc_err **err) {
  struct arc_certified *made = calloc(1, sizeof *made);
  if (made) {
    made->refs = 1;
    made->cert = arc_pubkey_new(cert->blob, cert->n_blob);
    made->secret = made->cert ? join(key, made->cert) : NULL;
  }
  if (!made || !made->secret) {
    *err = arc_err_reason("ssh.bad-key",
                          "the certificate and its key cannot be used");
    arc_certified_unref(made);
    return NULL;
  }
  return made;
}

struct arc_certified *arc_certified_ref(struct arc_certified *certified) {
  certified->refs++;
  return certified;
}

void arc_certified_unref(struct arc_certified *certified) {
  if (certified && !--certified->refs) {
    ssh_key_free(certified->secret);
    arc_pubkey_unref(certified->cert);
    free(certified);
  }
}
