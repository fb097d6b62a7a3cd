/* SPDX-License-Identifier: MIT */
#ifndef ARC_RELAY_H
#define ARC_RELAY_H

#include "azure/relayinfo.h"
#include "loop/loop.h"
#include "net/stream.h"

/* One attempt to reach a machine: TCP, TLS and upgrade, with a fresh id. */
struct arc_relay_request {
  struct arc_relayinfo *info; /* the op takes a reference */
  int port;                   /* of the machine's SSH server */
  const char *ca;             /* PEM file added to the trust store, or NULL */
  double connect_timeout;     /* seconds, to the end of the TLS handshake */
  double answer_timeout;      /* seconds, from there to the answer */
};

/* NULL without memory. Nothing is sent before the server's certificate is
 * verified; nothing is retried. */
struct arc_op *arc_relay_connect(struct arc_loop *loop,
                                 const struct arc_relay_request *request);
/* The second half alone: the upgrade over a line that reaches the relay some
 * other way. Takes line over in any case. */
struct arc_op *arc_relay_upgrade(struct arc_loop *loop, struct arc_stream *line,
                                 const struct arc_relay_request *request);
/* The stream of an op that succeeded; the caller's from now on. */
struct arc_stream *arc_relay_take(struct arc_op *op);

#endif
