/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "ssh/room.h"

/* A channel that nobody wants any more and that cannot go at once. libssh
 * would forget it while the server has not yet answered its request to open,
 * and would leave the word CLOSE unsaid while its output waits for the
 * connection; the server would keep it in both cases. */
struct grave {
  struct arc_member member;
  struct arc_session *session;
  ssh_channel channel;
  bool asked; /* the server has not yet answered */
};

static void bury(struct arc_member *member) {
  struct grave *g = (struct grave *)member;
  ssh_channel_free(g->channel);
  arc_session_leave(g->session, &g->member);
  free(g);
}

/* Says EOF and CLOSE. False: the first went out alone, for lack of room. */
static bool say_close(struct arc_session *s, ssh_channel channel) {
  return !arc_session_congested(s) && ssh_channel_close(channel) != SSH_AGAIN;
}

static void step(struct arc_member *member) {
  struct grave *g = (struct grave *)member;
  if (g->session->phase == ARC_SSH_DEAD) {
    bury(member);
    return;
  }
  int rc = g->asked ? ssh_channel_open_session(g->channel) : SSH_OK;
  if (rc == SSH_AGAIN) {
    return;
  }
  g->asked = false;
  if (rc != SSH_OK || say_close(g->session, g->channel)) {
    bury(member);
  }
}

/* It can go at once. */
static bool let_go(struct arc_session *s, ssh_channel channel,
                   enum arc_channel_state state) {
  switch (s->phase == ARC_SSH_OPEN ? state : ARC_CHANNEL_NONE) {
  case ARC_CHANNEL_ASKED:
    return false;
  case ARC_CHANNEL_OPEN:
    return say_close(s, channel);
  default:
    return true;
  }
}

void arc_channel_drop(struct arc_session *session, ssh_channel channel,
                      enum arc_channel_state state) {
  bool gone = let_go(session, channel, state);
  struct grave *g = !gone && session->handle ? calloc(1, sizeof *g) : NULL;
  if (!g) {
    ssh_channel_free(channel);
    return;
  }
  g->member.step = step;
  g->member.closed = bury;
  g->session = session;
  g->channel = channel;
  g->asked = state == ARC_CHANNEL_ASKED;
  arc_session_join(session, &g->member);
}
