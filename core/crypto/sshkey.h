/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSHKEY_H
#define ARC_SSHKEY_H

#include <stdbool.h>

#include <openssl/types.h>

#include "loop/loop.h"
#include "util/buf.h"
#include "util/secret.h"

/* An RSA key that is to be certified for SSH: a pair made in memory, or the
 * public half of somebody's file. Reference counted. */
struct arc_sshkey;

enum { ARC_SSHKEY_BITS = 3072 }; /* as ssh-keygen makes them */

/* An operation that makes a pair of so many bits on a thread. NULL without
 * memory. */
struct arc_op *arc_sshkey_generate(struct arc_loop *loop, unsigned bits);
/* The key of such an operation that went well; the caller's now. */
struct arc_sshkey *arc_sshkey_take(struct arc_op *op);
/* The key of a line as *.pub files have it. NULL sets *err (owned;
 * ssh.bad-key): no RSA, too short, not such a line. name: of the file. */
struct arc_sshkey *arc_sshkey_parse(const char *line, const char *name,
                                    struct arc_err **err);
struct arc_sshkey *arc_sshkey_ref(struct arc_sshkey *key);
void arc_sshkey_unref(struct arc_sshkey *key); /* NULL is fine */

/* Names the key: the SHA-256, in hex, of its JWK's n and e as az has it. */
const char *arc_sshkey_id(const struct arc_sshkey *key);
/* Whether the numbers, big endian with leading zeros or without, are this
 * key's. */
bool arc_sshkey_is(const struct arc_sshkey *key, const uint8_t *e, size_t n_e,
                   const uint8_t *n, size_t n_n);
/* All append; false without memory. The JWK: {"kty":"RSA","n":..., "e":...,
 * "kid":...} (RFC 7517: minimal numbers, no padding). */
bool arc_sshkey_jwk(const struct arc_sshkey *key, struct arc_buf *to);
/* "ssh-rsa", e, n as SSH writes them (RFC 4253, 6.6). */
bool arc_sshkey_blob(const struct arc_sshkey *key, struct arc_buf *to);
/* Whether the private half is here; its PKCS #8 PEM, or NULL. */
bool arc_sshkey_private(const struct arc_sshkey *key);
struct arc_secret *arc_sshkey_pem(const struct arc_sshkey *key);
/* The pair, borrowed, or NULL. */
EVP_PKEY *arc_sshkey_pair(const struct arc_sshkey *key);
/* Appends a signature as SSH writes it: "rsa-sha2-256", its bytes (RFC 8332).
 * False without the private half, or when the library fails. */
bool arc_sshkey_sign(const struct arc_sshkey *key, const void *data, size_t n,
                     struct arc_buf *to);

/* Appends a number of SSH's (RFC 4251, 5: mpint), given big endian. */
bool arc_sshkey_mpint(struct arc_buf *to, const uint8_t *bytes, size_t n);

#endif
