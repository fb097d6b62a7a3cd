/* SPDX-License-Identifier: MIT */
#ifndef ARC_RELAYINFO_H
#define ARC_RELAYINFO_H

#include <jansson.h>
#include <stddef.h>

#include "util/secret.h"

struct arc_err;

/* The credentials of one machine's relay, as ARM gives them. Shared, never
 * changed, wiped with the last reference. */
struct arc_relayinfo {
  unsigned refs;
  char *host; /* "ns.servicebus.windows.net", with ":port" unless 443 */
  char *path; /* the hybrid connection's name, raw slashes */
  struct arc_secret *access_key;    /* a finished SAS token */
  struct arc_secret *service_token; /* or NULL */
  double expires_on;                /* seconds since 1970; negative = none */
};

/* From {"relay":{...}}, as text (also in base64) or parsed. Every value is
 * checked for what cannot be sent. One reference, or NULL with *err. */
struct arc_relayinfo *arc_relayinfo_parse(const char *text, size_t n,
                                          struct arc_err **err);
struct arc_relayinfo *arc_relayinfo_read(const json_t *answer,
                                         struct arc_err **err);
/* What ARM's "relay" was: to be wiped by the caller. NULL without memory. */
json_t *arc_relayinfo_json(const struct arc_relayinfo *info);
/* Puts them into a file (0600) of a directory of ours (0700, made), in base64
 * as the official clients give them to their proxy. */
struct arc_err *arc_relayinfo_export(const struct arc_relayinfo *info,
                                     const char *dir, const char *name);
struct arc_relayinfo *arc_relayinfo_ref(struct arc_relayinfo *info);
void arc_relayinfo_unref(struct arc_relayinfo *info); /* NULL is fine */

#endif
