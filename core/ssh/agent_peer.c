/* SPDX-License-Identifier: MIT */
#include "ssh/agent_peer.h"

#include <string.h>

#include "net/fdstream.h"
#include "net/unix.h"
#include "util/err.h"

enum { MESSAGE_MAX = 256 * 1024, CHUNK = 4096 };

struct arc_stream *arc_agent_dial(struct arc_loop *loop, const char *path,
                                  struct arc_err **err) {
  int fd = arc_unix_dial(path);
  if (fd < 0) {
    *err = arc_err_reason("ssh.agent-failed", "connect to the agent %s: %s",
                          path, strerror(-fd));
    return NULL;
  }
  struct arc_stream *stream = arc_fdstream_new(loop, fd, -1, "agent");
  if (!stream) {
    *err = arc_err_new(ARC_E_NOMEM, "no memory for the SSH agent");
  }
  return stream;
}

bool arc_agent_peer_send(struct arc_agent_peer *peer, const void *message,
                         size_t n) {
  return arc_buf_string(&peer->out, message, n);
}

static bool flush(struct arc_agent_peer *peer) {
  while (arc_buf_len(&peer->out)) {
    ssize_t n = arc_stream_write(peer->stream, arc_buf_head(&peer->out),
                                 arc_buf_len(&peer->out));
    if (n <= 0) {
      return n == ARC_AGAIN;
    }
    arc_buf_consume(&peer->out, (size_t)n);
  }
  return true;
}

static size_t length(const struct arc_agent_peer *peer) {
  struct arc_cursor cur = {.at = arc_buf_head(&peer->in),
                           .left = arc_buf_len(&peer->in)};
  return arc_cursor_u32(&cur);
}

static bool fill(struct arc_agent_peer *peer) {
  for (;;) {
    uint8_t *room = arc_buf_reserve(&peer->in, CHUNK);
    ssize_t n = room ? arc_stream_read(peer->stream, room, CHUNK) : ARC_FAILED;
    if (n <= 0) {
      return n == ARC_AGAIN;
    }
    arc_buf_commit(&peer->in, (size_t)n);
    if (arc_buf_len(&peer->in) > MESSAGE_MAX || length(peer) > MESSAGE_MAX) {
      return false;
    }
  }
}

bool arc_agent_peer_run(struct arc_agent_peer *peer, void (*fn)(void *),
                        void *arg) {
  struct arc_cursor message;
  if (!peer->stream || !flush(peer)) {
    return false;
  }
  if (!fill(peer) && !arc_agent_peer_next(peer, &message)) {
    return false;
  }
  arc_stream_want_read(peer->stream, fn, arg);
  if (arc_buf_len(&peer->out)) {
    arc_stream_want_write(peer->stream, fn, arg);
  }
  return true;
}

bool arc_agent_peer_next(const struct arc_agent_peer *peer,
                         struct arc_cursor *message) {
  size_t have = arc_buf_len(&peer->in);
  if (have < 4 || have - 4 < length(peer)) {
    return false;
  }
  *message = (struct arc_cursor){.at = arc_buf_head(&peer->in) + 4,
                                 .left = length(peer)};
  return true;
}

void arc_agent_peer_take(struct arc_agent_peer *peer) {
  arc_buf_consume(&peer->in, 4 + length(peer));
}

void arc_agent_peer_close(struct arc_agent_peer *peer) {
  if (peer->stream) {
    arc_stream_close(peer->stream);
    peer->stream = NULL;
  }
  arc_buf_free(&peer->in);
  arc_buf_free(&peer->out);
}
