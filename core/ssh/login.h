/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_LOGIN_H
#define ARC_SSH_LOGIN_H

#include "net/stream.h"

struct arc_err;
struct arc_op;
struct arc_session;

/* A session over stream (taken over in any case), with one reference. NULL
 * without memory; a session that could not be made is dead, with err. */
struct arc_session *arc_session_new(struct arc_loop *loop,
                                    struct arc_stream *stream);
/* What follows in a login from what has arrived. */
void arc_login_step(struct arc_session *session);
/* Ends the connecting operation; err (taken over) NULL = logged in. */
void arc_login_over(struct arc_op *op, struct arc_err *err);

#endif
