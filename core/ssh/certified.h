/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_CERTIFIED_H
#define ARC_SSH_CERTIFIED_H

#include <libssh/libssh.h>

#include "crypto/sshcert.h"
#include "crypto/sshkey.h"
#include "ssh/pubkey.h"

/* A private key in memory with its certificate, ready to log in with; parsed
 * once for all sessions that use it. Reference counted. */
struct arc_certified {
  unsigned refs;
  ssh_key secret; /* shows the certificate */
  struct arc_pubkey *cert;
};

/* NULL sets *err (owned). */
struct arc_certified *arc_certified_new(const struct arc_sshkey *key,
                                        const struct arc_sshcert *cert,
                                        struct arc_err **err);
struct arc_certified *arc_certified_ref(struct arc_certified *certified);
void arc_certified_unref(struct arc_certified *certified); /* NULL is fine */

#endif
