/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_AUTH_H
#define ARC_SSH_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/loop.h"
#include "ssh/session.h"
#include "util/secret.h"

struct arc_agent_job;
struct arc_certified;
struct arc_offer;
struct arc_session;

/* How a session proves who the user is. */
struct arc_auth {
  /* What was given; owned. */
  char **identities; /* NULL-terminated */
  char **certificates;
  struct arc_certified *certified; /* a key in memory, or NULL */
  bool identities_only;
  bool use_agent; /* it was not yet asked, or has keys left */
  char *agent;    /* its socket, or NULL */
  struct arc_secret *passphrase, *password;
  bool can_ask;
  enum arc_auth_method methods[ARC_AUTH_METHODS];

  /* Where the login is. */
  int allowed;  /* methods that the server goes on with; 0 = it has not said */
  int current;  /* the method under way, or 0 */
  int spent;    /* methods with nothing left to try */
  bool partial; /* the server has accepted something, and wants more */
  bool probed;  /* it was asked what it accepts */

  /* Keys (authkey.c, offers.c). */
  bool prepared, uses_keys;
  struct arc_offer *offers;  /* of the files */
  struct arc_offer *offered; /* the one under way, or NULL */
  struct arc_agent_job *job; /* the agent, once asked */
  struct arc_offer *batch;   /* what it is to sign for now */
  struct arc_offer *picks;   /* and has been asked to */
  bool answered;             /* its thread has just come back */
  int tried;                 /* keys that the server has refused */
  bool refused;              /* and words */

  /* Words (authword.c). */
  struct arc_secret *word; /* on its way to the server */
  bool word_used;          /* `password` was sent */
  int prompts;             /* of the keyboard-interactive round; -1: none */
  int prompt;              /* the one in turn */
  bool begun, heard;       /* that method is under way, and has asked */
  int asked[ARC_AUTH_PASSWORD + 1]; /* times that each method was begun */
  int questions;                    /* in all */
  char *unasked;                    /* what nobody could answer */

  /* The question that is open, and then its answer. */
  struct arc_question *question;
  struct arc_secret *answer; /* NULL: declined */
  bool has_answer;
  struct arc_err *skip; /* why a key could not be used; owned */
};

enum { ARC_AUTH_AGAIN, ARC_AUTH_DONE, ARC_AUTH_FAILED };

/* One step of the session's login. *err is set (owned) when it failed. While
 * auth->question is set nothing goes on. */
int arc_auth_step(struct arc_session *session, struct arc_err **err);
/* False without memory. */
bool arc_auth_init(struct arc_auth *auth,
                   const struct arc_session_options *opts);
void arc_auth_free(struct arc_loop *loop, struct arc_auth *auth);
/* Nothing could be tried, whatever the server says. */
bool arc_auth_empty(const struct arc_auth *auth);

#endif
