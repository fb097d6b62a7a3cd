/* SPDX-License-Identifier: MIT */
#ifndef ARC_EMULATOR_TLS_H
#define ARC_EMULATOR_TLS_H

#include "net/stream.h"

struct arc_err;

/* A server's certificate and key, shared by its connections. Counted. */
struct arc_tls_server;

/* From PEM texts (NUL terminated). NULL with *err set: they do not fit. */
struct arc_tls_server *arc_tls_server_new(const char *cert, const char *key,
                                          struct arc_err **err);
void arc_tls_server_unref(struct arc_tls_server *server); /* NULL is fine */

/* The server's side of TLS (1.2 or 1.3, HTTP/1.1) over transport, which it
 * takes over, also on failure. The handshake happens in the first read or
 * write. An end without close_notify is a failure ("closed"), not an end.
 * NULL without memory. */
struct arc_stream *arc_tls_accept(struct arc_tls_server *server,
                                  struct arc_stream *transport,
                                  const char *name);

#endif
