/* SPDX-License-Identifier: MIT */
#ifndef ARC_CLIENTCERT_H
#define ARC_CLIENTCERT_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"
#include "util/secret.h"

struct arc_err;

/* An application's certificate with its RSA key, and the certificates of its
 * issuers. */
struct arc_clientcert;

/* From the bytes of a PEM or PKCS #12 file. password may be NULL; name is the
 * file's, for messages. NULL with *err set. */
struct arc_clientcert *arc_clientcert_parse(const struct arc_secret *file,
                                            const struct arc_secret *password,
                                            const char *name,
                                            struct arc_err **err);
void arc_clientcert_free(struct arc_clientcert *cert); /* NULL is fine */

/* From when to when it is valid, in seconds since 1970. */
bool arc_clientcert_validity(const struct arc_clientcert *cert, double *from,
                             double *to);
/* SHA-256 of the certificate, as base64url: "x5t#S256"; or SHA-1: "x5t". */
bool arc_clientcert_thumbprint(const struct arc_clientcert *cert, bool sha1,
                               struct arc_buf *to);
/* The certificate (0) and its issuers, as base64 of DER: "x5c". */
size_t arc_clientcert_count(const struct arc_clientcert *cert);
bool arc_clientcert_der(const struct arc_clientcert *cert, size_t index,
                        struct arc_buf *to);
/* Appends "header.claims.signature" for two JSON texts; PS256, or (rs256) as
 * AD FS wants it. */
bool arc_clientcert_sign(const struct arc_clientcert *cert, bool rs256,
                         const char *header, size_t n_header,
                         const char *claims, size_t n_claims,
                         struct arc_buf *to);

#endif
