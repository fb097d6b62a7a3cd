/* SPDX-License-Identifier: MIT */
#include "ssh/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/channel_room.h"
#include "ssh/room.h"
#include "util/err.h"

enum { BACKLOG = 64 };

enum stage { ASKING, LISTENING, LEAVING, GONE };

struct listen_op {
  struct arc_op op;
  struct arc_remote *remote; /* NULL: given up, or taken */
};

struct accept_op {
  struct arc_op op;
  struct arc_remote *remote; /* NULL once it has left */
  struct accept_op *next;
  struct arc_stream *stream;
};

struct arc_remote {
  struct arc_member member;
  struct arc_remote *next; /* of the session's */
  struct arc_loop *loop;
  struct arc_session *session; /* NULL: it has gone */
  enum stage stage;
  bool owned; /* whoever asked still has it */
  struct arc_ready bury;
  struct listen_op *asker;
  struct accept_op *waiting; /* in order */
  struct arc_channel *ready[BACKLOG];
  size_t n_ready;
  struct arc_err *err; /* why there is no more */
  char address[256];
  int port;
};

static struct arc_remote *of_member(struct arc_member *member) {
  return (struct arc_remote *)member;
}

/* ---- ending ----------------------------------------------------------------
 */

static void drop_ready(struct arc_remote *r) {
  while (r->n_ready) {
    arc_channel_free(r->ready[--r->n_ready]);
  }
}

static void bury(void *arg) {
  struct arc_remote *r = arg;
  drop_ready(r);
  arc_err_unref(r->err);
  free(r);
}

/* Not at once: the session may be walking over its members, and the channels
 * that wait here are among them. */
static void release(struct arc_remote *r) {
  if (r->stage == GONE && !r->owned) {
    arc_ready_post(r->loop, &r->bury);
  }
}

static void refuse_waiting(struct arc_remote *r) {
  while (r->waiting) {
    struct accept_op *op = r->waiting;
    r->waiting = op->next;
    op->remote = NULL;
    arc_op_finish(&op->op, arc_err_ref(r->err));
  }
}

/* Leaves the session, with err (taken over): the last step but one. */
static void leave(struct arc_remote *r, struct arc_err *err) {
  struct arc_session *s = r->session;
  struct arc_remote **at = &s->in.remotes;
  while (*at != r) {
    at = &(*at)->next;
  }
  *at = r->next;
  if (s->in.asker == r) {
    s->in.asker = NULL;
  }
  if (r->err) {
    arc_err_unref(err);
  } else {
    r->err = err;
  }
  r->stage = GONE;
  r->session = NULL;
  refuse_waiting(r);
  if (r->asker) {
    struct listen_op *op = r->asker;
    r->asker = NULL;
    op->remote = NULL;
    r->owned = false;
    arc_op_finish(&op->op, arc_err_ref(r->err));
  }
  arc_session_wake(s); // others may ask now
  struct arc_member *member = &r->member;
  arc_session_leave(s, member);
  release(r);
}

static void session_closed(struct arc_member *member) {
  leave(of_member(member), arc_err_new(ARC_E_CLOSED, "the session was closed"));
}

/* Nobody wants it any more. */
static void abandon(struct arc_remote *r) {
  r->owned = false;
  if (r->stage == GONE) {
    release(r);
    return;
  }
  r->err =
      r->err ? r->err : arc_err_new(ARC_E_CLOSED, "the listener was closed");
  drop_ready(r);
  refuse_waiting(r);
  if (r->stage == LISTENING) {
    r->stage = LEAVING;
  } // one that still asks leaves when it was answered
  arc_session_wake(r->session);
}

/* ---- asking ----------------------------------------------------------------
 */

/* One global request at a time, and libssh gives its answer to whoever asks
 * next: so the answer to a keepalive is taken first, with a request that is
 * then not sent. */
static bool has_turn(struct arc_remote *r, int *bound) {
  struct arc_session *s = r->session;
  if (s->in.asker && s->in.asker != r) {
    return false;
  }
  if (!s->in.asker && s->pulse.unread) {
    if (ssh_channel_listen_forward(s->ssh, r->address, r->port, bound) ==
        SSH_AGAIN) {
      return false;
    }
    s->pulse.unread = false;
  }
  s->in.asker = r;
  return true;
}

static void answered(struct arc_remote *r, int rc, int bound) {
  struct arc_session *s = r->session;
  s->in.asker = NULL;
  arc_session_wake(s);
  if (rc != SSH_OK) {
    leave(r, arc_err_reason("ssh.listen-refused",
                            "the server does not listen on %s:%d for us",
                            *r->address ? r->address : "*", r->port));
    return;
  }
  if (!r->port && (bound <= 0 || bound > 65535)) {
    leave(r, arc_err_reason("ssh.protocol",
                            "the server did not say which port it took"));
    return;
  }
  r->port = r->port ? r->port : bound;
  r->stage = r->owned ? LISTENING : LEAVING;
  if (r->asker) {
    struct listen_op *op = r->asker;
    r->asker = NULL;
    arc_op_finish(&op->op, NULL);
  }
}

static void ask(struct arc_remote *r) {
  int bound = 0;
  if (!has_turn(r, &bound)) {
    return;
  }
  int rc =
      r->stage == ASKING
          ? ssh_channel_listen_forward(r->session->ssh, r->address, r->port,
                                       &bound)
          : ssh_channel_cancel_forward(r->session->ssh, r->address, r->port);
  if (rc == SSH_AGAIN) {
    return;
  }
  if (rc != SSH_OK && arc_session_ended(r->session)) {
    arc_session_wake(r->session); // it will find out and say so
  } else if (r->stage == ASKING) {
    answered(r, rc, bound);
  } else {
    leave(r, arc_err_ref(r->err));
  }
}

static void step(struct arc_member *member) {
  struct arc_remote *r = of_member(member);
  if (r->session->phase == ARC_SSH_DEAD) {
    leave(r, arc_err_ref(r->session->err));
  } else if (r->stage == ASKING || r->stage == LEAVING) {
    ask(r);
  }
}

static void listen_detach(struct arc_op *op) {
  struct arc_remote *r = ((struct listen_op *)op)->remote;
  ((struct listen_op *)op)->remote = NULL;
  if (r) {
    r->asker = NULL;
    abandon(r);
  }
}

static void listen_destroy(struct arc_op *op) {
  listen_detach(op);
  free(op);
}

struct arc_op *arc_remote_listen(struct arc_session *session,
                                 const char *address, int port,
                                 double timeout) {
  static const struct arc_op_class cls = {
      .name = "ssh.listen", .detach = listen_detach, .destroy = listen_destroy};
  struct listen_op *op = arc_op_new(session->loop, &cls, sizeof *op,
                                    arc_loop_deadline(session->loop, timeout));
  struct arc_remote *r = op ? calloc(1, sizeof *r) : NULL;
  if (!r) {
    arc_op_free(op ? &op->op : NULL);
    return NULL;
  }
  snprintf(r->address, sizeof r->address, "%s", address);
  r->port = port;
  r->loop = session->loop;
  r->session = session;
  r->owned = true;
  r->asker = op;
  arc_ready_init(&r->bury, bury, r);
  r->member.step = step;
  r->member.closed = session_closed;
  r->next = session->in.remotes;
  session->in.remotes = r;
  op->remote = r;
  arc_session_join(session, &r->member);
  if (session->phase == ARC_SSH_DEAD) {
    leave(r, arc_err_ref(session->err));
  } else {
    arc_session_wake(session);
  }
  return &op->op;
}

struct arc_remote *arc_remote_take(struct arc_op *op) {
  struct listen_op *l = (struct listen_op *)op;
  struct arc_remote *r = l->remote;
  l->remote = NULL;
  return r;
}

int arc_remote_port(const struct arc_remote *r) { return r->port; }

void arc_remote_close(struct arc_remote *r) {
  if (r) {
    abandon(r);
  }
}

/* ---- connections -----------------------------------------------------------
 */

struct arc_remote *arc_remote_find(struct arc_session *s, const char *address,
                                   int port) {
  struct arc_remote *found = NULL;
  for (struct arc_remote *r = s->in.remotes; r; r = r->next) {
    if (r->stage == LISTENING && r->port == port && r->n_ready < BACKLOG &&
        (!found || !strcmp(r->address, address))) {
      found = r;
    }
  }
  return found;
}

void arc_remote_give(struct arc_remote *r, struct arc_channel *channel) {
  struct accept_op *op = r->waiting;
  if (op) {
    r->waiting = op->next;
    op->remote = NULL;
    op->stream = &channel->base;
    arc_op_finish(&op->op, NULL);
  } else {
    r->ready[r->n_ready++] = channel;
  }
}

static void accept_detach(struct arc_op *op) {
  struct accept_op *leaving = (struct accept_op *)op;
  struct accept_op **at = leaving->remote ? &leaving->remote->waiting : NULL;
  while (at && *at != leaving) {
    at = &(*at)->next;
  }
  if (at) {
    *at = leaving->next;
  }
  leaving->remote = NULL;
}

static void accept_destroy(struct arc_op *op) {
  arc_stream_close(arc_remote_taken(op));
  free(op);
}

struct arc_stream *arc_remote_taken(struct arc_op *op) {
  struct accept_op *a = (struct accept_op *)op;
  struct arc_stream *stream = a->stream;
  a->stream = NULL;
  return stream;
}

struct arc_op *arc_remote_accept(struct arc_remote *r) {
  static const struct arc_op_class cls = {"ssh.accept", accept_detach,
                                          accept_destroy};
  struct accept_op *op = arc_op_new(r->loop, &cls, sizeof *op, ARC_FOREVER);
  if (!op) {
    return NULL;
  }
  if (r->n_ready) {
    op->stream = &r->ready[0]->base;
    r->n_ready--;
    memmove(r->ready, r->ready + 1, r->n_ready * sizeof *r->ready);
    arc_op_finish(&op->op, NULL);
  } else if (r->err) {
    arc_op_finish(&op->op, arc_err_ref(r->err));
  } else {
    struct accept_op **at = &r->waiting;
    while (*at) {
      at = &(*at)->next;
    }
    *at = op;
    op->remote = r;
  }
  return &op->op;
}
