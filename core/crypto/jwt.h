/* SPDX-License-Identifier: MIT */
#ifndef ARC_JWT_H
#define ARC_JWT_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

struct arc_err;

/* An RSA key pair of 2048 bits. */
struct arc_rsa;

struct arc_rsa *arc_rsa_new(void); /* NULL when the library fails */
void arc_rsa_free(struct arc_rsa *key);
/* Modulus and exponent as base64url, the texts of a JWK (RFC 7518 §6.3). */
bool arc_rsa_modulus(const struct arc_rsa *key, struct arc_buf *to);
bool arc_rsa_exponent(const struct arc_rsa *key, struct arc_buf *to);
/* The private key as PKCS #8 PEM. */
bool arc_rsa_pem(const struct arc_rsa *key, struct arc_buf *to);

/* Appends "header.claims.signature" for two JSON texts; RS256. */
bool arc_jwt_sign(const struct arc_rsa *key, const char *header,
                  size_t n_header, const char *claims, size_t n_claims,
                  struct arc_buf *to);
/* Appends the claims of a token whose RS256 signature is key's. NULL, or the
 * error: `auth` for a wrong signature, `protocol` for what is no token. */
struct arc_err *arc_jwt_verify(const struct arc_rsa *key, const char *token,
                               size_t n, struct arc_buf *claims);

#endif
