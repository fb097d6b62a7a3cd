/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/channel.h"
#include "ssh/channel_room.h"
#include "util/err.h"

struct forward_op {
  struct arc_op op;
  struct arc_opening opening;
  struct arc_channel *channel; /* NULL: none, or taken */
  int port;                    /* 0: host is the path of a socket */
  char host[256];
};

static struct forward_op *of_opening(struct arc_opening *opening) {
  return (struct forward_op *)((char *)opening -
                               offsetof(struct forward_op, opening));
}

/* The origin is for the server's log: OpenSSH says the same for its -W. */
static int ask(struct arc_opening *opening, ssh_channel channel) {
  const struct forward_op *f = of_opening(opening);
  if (!f->port) {
    return ssh_channel_open_forward_unix(channel, f->host, "", 0);
  }
  return ssh_channel_open_forward(channel, f->host, f->port, "127.0.0.1",
                                  65535);
}

static void drop(struct forward_op *f) {
  struct arc_channel *c = f->channel;
  f->channel = NULL;
  if (c) {
    arc_channel_free(c);
  }
}

/* Runs below the channel's step, which looks at it no more when err is set. */
static void over(struct arc_opening *opening, struct arc_err *err) {
  struct forward_op *f = of_opening(opening);
  if (err) {
    f->channel->opening = NULL;
    drop(f);
    arc_err_at(err, NULL, "channel");
  }
  arc_op_finish(&f->op, err);
}

static void detach(struct arc_op *op) { drop((struct forward_op *)op); }

static void destroy(struct arc_op *op) {
  drop((struct forward_op *)op);
  free(op);
}

struct arc_op *arc_channel_direct(struct arc_session *session,
                                  const struct arc_channel_target *target,
                                  double timeout) {
  static const struct arc_op_class tcp = {
      .name = "ssh.direct_tcpip", .detach = detach, .destroy = destroy};
  static const struct arc_op_class local = {
      .name = "ssh.direct_streamlocal", .detach = detach, .destroy = destroy};
  struct forward_op *f =
      arc_op_new(session->loop, target->path ? &local : &tcp, sizeof *f,
                 arc_loop_deadline(session->loop, timeout));
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
  f->opening.ask = ask;
  f->opening.over = over;
  if (session->phase == ARC_SSH_DEAD) {
    arc_op_finish(&f->op, arc_err_ref(session->err));
    return &f->op;
  }
  f->channel = arc_channel_new(session, &f->opening, name);
  if (!f->channel) {
    arc_op_finish(&f->op, arc_err_new(ARC_E_NOMEM, "out of memory"));
    return &f->op;
  }
  arc_session_wake(session);
  return &f->op;
}

struct arc_stream *arc_channel_take(struct arc_op *op) {
  struct forward_op *f = (struct forward_op *)op;
  struct arc_channel *c = f->channel;
  f->channel = NULL;
  return &c->base;
}
