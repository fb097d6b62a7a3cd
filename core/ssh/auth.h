/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_AUTH_H
#define ARC_SSH_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/loop.h"
#include "util/secret.h"

struct arc_agent_job;
struct arc_session;

/* How a session proves who the user is: the keys of files in order, each
 * offered with its signature at once, then those of the agent. */
struct arc_auth {
  char **identities; /* NULL-terminated; owned */
  size_t count;
  size_t next;    /* the identity in turn */
  bool plain;     /* its certificate was refused: now the key alone */
  bool use_agent; /* not yet asked */
  char *agent;    /* its socket, owned; NULL = none */
  struct arc_agent_job *job; /* the login by the agent, or NULL */
  bool answered;             /* its thread has just come back */
  struct arc_secret *passphrase;
  struct arc_err *skip; /* why a file could not be used; owned */
};

enum { ARC_AUTH_AGAIN, ARC_AUTH_DONE, ARC_AUTH_FAILED };

/* One step of the session's login. *err is set (owned) when it failed. */
int arc_auth_step(struct arc_session *session, struct arc_err **err);
void arc_auth_free(struct arc_auth *auth);

#endif
