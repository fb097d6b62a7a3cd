/* SPDX-License-Identifier: MIT */
/* What the server opens: connections to ports that it listens on for us, and
 * to the agent. All else is refused. */
#include <libssh/server.h>
#include <stdlib.h>
#include <string.h>

#include "net/splice.h"
#include "net/unix.h"
#include "ssh/channel_room.h"
#include "ssh/remote.h"
#include "util/err.h"

static bool take_connection(struct arc_session *s, ssh_message message) {
  const char *address = ssh_message_channel_request_open_destination(message);
  struct arc_remote *remote = arc_remote_find(
      s, address ? address : "",
      ssh_message_channel_request_open_destination_port(message));
  const char *from = ssh_message_channel_request_open_originator(message);
  struct arc_channel *channel =
      remote ? arc_channel_accept(s, message, from ? from : "a connection")
             : NULL;
  if (channel) {
    arc_remote_give(remote, channel);
  }
  return channel;
}

static void copied(struct arc_op *op, void *arg) {
  (void)arg;
  arc_op_free(op);
}

/* The agent's end lasts as long as the channel, and so does the copying. */
static bool lend_agent(struct arc_session *s, ssh_message message) {
  struct arc_err *err = NULL;
  struct arc_stream *agent =
      s->in.agent ? arc_unix_connect(s->loop, s->in.agent, &err) : NULL;
  arc_err_unref(err);
  struct arc_channel *channel =
      agent ? arc_channel_accept(s, message, "agent's channel") : NULL;
  if (!channel) {
    arc_stream_close(agent);
    return false;
  }
  struct arc_op *op = arc_splice(agent, &channel->base);
  if (op) {
    op->notify = copied;
  }
  return true;
}

/* libssh asks what to do: 1 = refuse. It comes from within its own code, which
 * expects the answer to be sent there; channels do no more than queue. */
static int answer(ssh_session ssh, ssh_message message, void *arg) {
  (void)ssh;
  struct arc_session *s = arg;
  bool taken = false;
  if (s->phase == ARC_SSH_OPEN &&
      ssh_message_type(message) == SSH_REQUEST_CHANNEL_OPEN) {
    switch (ssh_message_subtype(message)) {
    case SSH_CHANNEL_FORWARDED_TCPIP:
      taken = take_connection(s, message);
      break;
    case SSH_CHANNEL_AUTH_AGENT:
      taken = lend_agent(s, message);
      break;
    default:
      break;
    }
  }
  return taken ? 0 : 1;
}

void arc_incoming_start(struct arc_session *s) {
  ssh_set_message_callback(s->ssh, answer, s);
}

void arc_incoming_free(struct arc_session *s) { free(s->in.agent); }

bool arc_session_lend_agent(struct arc_session *s, const char *path) {
  char *copy = path ? strdup(path) : NULL;
  free(s->in.agent);
  s->in.agent = copy;
  return copy || !path;
}

/* ---- its end ---------------------------------------------------------------
 */

struct end_op {
  struct arc_op op;
  struct arc_member member;
  struct arc_session *session; /* NULL once it has left */
};

static struct end_op *of_member(struct arc_member *member) {
  return (struct end_op *)((char *)member - offsetof(struct end_op, member));
}

static void leave(struct end_op *e) {
  struct arc_session *s = e->session;
  e->session = NULL;
  if (s) {
    arc_session_leave(s, &e->member);
  }
}

static void step(struct arc_member *member) {
  struct end_op *e = of_member(member);
  if (e->session->phase == ARC_SSH_DEAD) {
    struct arc_err *err = arc_err_ref(e->session->err);
    leave(e);
    arc_op_finish(&e->op, err);
  }
}

static void closed(struct arc_member *member) {
  struct end_op *e = of_member(member);
  leave(e);
  arc_op_finish(&e->op, arc_err_new(ARC_E_CLOSED, "the session was closed"));
}

static void detach(struct arc_op *op) { leave((struct end_op *)op); }

struct arc_op *arc_session_wait(struct arc_session *s) {
  static const struct arc_op_class cls = {.name = "ssh.wait", .detach = detach};
  struct end_op *e = arc_op_new(s->loop, &cls, sizeof *e, ARC_FOREVER);
  if (e) {
    e->session = s;
    e->member.step = step;
    e->member.closed = closed;
    arc_session_join(s, &e->member);
    arc_session_wake(s);
  }
  return e ? &e->op : NULL;
}
