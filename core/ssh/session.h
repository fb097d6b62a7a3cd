/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_SESSION_H
#define ARC_SSH_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "net/stream.h"
#include "ssh/known_hosts.h"
#include "util/secret.h"

/* An SSH session over any stream. Counted by references: its handle, its
 * connecting operation and each channel hold one; the last to go ends the
 * connection in an orderly way. */
struct arc_session;
struct arc_certified;

/* The methods of RFC 4252 and 4256 that we speak. */
enum arc_auth_method {
  ARC_AUTH_PUBLICKEY = 1,
  ARC_AUTH_KBDINT = 2,
  ARC_AUTH_PASSWORD = 4
};
enum { ARC_AUTH_METHODS = 3 };

struct arc_session_options {
  const char *user;
  const char *alias;              /* the name in known_hosts */
  const char *const *known_hosts; /* NULL-terminated; NULL = the user's own */
  enum arc_hash_hosts hash_hosts;
  enum arc_hostkey_policy policy;
  const char *const *identities;   /* NULL-terminated, or NULL */
  const char *const *certificates; /* the same; beside PATH-cert.pub */
  struct arc_certified *certified; /* borrowed; offered first; or NULL */
  bool identities_only;            /* of the agent's keys, only these */
  bool use_agent;
  const char *agent;             /* its socket; NULL = $SSH_AUTH_SOCK */
  struct arc_secret *passphrase; /* borrowed, or NULL */
  struct arc_secret *password;   /* borrowed, or NULL */
  bool can_ask;                  /* someone answers questions */
  enum arc_auth_method methods[ARC_AUTH_METHODS]; /* in order; 0 ends them */
  double timeout;       /* seconds from here to logged in */
  double keepalive;     /* s of silence until the server is asked; 0 = never */
  uint64_t rekey_bytes; /* new keys after so many; 0 = the cipher's limit */
  uint32_t rekey_seconds; /* and after so long; 0 = never */
  bool windows;           /* how a command is ended there */
  bool probe; /* only up to the host key, which is judged and not noted */
};

/* What a login asks its user. Texts are printable. */
struct arc_question {
  enum { ARC_ASK_PASSPHRASE, ARC_ASK_PASSWORD, ARC_ASK_KBDINT } kind;
  char *text;
  char *path;               /* the key file, or NULL */
  char *name, *instruction; /* what the server says of its questions */
  bool echo;                /* the answer may be seen */
  int attempt;              /* from 1 */
};

/* An operation that logs in over stream, which it takes over in any case;
 * arc_session_take gives its result: a session that is open, or that asks.
 * NULL without memory. */
struct arc_op *arc_session_connect(struct arc_loop *loop,
                                   struct arc_stream *stream,
                                   const struct arc_session_options *opts);
/* The session of a connect that went well, with the one reference of its
 * handle; the operation has it no more. */
struct arc_session *arc_session_take(struct arc_op *op);

/* What the session asks before its login goes on, or NULL: it is open. The
 * time of the login stands still meanwhile. */
const struct arc_question *
arc_session_question(const struct arc_session *session);
/* The login goes on with this answer (borrowed), or without: NULL. As
 * arc_session_connect; takes the handle's reference over. */
struct arc_op *arc_session_answer(struct arc_session *session,
                                  struct arc_secret *answer);
/* What the server wrote before the login (its banner message), printable, or
 * NULL; lives as long as the session. */
const char *arc_session_issue(const struct arc_session *session);
/* What there is to say of a host key that was not known and was accepted, or
 * NULL; *certified: that the host has a certificate authority, too. */
const char *arc_session_new_key(const struct arc_session *session,
                                bool *certified);

/* What a probe saw. Texts live as long as the session. */
struct arc_shown_key {
  const char *type;        /* "ssh-ed25519" */
  const char *fingerprint; /* "SHA256:..." */
  enum arc_known known;    /* what known_hosts says of it */
};
void arc_session_shown(const struct arc_session *session,
                       struct arc_shown_key *out);

/* Gives the handle's reference back: no new channels; commands that still run
 * are ended on the far side first. */
void arc_session_close(struct arc_session *session);
/* The same for a handle that was forgotten: streams over the session keep it
 * until they are closed. */
void arc_session_forget(struct arc_session *session);
/* The server's version line; lives as long as the session. */
const char *arc_session_banner(const struct arc_session *session);

#endif
