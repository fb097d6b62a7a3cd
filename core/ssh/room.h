/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_ROOM_H
#define ARC_SSH_ROOM_H

#include <libssh/libssh.h>
#include <stdarg.h>

#include "ssh/auth.h"
#include "ssh/pump.h"
#include "ssh/session.h"

/* What the files of this room share about a session. Nothing outside the room
 * includes it. libssh runs only inside arc_session's step and the functions
 * below, all from the drain: never below a callback of libssh or libuv. */

enum arc_ssh_phase {
  ARC_SSH_BANNER,
  ARC_SSH_KEX,
  ARC_SSH_AUTH,
  ARC_SSH_OPEN,
  ARC_SSH_DEAD
};

/* Something that lives on an open session (a channel). `step` runs after each
 * turn of libssh; it may leave the session. `closed`: the handle was closed. */
struct arc_member {
  struct arc_member *next, *prev;
  bool keeps; /* lives on when the handle is forgotten, not closed */
  void (*step)(struct arc_member *member);
  void (*closed)(struct arc_member *member);
};

/* Signs of life: see keepalive.c. */
struct arc_pulse {
  bool unread;    /* a question was sent, its answer not taken from libssh */
  uint64_t heard; /* bytes received at the last look */
  int64_t since;  /* ms: then something new had come */
  int asked;      /* questions since */
};

/* What goes out: see outflow.c. */
struct arc_flow {
  struct ssh_counter_struct sent;
  bool held;      /* libssh has kept what it took last ... */
  uint64_t until; /* ... while it has sent less than this */
};

struct arc_remote;

/* What the server opens: see incoming.c. */
struct arc_incoming {
  struct arc_remote *remotes; /* that it was asked to listen for */
  struct arc_remote *asker;   /* whose global request is under way, or NULL */
  char *agent;                /* the socket of the agent that it may use */
};

struct arc_session {
  struct arc_loop *loop;
  int refs;
  int stepping; /* depth of step: the last reference waits for its end */
  int lib_fd;   /* libssh's end of the pair, libssh's own once started */
  bool started; /* ssh_connect was called */
  bool added;   /* libssh's descriptor is in the event */
  bool moved;   /* bytes have moved in this round */
  bool handle;  /* a user still has it */
  enum arc_ssh_phase phase;
  struct arc_pump pump;
  ssh_session ssh;
  ssh_event event;
  struct arc_ready ready;
  struct arc_timer timer; /* of the login, then of keepalive */
  double keepalive;       /* seconds between two looks; 0 = none */
  struct arc_pulse pulse;
  struct arc_flow flow;
  struct arc_incoming in;
  int64_t left;           /* of the time to log in, while it asks */
  struct arc_op *connect; /* who waits for the login, or NULL */
  struct arc_err *err;    /* why it is dead */
  struct arc_member *members;
  uint32_t channels; /* that were asked to be opened */
  char *user, *alias, *banner, *issue, *new_key;
  bool certified; /* the new key's host has a certificate authority */
  bool probe;     /* ends before the login */
  char *shown_type, *shown_print; /* the key that a probe saw */
  enum arc_known shown_known;
  enum arc_hostkey_policy policy;
  enum arc_hash_hosts hash_hosts;
  struct arc_known_hosts *known; /* of the loop */
  char **known_files;
  struct arc_auth auth;
  bool windows;
};

void arc_session_ref(struct arc_session *session);
void arc_session_unref(struct arc_session *session);
/* Lets the session run soon: after each use of libssh outside a step. */
void arc_session_wake(struct arc_session *session);
void arc_session_join(struct arc_session *session, struct arc_member *member);
void arc_session_leave(struct arc_session *session, struct arc_member *member);
/* The number that libssh gives the channel whose opening is asked for next. */
uint32_t arc_session_number(struct arc_session *session);
/* Lets a channel (without callbacks) go. */
enum arc_channel_state {
  ARC_CHANNEL_NONE,  /* the server knows nothing of it, or has refused it */
  ARC_CHANNEL_ASKED, /* the server has not yet answered the request to open */
  ARC_CHANNEL_OPEN
};
void arc_channel_drop(struct arc_session *session, ssh_channel channel,
                      enum arc_channel_state state);
/* libssh has bytes that wait for the connection: write no more now. */
bool arc_session_congested(const struct arc_session *session);
bool arc_session_may_write(const struct arc_session *session,
                           ssh_channel channel);
/* Hands data to a channel, no more than connection and window take: how many
 * bytes, 0 = none now, or negative. */
int arc_session_write(struct arc_session *session, ssh_channel channel,
                      const void *from, size_t n);
/* libssh has given the connection up. */
bool arc_session_ended(const struct arc_session *session);
/* An error of this reason; the stream's own end is its cause and is said. */
struct arc_err *arc_session_error(struct arc_session *session,
                                  const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends the login or the session with err (taken over). */
void arc_session_die(struct arc_session *session, struct arc_err *err);
/* The session is open: from now on a silent server is asked, and at last given
 * up. */
void arc_keepalive_start(struct arc_session *session);
/* The server's notice before the login, noted down; printable, or NULL. */
const char *arc_session_hear_issue(struct arc_session *session);
/* From now on incoming.c answers what the server asks. */
void arc_incoming_start(struct arc_session *s);
void arc_incoming_free(struct arc_session *s);
/* The remote that a connection to this address and port of the server is for,
 * and that may take one more; or NULL. */
struct arc_remote *arc_remote_find(struct arc_session *s, const char *address,
                                   int port);
struct arc_channel;
/* Gives it the connection. */
void arc_remote_give(struct arc_remote *remote, struct arc_channel *channel);
/* libssh's last error of the session as printable text. */
const char *arc_session_text(struct arc_session *session);

#endif
