/* SPDX-License-Identifier: MIT */
#ifndef ARC_PSS_H
#define ARC_PSS_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>

#include "util/buf.h"

struct arc_err;

/* Appends "header.claims.signature" for two JSON texts: PS256 (RFC 7518 §3.5),
 * or with rs256 the older padding (§3.3). */
bool arc_pss_sign(EVP_PKEY *key, bool rs256, const char *header,
                  size_t n_header, const char *claims, size_t n_claims,
                  struct arc_buf *to);
/* Appends the claims of a token that is signed, PS256, with the key of this
 * PEM certificate. NULL, or the error: `auth` for a wrong signature, `protocol`
 * for what is no token, `config` for what is no certificate. */
struct arc_err *arc_pss_verify(const char *pem, size_t n_pem, const char *token,
                               size_t n, struct arc_buf *claims);

#endif
