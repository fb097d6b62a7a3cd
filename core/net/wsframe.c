/* SPDX-License-Identifier: MIT */
#include "net/wsframe.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "util/utf8.h"

struct arc_wsframes {
  wslay_frame_context_ptr wslay;
  enum arc_ws_role role;
  struct arc_buf *raw; /* during decode */
  struct arc_buf *out; /* during encode */
  bool in_frame, in_message, over;
  uint8_t opcode;
  uint64_t left; /* of the frame's payload */
  size_t n_control;
  uint8_t control[ARC_WS_CONTROL_MAX];
};

static ssize_t on_recv(uint8_t *to, size_t n, int flags, void *arg) {
  struct arc_wsframes *frames = arg;
  (void)flags;
  size_t got = arc_buf_take(frames->raw, to, n);
  return got ? (ssize_t)got : -1;
}

static ssize_t on_send(const uint8_t *from, size_t n, int flags, void *arg) {
  struct arc_wsframes *frames = arg;
  (void)flags;
  return arc_buf_append(frames->out, from, n) ? (ssize_t)n : -1;
}

static int on_mask(uint8_t *to, size_t n, void *arg) {
  (void)arg;
  return RAND_bytes(to, (int)n) == 1 ? 0 : -1;
}

struct arc_wsframes *arc_wsframes_new(enum arc_ws_role role) {
  static const struct wslay_frame_callbacks callbacks = {on_send, on_recv,
                                                         on_mask};
  struct arc_wsframes *frames = calloc(1, sizeof *frames);
  if (!frames) {
    return NULL;
  }
  frames->role = role;
  if (wslay_frame_context_init(&frames->wslay, &callbacks, frames)) {
    free(frames);
    return NULL;
  }
  return frames;
}

void arc_wsframes_free(struct arc_wsframes *frames) {
  if (frames) {
    wslay_frame_context_free(frames->wslay);
    free(frames);
  }
}

static enum arc_wsevent bad(struct arc_wsframes *frames,
                            struct arc_wsnews *news, int code,
                            const char *why) {
  frames->over = true;
  news->code = code;
  news->why = why;
  return ARC_WS_BAD;
}

/* RFC 6455 §5.2, §5.4: what the first bytes of a frame must not say. wslay
 * has refused long or fragmented control frames and padded lengths. */
static const char *check_start(const struct arc_wsframes *frames,
                               const struct wslay_frame_iocb *io) {
  if (io->rsv) {
    return "reserved bits are set";
  }
  if (io->mask != (frames->role == ARC_WS_SERVER)) {
    return io->mask ? "a frame is masked" : "a frame is not masked";
  }
  switch (io->opcode) {
  case WSLAY_CONTINUATION_FRAME:
    return frames->in_message ? NULL : "a continuation of no message";
  case WSLAY_TEXT_FRAME:
  case WSLAY_BINARY_FRAME:
    return frames->in_message ? "a message inside a message" : NULL;
  case WSLAY_CONNECTION_CLOSE:
  case WSLAY_PING:
  case WSLAY_PONG:
    return NULL;
  default:
    return "an unknown kind of frame";
  }
}

static void start_frame(struct arc_wsframes *frames,
                        const struct wslay_frame_iocb *io) {
  frames->in_frame = true;
  frames->opcode = io->opcode;
  frames->left = io->payload_length;
  frames->n_control = 0;
  if (!wslay_is_ctrl_frame(io->opcode)) {
    frames->in_message = !io->fin;
  }
}

/* RFC 6455 §7.4: the codes that may be on the wire. */
static bool may_be_sent(int code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

static enum arc_wsevent read_close(struct arc_wsframes *frames,
                                   struct arc_wsnews *news) {
  struct arc_cursor cur = {.at = news->control, .left = news->n_control};
  news->code = 0;
  if (news->n_control) {
    news->code = arc_cursor_u8(&cur) << 8;
    news->code |= arc_cursor_u8(&cur);
    if (cur.failed || !may_be_sent(news->code)) {
      return bad(frames, news, 1002, "an impossible close code");
    }
    if (!arc_utf8_valid((const char *)cur.at, cur.left)) {
      return bad(frames, news, 1007, "a close reason that is not UTF-8");
    }
  }
  frames->over = true;
  return ARC_WS_CLOSE;
}

static enum arc_wsevent end_control(struct arc_wsframes *frames,
                                    struct arc_wsnews *news) {
  memcpy(news->control, frames->control, frames->n_control);
  news->control[frames->n_control] = '\0';
  news->n_control = frames->n_control;
  switch (frames->opcode) {
  case WSLAY_PING:
    return ARC_WS_PING;
  case WSLAY_CONNECTION_CLOSE:
    return read_close(frames, news);
  default: // a pong, asked for or not, says no more than any other byte
    return ARC_WS_MORE;
  }
}

/* One piece of one frame; ARC_WS_MORE when there is nothing to tell. */
static enum arc_wsevent take_piece(struct arc_wsframes *frames,
                                   const struct wslay_frame_iocb *io,
                                   struct arc_buf *data,
                                   struct arc_wsnews *news) {
  if (!frames->in_frame) {
    const char *why = check_start(frames, io);
    if (why) {
      return bad(frames, news, 1002, why);
    }
    if (io->opcode == WSLAY_TEXT_FRAME) {
      return bad(frames, news, 1003, "a text message");
    }
    start_frame(frames, io);
  }
  bool control = wslay_is_ctrl_frame(frames->opcode);
  if (control && io->data_length) {
    memcpy(frames->control + frames->n_control, io->data, io->data_length);
    frames->n_control += io->data_length;
  } else if (!arc_buf_append(data, io->data, io->data_length)) {
    return bad(frames, news, 1011, "out of memory");
  }
  frames->left -= io->data_length;
  frames->in_frame = frames->left;
  return control && !frames->in_frame ? end_control(frames, news) : ARC_WS_MORE;
}

enum arc_wsevent arc_wsframes_decode(struct arc_wsframes *frames,
                                     struct arc_buf *raw, struct arc_buf *data,
                                     size_t mark, struct arc_wsnews *news) {
  frames->raw = raw;
  while (!frames->over) {
    if (arc_buf_len(data) >= mark) {
      return ARC_WS_FULL;
    }
    struct wslay_frame_iocb io = {0};
    ssize_t rc = wslay_frame_recv(frames->wslay, &io);
    if (rc == WSLAY_ERR_WANT_READ) {
      return ARC_WS_MORE;
    }
    if (rc < 0) {
      return bad(frames, news, 1002, "a malformed frame");
    }
    enum arc_wsevent event = take_piece(frames, &io, data, news);
    if (event != ARC_WS_MORE) {
      return event;
    }
  }
  return ARC_WS_MORE;
}

bool arc_wsframes_encode(struct arc_wsframes *frames, struct arc_buf *out,
                         uint8_t opcode, const void *payload, size_t n) {
  struct wslay_frame_iocb io = {.fin = 1,
                                .opcode = opcode,
                                .payload_length = n,
                                .mask = frames->role == ARC_WS_CLIENT,
                                .data = payload,
                                .data_length = n};
  frames->out = out;
  if (!arc_buf_reserve(out, n + 14)) {
    return false;
  }
  while (true) {
    ssize_t rc = wslay_frame_send(frames->wslay, &io);
    if (rc < 0) {
      return false;
    }
    io.data += rc;
    io.data_length -= (size_t)rc;
    if (!io.data_length) {
      return true;
    }
  }
}
