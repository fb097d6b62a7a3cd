/* SPDX-License-Identifier: MIT */
#ifndef ARC_KEYSHARE_H
#define ARC_KEYSHARE_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "loop/loop.h"

/* Which key share the first flight to a host should carry. A server that wants
 * another one than X25519 asks again (HelloRetryRequest), which costs a round
 * trip: so its choice is remembered, for the loop's life. */

/* Sets the groups of a connection to host:port, the remembered one first. */
bool arc_keyshare_offer(struct arc_loop *loop, SSL_CTX *ctx, const char *host,
                        int port);
/* Remembers what the handshake with host:port came to. To be called when the
 * server's certificate was verified; without memory nothing is remembered. */
void arc_keyshare_note(struct arc_loop *loop, SSL *ssl, const char *host,
                       int port);

#endif
