/* SPDX-License-Identifier: MIT */
/* Opening channels: operations, and what each kind asks of the server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/channel.h"
#include "ssh/channel_room.h"
#include "util/err.h"

struct forward_op {
  struct arc_opening_op base;
  int port; /* 0: host is the path of a socket */
  char host[256];
};

struct subsystem_op {
  struct arc_opening_op base;
  char name[64];
};

static struct arc_opening_op *of_opening(struct arc_opening *opening) {
  return (struct arc_opening_op *)((char *)opening -
                                   offsetof(struct arc_opening_op, opening));
}

/* ---- any kind
 * ----------------------------------------------------------------
 */

static void drop(struct arc_opening_op *o) {
  struct arc_channel *c = o->channel;
  o->channel = NULL;
  if (c) {
    arc_channel_free(c);
  }
}

/* Runs below the channel's step, which looks at it no more when err is set. */
static void over(struct arc_opening *opening, struct arc_err *err) {
  struct arc_opening_op *o = of_opening(opening);
  if (err) {
    o->channel->opening = NULL;
    drop(o);
    arc_err_at(err, NULL, "channel");
  }
  arc_op_finish(&o->op, err);
}

void arc_opening_detach(struct arc_op *op) {
  drop((struct arc_opening_op *)op);
}

void arc_opening_destroy(struct arc_op *op) {
  drop((struct arc_opening_op *)op);
  free(op);
}

struct arc_opening_op *arc_opening_new(struct arc_session *session,
                                       const struct arc_op_class *cls,
                                       size_t size, double timeout) {
  struct arc_opening_op *o = arc_op_new(
      session->loop, cls, size, arc_loop_deadline(session->loop, timeout));
  if (o) {
    o->opening.over = over;
  }
  return o;
}

struct arc_op *arc_opening_begin(struct arc_opening_op *o,
                                 struct arc_session *session,
                                 const char *name) {
  if (session->phase == ARC_SSH_DEAD) {
    arc_op_finish(&o->op, arc_err_ref(session->err));
    return &o->op;
  }
  o->channel = arc_channel_new(session, &o->opening, name);
  if (!o->channel) {
    arc_op_finish(&o->op, arc_err_new(ARC_E_NOMEM, "out of memory"));
    return &o->op;
  }
  arc_session_wake(session);
  return &o->op;
}

struct arc_stream *arc_channel_take(struct arc_op *op) {
  struct arc_opening_op *o = (struct arc_opening_op *)op;
  struct arc_channel *c = o->channel;
  o->channel = NULL;
  return &c->base;
}

/* ---- a connection of the server's
 * --------------------------------------------
 */

/* The origin is for the server's log: OpenSSH says the same for its -W. */
static int ask_forward(struct arc_opening *opening, ssh_channel channel) {
  const struct forward_op *f = (struct forward_op *)of_opening(opening);
  if (!f->port) {
    return ssh_channel_open_forward_unix(channel, f->host, "", 0);
  }
  return ssh_channel_open_forward(channel, f->host, f->port, "127.0.0.1",
                                  65535);
}

struct arc_op *arc_channel_direct(struct arc_session *session,
                                  const struct arc_channel_target *target,
                                  double timeout) {
  static const struct arc_op_class tcp = {.name = "ssh.direct_tcpip",
                                          .detach = arc_opening_detach,
                                          .destroy = arc_opening_destroy};
  static const struct arc_op_class local = {.name = "ssh.direct_streamlocal",
                                            .detach = arc_opening_detach,
                                            .destroy = arc_opening_destroy};
  struct forward_op *f = (struct forward_op *)arc_opening_new(
      session, target->path ? &local : &tcp, sizeof *f, timeout);
  char name[64];
  if (!f) {
    return NULL;
  }
  snprintf(f->host, sizeof f->host, "%s",
           target->path ? target->path : target->host);
  if (target->path) {
    snprintf(name, sizeof name, "%s", target->path);
  } else {
    snprintf(name, sizeof name, "%s:%d", target->host, target->port);
    f->port = target->port;
  }
  f->base.opening.ask = ask_forward;
  return arc_opening_begin(&f->base, session, name);
}

/* ---- a subsystem
 * -------------------------------------------------------------
 */

static int ask_subsystem(struct arc_opening *opening, ssh_channel channel) {
  const struct subsystem_op *s = (struct subsystem_op *)of_opening(opening);
  if (!opening->stands) {
    int rc = ssh_channel_open_session(channel);
    if (rc != SSH_OK) {
      return rc;
    }
    opening->stands = true;
  }
  return ssh_channel_request_subsystem(channel, s->name);
}

struct arc_op *arc_channel_subsystem(struct arc_session *session,
                                     const char *name, double timeout) {
  static const struct arc_op_class cls = {.name = "ssh.subsystem",
                                          .detach = arc_opening_detach,
                                          .destroy = arc_opening_destroy};
  struct subsystem_op *s =
      (struct subsystem_op *)arc_opening_new(session, &cls, sizeof *s, timeout);
  if (!s) {
    return NULL;
  }
  snprintf(s->name, sizeof s->name, "%s", name);
  s->base.opening.ask = ask_subsystem;
  return arc_opening_begin(&s->base, session, name);
}
