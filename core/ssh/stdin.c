/* SPDX-License-Identifier: MIT */
#include "ssh/exec_room.h"

enum { CHUNK = 32 * 1024 };

static void more(void *arg) {
  struct arc_exec *x = arg;
  if (x->session) {
    arc_session_wake(x->session);
  }
}

/* Fills the empty buffer from the stream; false when nothing is there now. */
static bool refill(struct arc_exec *x) {
  if (!x->input) {
    return false;
  }
  uint8_t *room = arc_buf_reserve(&x->stdin_buf, CHUNK);
  ssize_t n = room ? arc_stream_read(x->input, room, CHUNK) : ARC_FAILED;
  if (n > 0) {
    arc_buf_commit(&x->stdin_buf, (size_t)n);
    return true;
  }
  if (n == ARC_AGAIN) {
    arc_stream_want_read(x->input, more, x);
  } else { // the end; a broken input also is one, as in a shell's pipe
    arc_stream_close(x->input);
    x->input = NULL;
  }
  return false;
}

static bool send_some(struct arc_exec *x) {
  int sent =
      arc_session_write(x->session, x->channel, arc_buf_head(&x->stdin_buf),
                        arc_buf_len(&x->stdin_buf));
  if (sent < 0) {
    arc_stdin_stop(x);
    return false;
  }
  arc_buf_consume(&x->stdin_buf, (size_t)sent);
  return sent > 0;
}

void arc_stdin_feed(struct arc_exec *x) {
  while (!x->stdin_done) {
    if (arc_buf_len(&x->stdin_buf)) {
      if (!send_some(x)) {
        return;
      }
    } else if (!refill(x)) {
      if (!x->input && !x->stdin_done) {
        x->stdin_done = true;
        ssh_channel_send_eof(x->channel);
      }
      return;
    }
  }
}

void arc_stdin_stop(struct arc_exec *x) {
  x->stdin_done = true;
  arc_stream_close(x->input);
  x->input = NULL;
  arc_buf_free(&x->stdin_buf);
}
