/* SPDX-License-Identifier: MIT */
#include "ssh/room.h"

/* libssh would queue up to the whole window in memory: it gets no more than the
 * connection takes. */
enum { CHUNK = 32 * 1024 };

/* While keys are exchanged anew libssh takes data of any length and keeps it
 * in memory, without saying so: what it has taken and not sent shows in the
 * bytes that it counts. The few of the exchange itself do not matter. */
static bool held_back(const struct arc_session *s) {
  return s->flow.held && s->flow.sent.out_bytes < s->flow.until;
}

static void note(struct arc_session *s, uint64_t before, uint32_t taken) {
  uint64_t after = s->flow.sent.out_bytes;
  s->flow.held = after - before < taken;
  s->flow.until = before + taken;
}

bool arc_session_congested(const struct arc_session *s) {
  return ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING || held_back(s);
}

bool arc_session_may_write(const struct arc_session *s, ssh_channel channel) {
  return ssh_channel_window_size(channel) && !arc_session_congested(s);
}

int arc_session_write(struct arc_session *s, ssh_channel channel,
                      const void *from, size_t n) {
  uint32_t window = ssh_channel_window_size(channel);
  if (!arc_session_may_write(s, channel)) {
    return 0;
  }
  n = n < CHUNK ? n : CHUNK;
  n = n < window ? n : window;
  uint64_t before = s->flow.sent.out_bytes;
  int taken = ssh_channel_write(channel, from, (uint32_t)n);
  if (taken > 0) {
    note(s, before, (uint32_t)taken);
  }
  return taken;
}
