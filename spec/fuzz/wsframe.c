/* SPDX-License-Identifier: MIT */
/* WebSocket frames of either role: whole, in pieces, and there and back. */
#include "fuzz.h"

#include "net/wsframe.h"

enum { EVERY_CUT_MAX = 400, STRIDE = 97 };

/* What decoding has told, one after the other. */
struct story {
  struct arc_buf text;
  enum arc_wsevent last;
  int code;
};

static void tell(struct story *story, struct arc_buf *payload,
                 enum arc_wsevent event, const struct arc_wsnews *news) {
  arc_buf_append(&story->text, arc_buf_head(payload), arc_buf_len(payload));
  arc_buf_consume(payload, arc_buf_len(payload));
  if (event == ARC_WS_PING || event == ARC_WS_CLOSE) {
    DEMAND(news->n_control <= ARC_WS_CONTROL_MAX);
    DEMAND(news->control[news->n_control] == '\0');
    arc_buf_format(&story->text, "<%d:", (int)event);
    arc_buf_append(&story->text, news->control, news->n_control);
    arc_buf_text(&story->text, ">");
  }
  if (event != ARC_WS_FULL && event != ARC_WS_MORE) {
    story->code = event == ARC_WS_PING ? 0 : news->code;
    story->last = event;
  }
}

static bool over(const struct story *story) {
  return story->last == ARC_WS_CLOSE || story->last == ARC_WS_BAD;
}

static void decode(struct arc_wsframes *frames, struct arc_buf *raw,
                   struct story *story, size_t mark) {
  struct arc_buf payload = {0};
  struct arc_wsnews news = {0};
  enum arc_wsevent event;
  do {
    event = arc_wsframes_decode(frames, raw, &payload, mark, &news);
    tell(story, &payload, event, &news);
  } while (event == ARC_WS_PING || event == ARC_WS_FULL);
  DEMAND(event == ARC_WS_MORE || over(story));
  if (event == ARC_WS_BAD) {
    DEMAND(news.code >= 1002 && news.code <= 1011 && news.why);
  }
  arc_buf_free(&payload);
}

/* In pieces: one of `cut` bytes, then of `piece` bytes. */
static struct story read_all(enum arc_ws_role role, struct fuzz_input in,
                             size_t cut, size_t piece, size_t mark) {
  struct story story = {.last = ARC_WS_MORE};
  struct arc_wsframes *frames = arc_wsframes_new(role);
  struct arc_buf raw = {0};
  DEMAND(frames);
  for (size_t n = cut; in.left && !over(&story); n = piece) {
    n = n < in.left ? n : in.left;
    arc_buf_append(&raw, in.at, n);
    in.at += n;
    in.left -= n;
    decode(frames, &raw, &story, mark);
  }
  arc_wsframes_free(frames);
  arc_buf_free(&raw);
  return story;
}

static void check_same(const struct story *whole, struct story other) {
  size_t n = arc_buf_len(&whole->text);
  DEMAND(whole->last == other.last && whole->code == other.code);
  DEMAND(n == arc_buf_len(&other.text));
  DEMAND(!memcmp(arc_buf_head(&whole->text), arc_buf_head(&other.text), n));
  arc_buf_free(&other.text);
}

/* What one side writes the other must read. */
static void check_round(enum arc_ws_role role, struct fuzz_input in) {
  struct arc_wsframes *from = arc_wsframes_new(role);
  struct arc_buf wire = {0}, want = {0};
  DEMAND(from);
  while (in.left) {
    uint8_t kind = fuzz_byte(&in);
    size_t n = (size_t)(kind >> 1) * (kind & 1 ? 1 : 9);
    n = n < in.left ? n : in.left;
    if (n && n <= ARC_WS_CONTROL_MAX && kind % 3 == 0) {
      DEMAND(arc_wsframes_encode(from, &wire, ARC_WSOP_PING, in.at, n));
      arc_buf_format(&want, "<%d:", (int)ARC_WS_PING);
      arc_buf_append(&want, in.at, n);
      arc_buf_text(&want, ">");
    } else {
      DEMAND(arc_wsframes_encode(from, &wire, ARC_WSOP_BINARY, in.at, n));
      arc_buf_append(&want, in.at, n);
    }
    in.at += n;
    in.left -= n;
  }
  struct fuzz_input sent = {arc_buf_head(&wire), arc_buf_len(&wire)};
  enum arc_ws_role peer = role == ARC_WS_CLIENT ? ARC_WS_SERVER : ARC_WS_CLIENT;
  struct story got = read_all(peer, sent, 1, 700, 64);
  struct story told = {.text = want, .last = got.last};
  DEMAND(!over(&got));
  check_same(&told, got);
  arc_wsframes_free(from);
  arc_buf_free(&wire);
  arc_buf_free(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  uint8_t first = fuzz_byte(&in);
  enum arc_ws_role role = first & 1 ? ARC_WS_SERVER : ARC_WS_CLIENT;
  size_t piece = (size_t)(first >> 1) + 1;
  struct story whole = read_all(role, in, in.left, 1, 4096);
  for (size_t cut = 1; cut < in.left; cut += cut < EVERY_CUT_MAX ? 1 : STRIDE) {
    check_same(&whole, read_all(role, in, cut, in.left, 64));
  }
  check_same(&whole, read_all(role, in, piece, piece, 16));
  check_same(&whole, read_all(role, in, 1, 1, 64));
  arc_buf_free(&whole.text);
  check_round(role, in);
  return 0;
}
