/* SPDX-License-Identifier: MIT */
#include "ssh/pump.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/err.h"

int arc_pump_open(struct arc_pump *pump, struct arc_stream *stream, int *end) {
  int pair[2];
  *pump = (struct arc_pump){.stream = stream, .fd = -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                 pair)) {
    int rc = -errno;
    arc_stream_close(stream);
    pump->stream = NULL;
    return rc;
  }
  pump->fd = pair[0];
  *end = pair[1];
  return 0;
}

static void stop_input(struct arc_pump *pump) {
  pump->ended = true;
  if (!pump->err && pump->stream->err) {
    pump->err = arc_err_ref(pump->stream->err);
  }
}

/* Without a buffer nothing can go on: both ends learn it. */
static bool starve(struct arc_pump *pump) {
  bool news = !pump->ended;
  pump->ended = true;
  if (!pump->err) {
    pump->err = arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  shutdown(pump->fd, SHUT_RDWR);
  return news;
}

static bool fill_in(struct arc_pump *pump) {
  if (pump->ended || arc_buf_len(&pump->in)) {
    return false;
  }
  uint8_t *room = arc_buf_reserve(&pump->in, ARC_STREAM_CHUNK);
  if (!room) {
    return starve(pump);
  }
  ssize_t n = arc_stream_read(pump->stream, room, ARC_STREAM_CHUNK);
  if (n > 0) {
    arc_buf_commit(&pump->in, (size_t)n);
    pump->received += (uint64_t)n;
    return pump->greeting.done ||
           arc_greeting_filter(&pump->greeting, &pump->in) || starve(pump);
  }
  if (n != ARC_AGAIN) {
    stop_input(pump);
    shutdown(pump->fd, SHUT_WR);
    return true;
  }
  return false;
}

static bool drain_in(struct arc_pump *pump) {
  size_t len = arc_buf_len(&pump->in);
  if (!len) {
    return false;
  }
  ssize_t n =
      send(pump->fd, arc_buf_head(&pump->in), len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0) {
    arc_buf_consume(&pump->in, (size_t)n);
    return true;
  }
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    arc_buf_consume(&pump->in, len); /* libssh has closed its end */
  }
  return false;
}

static bool fill_out(struct arc_pump *pump) {
  if (arc_buf_len(&pump->out)) {
    return false;
  }
  uint8_t *room = arc_buf_reserve(&pump->out, ARC_STREAM_CHUNK);
  if (!room) {
    return starve(pump);
  }
  ssize_t n = recv(pump->fd, room, ARC_STREAM_CHUNK, MSG_DONTWAIT);
  if (n <= 0) {
    return false;
  }
  arc_buf_commit(&pump->out, (size_t)n);
  return true;
}

static bool drain_out(struct arc_pump *pump) {
  bool moved = false;
  size_t len;
  while ((len = arc_buf_len(&pump->out))) {
    ssize_t n = arc_stream_write(pump->stream, arc_buf_head(&pump->out), len);
    if (n == ARC_AGAIN) {
      break;
    }
    if (n < 0) {
      if (!pump->err && pump->stream->err) {
        pump->err = arc_err_ref(pump->stream->err);
      }
      arc_buf_consume(&pump->out, len);
      if (!pump->ended) {
        pump->ended = true;
        shutdown(pump->fd, SHUT_WR);
      }
      return true;
    }
    arc_buf_consume(&pump->out, (size_t)n);
    moved = true;
  }
  return moved;
}

bool arc_pump_run(struct arc_pump *pump) {
  bool moved = false;
  if (pump->stream && pump->fd >= 0) {
    moved |= fill_out(pump);
    moved |= drain_out(pump);
    moved |= fill_in(pump);
    moved |= drain_in(pump);
  }
  return moved;
}

/* Most sessions of a large run are idle most of the time. */
static void let_go_of(struct arc_buf *buf) {
  if (!arc_buf_len(buf)) {
    arc_buf_free(buf);
  }
}

void arc_pump_arm(struct arc_pump *pump, void (*fn)(void *), void *arg) {
  if (!pump->stream) {
    return;
  }
  let_go_of(&pump->in);
  let_go_of(&pump->out);
  if (!pump->ended && !arc_buf_len(&pump->in)) {
    arc_stream_want_read(pump->stream, fn, arg);
  }
  if (arc_buf_len(&pump->out)) {
    arc_stream_want_write(pump->stream, fn, arg);
  }
}

void arc_pump_close(struct arc_pump *pump, struct arc_err *why) {
  if (pump->fd >= 0) {
    close(pump->fd);
    pump->fd = -1;
  }
  if (why) {
    arc_stream_abort(pump->stream, why);
  } else {
    arc_stream_close(pump->stream);
  }
  pump->stream = NULL;
  arc_buf_free(&pump->in);
  arc_buf_free(&pump->out);
  arc_err_unref(pump->err);
  pump->err = NULL;
}
