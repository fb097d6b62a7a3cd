/* SPDX-License-Identifier: MIT */
#ifndef ARC_RSAGEN_H
#define ARC_RSAGEN_H

#include <openssl/types.h>

enum { ARC_RSA_MIN = 2048, ARC_RSA_MAX = 8192 };

/* A new RSA key of so many bits (even) with the exponent 65537, or NULL. Takes
 * 0.1 to 0.5 s of a processor for 3072 bits. Any thread. */
EVP_PKEY *arc_rsa_generate(unsigned bits);

#endif
