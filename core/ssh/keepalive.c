/* SPDX-License-Identifier: MIT */
#include <libssh/server.h>

#include "ssh/room.h"
#include "util/err.h"

/* How many questions in a row may stay unanswered. */
enum { UNANSWERED_MAX = 3 };

static void look(void *arg);

static void look_later(struct arc_session *s) {
  arc_timer_start(s->loop, &s->timer, arc_loop_deadline(s->loop, s->keepalive),
                  look, s);
}

static void die(struct arc_session *s) {
  double silent = (double)(arc_loop_now(s->loop) - s->pulse.since) / 1000;
  arc_session_die(s, arc_session_error(s, "ssh.keepalive",
                                       "the server has said nothing for "
                                       "%.0f s and does not answer",
                                       silent));
  arc_session_wake(s);
}

/* libssh holds the answer to the last one until the next call, which then asks
 * nothing: so twice. While one is unanswered neither asks again. A request of
 * remote.c that is under way is question enough. */
static void ask(struct arc_session *s) {
  if (!s->in.asker) {
    ssh_send_keepalive(s->ssh);
    ssh_send_keepalive(s->ssh);
    s->pulse.unread = true;
    arc_session_wake(s);
  }
}

/* Whatever arrives is a sign of life, a refusal of the request too: the usual
 * answer to it. */
static void look(void *arg) {
  struct arc_session *s = arg;
  if (s->pump.received != s->pulse.heard) {
    s->pulse.heard = s->pump.received;
    s->pulse.since = arc_loop_now(s->loop);
    s->pulse.asked = 0;
  } else if (s->pulse.asked++ == UNANSWERED_MAX) {
    die(s);
    return;
  } else {
    ask(s);
  }
  look_later(s);
}

void arc_keepalive_start(struct arc_session *s) {
  if (s->keepalive > 0) {
    s->pulse.heard = s->pump.received;
    s->pulse.since = arc_loop_now(s->loop);
    look_later(s);
  }
}
