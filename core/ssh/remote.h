/* SPDX-License-Identifier: MIT */
#ifndef ARC_REMOTE_H
#define ARC_REMOTE_H

#include "loop/loop.h"
#include "net/stream.h"

struct arc_session;

/* A port of the server's on which it listens for us (tcpip-forward). */
struct arc_remote;

/* An operation that asks for it; arc_remote_take gives what it made. address
 * as the server understands it: "localhost", "" = all, a name or number of
 * its own. port 0: the server chooses. NULL without memory. */
struct arc_op *arc_remote_listen(struct arc_session *session,
                                 const char *address, int port, double timeout);
struct arc_remote *arc_remote_take(struct arc_op *op);
int arc_remote_port(const struct arc_remote *remote);
/* Waits for one connection; arc_remote_taken gives its stream. */
struct arc_op *arc_remote_accept(struct arc_remote *remote);
struct arc_stream *arc_remote_taken(struct arc_op *op);
/* Pending accepts finish with `closed`; the server is told, by the loop. */
void arc_remote_close(struct arc_remote *remote);

/* An operation that ends when the session has, with the reason. */
struct arc_op *arc_session_wait(struct arc_session *session);
/* The server may use the agent behind this socket from now on; NULL = no more.
 * False without memory. */
bool arc_session_lend_agent(struct arc_session *session, const char *path);

#endif
