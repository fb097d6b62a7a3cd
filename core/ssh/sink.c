/* SPDX-License-Identifier: MIT */
#include "ssh/exec_room.h"

enum { QUEUE_MAX = 64 * 1024, CHUNK = 32 * 1024 };

static size_t room_in(const struct arc_sink *sink) {
  size_t have = arc_buf_len(&sink->queue);
  if (!sink->follow) {
    return SIZE_MAX;
  }
  return have < QUEUE_MAX ? QUEUE_MAX - have : 0;
}

static void store(struct arc_sink *sink, const void *data, size_t n) {
  if (sink->follow) {
    sink->failed |= !arc_buf_append(&sink->queue, data, n);
  } else {
    arc_capture_add(&sink->capture, data, n);
  }
}

/* The announcement of a guarded command comes on stderr; a terminal has no
 * stderr of its own. */
static bool may_announce(const struct arc_exec *x, int which) {
  return x->guarded && !x->guard.heard && which == (x->pty ? 0 : 1);
}

static void deliver(struct arc_exec *x, int which, const void *data, size_t n) {
  if (may_announce(x, which)) {
    struct arc_buf out = {0};
    arc_guard_filter(&x->guard, data, n, &out);
    if (arc_buf_len(&out)) {
      store(&x->sinks[which], arc_buf_head(&out), arc_buf_len(&out));
    }
    arc_buf_free(&out);
  } else {
    store(&x->sinks[which], data, n);
  }
}

int arc_sinks_data(ssh_session ssh, ssh_channel channel, void *data, uint32_t n,
                   int is_stderr, void *arg) {
  (void)ssh, (void)channel;
  struct arc_exec *x = arg;
  int which = is_stderr ? 1 : 0;
  struct arc_sink *sink = &x->sinks[which];
  size_t room = room_in(sink);
  uint32_t part = n < room ? n : (uint32_t)room;
  if (part) {
    deliver(x, which, data, part);
  }
  sink->backlog = part < n;
  return (int)part;
}

/* Any read of libssh opens the window again whatever is still buffered, so a
 * reader that takes little by little would be sent more than it takes. What
 * libssh holds (at most one window) is therefore taken whole, once our own
 * queue is empty: two windows, 2.6 MB, are the most that a slow reader costs.
 */
void arc_sinks_drain(struct arc_exec *x) {
  char buf[CHUNK];
  for (int which = 0; which < 2; which++) {
    struct arc_sink *sink = &x->sinks[which];
    if (arc_buf_len(&sink->queue)) {
      continue;
    }
    while (sink->backlog && x->channel) {
      int n = ssh_channel_read_nonblocking(x->channel, buf, CHUNK, which);
      if (n > 0) {
        deliver(x, which, buf, (size_t)n);
      } else {
        sink->backlog = false;
      }
    }
  }
}

bool arc_sinks_ready(const struct arc_exec *x) {
  return arc_buf_len(&x->sinks[0].queue) || arc_buf_len(&x->sinks[1].queue);
}

void arc_sinks_end(struct arc_exec *x) {
  struct arc_buf out = {0};
  arc_guard_flush(&x->guard, &out);
  if (arc_buf_len(&out)) {
    store(&x->sinks[x->pty ? 0 : 1], arc_buf_head(&out), arc_buf_len(&out));
  }
  arc_buf_free(&out);
}

const uint8_t *arc_exec_peek(const struct arc_exec *x, int which, size_t *n) {
  size_t have = arc_buf_len(&x->sinks[which].queue);
  *n = have < QUEUE_MAX ? have : QUEUE_MAX;
  return arc_buf_head(&x->sinks[which].queue);
}

void arc_exec_take(struct arc_exec *x, int which, size_t n) {
  arc_buf_consume(&x->sinks[which].queue, n);
  if (x->sinks[which].backlog && x->session &&
      !arc_buf_len(&x->sinks[which].queue)) {
    arc_session_wake(x->session);
  }
}

const uint8_t *arc_exec_kept(const struct arc_exec *x, int which, int part,
                             size_t *n) {
  return arc_capture_part(&x->sinks[which].capture, part, n);
}
