/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "ssh/room.h"

/* A channel that nobody wants any more while the server has not yet answered
 * its request to open: libssh would forget it, and the server keep it. */
struct grave {
  struct arc_member member;
  struct arc_session *session;
  ssh_channel channel;
};

static void bury(struct arc_member *member) {
  struct grave *g = (struct grave *)member;
  ssh_channel_free(g->channel);
  arc_session_leave(g->session, &g->member);
  free(g);
}

static void step(struct arc_member *member) {
  struct grave *g = (struct grave *)member;
  if (g->session->phase == ARC_SSH_DEAD ||
      ssh_channel_open_session(g->channel) != SSH_AGAIN) {
    bury(member);
  }
}

void arc_channel_drop(struct arc_session *session, ssh_channel channel,
                      bool opening) {
  struct grave *g = NULL;
  if (opening && session->handle && session->phase == ARC_SSH_OPEN) {
    g = calloc(1, sizeof *g);
  }
  if (!g) {
    ssh_channel_free(channel);
    return;
  }
  g->member.step = step;
  g->member.closed = bury;
  g->session = session;
  g->channel = channel;
  arc_session_join(session, &g->member);
}
