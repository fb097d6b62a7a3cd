/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_AUTH_ROOM_H
#define ARC_SSH_AUTH_ROOM_H

#include "ssh/keys.h"
#include "ssh/room.h"

/* What the files of a login share. A method's step does one thing and tells
 * what came of it: SSH_AUTH_AGAIN, SSH_AUTH_SUCCESS, SSH_AUTH_PARTIAL,
 * SSH_AUTH_DENIED, SSH_AUTH_ERROR (the connection is over), or one of these. */
enum {
  ARC_AUTH_NOTHING = 100, /* it has nothing to try */
  ARC_AUTH_PROBE          /* the server must first say what it accepts */
};

int arc_authkey_step(struct arc_session *session);
int arc_password_step(struct arc_session *session);
int arc_kbdint_step(struct arc_session *session);
/* May the method (ARC_AUTH_PASSWORD, ARC_AUTH_KBDINT; 0: either) have something
 * to say? */
bool arc_authword_ready(const struct arc_auth *auth, int method);
void arc_authword_free(struct arc_auth *auth);
void arc_authkey_free(struct arc_loop *loop, struct arc_auth *auth);

/* Methods of the server's last answer; 0: it has not yet said. */
int arc_auth_listed(struct arc_session *session);
/* The server, when it refused the method, has judged what was sent: it takes
 * that method at all. */
bool arc_auth_judged(struct arc_session *session, int method);
void arc_auth_skip(struct arc_auth *auth, struct arc_err *err);

/* Puts a question; texts are malloc'ed (made printable here) or NULL. */
void arc_auth_ask(struct arc_auth *auth, struct arc_question question);
/* The answer to the question that was put: true once. *answer is owned, NULL
 * when it was declined. */
bool arc_auth_answered(struct arc_auth *auth, struct arc_secret **answer);

/* A key of a file, with its certificate or alone, to be offered. */
struct arc_offer {
  struct arc_offer *next;
  const char *path;       /* of the identity list; NULL: of the agent */
  struct arc_pubkey *pub; /* what is shown; NULL: the file does not tell */
  char *signer;           /* of the agent: its key in base64 */
  ssh_key secret;         /* who signs; NULL: locked, or the agent */
  bool own;               /* secret is a copy */
  bool locked;
  bool certified; /* to be shown with pub, a certificate */
  bool taken;     /* the server would take it */
  int attempts;   /* at its passphrase */
  bool done;
};

/* The offers of the identity files, once. */
void arc_offers_prepare(struct arc_session *session);
/* Opens what the passphrase opens of the offer's file; *err (owned). */
bool arc_offers_unlock(struct arc_session *session, struct arc_offer *offer,
                       struct arc_secret *passphrase, struct arc_err **err);
/* What the agent's keys can sign for and was not tried: those of identity
 * files first. */
struct arc_offer *arc_offers_of_agent(struct arc_session *session);
void arc_offers_free(struct arc_offer *offers);

#endif
