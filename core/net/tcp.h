/* SPDX-License-Identifier: MIT */
#ifndef ARC_TCP_H
#define ARC_TCP_H

#include "net/stream.h"

/* Connects to host (name or address) and port, trying its addresses in turn;
 * TCP_NODELAY and keep-alive are on. Take the stream by arc_tcp_taken. */
struct arc_op *arc_tcp_connect(struct arc_loop *loop, const char *host,
                               int port, int64_t deadline);

/* A listening socket on a numeric address; port 0 = any free one. NULL with
 * *err set. */
struct arc_listener;
struct arc_listener *arc_tcp_listen(struct arc_loop *loop, const char *address,
                                    int port, struct arc_err **err);
/* A listener over a listening non-blocking socket, which it takes over. path:
 * its file, which goes with it, or NULL. NULL without memory (fd is closed). */
struct arc_listener *arc_listener_new(struct arc_loop *loop, int fd,
                                      const char *path);
int arc_listener_port(const struct arc_listener *listener);
/* Waits for one connection. Take the stream by arc_tcp_taken. */
struct arc_op *arc_listener_accept(struct arc_listener *listener);
/* Pending accepts finish with `closed`. */
void arc_listener_close(struct arc_listener *listener);

/* The stream of a finished connect or accept; the caller owns it. */
struct arc_stream *arc_tcp_taken(struct arc_op *op);

#endif
