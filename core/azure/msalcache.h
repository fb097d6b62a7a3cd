/* SPDX-License-Identifier: MIT */
#ifndef ARC_MSALCACHE_H
#define ARC_MSALCACHE_H

#include <stddef.h>

#include "util/secret.h"

struct arc_err;

/* Whose refresh token is looked for. */
struct arc_msal_query {
  const char *username;    /* any case */
  const char *tenant;      /* in use; or NULL */
  const char *home_tenant; /* or NULL */
  const char *client_id;   /* the token's own; else one of its family will do */
  const char *const *hosts; /* the cloud's, NULL at the end */
};

/* From the text of a unified MSAL cache (plain JSON): the newest refresh token
 * of that user, found by the entries' fields, since each library makes other
 * keys. NULL with *err set: `protocol` for what is no such cache (also a file
 * that is just being written), `notfound` for a user who is not in it. Pure. */
struct arc_secret *arc_msalcache_find(const char *text, size_t n,
                                      const struct arc_msal_query *query,
                                      struct arc_err **err);

#endif
