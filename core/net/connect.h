/* SPDX-License-Identifier: MIT */
#ifndef ARC_CONNECT_H
#define ARC_CONNECT_H

#include "loop/loop.h"
#include "net/stream.h"

/* Opens a TLS connection to the host of url (through the proxy that the
 * environment names), as an op named by the static text `name`. NULL without
 * memory. connect_timeout in seconds, up to the end of the handshake. */
struct arc_op *arc_connect_start(struct arc_loop *loop, const char *name,
                                 const char *url, const char *ca,
                                 double connect_timeout);
/* The error to end the wait with when the op takes too long: it knows what it
 * waits for. */
struct arc_err *arc_connect_late(struct arc_op *op);
/* The stream of an op that succeeded; the caller's from now on. */
struct arc_stream *arc_connect_take(struct arc_op *op);

#endif
