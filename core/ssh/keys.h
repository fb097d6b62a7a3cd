/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_KEYS_H
#define ARC_SSH_KEYS_H

#include <libssh/libssh.h>
#include <stdbool.h>

#include "loop/loop.h"
#include "util/secret.h"

/* A private key of a file, and the same with the certificate that lies beside
 * it (PATH-cert.pub), or NULL. Owned by the loop, parsed once. */
struct arc_key {
  ssh_key plain;
  ssh_key certified;
};

/* NULL sets *err (owned; ssh.bad-key) and *locked: the file is encrypted and
 * no passphrase was given. */
const struct arc_key *arc_keys_load(struct arc_loop *loop, const char *path,
                                    struct arc_secret *passphrase, bool *locked,
                                    struct arc_err **err);

#endif
