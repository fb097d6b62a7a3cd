/* SPDX-License-Identifier: MIT */
/* The WebSocket stream over a transport whose chunks the input scripts, while
 * its user reads, writes and closes. Input: options, how many sizes, what the
 * user does, the sizes, then the bytes of the peer. */
#include "line.h"

#include "net/ws.h"
#include "net/wsframe.h"

enum { WRITES_MAX = 6, TURNS_MAX = 1 << 20 };

/* What must come out, and what comes. */
struct talk {
  enum arc_ws_role role;
  struct arc_buf want, got, said, sent;
  enum arc_wsevent last;
  int code;
};

static void foretell(struct talk *talk, const uint8_t *data, size_t size) {
  struct arc_wsframes *frames = arc_wsframes_new(talk->role);
  struct arc_buf raw = {0};
  struct arc_wsnews news = {0};
  DEMAND(frames && arc_buf_append(&raw, data, size));
  do {
    talk->last =
        arc_wsframes_decode(frames, &raw, &talk->want, SIZE_MAX, &news);
  } while (talk->last == ARC_WS_PING);
  talk->code = news.code;
  arc_buf_free(&raw);
  arc_wsframes_free(frames);
}

static void check_end(const struct talk *talk, ssize_t rc,
                      const struct arc_stream *ws) {
  size_t n = arc_buf_len(&talk->got);
  DEMAND(n == arc_buf_len(&talk->want));
  DEMAND(!memcmp(arc_buf_head(&talk->got), arc_buf_head(&talk->want), n));
  if (talk->last == ARC_WS_CLOSE && (!talk->code || talk->code == 1000)) {
    DEMAND(rc == 0);
    return;
  }
  DEMAND(rc == ARC_FAILED);
  fuzz_check_error(ws->err);
  DEMAND((ws->err->code == ARC_E_PROTOCOL) == (talk->last == ARC_WS_BAD));
  if (talk->last != ARC_WS_BAD) {
    DEMAND(ws->err->status == (talk->last == ARC_WS_CLOSE ? talk->code : 1006));
  }
}

/* What was sent is what was said, in frames that the peer may read. */
static void check_sent(struct talk *talk) {
  enum arc_ws_role peer =
      talk->role == ARC_WS_CLIENT ? ARC_WS_SERVER : ARC_WS_CLIENT;
  struct arc_wsframes *frames = arc_wsframes_new(peer);
  struct arc_buf heard = {0};
  struct arc_wsnews news = {0};
  enum arc_wsevent event;
  DEMAND(frames);
  do {
    event = arc_wsframes_decode(frames, &talk->sent, &heard, SIZE_MAX, &news);
  } while (event == ARC_WS_PING);
  size_t n = arc_buf_len(&heard);
  DEMAND(event == ARC_WS_MORE || event == ARC_WS_CLOSE);
  DEMAND(event == ARC_WS_MORE || !arc_buf_len(&talk->sent));
  DEMAND(n <= arc_buf_len(&talk->said));
  DEMAND(!memcmp(arc_buf_head(&heard), arc_buf_head(&talk->said), n));
  arc_buf_free(&heard);
  arc_wsframes_free(frames);
}

static void say(struct talk *talk, struct arc_stream *ws, size_t n) {
  uint8_t text[4096];
  n = n && n < sizeof text ? n : sizeof text;
  memset(text, 'a' + (int)(n % 26), n);
  ssize_t rc = arc_stream_write(ws, text, n);
  DEMAND(rc == ARC_AGAIN || rc == ARC_FAILED || rc > 0);
  if (rc > 0) {
    arc_buf_append(&talk->said, text, (size_t)rc);
  }
}

static ssize_t hear(struct talk *talk, struct arc_stream *ws, size_t n) {
  uint8_t to[4096];
  n = n && n < sizeof to ? n : sizeof to;
  ssize_t rc = arc_stream_read(ws, to, n);
  if (rc > 0) {
    arc_buf_append(&talk->got, to, (size_t)rc);
  }
  return rc;
}

static void nothing(void *arg) { (void)arg; }

/* Until the end of reading. how: does the user write (1), and does it end
 * what it says in the turn how >> 3 by shutdown (2) or with a code (4)? */
static void converse(struct talk *talk, struct arc_loop *loop,
                     struct arc_stream *ws, struct script sizes, uint8_t how) {
  ssize_t rc = ARC_AGAIN;
  for (int turn = 0; rc != 0 && rc != ARC_FAILED; turn++) {
    DEMAND(turn < TURNS_MAX);
    bool ended = how & 6 && turn > how >> 3; // then it must not write any more
    if (turn < WRITES_MAX && how & 1 && !ended) {
      say(talk, ws, next_size(&sizes));
    }
    if (turn == how >> 3 && how & 2) {
      arc_stream_shutdown(ws);
    } else if (turn == how >> 3 && how & 4) {
      arc_ws_close_with(ws, 1011, "enough");
    }
    rc = hear(talk, ws, next_size(&sizes));
    if (rc == ARC_AGAIN) {
      arc_stream_want_read(ws, nothing, NULL);
      arc_loop_turn(loop, false);
    }
  }
  check_end(talk, rc, ws);
}

static struct arc_stream *open_ws(struct talk *talk, struct arc_loop *loop,
                                  struct fuzz_input in, struct script sizes,
                                  uint8_t options) {
  size_t early = options & 2 ? in.left / 2 : 0;
  struct fuzz_input late = {in.at + early, in.left - early};
  struct line *line = line_new(loop, late, sizes, &talk->sent);
  line->broken = options & 4;
  struct arc_stream *ws =
      arc_ws_new(loop, &line->s, talk->role, in.at, early, "the peer");
  DEMAND(ws);
  return ws;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  uint8_t options = fuzz_byte(&in);
  size_t n = fuzz_byte(&in) & 15;
  uint8_t how = fuzz_byte(&in);
  n = n < in.left ? n : in.left;
  struct script sizes = {.sizes = in.at, .n = n};
  if (!in.left) {
    return 0;
  }
  in.at += n;
  in.left -= n;
  struct talk talk = {.role = options & 1 ? ARC_WS_SERVER : ARC_WS_CLIENT};
  struct arc_loop *loop = arc_loop_new();
  DEMAND(loop);
  foretell(&talk, in.at, in.left);
  struct arc_stream *ws = open_ws(&talk, loop, in, sizes, options);
  if (!(options & 8)) {
    converse(&talk, loop, ws, sizes, how);
  }
  if (options & 16) {
    arc_stream_abort(ws, NULL);
  } else {
    arc_stream_close(ws);
    arc_loop_set_scale(loop, 1e6);
  }
  while (arc_loop_alive(loop, ARC_N_STREAMS)) {
    arc_loop_turn(loop, true);
  }
  check_sent(&talk);
  arc_loop_free(loop);
  arc_buf_free(&talk.want);
  arc_buf_free(&talk.got);
  arc_buf_free(&talk.said);
  arc_buf_free(&talk.sent);
  return 0;
}
