/* SPDX-License-Identifier: MIT */
#ifndef ARC_CA_H
#define ARC_CA_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

/* A throw-away authority, valid for one day and (by a critical constraint)
 * only for the given DNS names and 127.0.0.1, and a server certificate of
 * those; all as PEM. The authority's private key is never given out. */
struct arc_ca {
  struct arc_buf ca;   /* the authority's certificate */
  struct arc_buf cert; /* the server's, without the authority's */
  struct arc_buf key;  /* the server's private key */
};

/* names: letters, digits, hyphens and dots only; else, or when the library
 * fails, false. Free in both cases. */
bool arc_ca_make(struct arc_ca *made, const char *const *names, size_t n);
/* An application's certificate, signed by itself, of one day, and its key (RSA,
 * as Entra wants it): PEM. */
bool arc_ca_client(const char *name, struct arc_buf *cert, struct arc_buf *key);
void arc_ca_free(struct arc_ca *made);

#endif
