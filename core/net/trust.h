/* SPDX-License-Identifier: MIT */
#ifndef ARC_TRUST_H
#define ARC_TRUST_H

#include <openssl/x509.h>

#include "loop/loop.h"

struct arc_err;

/* The certificates to verify servers with: the system's, and those of the PEM
 * file ca when it is not NULL. SSL_CERT_FILE and SSL_CERT_DIR, when set, are
 * used instead of the system's. Parsed once a loop, and again when ca changes
 * on disk. One reference for the caller (X509_STORE_free); NULL with *err. */
X509_STORE *arc_trust_store(struct arc_loop *loop, const char *ca,
                            struct arc_err **err);

#endif
