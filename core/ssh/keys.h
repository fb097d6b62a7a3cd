/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_KEYS_H
#define ARC_SSH_KEYS_H

#include <libssh/libssh.h>
#include <stdbool.h>

#include "loop/loop.h"
#include "ssh/pubkey.h"
#include "util/secret.h"

/* What an identity file holds, and the certificate that lies beside it
 * (PATH-cert.pub). Owned by the loop, parsed once while there are users. */
struct arc_key {
  ssh_key secret; /* NULL: locked, or somebody else has it (an agent) */
  bool locked; /* the file is encrypted; the passphrase is missing or wrong */
  struct arc_pubkey *pub;  /* NULL: a locked file that does not tell */
  struct arc_pubkey *cert; /* or NULL */
};

/* One more user: what is loaded stays. False without memory. */
bool arc_keys_use(struct arc_loop *loop);
/* After the last one has left all keys are wiped. */
void arc_keys_leave(struct arc_loop *loop);

/* For users. A file of a public key will do, and PATH.pub where there is no
 * PATH. NULL sets *err (owned; ssh.bad-key). */
const struct arc_key *arc_keys_load(struct arc_loop *loop, const char *path,
                                    struct arc_secret *passphrase,
                                    struct arc_err **err);
/* A copy of the private key that shows this certificate; NULL without memory.
 * ssh_key_free() ends it. */
ssh_key arc_keys_certify(ssh_key secret, const struct arc_pubkey *cert);

#endif
