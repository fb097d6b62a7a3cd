/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_KNOWN_HOSTS_H
#define ARC_SSH_KNOWN_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/loop.h"

enum arc_hostkey_policy {
  ARC_HOSTKEY_ACCEPT_NEW, /* an unknown host is noted down, a changed refused */
  ARC_HOSTKEY_YES,        /* only known hosts */
  ARC_HOSTKEY_NO          /* as accept-new, and a changed one is tolerated */
};

/* Are the names of new hosts hashed? */
enum arc_hash_hosts {
  ARC_HASH_AS_FILE, /* when the file has hashed names already */
  ARC_HASH_ALWAYS,
  ARC_HASH_NEVER
};

enum arc_known { ARC_KNOWN, ARC_UNKNOWN, ARC_CHANGED, ARC_REVOKED };

/* Every known_hosts file that a loop has read, parsed once and again when it
 * has changed on the disk. */
struct arc_known_hosts;

/* The loop's one; NULL without memory. */
struct arc_known_hosts *arc_known_hosts_of(struct arc_loop *loop);

/* Where a key stands that differs from the one shown, or that is revoked; for
 * an unknown host: the authority that may certify it, or nothing (file NULL).
 */
struct arc_known_place {
  const char *file; /* of the index */
  unsigned line;
  const char *type; /* "ssh-ed25519" */
  const char *key;  /* base64 */
  bool authority;   /* the line is, or revokes, an authority's */
};

/* What the files (NULL-terminated) say of a host that shows this key (type,
 * base64). A host that is known by keys of other types only counts as changed:
 * its known keys were asked for first. place may be NULL. */
enum arc_known arc_known_hosts_check(struct arc_known_hosts *known,
                                     const char *const *files,
                                     const char *alias, const char *type,
                                     const char *key,
                                     struct arc_known_place *place);
/* Up to max types of the keys known for alias; returns how many. */
size_t arc_known_hosts_types(struct arc_known_hosts *known,
                             const char *const *files, const char *alias,
                             const char **types, size_t max);
/* Notes a key down in the first file, which is locked, and made if need be;
 * nothing when the file says the key by now. The answer is what the files say
 * afterwards: ARC_KNOWN, or ARC_CHANGED when another process was faster. A
 * file that cannot be written is no failure: the index knows the key. */
enum arc_known arc_known_hosts_add(struct arc_known_hosts *known,
                                   const char *const *files, const char *alias,
                                   const char *type, const char *key,
                                   enum arc_hash_hosts hash,
                                   struct arc_known_place *place);

#endif
