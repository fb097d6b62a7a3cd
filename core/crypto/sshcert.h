/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSHCERT_H
#define ARC_SSHCERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/sshkey.h"
#include "util/buf.h"

struct arc_err;

enum { ARC_SSHCERT_USER = 1, ARC_SSHCERT_HOST = 2, ARC_SSHCERT_MAX = 32768 };

/* A part of a certificate's bytes. */
struct arc_span {
  const uint8_t *at;
  uint32_t n;
};

/* An OpenSSH certificate (PROTOCOL.certkeys of OpenSSH), not verified: who made
 * it is for the server to say. Reference counted; the spans are of its blob. */
struct arc_sshcert {
  unsigned refs;
  char type[64];        /* "ssh-rsa-cert-v01@openssh.com" */
  struct arc_span e, n; /* of an RSA certificate; else empty */
  uint64_t serial;
  uint32_t kind; /* ARC_SSHCERT_USER, ARC_SSHCERT_HOST */
  struct arc_span key_id;
  struct arc_span principals;         /* strings */
  uint64_t valid_after, valid_before; /* seconds since 1970; before: excluded */
  struct arc_span critical, extensions; /* pairs of strings: name, data */
  struct arc_span authority;            /* the CA's public key */
  size_t n_blob;
  uint8_t blob[];
};

/* How many strings after the nonce make the key of a certificate of this type,
 * and in plain the type of that key; 0 = it is no type of a certificate. */
int arc_sshcert_fields(const char *type, char plain[64]);

/* The certificate of n bytes, or NULL with *err (owned; protocol): every list
 * in it has been walked. */
struct arc_sshcert *arc_sshcert_parse(const uint8_t *blob, size_t n,
                                      struct arc_err **err);
struct arc_sshcert *arc_sshcert_ref(struct arc_sshcert *cert);
void arc_sshcert_unref(struct arc_sshcert *cert); /* NULL is fine */

/* The next string of a list, or of a pair; false at its end. */
bool arc_sshcert_next(struct arc_span *list, struct arc_span *string);
/* What the data of an option says: most hold one string, some nothing. */
struct arc_span arc_sshcert_value(struct arc_span data);

/* Whether one can log in with it and this key at this time: a user's
 * certificate of that RSA key, valid, with a name. NULL, or why not
 * (entra.bad-certificate, entra.certificate-time). */
struct arc_err *arc_sshcert_check(const struct arc_sshcert *cert,
                                  const struct arc_sshkey *key, double now);

#endif
