/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_CHANNEL_H
#define ARC_SSH_CHANNEL_H

#include "loop/loop.h"
#include "net/stream.h"

struct arc_session;

/* A channel as a stream. It holds a reference to its session, which lives on
 * while the stream is open; when the session is closed, the stream fails with
 * `closed`. Beyond the buffer of every stream, libssh may hold what the
 * server was allowed to send: some 2 MB at the most. */

/* Where a channel leads, seen from the server. */
struct arc_channel_target {
  const char *host;
  int port;
  const char *path; /* of a socket there, in place of host and port; or NULL */
};

/* An operation that opens a channel of type direct-tcpip (with a path:
 * direct-streamlocal, which only OpenSSH's servers know); arc_channel_take
 * gives its stream. It fails with the server's reason. A cancel or time-out
 * ends it at once; the session closes what the server may open still. NULL
 * without memory. */
struct arc_op *arc_channel_direct(struct arc_session *session,
                                  const struct arc_channel_target *target,
                                  double timeout);
/* The same for a session channel that runs a subsystem ("sftp"; a name of less
 * than 64 bytes). A server that has none refuses: ssh.no-subsystem. */
struct arc_op *arc_channel_subsystem(struct arc_session *session,
                                     const char *name, double timeout);
/* The stream of an operation that went well, which has it no more. */
struct arc_stream *arc_channel_take(struct arc_op *op);

#endif
