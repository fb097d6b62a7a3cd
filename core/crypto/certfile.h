/* SPDX-License-Identifier: MIT */
#ifndef ARC_CERTFILE_H
#define ARC_CERTFILE_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "util/secret.h"

/* What a file of a key and certificates holds. */
struct arc_certfile {
  EVP_PKEY *key;
  STACK_OF(X509) * certs; /* in the file's order; NULL = none */
};

/* Reads PEM (a key of whatever form, certificates, in any order) or PKCS #12.
 * False with *why, a static sentence; the library's own errors stay queued. */
bool arc_certfile_parse(struct arc_certfile *file,
                        const struct arc_secret *bytes,
                        const struct arc_secret *password, const char **why);
void arc_certfile_clear(struct arc_certfile *file);

#endif
