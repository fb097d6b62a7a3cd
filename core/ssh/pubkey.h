/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_PUBKEY_H
#define ARC_SSH_PUBKEY_H

#include <libssh/libssh.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A public key, or a certificate of one, as it is offered to a server.
 * Reference counted. Keys are compared by their text in base64. */
struct arc_pubkey {
  unsigned refs;
  ssh_key key;
  char *base64; /* of the key or certificate */
  char *plain;  /* of the key: the same, unless it is a certificate */
  char type[64];
};

/* From the bytes of RFC 4253 section 6.6. NULL: none that libssh knows. */
struct arc_pubkey *arc_pubkey_new(const uint8_t *blob, size_t len);
/* From a line "TYPE BASE64 COMMENT". */
struct arc_pubkey *arc_pubkey_parse(const char *line);
/* From the file at path, which holds such a line, or a private key of OpenSSH's
 * format, whose public half is not encrypted. */
struct arc_pubkey *arc_pubkey_read(const char *path);
/* Of a key that libssh has. */
struct arc_pubkey *arc_pubkey_of(ssh_key key);
struct arc_pubkey *arc_pubkey_ref(struct arc_pubkey *pubkey);
void arc_pubkey_unref(struct arc_pubkey *pubkey); /* NULL is fine */

bool arc_pubkey_certificate(const struct arc_pubkey *pubkey);
/* The bytes of a key in base64 (malloc'ed, *len), or NULL. */
uint8_t *arc_pubkey_bytes(const char *base64, size_t *len);

#endif
