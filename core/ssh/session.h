/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_SESSION_H
#define ARC_SSH_SESSION_H

#include <stdbool.h>

#include "loop/loop.h"
#include "net/stream.h"
#include "ssh/known_hosts.h"
#include "util/secret.h"

/* An SSH session over any stream. Counted by references: its handle, its
 * connecting operation and each channel hold one; the last to go ends the
 * connection in an orderly way. */
struct arc_session;

struct arc_session_options {
  const char *user;
  const char *alias;              /* the name in known_hosts */
  const char *const *known_hosts; /* NULL-terminated; NULL = the user's own */
  enum arc_hostkey_policy policy;
  const char *const *identities; /* NULL-terminated, or NULL */
  bool use_agent;
  const char *agent;             /* its socket; NULL = $SSH_AUTH_SOCK */
  struct arc_secret *passphrase; /* borrowed, or NULL */
  double timeout;                /* seconds from here to logged in */
  bool windows;                  /* how a command is ended there */
};

/* An operation that logs in over stream, which it takes over in any case;
 * arc_session_take gives its result. NULL without memory. */
struct arc_op *arc_session_connect(struct arc_loop *loop,
                                   struct arc_stream *stream,
                                   const struct arc_session_options *opts);
/* The session of a connect that went well, with the one reference of its
 * handle; the operation has it no more. */
struct arc_session *arc_session_take(struct arc_op *op);

/* Gives the handle's reference back: no new channels; commands that still run
 * are ended on the far side first. */
void arc_session_close(struct arc_session *session);
/* The same for a handle that was forgotten: streams over the session keep it
 * until they are closed. */
void arc_session_forget(struct arc_session *session);
/* The server's version line; lives as long as the session. */
const char *arc_session_banner(const struct arc_session *session);

#endif
