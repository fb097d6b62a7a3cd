/* SPDX-License-Identifier: MIT */
#ifndef ARC_KEYRING_H
#define ARC_KEYRING_H

#include <stdbool.h>

#include "loop/loop.h"
#include "util/secret.h"

/* The key by which a store is encrypted, kept by the desktop's secret service
 * (org.freedesktop.secrets) through libsecret, which is loaded at the first
 * call. The service may ask its user to unlock it: the call waits on a thread
 * until `deadline`. dir: the store's directory, by which its key is named.
 * The op fails with `notfound` where there is no such service. */
struct arc_op *arc_keyring_key(struct arc_loop *loop, const char *dir,
                               bool create, int64_t deadline);
/* Of an op that succeeded: ARC_SEAL_KEY_SIZE bytes, owned by it; NULL when
 * there is no key. */
struct arc_secret *arc_keyring_key_of(struct arc_op *op);
/* Takes the key out of the service. */
struct arc_op *arc_keyring_forget(struct arc_loop *loop, const char *dir,
                                  int64_t deadline);

#endif
