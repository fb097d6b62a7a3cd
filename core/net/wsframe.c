/* SPDX-License-Identifier: MIT */
#include "net/wsframe.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "net/wshead.h"
#include "util/utf8.h"

enum {
  HEADER_MAX = 14,
  MASK_SIZE = 4,
  MASKS = 64, /* keys drawn at once: a draw costs more than a short frame */
  TEXT_MAX = 128
};

struct arc_wsframes {
  enum arc_ws_role role;
  bool in_frame;   /* its header is read, `left` bytes are to come */
  bool in_message; /* a fragment was not the last */
  bool is_text;    /* the message */
  bool fin, over;
  uint8_t opcode;
  uint8_t mask[MASK_SIZE];
  size_t turn; /* of the mask, for the next byte */
  uint64_t left;
  size_t n_control, n_text;
  uint8_t control[ARC_WS_CONTROL_MAX];
  char text[TEXT_MAX]; /* how the text message begins */
  size_t masks_left;   /* bytes at the end of masks not yet used */
  uint8_t masks[MASKS * MASK_SIZE];
};

struct arc_wsframes *arc_wsframes_new(enum arc_ws_role role) {
  struct arc_wsframes *frames = calloc(1, sizeof *frames);
  if (frames) {
    frames->role = role;
  }
  return frames;
}

void arc_wsframes_free(struct arc_wsframes *frames) { free(frames); }

/* ---- decoding --------------------------------------------------------------
 */

static bool is_control(uint8_t opcode) { return opcode & 0x8; }

static enum arc_wsevent bad(struct arc_wsframes *frames,
                            struct arc_wsnews *news, int code,
                            const char *why) {
  frames->over = true;
  news->code = code;
  news->why = why;
  return ARC_WS_BAD;
}

/* RFC 6455 §5.2, §5.4, §5.5: what a frame's first two bytes must not say. */
static const char *check_start(const struct arc_wsframes *frames, uint8_t first,
                               uint8_t second) {
  uint8_t opcode = first & 0x0f;
  bool masked = second & 0x80;
  if (first & 0x70) {
    return "reserved bits are set";
  }
  if (masked != (frames->role == ARC_WS_SERVER)) {
    return masked ? "a frame is masked" : "a frame is not masked";
  }
  switch (opcode) {
  case ARC_WSOP_CONTINUATION:
    return frames->in_message ? NULL : "a continuation of no message";
  case ARC_WSOP_TEXT:
  case ARC_WSOP_BINARY:
    return frames->in_message ? "a message inside a message" : NULL;
  case ARC_WSOP_CLOSE:
  case ARC_WSOP_PING:
  case ARC_WSOP_PONG:
    return !(first & 0x80)                        ? "a fragmented control frame"
           : (second & 0x7f) > ARC_WS_CONTROL_MAX ? "a long control frame"
                                                  : NULL;
  default:
    return "an unknown kind of frame";
  }
}

/* The length that follows the first two bytes; NULL, or what is wrong. */
static const char *read_length(struct arc_cursor *cur, uint8_t second,
                               uint64_t *length) {
  *length = second & 0x7f;
  if (*length == 126) {
    *length = (uint64_t)arc_cursor_u8(cur) << 8;
    *length |= arc_cursor_u8(cur);
    return *length < 126 && !cur->failed ? "a padded length" : NULL;
  }
  if (*length == 127) {
    *length = arc_cursor_u64(cur);
    return *length >> 63                           ? "an impossible length"
           : *length <= UINT16_MAX && !cur->failed ? "a padded length"
                                                   : NULL;
  }
  return NULL;
}

static void start_frame(struct arc_wsframes *frames, uint8_t first,
                        uint64_t length, const uint8_t *mask) {
  frames->in_frame = true;
  frames->opcode = first & 0x0f;
  frames->fin = first & 0x80;
  frames->left = length;
  frames->turn = 0;
  if (mask) {
    memcpy(frames->mask, mask, MASK_SIZE);
  }
  if (is_control(frames->opcode)) {
    frames->n_control = 0;
    return;
  }
  if (frames->opcode != ARC_WSOP_CONTINUATION) {
    frames->is_text = frames->opcode == ARC_WSOP_TEXT;
    frames->n_text = 0;
  }
  frames->in_message = !frames->fin;
}

/* True when a header was taken; else *why says what is wrong, or is NULL when
 * more bytes are needed. */
static bool take_header(struct arc_wsframes *frames, struct arc_buf *raw,
                        const char **why) {
  struct arc_cursor cur = {.at = arc_buf_head(raw), .left = arc_buf_len(raw)};
  uint8_t first = arc_cursor_u8(&cur);
  uint8_t second = arc_cursor_u8(&cur);
  uint64_t length = 0;
  *why = cur.failed ? NULL : check_start(frames, first, second);
  *why = *why ? *why : read_length(&cur, second, &length);
  const uint8_t *mask =
      second & 0x80 ? arc_cursor_bytes(&cur, MASK_SIZE) : NULL;
  if (cur.failed || *why) {
    return false;
  }
  start_frame(frames, first, length, mask);
  arc_buf_consume(raw, arc_buf_len(raw) - cur.left);
  return true;
}

static enum arc_wsevent read_close(struct arc_wsframes *frames,
                                   struct arc_wsnews *news) {
  struct arc_cursor cur = {.at = news->control, .left = news->n_control};
  news->code = 0;
  if (news->n_control) {
    news->code = arc_cursor_u8(&cur) << 8;
    news->code |= arc_cursor_u8(&cur);
    if (cur.failed || !arc_ws_code_valid(news->code)) {
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
  case ARC_WSOP_PING:
    return ARC_WS_PING;
  case ARC_WSOP_CLOSE:
    return read_close(frames, news);
  default: // a pong, asked for or not, says no more than any other byte
    return ARC_WS_MORE;
  }
}

/* SSH comes in binary messages: a text is refused as such (1003), and as
 * broken (1007) when what came of it is not UTF-8. Its beginning decides. */
static enum arc_wsevent judge_text(struct arc_wsframes *frames,
                                   struct arc_wsnews *news) {
  const char *at = frames->text;
  size_t left = frames->n_text;
  size_t torn = frames->in_message || frames->left ? 3 : 0;
  while (left > torn) {
    size_t n = arc_utf8_char(at, left);
    if (!n) {
      return bad(frames, news, 1007, "a text message that is not UTF-8");
    }
    at += n;
    left -= n;
  }
  return bad(frames, news, 1003, "a text message");
}

/* Moves up to n bytes of payload to where they belong; false without memory. */
static bool move(struct arc_wsframes *frames, struct arc_buf *raw,
                 struct arc_buf *data, size_t n) {
  uint8_t *to;
  if (is_control(frames->opcode)) {
    to = frames->control + frames->n_control;
    frames->n_control += n;
  } else if (frames->is_text) {
    to = (uint8_t *)frames->text + frames->n_text;
    frames->n_text += n;
  } else {
    to = n ? arc_buf_reserve(data, n) : frames->control;
    if (!to) {
      return false;
    }
    arc_buf_commit(data, n);
  }
  if (frames->role == ARC_WS_SERVER) {
    arc_ws_mask(to, arc_buf_head(raw), n, frames->mask, frames->turn);
    frames->turn += n;
  } else {
    arc_copy(to, arc_buf_head(raw), n);
  }
  arc_buf_consume(raw, n);
  frames->left -= n;
  return true;
}

/* What came of the frame's payload, at most `room` bytes of data. */
static enum arc_wsevent take_payload(struct arc_wsframes *frames,
                                     struct arc_buf *raw, struct arc_buf *data,
                                     size_t room, struct arc_wsnews *news) {
  bool control = is_control(frames->opcode);
  bool text = frames->is_text && !control;
  size_t n = arc_buf_len(raw);
  n = frames->left < n ? (size_t)frames->left : n;
  room = text ? TEXT_MAX - frames->n_text : control ? n : room;
  if (!move(frames, raw, data, n < room ? n : room)) {
    return bad(frames, news, 1011, "out of memory");
  }
  frames->in_frame = frames->left;
  if (control) {
    return frames->left ? ARC_WS_MORE : end_control(frames, news);
  }
  bool all = !frames->left && !frames->in_message;
  return text && (all || frames->n_text == TEXT_MAX) ? judge_text(frames, news)
                                                     : ARC_WS_MORE;
}

enum arc_wsevent arc_wsframes_decode(struct arc_wsframes *frames,
                                     struct arc_buf *raw, struct arc_buf *data,
                                     size_t mark, struct arc_wsnews *news) {
  while (!frames->over) {
    size_t have = arc_buf_len(data);
    const char *why = NULL;
    if (have >= mark) {
      return ARC_WS_FULL;
    }
    if (!frames->in_frame && !take_header(frames, raw, &why)) {
      return why ? bad(frames, news, 1002, why) : ARC_WS_MORE;
    }
    if (frames->left && !arc_buf_len(raw)) {
      return ARC_WS_MORE;
    }
    enum arc_wsevent event = take_payload(frames, raw, data, mark - have, news);
    if (event != ARC_WS_MORE) {
      return event;
    }
  }
  return ARC_WS_MORE;
}

/* ---- encoding --------------------------------------------------------------
 */

/* A fresh key (RFC 6455 §5.3); NULL without randomness. */
static const uint8_t *next_mask(struct arc_wsframes *frames) {
  if (!frames->masks_left) {
    if (RAND_bytes(frames->masks, sizeof frames->masks) != 1) {
      return NULL;
    }
    frames->masks_left = sizeof frames->masks;
  }
  frames->masks_left -= MASK_SIZE;
  return frames->masks + frames->masks_left;
}

static size_t write_header(uint8_t *to, uint8_t opcode, size_t n,
                           const uint8_t *mask) {
  size_t size = n < 126 ? 0 : n <= UINT16_MAX ? 2 : 8;
  uint8_t length = size == 8 ? 127 : size ? 126 : (uint8_t)n;
  to[0] = 0x80 | opcode;
  to[1] = (uint8_t)((mask ? 0x80 : 0) | length);
  for (size_t i = 0; i < size; i++) {
    to[2 + i] = (uint8_t)((uint64_t)n >> 8 * (size - 1 - i));
  }
  if (!mask) {
    return 2 + size;
  }
  memcpy(to + 2 + size, mask, MASK_SIZE);
  return 2 + size + MASK_SIZE;
}

bool arc_wsframes_encode(struct arc_wsframes *frames, struct arc_buf *out,
                         enum arc_wsopcode opcode, const void *payload,
                         size_t n) {
  bool masked = frames->role == ARC_WS_CLIENT;
  const uint8_t *mask = masked ? next_mask(frames) : NULL;
  uint8_t *to = masked && !mask ? NULL : arc_buf_reserve(out, HEADER_MAX + n);
  if (!to) {
    return false;
  }
  size_t header = write_header(to, (uint8_t)opcode, n, mask);
  if (mask) {
    arc_ws_mask(to + header, payload, n, mask, 0);
  } else if (n) {
    arc_copy(to + header, payload, n);
  }
  arc_buf_commit(out, header + n);
  return true;
}
