/* SPDX-License-Identifier: MIT */
#ifndef ARC_STORE_H
#define ARC_STORE_H

#include <jansson.h>
#include <stdbool.h>

#include "util/err.h"
#include "util/secret.h"

/* The stored sign-ins: one JSON file in a directory of our own,
 *   { "version": 1, "default": ID?, "accounts": { ID: { NAME: text ... } } }
 * where the member "secret" of an account is a refresh token, an application's
 * secret or its certificate's password; with a key it is "sealed" instead
 * (crypto/seal.h). An account may have neither. Nothing of it is ever a file
 * that others can read, no symbolic link is followed, a reader sees the old
 * file or the new one, and a writer holds a lock: when another process does,
 * the error's code is conflict (nothing was changed; try again). */

/* All of it, for the caller to wipe (arc_json_wipe); no file gives an empty
 * one. */
struct arc_err *arc_store_read(const char *dir, json_t **root);
/* Adds or replaces an account by `account` (taken over, then wiped). secret may
 * be NULL; key: of ARC_SEAL_KEY_SIZE bytes, or NULL: it is kept as it is. */
struct arc_err *arc_store_put(const char *dir, const char *id, json_t *account,
                              const struct arc_secret *secret,
                              const struct arc_secret *key, bool make_default);
/* Another secret for an account that is there: a removed one stays away. */
struct arc_err *arc_store_renew(const char *dir, const char *id,
                                const struct arc_secret *secret,
                                const struct arc_secret *key, bool *done);
/* The secret of an account; NULL: it has none, or is not there. */
struct arc_err *arc_store_secret(const char *dir, const char *id,
                                 const struct arc_secret *key,
                                 struct arc_secret **secret);
/* Removes an account. */
struct arc_err *arc_store_remove(const char *dir, const char *id, bool *done);
/* Takes the lock of a store, which is made where it is missing, and waits for
 * it: for threads. A descriptor, to be closed, or a negated errno. */
int arc_store_lock(const char *dir);
/* Makes an account the default one. */
struct arc_err *arc_store_choose(const char *dir, const char *id, bool *done);

#endif
