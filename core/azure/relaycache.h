/* SPDX-License-Identifier: MIT */
#ifndef ARC_RELAYCACHE_H
#define ARC_RELAYCACHE_H

#include "azure/relayinfo.h"

struct arc_err;

/* Relay credentials that an earlier run was given, each in a file (0600) of a
 * directory of our own. Its name is the digest of its key: a text that says
 * whose and for what they are. */

/* What is kept under the key, and the port that it leads to: one reference.
 * NULL when there is nothing that can be used; *err, when not NULL, tells why
 * a file was passed over (the caller may ignore it). */
struct arc_relayinfo *arc_relaycache_read(const char *dir, const char *key,
                                          int *port, struct arc_err **err);
/* Keeps them, also the directory is made. They must have an expiry. */
struct arc_err *arc_relaycache_write(const char *dir, const char *key,
                                     const struct arc_relayinfo *info,
                                     int port);
/* Forgets what is kept under the key. */
struct arc_err *arc_relaycache_remove(const char *dir, const char *key);
/* Removes what was written more than so many seconds ago. */
struct arc_err *arc_relaycache_prune(const char *dir, double seconds);

#endif
